"""Connections to PostgreSQL that do not wait for ever; needs the extra `postgres`."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")


class PatientConnection(psycopg.Connection[Any]):
    """A connection that closes where the other end stands still: frozen, or cut off without a word.

    The protocol has no time limit of its own, and those of the database help only while it runs.

    Attributes
    ----------
    patience
        Seconds for one answer.
    """

    patience = float("inf")

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Wait for an answer.

        Raises
        ------
        psycopg.OperationalError
            It did not come in time.
        """
        return super().wait(self._timed(gen), *args, **kwargs)

    def _timed(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        until = time.monotonic() + self.patience
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > until:
                    self.close()
                    raise psycopg.OperationalError(
                        f"no answer from the database for {self.patience:g} seconds"
                    )
                wanted = gen.send(ready)
        except StopIteration as done:
            answer: T = done.value
            return answer
