"""`vasari compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vasari.cli.output import console, emit_json
from vasari.evaluation.comparison import ModelComparison

Out = Annotated[Path, typer.Option(help="Where results per user and the report go; the same again goes on.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Json = Annotated[bool, typer.Option("--json", help="End with one JSON line.")]


def compare(
    recipe: Annotated[Path, typer.Argument(help="A YAML file: data, models with grids, protocol, seeds.")],
    out: Out,
    device: Device = "auto",
    json_output: Json = False,
) -> None:
    """Tune models alike, fit them with several seeds, test their differences, and write a report."""
    from vasari.evaluation.compare import compare as run

    show(run(recipe, out, device), out, json_output)


def show(found: ModelComparison, out: Path, json_output: bool, reference: str | None = None) -> None:
    """Write the report; print the table, or everything as one JSON line."""
    from vasari.evaluation.report.comparison import write_comparison

    report = write_comparison(out / "report.html", found, reference)
    if json_output:
        emit_json(found.to_json() | {"report": str(report)})
        return
    console.print(found.table(reference))
    console.print(f"report: {report}", highlight=False, soft_wrap=True)
