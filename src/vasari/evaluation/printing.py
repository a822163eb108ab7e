"""Tables as plain text, for `print` and for files."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table


def as_text(table: Table) -> str:
    """Lay a table out on 120 columns, without colour."""
    console = Console(width=120, no_color=True, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get()
