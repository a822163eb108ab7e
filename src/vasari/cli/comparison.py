"""`vasari compare` and `vasari ablate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vasari.cli.evaluation import PROTOCOL
from vasari.cli.output import console, emit_json
from vasari.core.errors import UsageError
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


def ablate(
    data: Annotated[Path, typer.Argument(help="A dataset folder.")],
    out: Out,
    features: Annotated[
        list[str] | None,
        typer.Option(
            help="PATH or NAME=PATH; repeatable, the first is the full model's. DATA/features by default."
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="A group of variants: guidelines, pooling, scale, profile, features; repeatable."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the full model, name=value; repeatable.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="The full model's settings: `paper`, `tuned` or `tutorial`.")
    ] = None,
    protocol: Annotated[str, typer.Option(help=PROTOCOL)] = "replay",
    metric: Annotated[str, typer.Option(help="What the tests compare.")] = "ndcg@20",
    seed: Annotated[list[int] | None, typer.Option(min=0, help="Repeatable; 0, 1 and 2 by default.")] = None,
    device: Device = "auto",
    json_output: Json = False,
) -> None:
    """Change one part of CuratorNet at a time, and test what it was worth; writes a report."""
    from vasari.cli.loading import load_features
    from vasari.cli.models import parse_settings
    from vasari.data.dataset import Dataset
    from vasari.evaluation.ablate import GROUPS
    from vasari.evaluation.ablate import ablate as run

    dataset = Dataset.load(data)
    tables = {name: load_features(data, path) for name, path in _named(features or []).items()}
    found = run(
        dataset,
        tables or load_features(data, None),
        out,
        groups=only or GROUPS,
        preset=preset,
        settings=parse_settings(settings or []),
        protocol=protocol,
        seeds=seed or (0, 1, 2),
        metric=metric,
        device=device,
    )
    show(found, out, json_output)


def _named(features: list[str]) -> dict[str, Path]:
    """``["deep=tables/deep", "tables/lbp"]`` to paths by name; a table without one is named by its folder."""
    found: dict[str, Path] = {}
    for given in features:
        name, _, path = given.partition("=")
        if not path or Path(name).name != name:  # no "=", or one within a path: runs/epochs=3/features
            name, path = "", given
        if (name := name or Path(path).name) in found:
            raise UsageError(f"two feature tables are called {name!r}; write --features NAME={path}")
        found[name] = Path(path)
    return found


def show(found: ModelComparison, out: Path, json_output: bool) -> None:
    """Write the report; print the table, or everything as one JSON line."""
    from vasari.evaluation.report.comparison import write_comparison

    report = write_comparison(out / "report.html", found)
    if json_output:
        emit_json(found.to_json() | {"report": str(report)})
        return
    console.print(found.table())
    console.print(f"report: {report}", highlight=False, soft_wrap=True)
