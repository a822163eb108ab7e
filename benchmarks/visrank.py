"""VisRank for everybody: a frame of all cosines as the tutorial builds it, against Vasari.

    python -m benchmarks.visrank [--sizes 13297,50000] [--json]

2,378 users with 1 to 10 works, 2,048 features. The reference fills a pandas frame, items x items, with
cosines in double precision, then takes every user's rows of it and their mean or maximum (the tutorial takes
columns, which is slower). Where a quarter of the memory does not hold the frame, a thousand of its rows are
built and the time is multiplied by items / 1,000; users are timed on those rows. The floor is the product of
all items with one mean for every user, or with the distinct works of all profiles, at the speed of a large
product.

Memory is that of a process of its own which fits VisRank and scores two tiles of users.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from benchmarks.support.gallery import DIM, ITEMS, LONGEST, USERS
from benchmarks.timing import (
    bar,
    compared,
    in_subprocess,
    peak_memory,
    peak_operations,
    report,
    seconds,
)

from vasari.core.machine import usable_memory
from vasari.data.ragged import Ragged
from vasari.models.bank import FeatureBank
from vasari.models.pooling import Looks, Pooling

ROWS = 1_000  # of the frame, where it is not built whole
TILE = 256  # users scored at once, as `Recommender.recommend` does
LARGE = 50_000


def make(items: int) -> tuple[np.ndarray, Ragged]:
    """Features, shape (items, DIM), and the profiles."""
    rng = np.random.default_rng(0)
    features = rng.random((items, DIM), dtype=np.float32)
    lengths = np.minimum(rng.geometric(0.35, USERS), LONGEST)
    return features, Ragged.from_rows([rng.choice(items, n, replace=False) for n in lengths])


def unit_vectors(features: np.ndarray) -> np.ndarray:
    """What the frame is the product of: once for the catalogue, however many rows are built."""
    wide = features.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def frame_scores(frame: pd.DataFrame, profiles: Ragged, similarity: str) -> Iterator[np.ndarray]:
    """Scores of all items, user by user."""
    return (frame.loc[profile].agg(similarity, axis=0).to_numpy() for profile in profiles)


def vasari_scores(features: np.ndarray, profiles: Ragged, similarity: str) -> Iterator[np.ndarray]:
    """Scores of all items for some users at a time."""
    looks = Looks(FeatureBank.fit(features, np.arange(len(features)), "none"))
    for start in range(0, len(profiles), TILE):
        part = profiles.slice(start, min(start + TILE, len(profiles)))
        yield looks.scores(part, None, Pooling(similarity, 1))


def exhaust(scores: Iterator[np.ndarray]) -> None:
    for _ in scores:
        pass


def one_size(items: int, speed: float) -> dict[str, dict[str, Any]]:
    """Both sides once, mean and maximum, and the floors."""
    features, profiles = make(items)
    whole = 8 * items * items < usable_memory() / 4
    rows = items if whole else ROWS
    held: list[Any] = []
    build = seconds(lambda: held.append(unit_vectors(features)))
    unit = held.pop()
    build += seconds(lambda: held.append(pd.DataFrame(unit[:rows] @ unit.T))) * items / rows
    asked = profiles if whole else Ragged.from_lengths(profiles.values % rows, profiles.lengths)
    few = asked.slice(0, 8)
    products = {"mean": len(profiles), "max": len(np.unique(profiles.values))}
    found = {}
    for similarity, vectors in products.items():
        theirs = np.stack(list(frame_scores(held[0], few, similarity)))
        np.testing.assert_allclose(next(vasari_scores(features, few, similarity)), theirs, atol=1e-5)
        users = seconds(lambda how=similarity: exhaust(frame_scores(held[0], asked, how)))
        ours = seconds(lambda how=similarity: exhaust(vasari_scores(features, profiles, how)))
        how = "whole" if whole else f"{ROWS:,} rows built, the others reckoned"
        what = f"{similarity}, {items:,} items (frame: {how})"
        found[similarity] = compared(what, build + users, ours, 2 * vectors * items * DIM / speed)
    return found


def memory(items: int) -> int:
    """Bytes that this process held at most."""
    features, profiles = make(items)
    exhaust(vasari_scores(features, profiles.slice(0, 2 * TILE), "max"))
    return peak_memory()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default=f"{ITEMS},{LARGE}")
    parser.add_argument("--memory-of", type=int, help="score users at this size and print the bytes held")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.memory_of:
        print(json.dumps(memory(options.memory_of)))
        return
    sizes = [int(size) for size in options.sizes.split(",")]
    held = {size: in_subprocess("benchmarks.visrank", "--memory-of", str(size)) / 1e9 for size in sizes}
    speed = peak_operations()
    found = {size: one_size(size, speed) for size in sizes}
    comparisons = [one for both in found.values() for one in both.values()]
    largest = max(sizes)
    bars = [
        bar(f"speed at {largest:,} items, mean", found[largest]["mean"]["ratio"], "times", ">=", 20),
        bar(f"memory at {largest:,} items", held[largest], "GB", "<=", 2),
    ]
    frames = {size: 8 * size * size / 1e9 for size in sizes}
    report(
        "visrank",
        comparisons,
        bars,
        options.json,
        gigabytes={"vasari": held, "frame of the tutorial": frames},
    )


if __name__ == "__main__":
    main()
