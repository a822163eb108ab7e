"""Medians of wall times, taken in turns so that a busy moment hits all sides alike."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


def medians(sides: Mapping[str, Callable[[], Any]], repeats: int = 5) -> dict[str, float]:
    """Seconds of each side: one warm-up, then the median of `repeats` rounds over all sides in turn."""
    for run in sides.values():
        run()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, run in sides.items():
            started = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in taken.items()}


def machine() -> str:
    """Processor, cores and system in one line."""
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.platform()}"
