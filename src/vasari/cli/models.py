"""`vasari train` and `vasari recommend`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from vasari.cli.output import console, emit_json, print_frame
from vasari.core.errors import UsageError


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """``["epochs=5", "sampling=uniform"]`` to a dictionary; values are read as JSON where they are JSON.

    Raises
    ------
    UsageError
        A pair without ``=``.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {pair!r} must read name=value, for example --set epochs=5")
        try:
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            settings[name] = value
    return settings


def train(
    data: Annotated[Path, typer.Argument(help="A dataset folder (from `vasari import`).")],
    out: Annotated[Path, typer.Option(help="Where the model goes.")],
    model: Annotated[
        str, typer.Option(help="Which model; see `vasari doctor` for all names.")
    ] = "CuratorNet",
    features: Annotated[Path | None, typer.Option(help="Feature table; DATA/features by default.")] = None,
    hold_out: Annotated[
        str,
        typer.Option(
            help="Protocol whose hidden interactions stay out of training, as for `vasari evaluate`; "
            "or `none` for production."
        ),
    ] = "replay",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the model, name=value; repeatable.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="CuratorNet's `paper`, `tuned` or `tutorial` settings.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume/--fresh", help="Go on from a killed run of this very command, or start anew."),
    ] = True,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    json_output: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False,
) -> None:
    """Train a model and write it to a folder."""
    import shutil

    from vasari.cli.loading import load_features
    from vasari.data.dataset import Dataset
    from vasari.evaluation.protocols import split
    from vasari.models.presets import build_model

    dataset = Dataset.load(data)
    recommender = build_model(model, preset, parse_settings(settings or []))
    table = load_features(data, features) if recommender.needs_features else None
    log = dataset if hold_out == "none" else split(dataset, hold_out).train
    checkpoints = out.with_name(out.name + ".checkpoints")
    if checkpoints.exists() and not resume:
        shutil.rmtree(checkpoints)
    recommender.fit(log, table, seed=seed, device=device, checkpoints=checkpoints)
    recommender.save_pretrained(out)
    shutil.rmtree(checkpoints, ignore_errors=True)
    if json_output:
        emit_json({"model": str(out), "name": recommender.name, "history": recommender.history})
        return
    for entry in recommender.history:
        shown = [f"{n} {entry[n]:.4f}" for n in ("loss", "auc", "ndcg@20", "accuracy") if n in entry]
        console.print(f"epoch {int(entry['epoch']):3d}  " + "  ".join(shown), highlight=False)
    console.print(f"{recommender.name} is in {out}", highlight=False)


def recommend(
    model: Annotated[Path, typer.Argument(help="A model folder (from `vasari train`).")],
    user: Annotated[list[str] | None, typer.Option(help="A known user; repeatable.")] = None,
    item: Annotated[list[str] | None, typer.Option(help="A work the visitor likes; repeatable.")] = None,
    image: Annotated[list[Path] | None, typer.Option(help="A picture the visitor likes; repeatable.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many works.")] = 20,
    explain: Annotated[bool, typer.Option(help="For --item: which of them speak for each work.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False,
) -> None:
    """Recommend to known users, or to a visitor known by works (--item) and pictures (--image)."""
    from vasari.models import load

    recommender = load(model)
    table = recommender.recommend(users=user, profile=item, images=image, k=k)
    if explain:
        if not item:
            raise UsageError("--explain needs the works that stand for the visitor: --item A --item B")
        best = [recommender.explain(item, chosen).row(0)[0] for chosen in table["item_id"]]
        table = table.with_columns(pl.Series("because_of", best, dtype=pl.String))
    if json_output:
        emit_json({"recommendations": table.to_dicts()})
    else:
        print_frame(table)
