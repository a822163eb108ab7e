"""The gallery under load: 100,000 works, exact search, server and load generator on the same machine.

    python -m benchmarks.serving [--works 100000] [--rate 305] [--seconds 60] [--json]

A run is made of random numbers: features with a spectrum like that of pictures, CuratorNet's towers
started from looks, 2,000 users with a log. `vasari serve` then runs as users run it, in a process of its
own, with one worker. Asked are

- one request after the other, from an idle server,
- requests that are due at a fixed rate for a minute, latency counted from when each was due, while ten
  interactions a second are written and the model is swapped every ten seconds,
- as many as 16 connections get answered, for ten seconds.

Most asks are for two to ten works or for a known user; a tenth filters, a tenth wants variety.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from benchmarks.timing import bar, in_subprocess, report

from vasari.data.dataset import Dataset
from vasari.features.table import FeatureTable
from vasari.models.bank import FeatureBank
from vasari.models.curatornet import CuratorNet, CuratorNetwork

DIM, USERS, ARTISTS, STYLES = 1280, 2_000, 3_000, 40
BODIES = 2_000
LOAD = "benchmarks.support.http_load"


def make_run(folder: Path, works: int) -> None:
    """Data set, features and two models, as `vasari demo` lays them out."""
    rng = np.random.default_rng(0)
    spread = (1 + np.arange(DIM, dtype=np.float32)) ** -0.75
    turn = np.linalg.qr(rng.standard_normal((DIM, DIM), dtype=np.float32))[0]
    matrix = np.empty((works, DIM), np.float16)
    for start in range(0, works, 1 << 14):
        block = rng.standard_normal((min(1 << 14, works - start), DIM), dtype=np.float32) * spread
        matrix[start : start + len(block)] = np.maximum(4 * block @ turn, 0)
    ids = [f"w{number:06d}" for number in range(works)]
    catalogue = pl.DataFrame(
        {
            "item_id": ids,
            "artist_id": [f"a{number}" for number in rng.integers(0, ARTISTS, works)],
            "title": [f"Work {number}" for number in range(works)],
            "original": rng.random(works) < 0.5,
            "style": [f"s{number}" for number in rng.integers(0, STYLES, works)],
            "price": rng.integers(50, 5_000, works),
        }
    )
    count = USERS * 6
    log = pl.DataFrame(
        {
            "user_id": [f"u{number}" for number in rng.integers(0, USERS, count)],
            "item_id": [ids[number] for number in rng.integers(0, works, count)],
            "timestamp": 1_600_000_000 + np.arange(count) * 3600,
        }
    )
    data = Dataset.from_frames(catalogue, log, name="random gallery", simulated="Everything is random.")
    data.save(folder / "gallery")
    table = FeatureTable.from_arrays(ids, matrix, "random numbers")
    table.save(folder / "gallery" / "features")
    for seed, name in enumerate(("curatornet", "curatornet-2")):
        network = CuratorNetwork(DIM, seed=seed)
        rows = np.arange(works)
        bank = FeatureBank.fit(matrix[:20_000], rows[:20_000], "zscore")
        network.start_from_looks(bank.take(torch.from_numpy(rows[: min(works, 5_000)])), seed)
        CuratorNet().adopt(network, data, table).save_pretrained(folder / name)


def asks(works: int) -> list[bytes]:
    """Bodies of requests."""
    rng = np.random.default_rng(1)
    bodies = []
    for number in range(BODIES):
        likes = [f"w{one:06d}" for one in rng.integers(0, works, rng.integers(2, 11))]
        ask: dict[str, Any] = {"user_id": f"u{number}"} if number % 3 == 0 else {"likes": likes}
        if number % 10 == 1:
            low = int(rng.integers(50, 3_000))
            ask["filters"] = {"price": {"min": low, "max": low + 500}}
        if number % 10 == 2:
            ask |= {"diversity": 0.3, "per_artist": 2}
        bodies.append(json.dumps(ask | {"k": 20}).encode())
    return bodies


class Server:
    """`vasari serve` in a process of its own, stopped at the end."""

    def __init__(self, run: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-c", "from vasari.cli.main import main; main()", "serve", str(run)]
        self.log = (run / "serve.log").open("w")
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), "--rate", "0"], stdout=self.log, stderr=self.log
        )

    def __enter__(self) -> Server:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.call("GET", "/health/ready")
                return self
            except OSError:
                time.sleep(0.2)
        raise SystemExit("the gallery did not start; see serve.log in its run")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.log.close()

    def call(self, method: str, path: str, body: Any = None) -> int:
        """One request; gives the status, raises OSError for those of 400 and above."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
            return int(answer.status)

    def load(self, bodies: Path, **options: float) -> dict[str, Any]:
        """What the load generator found."""
        extra = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        return in_subprocess(LOAD, "127.0.0.1", str(self.port), str(bodies), *extra)

    def memory(self) -> float:
        """MB that the server holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


class Meanwhile(threading.Thread):
    """Ten interactions a second, and another model every ten seconds, until stopped; counts what failed."""

    def __init__(self, server: Server, works: int) -> None:
        super().__init__()
        self.server, self.works, self.stopping = server, works, threading.Event()
        self.written, self.swapped, self.failed = 0, 0, 0

    def run(self) -> None:
        rng = np.random.default_rng(2)
        started = time.monotonic()
        for tick in range(1 << 30):
            if self.stopping.wait(max(0.0, started + tick / 10 - time.monotonic())):
                return
            try:
                item, user = rng.integers(0, self.works), rng.integers(0, USERS)
                self.server.call(
                    "POST", "/v1/interactions", {"user_id": f"u{user}", "item_id": f"w{item:06d}"}
                )
                self.written += 1
                if tick % 100 == 50:
                    folder = ("curatornet-2", "curatornet")[self.swapped % 2]
                    self.server.call("PUT", "/v1/models/curatornet", {"folder": folder})
                    self.swapped += 1
            except OSError:
                self.failed += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--works", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=305.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--run", type=Path, help="A run that is there already, or is kept for the next time.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        run = options.run or Path(temporary) / "run"
        if not (run / "curatornet-2").is_dir():
            run.mkdir(parents=True, exist_ok=True)
            make_run(run, options.works)
        shutil.rmtree(run / "live", ignore_errors=True)
        bodies = run / "asks.jsonl"
        bodies.write_bytes(b"\n".join(asks(options.works)))
        with Server(run) as server:
            server.load(bodies, seconds=3, connections=4)  # caches and code paths warm up
            single = server.load(bodies, seconds=5, connections=1)
            before = server.memory()
            meanwhile = Meanwhile(server, options.works)
            meanwhile.start()
            steady = server.load(bodies, rate=options.rate, seconds=options.seconds, connections=64)
            meanwhile.stopping.set()
            meanwhile.join()
            grown = server.memory() - before
            flood = server.load(bodies, seconds=10, connections=16)
    report(
        "serving",
        [],
        [
            bar("requests answered at a steady rate", steady["rps"], "requests/s", ">=", 300),
            bar("p99 at that rate", steady["p99"], "ms", "<=", 50),
            bar("errors in all", steady["errors"] + flood["errors"] + meanwhile.failed, "", "<=", 0),
            bar("p50 of single requests", single["p50"], "ms", "<=", 8),
        ],
        options.json,
        works=options.works,
        steady=steady,
        written_meanwhile=meanwhile.written,
        models_swapped_meanwhile=meanwhile.swapped,
        single=single,
        as_many_as_possible=flood,
        server_memory_mb={"before": round(before), "grown": round(grown)},
        cores=len(os.sched_getaffinity(0)),
    )


if __name__ == "__main__":
    main()
