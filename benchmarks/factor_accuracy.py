"""VBPR against Cornac's and BPR against implicit's: how well they rank what people took later.

    python -m benchmarks.factor_accuracy --data FOLDER --reference-python PATH [--seeds 0,1,2] [--json]

FOLDER is a Vasari data set with a table in its folder `features`. The last fifth of everybody's interactions
is hidden, and all works but those of the profile are ranked. The references may choose from the settings in
GRIDS: each is trained on what is left after hiding another last fifth, and the best nDCG@20 there is trained
again on all the rest; their own settings, the first of each grid, are shown too. Vasari has its defaults.
Every person's values are averaged over the seeds before anything is compared; intervals are of 95%.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.support.factor_references import judge, references
from benchmarks.timing import machine

import vasari as vs
from vasari.evaluation.protocols import split
from vasari.metrics import bootstrap, compare

METRICS = ("auc", "ndcg@20")
GRIDS: dict[str, list[dict[str, Any]]] = {
    "vbpr": [
        {"k": 10, "k2": 10, "n_epochs": 50},
        *({"k": 20, "k2": 20, "n_epochs": epochs} for epochs in (3, 5, 10, 20)),
        {"k": 20, "k2": 20, "n_epochs": 10, "lambda_e": 0.01},
    ],
    "bpr": [
        {"factors": 100, "iterations": 100},
        *(
            {"factors": factors, "learning_rate": rate, "regularization": decay, "iterations": passes}
            for factors in (64, 100)
            for rate in (0.005, 0.01, 0.02)
            for decay in (0.01, 0.03)
            for passes in (50, 100, 200)
        ),
    ],
}
OURS: dict[str, Any] = {"vbpr": vs.VBPR, "bpr": vs.BPR}

Values = dict[str, np.ndarray]


def theirs(
    name: str, part: Any, table: vs.FeatureTable, python: str, seeds: list[int], of: list[int]
) -> list[Values]:
    """For each setting `of` the grid, every person's metrics, averaged over the seeds."""
    runs = [(name, seed, GRIDS[name][number]) for number in of for seed in seeds]
    values = [
        judge(part.train, part.cases, learnt.users, learnt.items)
        for learnt in references(part.train, table, python, runs)
    ]
    return [pooled(values[start : start + len(seeds)]) for start in range(0, len(values), len(seeds))]


def ours(name: str, part: Any, table: vs.FeatureTable, seeds: list[int]) -> Values:
    found = []
    for seed in seeds:
        model = OURS[name]().fit(part.train, table, seed=seed, progress=False)
        found.append(judge(part.train, part.cases, model.trained_users, model.item_vectors))
    return pooled(found)


def pooled(values: list[Values]) -> Values:
    return {metric: np.mean([one[metric] for one in values], axis=0) for metric in METRICS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--reference-python", required=True, help="an interpreter with Cornac and implicit")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--only", choices=list(GRIDS), help="one of the two models")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    data, table = vs.Dataset.load(options.data), vs.FeatureTable.load(options.data / "features")
    seeds, python = [int(seed) for seed in options.seeds.split(",")], options.reference_python
    test = split(data, "last-share")
    validation = split(test.train, "last-share")
    rows = {}
    for name in [options.only] if options.only else GRIDS:
        tried = theirs(name, validation, table, python, seeds[:1], list(range(len(GRIDS[name]))))
        best = int(np.argmax([np.nanmean(values["ndcg@20"]) for values in tried]))
        untuned, tuned = theirs(name, test, table, python, seeds, [0, best])
        mine = ours(name, test, table, seeds)
        print(f"{name}: chosen for the reference {GRIDS[name][best]}")
        for what, values in (("its own settings", untuned), ("tuned", tuned), ("Vasari", mine)):
            row = {}
            for metric in METRICS:
                mean, gap = bootstrap(values[metric])[0], compare(mine[metric], values[metric]).difference
                row[metric] = [mean.mean, mean.low, mean.high, gap.mean, gap.low, gap.high]
            rows[f"{name}, {what}"] = row
            cells = [
                f"{metric} {v[0]:.4f} [{v[1]:.4f}, {v[2]:.4f}], Vasari {v[3]:+.4f} [{v[4]:+.4f}, {v[5]:+.4f}]"
                for metric, v in row.items()
            ]
            print(f"  {what:16}", "  ".join(cells), flush=True)
    if options.json:
        print(json.dumps({"machine": machine(), "seeds": seeds, "rows": rows}))


if __name__ == "__main__":
    main()
