"""VBPR against Cornac's and BPR against implicit's: time to the reference's quality on hidden purchases.

    python -m benchmarks.collaborative [--reference-python PATH] [--data FOLDER] [--json]

About 44,000 purchases by 600 people of 9,517 works with 1,280 features; everybody likes two of sixty styles,
and one purchase in five strays. The last eighth of everybody's is hidden. `--data` takes a Vasari data set
with a table in its folder `features` instead, and hides the last fifth. Works that nobody took in
training are left out: the references know none. VBPR is judged by AUC, BPR by nDCG@20, both among all works.

Either side has its own settings but for the length of factors, the same for both, and is trained from the
start several times, for growing numbers of epochs. For a reference the shortest training counts that comes
within .002 of its best; for Vasari, trained before and again after it, the shortest `fit` that is as good as
that, the longer of the two. `fit` is all of it, from data set and feature table to a model that answers. The
row "by default" times `fit` without any setting but the length of factors, which goes on to a better ranking.

The floor is what the shortest fit needs by its number of triples. VBPR: each distinct work of a batch is
multiplied by E and its gradient once, and read once for each in two bytes a number. BPR: a triple reads three
vectors and changes three.

References that cannot be imported are left out. `--reference-python`, or for `make bench` the environment's
REFERENCE_PYTHON, names an interpreter that has them; it borrows this one's torch if it has none, so both must
be of one version.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from benchmarks.support.factor_references import judge, references
from benchmarks.support.gallery import NUISANCE, STYLES, TASTE
from benchmarks.timing import bar, clock, compared, peak_bandwidth, peak_operations, report

import vasari as vs
from vasari.data.cases import Cases, hidden_cases
from vasari.data.ids import Ids
from vasari.data.splits import take_out
from vasari.data.time_splits import last_share
from vasari.features.fingerprint import Fingerprint

ITEMS, USERS, DIM, TAKEN, HIDDEN = 9_517, 600, 1_280, 73, 10
CLOSE = 0.002
START = 1_600_000_000  # a time in seconds
MODELS: dict[str, Any] = {"vbpr": vs.VBPR, "bpr": vs.BPR}
METRICS = {"vbpr": "auc", "bpr": "ndcg@20"}
LENGTHS: dict[str, dict[str, Any]] = {"vbpr": {"factors": 20, "visual_factors": 20}, "bpr": {"factors": 64}}
PACKAGES = {"vbpr": "cornac", "bpr": "implicit"}
REFERENCES: dict[str, list[dict[str, Any]]] = {
    "vbpr": [{"k": 20, "k2": 20, "n_epochs": epochs} for epochs in (1, 2, 5, 10)],
    "bpr": [{"factors": 64, "iterations": epochs} for epochs in (10, 30, 60, 100, 200)],
}
Point = dict[str, float]

EPOCHS = (10, 15, 20, 25, 30, 35, 40, 50, 60)


@dataclass(frozen=True)
class Task:
    """What is trained on, what is hidden, and the pictures' features."""

    train: vs.Dataset
    hidden: Cases
    table: vs.FeatureTable


def make(items: int, users: int, dim: int) -> Task:
    rng = np.random.default_rng(0)
    style = rng.integers(0, STYLES, items)
    taste = rng.normal(size=(STYLES, TASTE))[style] + 0.5 * rng.normal(size=(items, TASTE))
    parts = np.concatenate([taste, 2 * rng.normal(size=(items, NUISANCE))], axis=1)
    features = np.maximum(parts @ rng.normal(size=(TASTE + NUISANCE, dim)) / 8, 0).astype(np.float32)
    owner, taken = [], []
    for user in range(users):
        liked = np.flatnonzero(np.isin(style, rng.integers(0, STYLES, 2)))
        count = min(int(rng.poisson(TAKEN)) + HIDDEN, len(liked))
        works = np.where(
            rng.random(count) < 0.2, rng.integers(0, items, count), rng.permutation(liked)[:count]
        )
        works = rng.permutation(np.unique(works))
        owner += [f"u{user}"] * len(works)
        taken += [f"i{work}" for work in works]
    ids = [f"i{work}" for work in range(items)]
    times = range(START, START + len(owner))
    log = pl.DataFrame({"user_id": owner, "item_id": taken, "timestamp": times})
    data = vs.Dataset.from_frames(pl.DataFrame({"item_id": ids}), log)
    table = vs.FeatureTable(Ids(ids), features, Fingerprint("made", "none"))
    return known_to_all(data, table, HIDDEN / (TAKEN + HIDDEN))


