"""What each ingredient of CuratorNet.tuned is worth, and the whole against the paper's settings.

    python -m benchmarks.presets [--seeds 10,11,12,13]                  painted galleries, replay
    python -m benchmarks.presets --brief --seeds 10,11,12,13,14,15      only the whole against the paper's
    python -m benchmarks.presets --data FOLDER --protocol cold-items    a dataset with its features

Every variant differs from `CuratorNet.tuned` in the one setting that its name says. Differences are paired
over the users of all galleries, or of the one dataset with training seeds 0 to 2 averaged per user; 95%
intervals.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.timing import machine

import vasari as vs
from vasari.metrics import bootstrap, compare
from vasari.models.base import Recommender

METRICS = ("auc", "ndcg@20")
TUNED = "tuned"


def variants() -> dict[str, Recommender[Any]]:
    tuned = vs.CuratorNet.tuned
    return {
        TUNED: tuned(),
        "paper's settings, short": vs.CuratorNet(),
        "start: glorot": tuned(start="glorot"),
        "start: glorot, 14 epochs": tuned(start="glorot", epochs=14),
        "no averaging": tuned(average=False),
        "no dropout": tuned(dropout=0.0),
        "the six guidelines in equal shares": tuned(sampling="guidelines"),
        "learning rate 1e-3": tuned(learning_rate=1e-3),
        "the best epoch instead of the last": tuned(keep="best"),
        "uniform sampling": tuned(sampling="uniform"),
        "paper's settings, 2 million triples": vs.CuratorNet.paper(triples_per_epoch=200_000),
        "VisRank, mean": vs.VisRank(),
        "VisRank, max": vs.VisRank(similarity="max"),
        "LinearMap": vs.LinearMap(),
    }


BRIEF = (
    TUNED,
    "paper's settings, short",
    "paper's settings, 2 million triples",
    "VisRank, mean",
    "LinearMap",
)


def per_user(
    models: dict[str, Recommender[Any]], data: vs.Dataset, table: vs.FeatureTable, protocol: str, seed: int
) -> dict[str, dict[str, np.ndarray]]:
    found = vs.evaluate(models, data, table, protocol=protocol, seed=seed, progress=False)
    return {
        name: {m: found[name].per_user()[m].cast(float).fill_null(np.nan).to_numpy() for m in METRICS}
        for name in found.models
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", default="10,11,12,13", help="of the painted galleries")
    parser.add_argument("--data", help="a dataset folder with features, instead of painted galleries")
    parser.add_argument("--protocol", default="replay")
    parser.add_argument("--brief", action="store_true", help=f"only {'; '.join(BRIEF)}")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    models = {name: model for name, model in variants().items() if name in BRIEF or not options.brief}
    if options.data:
        data, table = vs.Dataset.load(options.data), vs.FeatureTable.load(Path(options.data) / "features")
        runs = [per_user(models, data, table, options.protocol, seed) for seed in (0, 1, 2)]
        pooled = {n: {m: np.mean([r[n][m] for r in runs], axis=0) for m in METRICS} for n in models}
    else:
        runs = []
        for seed in map(int, options.seeds.split(",")):
            with tempfile.TemporaryDirectory() as folder:
                data = vs.synthetic.gallery(Path(folder) / "gallery", seed=seed, progress=False)
                table = vs.extract(data, out=Path(folder) / "features", progress=False)
                runs.append(per_user(models, data, table, options.protocol, seed))
        pooled = {n: {m: np.concatenate([r[n][m] for r in runs]) for m in METRICS} for n in models}
    rows = {}
    for name, values in pooled.items():
        row: dict[str, Any] = {}
        for metric in METRICS:
            mean = bootstrap(values[metric])[0].mean
            against = compare(values[metric], pooled[TUNED][metric])
            gap = against.difference
            row[metric] = [mean, gap.mean, gap.low, gap.high, against.p_permutation]
        rows[name] = row
        cells = [
            f"{m} {v[0]:.4f} ({v[1]:+.4f} [{v[2]:+.4f}, {v[3]:+.4f}], p {v[4]:.3f})" for m, v in row.items()
        ]
        print(f"{name:32}", "  ".join(cells), flush=True)
    if options.json:
        print(json.dumps({"machine": machine(), "rows": rows}))


if __name__ == "__main__":
    main()
