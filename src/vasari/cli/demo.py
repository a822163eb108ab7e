"""`vasari demo`: the whole way once, on a gallery that the program paints."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vasari.cli.output import say
from vasari.cli.serve import need_extra, serve

if TYPE_CHECKING:
    from vasari.models.base import Recommender

MODELS = "VisRank,Popularity,Random,Oracle"
# So that all models together take minutes on two cores; the names in the table say what was reduced.
REDUCED: dict[str, dict[str, Any]] = {
    "DVBPR": {
        "backbone": "efficientnet_lite0",
        "pretrained": True,
        "image_size": 64,
        "epochs": 3,
        "triples_per_epoch": 2_000,
    },
    "ACF": {"epochs": 8, "triples_per_epoch": 20_000},
}


def demo(
    out: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("vasari-demo"),
    works: Annotated[int, typer.Option(min=1, help="Works to paint.")] = 2000,
    artists: Annotated[int, typer.Option(min=1, help="Artists who paint them.")] = 80,
    collectors: Annotated[int, typer.Option(min=1, help="Simulated collectors.")] = 500,
    models: Annotated[
        str, typer.Option(help="Models to compare CuratorNet with, separated by commas; or: all.")
    ] = MODELS,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False,
    serving: Annotated[
        bool | None,
        typer.Option(
            "--serve/--no-serve",
            help="Serve the gallery at the end, until interrupted; by default unless a program reads --json.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where to serve it.")] = 8000,
) -> None:
    """Paint a gallery, extract, cluster, train CuratorNet, evaluate by replay, report, and serve it."""
    serving = not json_output if serving is None else serving
    if serving:
        need_extra()  # before the minutes that the rest takes
        from vasari.serving.serve import check_address

        check_address("127.0.0.1", port)
    from vasari import synthetic
    from vasari.cli.evaluation import show
    from vasari.evaluation.evaluate import evaluate
    from vasari.evaluation.protocols import split
    from vasari.evaluation.report import write_report
    from vasari.evaluation.report.gather import gather
    from vasari.features.extract import extract
    from vasari.models import CuratorNet, VisRank

    rivals = _rivals(models)
    started = time.perf_counter()

    def step(text: str) -> None:
        say(f"[bold]{time.perf_counter() - started:6.1f} s[/bold]  {text}")

    step(f"painting {works:,} works by {artists} artists, and {collectors} simulated collectors")
    data = synthetic.gallery(out / "gallery", works=works, artists=artists, collectors=collectors, seed=seed)
    step("looking at every picture")
    families = "deep,explicit,lbp" if "Hybrid" in rivals else "deep"
    table = extract(data, out=out / "gallery" / "features", features=families)
    features = table.family("deep")
    parts = split(data, "replay")
    step("training CuratorNet on everything but the hidden last baskets")
    trained = CuratorNet.tuned()
    checkpoints = out / "curatornet.checkpoints"
    trained.fit(parts.train, features, seed=seed, checkpoints=checkpoints)
    trained.save_pretrained(out / "curatornet")
    VisRank().fit(parts.train, features).save_pretrained(out / "visrank")  # to stand beside it when served
    shutil.rmtree(checkpoints, ignore_errors=True)
    if "Hybrid" in rivals:  # the one that tells families of features apart
        step("weighing the hybrid's families")
        rivals["Hybrid"].fit(parts.train, table, seed=seed)
    step("ranking the stock of the moment for every hidden basket")
    found = evaluate(
        {CuratorNet.name: trained, **rivals}, data, features, parts, seed=seed, out=out / "evaluation"
    )
    step("writing the report")
    report = write_report(out / "report.html", gather(data, parts.train, found, features, seed))
    step("done")
    show(found, report, json_output, seconds=round(time.perf_counter() - started, 1), out=str(out))
    if serving:
        serve(out, port=port)
    elif not json_output:
        say(f"see the gallery with: vasari serve {out}")


def _rivals(models: str) -> dict[str, Recommender[Any]]:
    """Unfitted models by the name they have in the table, "all" being every one but CuratorNet itself.

    Raises
    ------
    NotFoundError
        There is no such model.
    """
    from vasari.models import CuratorNet, list_models, model_class

    names = list_models() if models == "all" else [name.strip() for name in models.split(",")]
    found = {}
    for name in (model_class(name).name for name in names if name):
        if name != CuratorNet.name:
            changes = REDUCED.get(name, {})
            found[name + " (reduced)" * bool(changes)] = model_class(name)(**changes)
    return found
