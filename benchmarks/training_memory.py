"""Memory of training: one epoch of CuratorNet on 100,000 works, their features memory-mapped.

    python -m benchmarks.training_memory [--items 100000] [--json]

2,048 float16 features a work lie in a file of 0.4 GB; 20,000 users took 60,000 works. A process of its own
fits CuratorNet for one epoch with the settings it comes with: visual clusters, triples by the six guidelines,
validation on hidden baskets and all. Pages of the file that were read count as held.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from benchmarks.timing import bar, in_subprocess, peak_memory, report, seconds

import vasari as vs

DIM, STYLES, ARTISTS, BLOCK = 2_048, 60, 5_000, 4_096
TAKEN_BY_EACH = 3


def write_features(path: Path, items: int) -> None:
    """Works near the centre of their style, number modulo `STYLES`."""
    rng = np.random.default_rng(0)
    centres = rng.random((STYLES, DIM), dtype=np.float32)
    matrix = np.lib.format.open_memmap(path, "w+", np.float16, (items, DIM))
    for start in range(0, items, BLOCK):
        numbers = np.arange(start, min(start + BLOCK, items))
        noise = rng.random((len(numbers), DIM), dtype=np.float32)
        matrix[numbers] = centres[numbers % STYLES] + noise
    matrix.flush()


def make(items: int) -> vs.Dataset:
    """Everybody takes works of one style on different days."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(items // 5), TAKEN_BY_EACH)
    taken = rng.integers(0, items // STYLES, len(users)) * STYLES + users % STYLES
    days = rng.integers(0, 1000, len(users))
    names = np.array([f"w{number}" for number in range(items)])
    artists = [f"a{number}" for number in rng.integers(0, ARTISTS, items)]
    log = {
        "user_id": [f"u{user}" for user in users],
        "item_id": names[taken],
        "timestamp": np.datetime64("2020-01-01T12:00", "us") + days.astype("timedelta64[D]"),
    }
    frame = pl.DataFrame(log).with_columns(pl.col("timestamp").dt.replace_time_zone("UTC"))
    catalogue = pl.DataFrame({"item_id": names, "artist_id": artists})
    return vs.Dataset.from_frames(catalogue, frame)


def fit(path: Path) -> dict[str, float]:
    """What this process held before and at most while it trained."""
    matrix = np.load(path, mmap_mode="r")
    data = make(len(matrix))
    table = vs.FeatureTable.from_arrays(data.catalogue.ids, matrix, "random numbers")
    before = peak_memory()
    model = vs.CuratorNet(epochs=1)
    taken = seconds(lambda: model.fit(data, table, progress=False))
    return {"before": before / 1e9, "peak": peak_memory() / 1e9, "seconds": taken}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--of", type=Path, help="fit on this matrix and print what was held")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.of:
        print(json.dumps(fit(options.of)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "matrix.npy"
        write_features(path, options.items)
        found = in_subprocess("benchmarks.training_memory", "--of", str(path))
    bars = [bar(f"peak memory with {options.items:,} works", found["peak"], "GB", "<=", 4)]
    file = options.items * DIM * 2 / 1e9
    report("training memory", [], bars, options.json, held_before=found["before"], features_on_disk=file)


if __name__ == "__main__":
    main()
