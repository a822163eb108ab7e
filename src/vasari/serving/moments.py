"""Dates as they come in requests."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any


def moment(value: Any) -> date | None:
    """A date as ISO 8601 writes it, read; without a zone it is UTC. None for what is no date."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return None
        value = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    if isinstance(value, datetime) and value.tzinfo:
        try:
            return value.astimezone(timezone.utc)
        except OverflowError:  # before the year 1 or after 9999: polars keeps it, and Python cannot read it
            return None
    return value if isinstance(value, date) else None
