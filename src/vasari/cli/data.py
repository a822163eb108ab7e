"""`vasari import` and `vasari simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vasari.cli.output import console, emit_json, say
from vasari.core.errors import UsageError


def parse_mapping(pairs: list[str]) -> dict[str, str]:
    """``["item_id=artwork"]`` to {our column: theirs}.

    Raises
    ------
    UsageError
        A pair without ``=``.
    """
    mapping = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not (equals and ours and theirs):
            raise UsageError(f"--map {pair!r} must read our_column=their_column, for example item_id=artwork")
        mapping[ours] = theirs
    return mapping


def import_(
    source: Annotated[Path, typer.Argument(help="A folder in one of the known formats.")],
    out: Annotated[Path, typer.Option(help="Where the dataset goes.")],
    format_: Annotated[
        str, typer.Option("--format", help="plain, ugallery, ugallery-tutorial, wikimedia or movielens.")
    ] = "plain",
    columns: Annotated[
        list[str] | None, typer.Option("--map", help="our_column=their_column; repeatable.")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the pictures.")] = None,
    threshold: Annotated[float, typer.Option(help="Ratings from here on are positive (movielens).")] = 4.0,
    on_unknown: Annotated[
        str, typer.Option(help="Interactions with unknown items: raise or drop.")
    ] = "raise",
    on_duplicate: Annotated[str, typer.Option(help="Repeated interactions: raise, drop or keep.")] = "keep",
    on_bad_row: Annotated[str, typer.Option(help="Rows that cannot be read: raise or drop.")] = "raise",
    name: Annotated[str | None, typer.Option(help="Name of the dataset; the source's by default.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False,
) -> None:
    """Read a catalogue and its log, check everything at the door, and write a dataset folder."""
    from vasari.data.formats import read
    from vasari.features.table import FeatureTable

    imported = read(
        source, format_, mapping=parse_mapping(columns or []), images=images, threshold=threshold,
        on_unknown=on_unknown, on_duplicate=on_duplicate, on_bad_row=on_bad_row, name=name,
    )  # fmt: skip
    for line in imported.report.lines():
        say(line)
    imported.dataset.save(out)
    facts = imported.dataset.describe()
    if imported.features is not None:
        ids, matrix = imported.features
        FeatureTable.from_arrays(ids, matrix, source=f"imported from {source.name}").save(out / "features")
        facts["features"] = str(out / "features")
    if json_output:
        emit_json({"dataset": str(out), **facts, "problems": imported.report.to_dicts()})
        return
    console.print(
        f"{facts['items']:,} works, {facts['users']:,} users, {facts['interactions']:,} interactions: {out}",
        highlight=False,
    )
    if imported.features is not None:
        console.print(f"{len(ids):,} feature vectors of {matrix.shape[1]} came with it", highlight=False)


def simulate(
    data: Annotated[Path, typer.Argument(help="A dataset folder with pictures.")],
    out: Annotated[Path, typer.Option(help="Where the dataset with simulated collectors goes.")],
    collectors: Annotated[int, typer.Option(min=1)] = 500,
    taste_column: Annotated[
        list[str] | None, typer.Option(help="A catalogue column that collectors care about; repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False,
) -> None:
    """Let simulated collectors buy from a catalogue of real pictures (every report will say so)."""
    from vasari import synthetic
    from vasari.data.dataset import Dataset

    given = Dataset.load(data)
    made = synthetic.simulate_collectors(
        given.catalogue,
        name=f"{given.name}, simulated collectors",
        collectors=collectors,
        taste_columns=tuple(taste_column or ()),
        seed=seed,
    )
    made.save(out)
    facts = made.describe()
    if json_output:
        emit_json({"dataset": str(out), **facts})
        return
    console.print(
        f"{facts['users']:,} simulated collectors bought {facts['interactions']:,} times from "
        f"{facts['items']:,} works, in {out}",
        highlight=False,
    )
