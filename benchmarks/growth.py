"""How costs grow with the catalogue: 10,000, 100,000 and a million works.

    python -m benchmarks.growth [--sizes 10000,100000,1000000] [--plot FILE.svg] [--json]

Each size runs in a process of its own. Features are 64 numbers a work, float16, memory-mapped; a fifth as
many users as works took three works each, of 100 clusters and a fifth as many artists as works (at most
20,000). Measured are

- a triple drawn by the six guidelines, and a triple of a training step of CuratorNet, drawing included; since
  a work or profile passes the network once a batch, and a small gallery has fewer of them, also a row, which
  is a distinct work or profile of a batch,
- an evaluated user: scores of all works in stock and their ranks; this must grow with the catalogue, so it
  is also given per 100,000 works,
- a picture's vector: appended in shards, and stored in a table, opened with its checksums, aligned by id,
- the most memory held, pages of mapped files included.

Nothing but ranking may grow: no work per batch depends on the number of works. Caches cost something: rows
drawn at random from a gigabyte come slower than rows from a megabyte.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.support.loglog import log_log
from benchmarks.timing import bar, in_subprocess, medians, peak_memory, report, seconds

from vasari.data.cases import hidden_cases, last_baskets
from vasari.data.histories import Histories
from vasari.data.ids import Ids
from vasari.data.ragged import Ragged
from vasari.data.stock import Stock
from vasari.features.extractor import Encoded
from vasari.features.fingerprint import Fingerprint
from vasari.features.shards import Shards
from vasari.features.table import FeatureTable
from vasari.metrics import rank_cases
from vasari.models.bank import FeatureBank
from vasari.models.curatornet import CuratorNetwork, TripleScorer
from vasari.sampling import Sampler, SamplingContext, Triples
from vasari.training.loop import TrainingSettings, train

DIM, CLUSTERS, BATCH, BATCHES, SHARD = 64, 100, 8192, 4, 512
SCORED = 1 << 26  # scores of one measurement of ranking
ROUNDS = 3


def write_features(path: Path, items: int) -> np.ndarray:
    """Works near the centre of their cluster, number modulo `CLUSTERS`."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLUSTERS, DIM), dtype=np.float32)
    matrix = np.lib.format.open_memmap(path, "w+", np.float16, (items, DIM))
    for start in range(0, items, 1 << 15):
        numbers = np.arange(start, min(start + (1 << 15), items))
        noise = rng.standard_normal((len(numbers), DIM), dtype=np.float32)
        matrix[numbers] = centres[numbers % CLUSTERS] + noise
    matrix.flush()
    return np.load(path, mmap_mode="r")


