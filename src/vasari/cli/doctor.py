"""`vasari doctor`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from vasari.cli.checks import Check, all_checks
from vasari.cli.output import console, emit_json

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    json_output: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False,
) -> None:
    """Look at this installation and machine, and say what to do about every problem."""
    checks = all_checks(Path.cwd())
    failed = any(check.state == "fail" for check in checks)
    if json_output:
        emit_json({"usable": not failed, "checks": [asdict(check) for check in checks]})
    else:
        for line in render(checks):
            console.print(line, soft_wrap=True)  # a cure can be copied whole
    if failed:
        raise typer.Exit(1)


def render(checks: list[Check]) -> list[Text]:
    """One line a check, the cure below what needs one, and a last line that sums up."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        colour = COLOURS[check.state]
        lines.append(
            Text(f"{check.state:4}  ", colour).append(f"{check.name:{width}}  {check.value}", "default")
        )
        if check.cure:
            lines.append(Text(f"      {'':{width}}  -> {check.cure}", colour))
    return [*lines, Text(verdict(checks))]


def verdict(checks: list[Check]) -> str:
    """Sum up in one sentence."""
    count = {state: sum(check.state == state for check in checks) for state in COLOURS}
    if count["fail"]:
        return f"Vasari cannot do its main job here: {count['fail']} grave, {count['warn']} lesser problems."
    if count["warn"]:
        return f"Vasari is usable; {count['warn']} things could be better."
    return "All is well."
