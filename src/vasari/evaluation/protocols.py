"""The evaluation protocols by name; how each splits the log stands in `vasari.data`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from vasari.core.errors import NotFoundError, UsageError
from vasari.data.dataset import Dataset
from vasari.data.disjoint_splits import cold_items, user_disjoint
from vasari.data.splits import Split, evaluation_column, last_basket, replay
from vasari.data.time_splits import global_time, last_share, leave_one_out

PROTOCOLS: dict[str, Callable[..., Split]] = {
    "replay": replay,
    "last-basket": last_basket,
    "global-time": global_time,
    "leave-one-out": leave_one_out,
    "last-share": last_share,
    "cold-items": cold_items,
    "user-disjoint": user_disjoint,
    "evaluation-column": evaluation_column,
}


def split(data: Dataset, protocol: str = "replay") -> Split:
    """Split a log by the protocol of that name.

    Parameters
    ----------
    protocol
        A name, and after a colon the settings that differ from its defaults:
        ``"cold-items:share=0.3,seed=1"``, ``"global-time:moment=2024-05-01"``. The settings are the
        parameters of the function in `PROTOCOLS`.

    Raises
    ------
    NotFoundError
        There is no such protocol.
    UsageError
        It has no such setting, or not with that value.
    """
    name, _, text = protocol.partition(":")
    if name not in PROTOCOLS:
        raise NotFoundError(f"there is no protocol {name!r}; choose one of {list(PROTOCOLS)}")
    function = PROTOCOLS[name]
    types = {n: t for n, t in get_type_hints(function).items() if n not in ("data", "return")}
    settings: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        setting, _, value = part.partition("=")
        if setting not in types:
            raise UsageError(f"{name} has no setting {setting!r}; it has {', '.join(types)}")
        try:
            settings[setting] = TypeAdapter(types[setting]).validate_python(value)
        except ValidationError as error:
            raise UsageError(f"{name}: {setting}={value!r}: {error.errors()[0]['msg']}") from None
    return function(data, **settings)
