"""What this process may use of the machine: schedulers and containers allow less than is built in."""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

NICE = 10  # a tenth of what others get where all want the same core


def usable_cores(root: Path = Path("/")) -> int:
    """Cores this process may use: the smaller of its CPU affinity and its control group's quota, at least 1.

    Parameters
    ----------
    root
        Where /proc and /sys are mounted.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [affinity]
    for folder in _control_groups(root, "cpu"):
        quota, period = (_numbers(folder / "cpu.max") + [math.inf] * 2)[:2]  # version 2: "150000 100000"
        if math.isinf(period):
            quota = (_numbers(folder / "cpu.cfs_quota_us") or [-1])[0]  # version 1; -1: no limit
            period = (_numbers(folder / "cpu.cfs_period_us") or [math.inf])[0]
        if quota > 0 and math.isfinite(quota) and math.isfinite(period):
            quotas.append(max(1, math.ceil(quota / period)))
    return min(quotas)


def usable_memory(root: Path = Path("/")) -> int:
    """Bytes of memory this process may use: the smaller of what is built in and its control group's limit."""
    limits = [float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))]
    for folder in _control_groups(root, "memory"):
        limits += _numbers(folder / "memory.max") + _numbers(folder / "memory.limit_in_bytes")
    return int(min(limits))


def let_others_go_first() -> None:
    """Leave the cores to whoever wants them, in the calling thread and for good, on systems that can."""
    if sys.platform == "linux":  # there, and nowhere else, a thread has a niceness of its own
        mine = threading.get_native_id()
        if os.getpriority(os.PRIO_PROCESS, mine) < NICE:
            os.setpriority(os.PRIO_PROCESS, mine, NICE)


def multiplies_bfloat16(root: Path = Path("/")) -> bool:
    """Whether the processor has instructions for products of bfloat16; without them these are slow.

    Parameters
    ----------
    root
        Where /proc is mounted.
    """
    try:
        words = set((root / "proc/cpuinfo").read_text().split())
    except OSError:
        return False
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})


def _control_groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the control groups this process is in, innermost first; limits of all of them hold."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / controllers  # version 2 names no controllers
        group = base / path.lstrip("/")
        yield group
        yield from (parent for parent in group.parents if parent == base or base in parent.parents)


def _numbers(file: Path) -> list[float]:
    """The numbers in a file of a control group; ``max`` is infinity; nothing where it cannot be read."""
    try:
        return [math.inf if word == "max" else float(word) for word in file.read_text().split()]
    except (OSError, ValueError):
        return []
