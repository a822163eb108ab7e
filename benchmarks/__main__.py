"""All benchmarks, one after the other, each in a process of its own.

    python -m benchmarks [NAME ...] [--json]

Without names everything is run. What each benchmark found is kept in benchmarks/results.json, and
benchmarks/RESULTS.md is written from it: a benchmark run again replaces its own lines and leaves the others.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PLOT = "growth.svg"
NO_BENCHMARK = {"__main__", "__init__", "timing"}
# Of quality, not of speed: run by name.
STUDIES = {"cold_items", "factor_accuracy", "guided_or_not", "presets", "simulated_collectors"}
# Its short form races against the tutorial after 100,000 triples only.
ARGUMENTS = {"training": ["--full"]}
PACKAGES = ("numpy", "torch", "polars")


def run(name: str) -> dict[str, Any] | None:
    """The findings of one benchmark, None if it failed; what it prints for people goes to stderr."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *ARGUMENTS.get(name, [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(f"benchmarks.{name} ended with {done.returncode}", file=sys.stderr)
        return None
    *shown, last = done.stdout.splitlines()
    print(*shown, sep="\n", file=sys.stderr, flush=True)
    return json.loads(last)


def table(results: list[dict[str, Any]]) -> str:
    """One line a comparison and one a bar."""
    lines = [
        "| row | what | reference, s | Vasari, s | ratio | floor, s | share of the floor |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        for one in result["measurements"].get("comparisons", []):
            cells = [result["row"], one["what"], f"{one['reference']:.4g}", f"{one['ours']:.4g}"]
            cells.append(f"{one['ratio']:.1f}")
            cells += [f"{one['floor']:.4g}", f"{one['share_of_floor']:.0%}"] if "floor" in one else ["", ""]
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| row | measured | value | bar | met? |", "|---|---|---|---|---|"]
    for result in results:
        for one in result["bars"]:
            value = f"{one['value']:,.4g} {one['unit']}"
            met = "yes" if one["met"] else "**no**"
            lines.append(f"| {result['row']} | {one['name']} | {value} | {one['bar']} | {met} |")
    return "\n".join(lines)


def page(kept: dict[str, dict[str, Any]]) -> str:
    """RESULTS.md: the table, and where, when and with which versions each benchmark was run."""
    runs = [
        f"- `python -m benchmarks {name}`, {one['date']}, {one['versions']}; {one['found']['machine']}"
        for name, one in sorted(kept.items())
    ]
    return f"""# Benchmarks

Written by `python -m benchmarks`. Seconds are medians of runs in turns, for the same work on both sides. The
floor is what the operations or the traffic of the work take at the speed of a large product or copy in the
same run. What the reference of a row does stands in the docstring of its module.

{table([one["found"] for _, one in sorted(kept.items())])}

![What a triple, a user and a picture cost in catalogues of three sizes]({PLOT})

{chr(10).join(runs)}
"""


def versions() -> str:
    """Of Python and of the packages that do the work."""
    packages = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return ", ".join([f"Python {platform.python_version()}", *packages])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    everything = sorted({file.stem for file in HERE.glob("*.py")} - NO_BENCHMARK - STUDIES)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(everything)}; default all")
    parser.add_argument("--json", action="store_true", help="print a list of what was found")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(everything)):
        parser.error(f"there is no benchmark {unknown[0]!r}; choose of {', '.join(everything)}")
    results, failed = [], False
    for name in options.names or everything:
        if (found := run(name)) is None:
            failed = True
            continue
        results.append(found)
        keep(name, found)
    print(json.dumps(results) if options.json else table(results))
    sys.exit(failed)


def keep(name: str, found: dict[str, Any]) -> None:
    """Replace what is known of one benchmark, in both files."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    today = datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat()
    kept[name] = {"date": today, "versions": versions(), "found": found}
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    RESULTS.with_name("RESULTS.md").write_text(page(kept))
    if name == "growth":
        from benchmarks.growth import plot  # here, since it brings torch with it

        (HERE / PLOT).write_text(plot(found["measurements"]["costs"]))


if __name__ == "__main__":
    main()
