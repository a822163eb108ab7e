"""VBPR against Cornac's and BPR against implicit's: time to the reference's quality on hidden purchases.

    python -m benchmarks.collaborative [--reference-python PATH] [--data FOLDER] [--json]

About 44,000 purchases by 600 people of 9,517 works with 1,280 features; everybody likes two of sixty styles,
and one purchase in five strays. Ten of each person's are hidden. `--data` takes a Vasari data set with a
table in its folder `features` instead, and hides last baskets. Works that nobody took in training are left
out: the references know none. These run with their own settings but for the length of factors, in several
trainings of growing length; the shortest that comes within .002 of their best counts. Vasari trains once,
before and again after them, and is judged in between, which is not timed; the time until it first is as good
counts, the longer of the two. VBPR is judged by AUC, BPR by nDCG@20, both among all works. Features reach
Cornac standardised and divided by the root of their number, as Vasari scales them itself.

References that cannot be imported are left out. `--reference-python` names an interpreter that has them; it
borrows this one's torch if it has none, so both must be of one version.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.support import collaborative_reference
from benchmarks.support.gallery import NUISANCE, STYLES, TASTE
from benchmarks.timing import bar, compared, report

import vasari as vs
from vasari.data.cases import Cases, hidden_cases, last_baskets
from vasari.data.histories import Histories
from vasari.data.ids import Ids
from vasari.data.stock import Stock
from vasari.metrics import measure, rank_cases
from vasari.models.bank import FeatureBank
from vasari.models.bpr import BPRSettings
from vasari.models.factors import FactorNetwork
from vasari.models.vbpr import VBPRNetwork, VBPRSettings
from vasari.sampling import Sampler, SamplingContext, Triples
from vasari.sampling.guidelines import Rules
from vasari.training.loop import train

ITEMS, USERS, DIM, TAKEN, HIDDEN = 9_517, 600, 1_280, 73, 10
CLOSE = 0.002
# Cornac's regularisation. It adds its visual bias, a column, to a row, so that every triple of a batch meets
# the bias of every other: there the data weighs more against these terms than the equation says.
CORNACS = {
    "lambda_user": 0.01,
    "lambda_positive": 0.01,
    "lambda_negative": 0.01,
    "lambda_bias": 0.01,
    "lambda_negative_bias": 0.001,
    "lambda_looks": 0.0,
    "lambda_visual_bias": 0.0,
}
REFERENCES = {"vbpr": ("cornac", "1,2,5,10"), "bpr": ("implicit", "10,30,100,200")}
METRICS = {"vbpr": "auc", "bpr": "ndcg@20"}
STEPS = {"vbpr": (1_000, 5e-3), "bpr": (2_000, 1e-2)}  # batch size and learning rate

Point = dict[str, float]
Task = tuple[Histories, Cases, np.ndarray]
Judge = Callable[[np.ndarray, np.ndarray], dict[str, float]]


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
        owner += [user] * len(works)
        taken += works.tolist()
    users_, items_ = np.array(owner), np.array(taken)
    names = Ids([f"u{u}" for u in range(users)], what="user_id"), Ids([f"i{i}" for i in range(items)])
    histories = Histories.from_sorted(*names, users_, items_, np.arange(len(users_)))
    hidden = histories.items.offsets[1:][users_] - np.arange(len(users_)) <= HIDDEN
    return known_to_all(histories, hidden, features)


def load(folder: Path) -> Task:
    data, table = vs.load(folder), vs.FeatureTable.load(folder / "features")
    histories, rows = data.histories, table.align(data.catalogue.ids)
    features = np.zeros((len(rows), table.dim), dtype=np.float32)
    features[rows >= 0] = table.gather(rows[rows >= 0])
    return known_to_all(histories, last_baskets(histories), features)


def known_to_all(histories: Histories, hidden: np.ndarray, features: np.ndarray) -> Task:
    """Keep the works that somebody took in training: Cornac and implicit know no others."""
    left = np.unique(histories.items.values[~hidden])
    new = np.full(len(histories.item_ids), -1)
    new[left] = np.arange(len(left))
    kept = new[histories.items.values] >= 0
    ids = Ids(histories.item_ids.take(left))
    shown = Histories.from_sorted(
        histories.user_ids,
        ids,
        histories.users[kept],
        new[histories.items.values[kept]],
        histories.times[kept],
    )
    cases = hidden_cases(shown, hidden[kept], Stock.everything(len(left)))
    bank = FeatureBank.fit(features[left], np.arange(len(left)), "zscore")
    return shown.where(~hidden[kept]), cases, (bank.scale(bank.matrix) / features.shape[1] ** 0.5).numpy()


def judge_by(cases: Cases, user_ids: Ids) -> Judge:
    rows = user_ids.find(cases.user_ids)

    def judge(users: np.ndarray, items: np.ndarray) -> dict[str, float]:
        by_name = dict(zip(cases.user_ids, users[rows], strict=True))
        ranks = rank_cases(lambda _, names: np.stack([by_name[name] for name in names]) @ items.T, cases)
        found = measure(ranks, ks=(20,))
        return {metric: float(found[metric].mean()) for metric in METRICS.values()}

    return judge


def reference_curve(name: str, task: Task, judge: Judge, python: str, epochs: str) -> list[Point]:
    train_on, _, features = task
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, users=train_on.users, items=train_on.items.values, features=features)
        packages = Path(torch.__file__).parent.parent
        script = collaborative_reference.__file__
        subprocess.run([python, script, given, found, name, epochs, packages], check=True, stdout=sys.stderr)
        with np.load(found) as vectors:
            return [
                {
                    "epochs": count,
                    "seconds": float(vectors[f"seconds {count}"]),
                    **judge(vectors[f"users {count}"], vectors[f"items {count}"]),
                }
                for count in map(int, epochs.split(","))
            ]


def vasari_curve(name: str, task: Task, judge: Judge, options: argparse.Namespace) -> list[Point]:
    histories, _, features = task
    shared: dict[str, Any] = {
        "epochs": options.parts,
        "stop_patience": options.parts,
        "triples_per_epoch": options.triples,
        "batch_size": options.batch or STEPS[name][0],
        "learning_rate": options.learning_rate or STEPS[name][1],
    }
    started = time.perf_counter()
    users, items = len(histories.user_ids), len(histories.item_ids)
    network: FactorNetwork
    if name == "vbpr":
        settings = VBPRSettings(factors=20, visual_factors=20, scale="none", **CORNACS, **shared)
        everything = np.arange(items)
        bank = FeatureBank.fit(features * features.shape[1] ** 0.5, everything, "none")
        network = VBPRNetwork(users, items, bank, settings)
    else:
        settings = BPRSettings(factors=64, **shared)
        network = FactorNetwork(users, items, settings.factors, settings)
    context = SamplingContext(histories)
    sampler = Sampler(context, "uniform", profile_cap=1, rules=Rules(exclude_positive=False))
    spent, points = time.perf_counter() - started, []

    def batches(epoch: int) -> Iterator[Triples]:
        nonlocal started
        started = time.perf_counter()
        for number in range(settings.triples_per_epoch // settings.batch_size):
            yield sampler.batch(1, epoch, number, settings.batch_size)

    @torch.inference_mode()
    def validate() -> dict[str, float]:
        nonlocal spent
        if points:
            spent += time.perf_counter() - started
        vectors, bias = network.item_terms(network.items.weight, network.item_bias, torch.arange(items))
        mine = torch.nn.functional.pad(network.users.weight, (0, 1), value=1.0)
        found = judge(mine.numpy(), torch.column_stack([vectors, bias]).numpy())
        points.append({"seconds": spent, **found})
        return found

    train(network, batches, validate, settings, seed=0, progress=False)
    return points


def first_as_good(points: list[Point], metric: str, wanted: float) -> float:
    """Seconds until `wanted` is reached, infinity if it never is."""
    return min((p["seconds"] for p in points if p[metric] >= wanted), default=float("inf"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference-python", default=sys.executable)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--dim", type=int, default=DIM)
    parser.add_argument("--only", choices=list(REFERENCES), help="one of the two models")
    parser.add_argument("--epochs", help="of the references' trainings, with commas")
    parser.add_argument("--parts", type=int, default=40, help="how often Vasari is judged")
    parser.add_argument("--triples", type=int, default=38_000, help="between two of these")
    parser.add_argument("--batch", type=int, help="by default as STEPS says")
    parser.add_argument("--learning-rate", type=float, help="by default as STEPS says")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    task = load(options.data) if options.data else make(options.items, options.users, options.dim)
    judge = judge_by(task[1], task[0].user_ids)
    comparisons, bars, curves = [], [], {}
    for name in [options.only] if options.only else REFERENCES:
        package, epochs = REFERENCES[name]
        metric = METRICS[name]
        if options.reference_python == sys.executable and not importlib.util.find_spec(package):
            print(f"{name}: {package} is not installed here; pass --reference-python PATH. Left out.")
            curves[name] = {"vasari": vasari_curve(name, task, judge, options)}
            continue
        before = vasari_curve(name, task, judge, options)
        theirs = reference_curve(name, task, judge, options.reference_python, options.epochs or epochs)
        after = vasari_curve(name, task, judge, options)
        best = max(point[metric] for point in theirs)
        reference = first_as_good(theirs, metric, best - CLOSE)
        ours = max(first_as_good(points, metric, best - CLOSE) for points in (before, after))
        what = f"{name}: time to {package}'s {metric} of {best:.3f}"
        comparisons.append(compared(what, reference, ours))
        limit = (">=", 10) if name == "vbpr" else (">=", 0.5)
        bars.append(bar(what, reference / ours, "times as fast", *limit))
        curves[name] = {"reference": theirs, "vasari": after}
    sizes = [len(task[0].user_ids), len(task[0].item_ids), len(task[0].items.values)]
    report("collaborative", comparisons, bars, options.json, users_works_purchases=sizes, curves=curves)


if __name__ == "__main__":
    main()
