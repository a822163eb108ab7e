"""Ranking cost: a loop over users as tutorials write it, against Vasari's counting in tiles.

    python -m benchmarks.ranking [--users 2378] [--items 13297] [--json]

Sizes of the UGallery log: 2,378 users, 13,297 works, 200-dimensional vectors, one or two relevant works per
user. Both sides score by inner product, leave out what is not in stock and give AUC, RR and precision, recall
and nDCG at 20 and 100. The product of the scores alone, which nobody can avoid, is timed beside them; the
floor is that product at the speed of a large one.
"""

from __future__ import annotations

import argparse

import numpy as np
from benchmarks.timing import bar, compared, medians, peak_operations, report

from vasari.data.cases import Cases
from vasari.data.ids import Ids
from vasari.data.ragged import Ragged
from vasari.data.stock import Stock
from vasari.metrics import measure, rank_cases, scored_tiles

KS = (20, 100)
DIM = 200


def make(users: int, items: int) -> tuple[Cases, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    relevant = [random.choice(items, n, replace=False) for n in np.minimum(random.geometric(0.75, users), 10)]
    stock = Stock(random.integers(0, 500, items), random.integers(500, 1000, items))
    cases = Cases(
        [str(u) for u in range(users)],
        Ids([str(i) for i in range(items)]),
        Ragged.from_rows([random.choice(items, 3, replace=False) for _ in range(users)]),
        Ragged.from_rows(relevant),
        random.integers(0, 1000, users),
        stock,
    )
    vectors = random.normal(size=(users + items, DIM)).astype(np.float32)
    return cases, vectors[:users], vectors[users:]


def tutorial(cases: Cases, users: np.ndarray, items: np.ndarray) -> dict[str, float]:
    """One user at a time, everything sorted, sums over Python lists: how the published notebooks evaluate."""
    total: dict[str, list[float]] = {}
    for row in range(len(cases)):
        scores = users[row] @ items.T
        gone = set(np.flatnonzero(~cases.candidates(row, row + 1)[0]).tolist())
        ranked = [item for item in np.argsort(-scores).tolist() if item not in gone]
        wanted = set(cases.relevant[row].tolist()) - gone
        if not wanted:
            continue
        places = [place for place, item in enumerate(ranked) if item in wanted]
        n, count = len(places), len(ranked)
        pairs = [(count - r - 1) - (n - i) for i, r in enumerate(places, start=1)]
        found = {"auc": sum(pairs) / (n * (count - n)), "rr": 1 / (places[0] + 1)}
        for k in KS:
            hits = [place for place in places if place < k]
            ideal = sum(1 / np.log2(place + 2) for place in range(min(k, n)))
            found[f"precision@{k}"] = len(hits) / k
            found[f"recall@{k}"] = len(hits) / n
            found[f"ndcg@{k}"] = sum(1 / np.log2(place + 2) for place in hits) / ideal
        for name, value in found.items():
            total.setdefault(name, []).append(float(value))
    return {name: float(np.mean(values)) for name, values in total.items()}


def vasari(cases: Cases, users: np.ndarray, items: np.ndarray) -> dict[str, float]:
    def score(_: Ragged, names: list[str]) -> np.ndarray:
        return users[int(names[0]) : int(names[-1]) + 1] @ items.T

    return {name: float(values.mean()) for name, values in measure(rank_cases(score, cases), KS).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=2378)
    parser.add_argument("--items", type=int, default=13297)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cases, users, items = make(options.users, options.items)

    slow, fast = tutorial(cases, users, items), vasari(cases, users, items)
    for name, value in slow.items():
        if abs(value - fast[name]) > 1e-6:
            raise SystemExit(f"the two sides differ in {name}: {value} and {fast[name]}")

    def product() -> None:
        for start in range(0, options.users, 315):
            users[start : start + 315] @ items.T

    def masks() -> None:
        for _ in scored_tiles(lambda _, names: users[: len(names)], cases):
            pass

    seconds = medians(
        {
            "product": product,
            "product and ranking": lambda: vasari(cases, users, items),
            "masks of the stock": masks,
            "tutorial loop": lambda: tutorial(cases, users, items),
        },
        options.repeats,
    )
    ours, product_alone = seconds["product and ranking"], seconds["product"]
    work = 2 * options.users * options.items * DIM
    report(
        "ranking",
        [
            compared(
                f"metrics of {options.users:,} users x {options.items:,} items",
                seconds["tutorial loop"],
                ours,
                work / peak_operations(),
            )
        ],
        [bar("time of the product alone", ours / product_alone, "times", "<=", 2)],
        options.json,
        seconds=seconds,
        relevant=len(cases.relevant.values),
    )


if __name__ == "__main__":
    main()
