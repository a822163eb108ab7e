"""What commands print: tables for people, one JSON object for programs."""

from __future__ import annotations

import json
import sys
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

console = Console()
messages = Console(stderr=True)


def say(text: str) -> None:
    """One line for people, on standard error, so that standard output stays for results."""
    messages.print(text, highlight=False, soft_wrap=True)


def emit_json(value: dict[str, Any]) -> None:
    """The result for programs: one line, the last on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def print_frame(frame: pl.DataFrame, title: str = "") -> None:
    """A data frame as a table; numbers to four digits."""
    table = Table(title=title or None, title_justify="left")
    for name, dtype in frame.schema.items():
        table.add_column(name, justify="right" if dtype.is_numeric() else "left")
    for row in frame.iter_rows():
        table.add_row(*[f"{v:.4f}" if isinstance(v, float) else "" if v is None else str(v) for v in row])
    console.print(table)
