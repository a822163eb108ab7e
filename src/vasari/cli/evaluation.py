"""`vasari evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vasari.cli.output import console, emit_json
from vasari.core.errors import UsageError
from vasari.evaluation.result import Evaluation
from vasari.evaluation.storage import plain

PROTOCOL = (
    "replay, last-basket, global-time, leave-one-out, last-share, cold-items, user-disjoint or "
    "evaluation-column; settings after a colon: cold-items:share=0.3,seed=1."
)


def evaluate(
    data: Annotated[Path, typer.Argument(help="A dataset folder.")],
    models: Annotated[
        list[str], typer.Argument(help="Model folders and names: runs/curatornet VisRank Popularity ...")
    ],
    out: Annotated[Path, typer.Option(help="Where results per user and the report go.")],
    features: Annotated[Path | None, typer.Option(help="Feature table; DATA/features by default.")] = None,
    protocol: Annotated[str, typer.Option(help=PROTOCOL)] = "replay",
    k: Annotated[list[int] | None, typer.Option("-k", help="List lengths; repeatable.")] = None,
    legacy: Annotated[
        bool, typer.Option(help="Compute AUC and nDCG with the reference's errors, for published tables.")
    ] = False,
    shuffle_pictures: Annotated[
        bool, typer.Option(help="Falsification test: give every work another one's vector.")
    ] = False,
    sampled_candidates: Annotated[
        int | None, typer.Option(min=1, help="Biased: rank among so many drawn candidates, not all.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    json_output: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False,
) -> None:
    """Rank what the protocol hid, with every model, and write a report."""
    from vasari.cli.loading import load_features, named_model
    from vasari.data.dataset import Dataset
    from vasari.evaluation.evaluate import evaluate as run
    from vasari.evaluation.protocols import split
    from vasari.evaluation.report import write_report
    from vasari.evaluation.report.gather import gather

    dataset = Dataset.load(data)
    recommenders = [named_model(name) for name in models]
    looks = features is not None or any(model.needs_features for model in recommenders)
    table = load_features(data, features) if looks else None
    if shuffle_pictures and any(model.needs_pictures for model in recommenders):
        raise UsageError(
            "--shuffle-pictures changes the vectors of works; DVBPR reads the pictures themselves"
        )
    if shuffle_pictures and table is not None:
        table = table.shuffled(seed)
    parts = split(dataset, protocol)
    if shuffle_pictures and any(model.fitted for model in recommenders):
        raise UsageError(
            "--shuffle-pictures trains anew: name models (CuratorNet VisRank), not model folders"
        )
    found = run(
        recommenders,
        dataset,
        table,
        parts,
        tuple(k or (20, 100)),
        seed,
        legacy,
        out=out,
        device=device,
        sampled_candidates=sampled_candidates,
    )
    report = write_report(out / "report.html", gather(dataset, parts.train, found, table, seed))
    show(found, report, json_output)


def show(found: Evaluation, report: Path, json_output: bool, **more: Any) -> None:
    """Print the table, or one JSON line with every mean."""
    if json_output:
        emit_json({"models": means(found), "report": str(report), "protocol": found.protocol, **more})
        return
    console.print(found.table())
    console.print(f"report: {report}", highlight=False, soft_wrap=True)


def means(found: Evaluation) -> dict[str, dict[str, Any]]:
    """Every model's means, with ``intervals`` (95%) and ``beyond`` (what its lists are like)."""
    table: dict[str, dict[str, Any]] = {}
    for model, metric, mean, low, high, _ in found.summary().iter_rows():
        row = table.setdefault(model, {"intervals": {}, "beyond": {}})
        row[metric] = mean
        row["intervals"][metric] = [low, high]
    for model, measure, mean, *_ in found.beyond().iter_rows():
        table[model]["beyond"][measure] = mean
    return plain(table)
