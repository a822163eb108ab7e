"""Requests that wait together are answered together: one matrix product instead of many."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from vasari.serving.asks import Busy

Q = TypeVar("Q")
A = TypeVar("A")


class Batcher(Generic[Q, A]):
    """One thread that takes whatever waits, answers it at once, and looks again.

    Nobody waits for a batch to fill up: the first request is answered alone, and those that arrive meanwhile
    are the next batch. The busier it is, the larger the batches.

    Parameters
    ----------
    answer
        Questions to answers, in order; an exception in an answer's place is raised for whoever asked. What it
        raises itself is raised for all.
    most
        Questions in one batch.
    waiting
        Questions that may wait; more are refused.
    """

    def __init__(
        self, answer: Callable[[Sequence[Q]], Sequence[A | Exception]], most: int = 32, waiting: int = 512
    ) -> None:
        self._answer, self._most, self._waiting = answer, most, waiting
        self._queue: deque[tuple[Q, Future[A]]] = deque()
        self._awake = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._run, name="vasari-batches", daemon=True)
        self._thread.start()

    def submit(self, question: Q) -> Future[A]:
        """Ask.

        Raises
        ------
        Busy
            Too many wait already, or the batcher is closed.
        """
        future: Future[A] = Future()
        with self._awake:
            if not self._open or len(self._queue) >= self._waiting:
                raise Busy("the gallery is busy; ask again in a moment")
            self._queue.append((question, future))
            self._awake.notify()
        return future

    def close(self) -> None:
        """Answer what waits, then stop."""
        with self._awake:
            self._open = False
            self._awake.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._awake:
                while self._open and not self._queue:
                    self._awake.wait()
                batch = [self._queue.popleft() for _ in range(min(self._most, len(self._queue)))]
            if not batch:
                return
            waiting = [
                (question, future) for question, future in batch if future.set_running_or_notify_cancel()
            ]
            if waiting:
                self._answer_all(waiting)

    def _answer_all(self, waiting: Sequence[tuple[Q, Future[A]]]) -> None:
        try:
            answers: Sequence[A | Exception] = self._answer([question for question, _ in waiting])
        except Exception as error:
            answers = [error] * len(waiting)
        for (_, future), answer in zip(waiting, answers, strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
