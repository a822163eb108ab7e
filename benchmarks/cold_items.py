"""Which model ranks new works best? Works hidden from training, ranked among themselves, by real people.

    python -m benchmarks.cold_items --data FOLDER [--splits 5] [--models NAME,NAME]
        [--only NAME,NAME] [--validation] [--json]

Every split hides another fifth of the works (`cold-items` with the seeds 0, 1, 2 ...) and trains with its own
seed. A user's value is the mean over the splits that ask something of the user; users are the units of all
intervals and tests, which pair every model with VisRank's mean, with a linear map written independently of
Vasari's (`benchmarks.support.quick_linear_map`) and with the sum of these two. The models that only count
know nothing of new works and must come out at an AUC of .5.

--validation splits the training part of split 0 instead (hidden works: seeds 100, 101 ...), whose hidden
fifth then stays unseen: on this, settings are chosen.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from benchmarks.support.quick_linear_map import QuickLinearMap
from benchmarks.timing import machine

import vasari as vs
from vasari.data.disjoint_splits import cold_items
from vasari.evaluation.result import Evaluation
from vasari.metrics import compare
from vasari.models import model_class
from vasari.models.base import Recommender

METRICS = ("auc", "ndcg@20")
LOOK, MAP, SUM = "VisRank, mean", "quick linear map", "VisRank + quick map"
COUNTING = ("BPR", "EASE", "ItemKNN", "Popularity", "Random")
Models = dict[str, Recommender[Any]]
Values = dict[str, dict[str, float]]  # metric, user, value


def rivals() -> Models:
    """What all others are compared with."""
    return {
        LOOK: vs.VisRank(),
        MAP: QuickLinearMap(),
        SUM: vs.Blend(parts={"VisRank": {}, QuickLinearMap.name: {}}),
    }


def competitors(train: vs.Dataset, table: vs.FeatureTable, seed: int, extra: list[str]) -> Models:
    blend = vs.Blend().fit(train, table, seed=seed, progress=False)
    return {
        **rivals(),
        "VisRank, max": vs.VisRank(similarity="max"),
        "LinearMap": vs.LinearMap(),
        "CuratorNet, tuned": blend.models["CuratorNet"],  # the same training need not be done twice
        "Blend": blend,
        "VBPR": vs.VBPR(),
        **{name: model_class(name)() for name in [*COUNTING, *extra]},
    }


def pooled(found: list[Evaluation], model: str) -> Values:
    """The mean of every user's values over the splits."""
    frame = pl.concat([one[model].per_user().select("user_id", *METRICS) for one in found])
    means = frame.group_by("user_id").mean().sort("user_id")
    return {m: dict(zip(means["user_id"], means[m], strict=True)) for m in METRICS}


def pair(first: Values, second: Values, metric: str) -> list[float]:
    """Difference, its interval, and the p-values of the permutation and of Wilcoxon's test."""
    users = sorted(first[metric])
    assert users == sorted(second[metric])
    values = [np.array([one[metric][user] for user in users], dtype=float) for one in (first, second)]
    found = compare(*values)
    gap = found.difference
    return [gap.mean, gap.low, gap.high, found.p_permutation, found.p_wilcoxon]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", required=True, help="a dataset folder with its features")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--models", default="", help="further registered models, separated by commas")
    parser.add_argument("--only", default="", help="registered models, which alone meet the three rivals")
    parser.add_argument("--validation", action="store_true", help="split the training part of split 0")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    data, table = vs.Dataset.load(options.data), vs.FeatureTable.load(Path(options.data) / "features")
    first = 0
    if options.validation:
        data, first = cold_items(data, seed=0).train, 100
    extra, only = ([name for name in names.split(",") if name] for names in (options.models, options.only))
    found = []
    for seed in range(first, first + options.splits):
        split = cold_items(data, seed=seed)
        if only:
            models = rivals() | {name: model_class(name)() for name in only}
        else:
            models = competitors(split.train, table, seed, extra)
        found.append(vs.evaluate(models, data, table, split, seed=seed, progress=False))
        print(f"{split.protocol}: {found[-1].counts['users_ranked']} users", flush=True)
    values = {name: pooled(found, name) for name in found[0].models}
    rows: dict[str, Any] = {}
    for name, own in values.items():
        means = {m: float(np.mean(list(own[m].values()))) for m in METRICS}
        rows[name] = {"mean": means, "users": len(own["auc"])}
        print(f"{name:22}", "  ".join(f"{m} {mean:.4f}" for m, mean in means.items()))
        for rival in (LOOK, MAP, SUM):
            if name in (rival, *COUNTING):
                continue
            rows[name][rival] = {m: pair(own, values[rival], m) for m in METRICS}
            cells = [
                f"{m} {gap[0]:+.4f} [{gap[1]:+.4f}, {gap[2]:+.4f}] p {gap[3]:.4f} / {gap[4]:.4f}"
                for m, gap in rows[name][rival].items()
            ]
            print(f"    against {rival:20}", "  ".join(cells), flush=True)
    if options.json:
        print(json.dumps({"machine": machine(), "rows": rows}))


if __name__ == "__main__":
    main()
