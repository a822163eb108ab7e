"""Does CuratorNet beat VisRank, and guided beat uniform sampling, on the demo's gallery?

    python -m benchmarks.guided_or_not [--seeds 0,1,2,3,4] [--json]

Every seed paints another gallery with other collectors and trains with the same settings: those of
`vasari demo`. Metrics by replay, with 95% bootstrap intervals over users.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.timing import machine

import vasari as vs

METRICS = ("auc", "ndcg@20")


def one_gallery(folder: Path, seed: int) -> dict[str, dict[str, list[float]]]:
    """Mean, low and high of every model and metric."""
    data = vs.synthetic.gallery(folder, seed=seed, progress=False)
    features = vs.extract(data, out=folder / "features", progress=False)
    models = {
        "CuratorNet, tuned": vs.CuratorNet.tuned(),
        "CuratorNet, six guidelines": vs.CuratorNet.tuned(sampling="guidelines"),
        "CuratorNet, uniform": vs.CuratorNet.tuned(sampling="uniform"),
        "VisRank, mean": vs.VisRank(),
        "VisRank, max": vs.VisRank(similarity="max"),
        "Oracle": vs.Oracle(),
    }
    found = vs.evaluate(models, data, features, seed=seed, progress=False)
    rows: dict[str, dict[str, list[float]]] = {name: {} for name in models}
    for model, metric, mean, low, high, _ in found.summary().iter_rows():
        if metric in METRICS:
            rows[model][metric] = [mean, low, high]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = {}
    for seed in map(int, options.seeds.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            found[seed] = one_gallery(Path(folder) / "gallery", seed)
        for model, metrics in found[seed].items():
            cells = [f"{m} {v[0]:.4f} [{v[1]:.4f}, {v[2]:.4f}]" for m, v in metrics.items()]
            print(f"seed {seed}  {model:24}", "  ".join(cells), flush=True)
    for rival in ("VisRank, mean", "VisRank, max", "CuratorNet, six guidelines", "CuratorNet, uniform"):
        for metric in METRICS:
            wins = sum(
                rows["CuratorNet, tuned"][metric][0] > rows[rival][metric][0] for rows in found.values()
            )
            print(f"tuned CuratorNet above {rival} in {metric}: {wins} of {len(found)} seeds")
    if options.json:
        print(json.dumps({"machine": machine(), "seeds": found}))


if __name__ == "__main__":
    main()