def known_to_all(data: vs.Dataset, table: vs.FeatureTable, share: float) -> Task:
    """Hide everybody's last share, and leave out the works that nobody took in training.

    Cornac and implicit know no others.
    """
    parted = last_share(data, share)
    known = parted.train.interactions.frame["item_id"].unique()
    log = data.interactions.frame.filter(pl.col("item_id").is_in(known.implode()))
    works = data.catalogue.frame.select("item_id").filter(pl.col("item_id").is_in(known.implode()))
    shown = vs.Dataset.from_frames(works, log.select("user_id", "item_id", "timestamp"))
    hidden = parted.withheld.filter(pl.col("item_id").is_in(known.implode()))
    counts = np.bincount(
        shown.histories.user_ids.find(hidden["user_id"].to_list()), minlength=len(shown.histories.user_ids)
    )
    users, ends = shown.histories.users, shown.histories.items.offsets[1:]
    late = ends[users] - np.arange(len(users)) <= counts[users]
    cases = hidden_cases(shown.histories, late, shown.stock)
    return Task(take_out(shown, late, cases, parted.protocol).train, cases, table)


def reference_curve(name: str, task: Task, python: str) -> list[Point]:
    learnt = references(task.train, task.table, python, [(name, 0, chosen) for chosen in REFERENCES[name]])
    return [
        {"epochs": list(chosen.values())[-1], "seconds": one.seconds, **judged(task, one.users, one.items)}
        for chosen, one in zip(REFERENCES[name], learnt, strict=True)
    ]


def fitted(name: str, task: Task, **settings: Any) -> Point:
    model = MODELS[name](**LENGTHS[name], **settings)
    started = clock()
    model.fit(task.train, task.table, progress=False)
    taken = clock() - started
    point = {"epochs": model.settings.epochs, "seconds": taken}
    return point | judged(task, model.trained_users, model.item_vectors)


def vasari_curve(name: str, task: Task) -> list[Point]:
    return [fitted(name, task, epochs=epochs) for epochs in EPOCHS]


def judged(task: Task, users: np.ndarray, items: np.ndarray) -> Point:
    values = judge(task.train, task.hidden, users, items)
    return {metric: float(np.nanmean(of_users)) for metric, of_users in values.items()}


def first_as_good(points: list[Point], metric: str, wanted: float) -> Point:
    """The shortest training that reaches `wanted`; an endless one if none does."""
    never = {"epochs": math.inf, "seconds": math.inf}
    return min((p for p in points if p[metric] >= wanted), key=lambda p: p["seconds"], default=never)


def floor_of(name: str, task: Task, epochs: float) -> float:
    """Seconds that the products and the traffic of so many epochs take at the machine's best."""
    settings = MODELS[name](**LENGTHS[name]).settings
    triples = max(settings.triples_per_epoch, len(task.train.interactions)) * min(epochs, settings.epochs)
    if name == "bpr":
        numbers = triples * 6 * settings.factors
        operations, traffic = 2 * numbers, 4 * numbers
    else:
        works, drawn = len(task.train.catalogue), 2 * settings.batch_size
        distinct = works * (1 - (1 - 1 / works) ** drawn) * triples / settings.batch_size
        operations = 4 * distinct * task.table.dim * (settings.visual_factors + 1)
        traffic = 4 * distinct * task.table.dim
    return max(operations / peak_operations(), traffic / peak_bandwidth())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference-python", default=os.environ.get("REFERENCE_PYTHON", sys.executable))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--dim", type=int, default=DIM)
    parser.add_argument("--only", choices=list(MODELS), help="one of the two models")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.data:
        table = vs.FeatureTable.load(options.data / "features")
        task = known_to_all(vs.Dataset.load(options.data), table, 0.2)
    else:
        task = make(options.items, options.users, options.dim)
    comparisons, bars, curves = [], [], {}
    for name in [options.only] if options.only else MODELS:
        package, metric = PACKAGES[name], METRICS[name]
        fitted(name, task, epochs=1)  # what Python and torch load and set up once
        before = vasari_curve(name, task)
        if options.reference_python == sys.executable and not importlib.util.find_spec(package):
            print(f"{name}: {package} is not installed here; pass --reference-python PATH. Left out.")
            curves[name] = {"vasari": before}
            continue
        theirs = reference_curve(name, task, options.reference_python)
        after, default = vasari_curve(name, task), fitted(name, task)
        best = max(point[metric] for point in theirs)
        reference = first_as_good(theirs, metric, best - CLOSE)["seconds"]
        ours = max(
            (first_as_good(points, metric, best - CLOSE) for points in (before, after)),
            key=lambda point: point["seconds"],
        )
        limit = (">=", 10) if name == "vbpr" else (">=", 0.5)
        for what, point in (
            (f"{name}: fit to {package}'s {metric} of {best:.3f}", ours),
            (
                f"{name}: fit by default, {metric} {default[metric]:.3f} where {package} has {best:.3f}",
                default,
            ),
        ):
            floor = floor_of(name, task, point["epochs"])
            comparisons.append(compared(what, reference, point["seconds"], floor))
        bars.append(bar(f"{name} to equal {metric}", reference / ours["seconds"], "times as fast", *limit))
        curves[name] = {"reference": theirs, "vasari": after}
    sizes = [len(task.train.histories.user_ids), len(task.train.catalogue), len(task.train.interactions)]
    report("collaborative", comparisons, bars, options.json, users_works_purchases=sizes, curves=curves)


if __name__ == "__main__":
    main()
