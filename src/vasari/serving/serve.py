"""Run the gallery behind uvicorn: one process, or several that share the store."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from vasari.core.errors import UsageError
from vasari.core.machine import usable_cores
from vasari.serving.api.app import create_app
from vasari.serving.api.guard import Limits
from vasari.serving.gallery import Gallery

HEADER_SECONDS = 15.0  # until a connection must have sent the headers of a request
READ_SECONDS = 20.0  # until a client must have made room for more of its answer
MOST_SPARE = 1 << 20  # bytes of a request that are no body: headers, trailers, sizes of chunks
KEEP_ALIVE = 20  # seconds between two requests of one connection
GRACE = 10  # seconds for requests under way when the gallery is told to stop
START = 300  # seconds for a worker to import torch and read the models before it is taken for dead
CONNECTIONS = 1024
SWITCH = 0.001  # seconds after which a thread that computes lets others have Python


@dataclass(frozen=True)
class Options:
    """How a gallery is opened and served; plain values, so that worker processes can be told.

    Attributes
    ----------
    run, database, data, features, shares
        As `Gallery.open`.
    host, port, workers
        Where, and in how many processes.
    rate
        Requests a second of one address; 0 for no limit.
    origins
        See `create_app`.
    """

    run: str
    database: str | None = None
    data: str | None = None
    features: str | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    rate: float = Limits.rate
    origins: Sequence[str] = ()


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which also hangs up on those who do not get to the end of their headers.

    Or who do not read their answers, which are waited for as long as there is no room for more.

    Or who send too much that is no body: httptools keeps headers, trailers and the like in memory until they
    end, before any middleware is asked.
    """

    _unread: asyncio.TimerHandle | None = None
    _spare = 0  # bytes of this message, its first piece aside, that were no body

    def data_received(self, data: bytes) -> None:
        """Count what comes."""
        self._spare += len(data)
        if self._spare > MOST_SPARE and not self.transport.is_closing():
            self._until.cancel()
            self.send_400_response("The headers are too large.")
            return
        super().data_received(data)

    def on_body(self, body: bytes) -> None:
        """Bodies are counted elsewhere."""
        self._spare = max(0, self._spare - len(body))
        super().on_body(body)

    def connection_made(self, transport: Any) -> None:
        """Start the clock."""
        super().connection_made(transport)
        self._until = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def pause_writing(self) -> None:
        """Start a clock until what was sent has been read."""
        super().pause_writing()
        self._unread = self.loop.call_later(READ_SECONDS, self._cut)

    def resume_writing(self) -> None:
        """Stop it."""
        if self._unread is not None:
            self._unread.cancel()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._until.cancel()
        if self._unread is not None:
            self._unread.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Start the clock for the next request of this connection."""
        self._until.cancel()
        self._until = self.loop.call_later(HEADER_SECONDS, self._give_up)
        self._spare = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop the clock: bodies have a limit of their own."""
        self._until.cancel()
        super().on_headers_complete()

    def _cut(self) -> None:
        with contextlib.suppress(RuntimeError):  # of uvloop, whose transport is closed already
            self.transport.abort()  # to close it would wait for what was not read

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def open_app(options: Options) -> FastAPI:
    """Open the gallery and build the app, in the process that is to serve it."""
    # The products of one batch are too small to share among cores; threads that wait busily for one another
    # would take the time of requests.
    threads = 1 if options.workers > 1 else max(1, usable_cores() // 2)
    torch.set_num_threads(threads)
    threadpool_limits(limits=threads, user_api="blas")
    sys.setswitchinterval(SWITCH)
    gallery = Gallery.open(options.run, options.database, options.data, options.features, options.shares)
    app = create_app(gallery, Limits(rate=options.rate), options.origins)
    # What stands now stays. Looking through it for garbage again and again would stop all requests meanwhile:
    # a third of a second with a hundred thousand works.
    gc.collect()
    gc.freeze()
    return app


def worker_app() -> FastAPI:
    """The app of a worker process, which is told its options by the environment."""
    log_to_stderr()
    told = json.loads(os.environ[_TOLD])
    return open_app(Options(**told))


_TOLD = "VASARI_SERVE_OPTIONS"


def check_address(host: str, port: int) -> None:
    """See whether a server could listen at an address.

    Raises
    ------
    UsageError
        It could not: the port is taken, not for this user, or the address not of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        elsewhere = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
        cure = "pass another --host" if elsewhere else "pass another --port"
        raise UsageError(f"cannot listen at {host} port {port} ({error.strerror}); {cure}") from None


def serve(options: Options, started: Callable[[], None]) -> None:
    """Serve until told to stop (SIGTERM or SIGINT); requests under way are finished first.

    Parameters
    ----------
    started
        Called when all that may be wrong with a run has been looked at, and just before it is served.

    Raises
    ------
    UsageError
        Nobody can listen at the address.
    """
    check_address(options.host, options.port)
    settings: dict[str, Any] = {
        "host": options.host,
        "port": options.port,
        "http": PatientProtocol,
        "access_log": False,  # ours is structured
        "log_config": None,
        "timeout_keep_alive": KEEP_ALIVE,
        "timeout_graceful_shutdown": GRACE,
        "timeout_worker_healthcheck": START,
        "limit_concurrency": CONNECTIONS,
        "server_header": False,
    }
    log_to_stderr()
    # uvicorn stops tidily, then raises the signal anew for whoever had been listening before.
    signal.signal(signal.SIGTERM, lambda *_: None)
    if options.workers == 1:
        app = open_app(options)
        started()
        uvicorn.run(app, **settings)
        return
    started()
    os.environ[_TOLD] = json.dumps(asdict(options))
    uvicorn.run("vasari.serving.serve:worker_app", factory=True, workers=options.workers, **settings)


def log_to_stderr() -> None:
    """One line of JSON a record, which tells neither thread nor process: they are not looked up for it."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """A record as JSON; what is JSON already stays as it is."""
        text = record.getMessage()
        if record.name == "vasari.access":
            return text
        line = {
            "time": round(record.created, 3),
            "level": record.levelname,
            "logger": record.name,
            "message": text,
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)
