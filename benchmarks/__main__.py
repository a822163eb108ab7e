"""All benchmarks, one after the other, each in a process of its own: ``python -m benchmarks``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NO_BENCHMARK = {"__main__", "__init__", "timing"}


def main() -> None:
    names = {file.stem for file in Path(__file__).parent.glob("*.py")} - NO_BENCHMARK
    for name in sorted(names):
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)


if __name__ == "__main__":
    main()
