"""A load generator that costs little: raw HTTP/1.1 over kept connections, answers checked by their status.

    python -m benchmarks.support.http_load HOST PORT BODIES --rate 320 --seconds 60 --connections 32

With a rate, requests are due at fixed times and latency counts from when one was due, so that a server
that stalls cannot hide it; without one, every connection asks again as soon as it is answered. BODIES is a
file with one JSON body a line. Prints one line of JSON: statuses, latencies in ms and requests a second.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np

PATH = "/v1/recommend"


class Connection:
    """One kept connection."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> int:
        """Send a request and read its answer; gives the status, 0 if the connection broke."""
        try:
            if self.writer is None:
                self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
            self.writer.write(request)
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            )
            await self.reader.readexactly(length)
            return int(head[9:12])
        except (OSError, asyncio.IncompleteReadError):
            if self.writer is not None:
                self.writer.close()
            self.writer = None
            return 0


def post(path: str, body: bytes) -> bytes:
    """A request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


async def load(
    host: str, port: int, bodies: list[bytes], rate: float, seconds: float, connections: int
) -> dict:
    """Ask for so long; see the module's page."""
    requests = itertools.cycle([post(PATH, body) for body in bodies])
    statuses: Counter[int] = Counter()
    latencies: list[float] = []
    started = time.perf_counter()
    number = itertools.count()

    async def worker() -> None:
        connection = Connection(host, port)
        while True:
            due = started + next(number) / rate if rate else time.perf_counter()
            if due - started > seconds:
                return
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            status = await connection.ask(next(requests))
            latencies.append(time.perf_counter() - due)
            statuses[status] += 1

    await asyncio.gather(*(worker() for _ in range(connections)))
    took = time.perf_counter() - started
    p50, p99, most = (1000 * np.percentile(latencies, [50, 99, 100])).tolist()
    found = {"statuses": dict(statuses), "rps": len(latencies) / took, "p50": p50, "p99": p99, "most": most}
    return found | {"errors": sum(count for status, count in statuses.items() if status != 200)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("bodies", type=Path)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    bodies = options.bodies.read_bytes().splitlines()
    found = asyncio.run(
        load(options.host, options.port, bodies, options.rate, options.seconds, options.connections)
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
