"""What all benchmarks share: times taken in turns, what the machine can do at best, one form of report.

A benchmark compares a reference with Vasari on the same work, and Vasari with its floor: the time that the
arithmetic or the traffic of that work takes on a machine that does nothing else, at the speed of a large
product or a large copy measured in the same run.

Time is wall time. Where other work shares the processors, `BENCH_CLOCK=processor OMP_NUM_THREADS=1` counts
the processor time of this process instead; the report then says so. More threads would be added up.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

SHARED = os.environ.get("BENCH_CLOCK") == "processor"
clock = time.process_time if SHARED else time.perf_counter


def medians(sides: Mapping[str, Callable[[], Any]], repeats: int = 5) -> dict[str, float]:
    """Seconds of each side: one warm-up, then the median of `repeats` rounds over all sides in turn."""
    for run in sides.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, run in sides.items():
            taken[name].append(seconds(run))
    return {name: statistics.median(times) for name, times in taken.items()}


def seconds(run: Callable[[], Any]) -> float:
    """Time of one call."""
    started = clock()
    run()
    return clock() - started


def peak_operations(size: int = 2048, repeats: int = 5) -> float:
    """Operations a second (a multiplication and an addition are two) of a large float32 product."""
    a, b = torch.randn(2, size, size)
    out = torch.empty(size, size)
    torch.mm(a, b, out=out)
    return 2 * size**3 / min(seconds(lambda: torch.mm(a, b, out=out)) for _ in range(repeats))


def peak_bandwidth(size: int = 1 << 28, repeats: int = 5) -> float:
    """Bytes a second, read and written, of a copy that no cache holds."""
    source, target = np.zeros((2, size), dtype=np.uint8)
    source[:] = 1
    target[:] = 2
    return 2 * size / min(seconds(lambda: np.copyto(target, source)) for _ in range(repeats))


def peak_memory() -> int:
    """Most bytes that this process has held in memory so far, memory-mapped pages among them."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held before it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) << 10
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


def in_subprocess(module: str, *arguments: str) -> Any:
    """Run ``python -m module``; returns the JSON of the last line that it prints."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def machine() -> str:
    """Processor, cores, threads of torch, what else runs, kind of time and system in one line."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        name = next(iter(lines), name)
    threads = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"
    busy = f"load {os.getloadavg()[0]:.1f}, {'processor' if SHARED else 'wall'} time"
    return f"{name}, {threads}, {busy}, {platform.platform()}"


def compared(what: str, reference: float, ours: float, floor: float | None = None) -> dict[str, Any]:
    """One comparison: seconds of the reference, of Vasari and of the floor for the same work `what`."""
    found = {"what": what, "reference": reference, "ours": ours, "ratio": reference / ours}
    return found if floor is None else found | {"floor": floor, "share_of_floor": floor / ours}


def bar(name: str, value: float, unit: str, sense: Literal[">=", "<="], limit: float) -> dict[str, Any]:
    """What a benchmark has to reach."""
    met = bool(value >= limit if sense == ">=" else value <= limit)
    return {"name": name, "value": value, "unit": unit, "bar": f"{sense} {limit:,g}", "met": met}


def report(
    row: str,
    comparisons: Sequence[dict[str, Any]],
    bars: Sequence[dict[str, Any]],
    as_json: bool,
    **measurements: Any,
) -> None:
    """Print a benchmark's findings for people and, if asked, on the last line for programs."""
    print(f"{row} ({machine()})")
    for one in comparisons:
        line = f"  {one['what']}: reference {one['reference']:.4g} s, Vasari {one['ours']:.4g} s"
        line += f", {one['ratio']:.1f} times as fast"
        if "floor" in one:
            line += f"; floor {one['floor']:.4g} s, {one['share_of_floor']:.0%} of it reached"
        print(line)
    for name, value in measurements.items():
        print(f"  {name}: {value}")
    for one in bars:
        met = "met" if one["met"] else "MISSED"
        print(f"  {one['name']}: {one['value']:,.4g} {one['unit']}, bar {one['bar']}: {met}")
    if as_json:
        kept = {"comparisons": list(comparisons), **measurements}
        print(json.dumps({"row": row, "bars": list(bars), "measurements": kept, "machine": machine()}))
