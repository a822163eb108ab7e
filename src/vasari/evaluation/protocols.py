"""The evaluation protocols by name; how each splits the log stands in `vasari.data.splits`."""

from __future__ import annotations

from collections.abc import Callable

from vasari.core.errors import NotFoundError
from vasari.data.dataset import Dataset
from vasari.data.splits import Split, evaluation_column, last_basket, replay

PROTOCOLS: dict[str, Callable[[Dataset], Split]] = {
    "replay": replay,
    "last-basket": last_basket,
    "evaluation-column": evaluation_column,
}


def split(data: Dataset, protocol: str = "replay") -> Split:
    """Split a log by the protocol of that name.

    Raises
    ------
    NotFoundError
        There is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise NotFoundError(f"there is no protocol {protocol!r}; choose one of {list(PROTOCOLS)}")
    return PROTOCOLS[protocol](data)
