"""Progress bars on standard error, so that standard output stays readable by programs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)


class Bar(Protocol):
    """What long work reports to."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move on by `steps`; `note` stands beside the bar until the next one."""


class _Silent:
    def advance(self, steps: int = 1, note: str = "") -> None:
        pass


class _Rich:
    def __init__(self, progress: Progress, task: int) -> None:
        self._progress, self._task = progress, task

    def advance(self, steps: int = 1, note: str = "") -> None:
        fields = {"note": note} if note else {}
        self._progress.update(self._task, advance=steps, **fields)  # type: ignore[arg-type]  # rich types fields as its own keywords


@contextlib.contextmanager
def bar(title: str, total: int, show: bool | None = None) -> Iterator[Bar]:
    """A progress bar titled `title` over `total` steps.

    Parameters
    ----------
    show
        True or False decides; None shows it only when standard error is a terminal.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield _Silent()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),  # a file name may hold [brackets]
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Rich(progress, progress.add_task(title, total=total, note=""))
