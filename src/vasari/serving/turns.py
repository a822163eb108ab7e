"""Locks that nobody waits for without end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from vasari.serving.asks import Busy

SECONDS = 10.0


@contextlib.contextmanager
def turn(lock: threading.Lock) -> Iterator[None]:
    """Hold a lock that its holders may keep for long, since they wait for the database.

    Raises
    ------
    Busy
        It was not to be had for `SECONDS`.
    """
    if not lock.acquire(timeout=SECONDS):
        raise Busy("the gallery's database is slow to answer; ask again in a moment")
    try:
        yield
    finally:
        lock.release()