def make(items: int) -> tuple[Histories, np.ndarray]:
    """Everybody takes works of one cluster, one by one; and the artist of every work."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(items // 5), 3)
    taken = rng.integers(0, items // CLUSTERS, len(users)) * CLUSTERS + users % CLUSTERS
    names = Ids([f"u{u}" for u in range(items // 5)], what="user_id"), Ids([f"w{i}" for i in range(items)])
    histories = Histories.from_sorted(*names, users, taken, np.arange(len(users)))
    return histories, rng.integers(0, min(items // 5, 20_000), items)


def of_triples(histories: Histories, artists: np.ndarray, features: np.ndarray) -> dict[str, float]:
    items = len(features)
    context = SamplingContext(histories, artists, np.arange(items) % CLUSTERS, features)
    sampler = Sampler(context)
    scorer = TripleScorer(
        CuratorNetwork(DIM), FeatureBank.fit(features, np.arange(items), "zscore"), torch.device("cpu")
    )
    settings = TrainingSettings(epochs=1, triples_per_epoch=BATCH * BATCHES, batch_size=BATCH)

    def batches(epoch: int) -> Iterator[Triples]:
        return (sampler.batch(1, epoch, number, BATCH) for number in range(BATCHES))

    taken = medians(
        {
            "triple drawn": lambda: list(batches(0)),
            "triple trained": lambda: train(scorer, batches, None, settings, seed=0, progress=False),
        },
        ROUNDS,
    )
    costs = {name: value / (BATCH * BATCHES) for name, value in taken.items()}
    return costs | {"row trained": taken["triple trained"] / sum(map(rows, batches(0)))}


def rows(batch: Triples) -> int:
    """Distinct works and profiles of a batch: what passes the towers."""
    works = np.concatenate([batch.profiles.values, batch.positive, batch.negative])
    return len(np.unique(works)) + len(batch.profiles)


def of_users(histories: Histories, features: np.ndarray) -> dict[str, float]:
    hidden = last_baskets(histories)
    cases = hidden_cases(histories, hidden, Stock.everything(len(features)))
    cases = cases.take(np.arange(min(len(cases), max(1, SCORED // len(features)))))
    vectors = np.asarray(features, dtype=np.float32)

    def score(profiles: Ragged, _: list[str]) -> np.ndarray:
        return np.stack([vectors[row].mean(axis=0) for row in profiles]) @ vectors.T

    each = medians({"users": lambda: rank_cases(score, cases)}, ROUNDS)["users"] / len(cases)
    return {"user evaluated": each, "user evaluated, per 100,000 works": each * 100_000 / len(features)}


def of_pictures(folder: Path, ids: Ids, features: np.ndarray) -> dict[str, float]:
    shards = Shards.beside(folder / "appended", Fingerprint("random", "none"))
    hashes = [f"{number:064x}" for number in range(len(features))]

    def append() -> None:
        for start in range(0, len(features), SHARD):
            rows = np.asarray(features[start : start + SHARD], dtype=np.float32)
            shards.write(hashes[start : start + SHARD], [Encoded(row, None, False) for row in rows])

    def store_and_open() -> None:
        FeatureTable.from_arrays(ids, features, "random numbers").save(folder / "table")
        table = FeatureTable.load(folder / "table")
        table.gather(table.align(ids)[:: max(1, len(ids) // BATCH)])

    sides: dict[str, Callable[[], None]] = {
        "picture appended": append,
        "picture stored and opened": store_and_open,
    }
    return {name: seconds(run) / len(features) for name, run in sides.items()}


def of_size(items: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        features = write_features(Path(name) / "matrix.npy", items)
        histories, artists = make(items)
        costs = of_triples(histories, artists, features)
        costs |= of_users(histories, features)
        costs |= of_pictures(Path(name), histories.item_ids, features)
    return costs | {"gigabytes held": peak_memory() / 1e9}


def plot(costs: Mapping[str, Mapping[str, float]]) -> str:
    """The costs by size as an SVG."""
    names = next(iter(costs.values()))
    shown = [name for name in names if not name.startswith("gigabytes") and ", per " not in name]
    lines = {name: [(int(size), of[name] * 1e6) for size, of in costs.items()] for name in shown}
    return log_log("Cost by size of the catalogue", "works", "microseconds", lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--of", type=int, help="measure this size and print its costs as JSON")
    parser.add_argument("--plot", type=Path, help="write the costs as an SVG")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.of:
        print(json.dumps(of_size(options.of)))
        return
    sizes = [int(size) for size in options.sizes.split(",")]
    found: dict[int, dict[str, Any]] = {
        size: in_subprocess("benchmarks.growth", "--of", str(size)) for size in sizes
    }
    names = list(found[sizes[0]])
    print(f"{'':36}" + "".join(f"{size:>16,}" for size in sizes))
    for name in names:
        scale, unit = (1, "GB") if name.startswith("gigabytes") else (1e6, "us")
        print(f"{name:36}" + "".join(f"{found[size][name] * scale:13.2f} {unit}" for size in sizes))
    costs = {str(size): of for size, of in found.items()}
    if options.plot:
        options.plot.write_text(plot(costs))
    bars = [
        bar(
            f"{name}, {sizes[-1]:,} against {sizes[0]:,} works",
            found[sizes[-1]][name] / found[sizes[0]][name],
            "times",
            "<=",
            2,
        )
        for name in names
        if name not in {"triple trained", "user evaluated", "gigabytes held"}
    ]
    bars.append(bar("memory held", max(of["gigabytes held"] for of in found.values()), "GB", "<=", 4))
    report("growth", [], bars, options.json, costs=costs)


if __name__ == "__main__":
    main()
