"""`vasari demo`: the whole way once, on a gallery that the program paints."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Annotated

import typer

from vasari.cli.output import say

MODELS = ("CuratorNet", "VisRank", "Popularity", "Random", "Oracle")


def demo(
    out: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("vasari-demo"),
    works: Annotated[int, typer.Option(min=1, help="Works to paint.")] = 2000,
    artists: Annotated[int, typer.Option(min=1, help="Artists who paint them.")] = 80,
    collectors: Annotated[int, typer.Option(min=1, help="Simulated collectors.")] = 500,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False,
) -> None:
    """Paint a gallery, extract, cluster, train CuratorNet, evaluate by replay, write a report."""
    from vasari import synthetic
    from vasari.cli.evaluation import show
    from vasari.evaluation.evaluate import evaluate
    from vasari.evaluation.protocols import split
    from vasari.evaluation.report import write_report
    from vasari.evaluation.report.gather import gather
    from vasari.features.extract import extract
    from vasari.models import CuratorNet, model_class

    started = time.perf_counter()

    def step(text: str) -> None:
        say(f"[bold]{time.perf_counter() - started:6.1f} s[/bold]  {text}")

    step(f"painting {works:,} works by {artists} artists, and {collectors} simulated collectors")
    data = synthetic.gallery(out / "gallery", works=works, artists=artists, collectors=collectors, seed=seed)
    step("looking at every picture")
    features = extract(data, out=out / "gallery" / "features")
    parts = split(data, "replay")
    step("training CuratorNet on everything but the hidden last baskets")
    trained = CuratorNet.tuned()
    checkpoints = out / "curatornet.checkpoints"
    trained.fit(parts.train, features, seed=seed, checkpoints=checkpoints)
    trained.save_pretrained(out / "curatornet")
    shutil.rmtree(checkpoints, ignore_errors=True)
    step("ranking the stock of the moment for every hidden basket")
    others = [model_class(name)() for name in MODELS[1:]]
    found = evaluate([trained, *others], data, features, parts, seed=seed, out=out / "evaluation")
    step("writing the report")
    report = write_report(out / "report.html", gather(data, parts.train, found, features, seed))
    step("done")
    show(found, report, json_output, seconds=round(time.perf_counter() - started, 1), out=str(out))
