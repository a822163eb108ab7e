"""The log: who took what, when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from vasari.data.catalogue import TIME, checked

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

INTERACTION_COLUMNS: Mapping[str, pl.DataType] = {
    "user_id": pl.String(),
    "item_id": pl.String(),
    "timestamp": TIME,
    "weight": pl.Float64(),
    "kind": pl.String(),
    "evaluation": pl.Boolean(),
}

PURCHASE = "purchase"
# What the door writes as `PURCHASE`; case and blanks around do not matter.
SALES = ("purchase", "purchased", "buy", "bought", "sale", "sold", "order", "ordered", "transaction")

REQUIRED = ("user_id", "item_id", "timestamp")


class Interactions:
    """The log of interactions, in file order. Same user and same timestamp is one basket.

    Parameters
    ----------
    frame
        Columns user_id, item_id (text), timestamp (Datetime[us, UTC]) and, where known, weight
        (float, null where unknown), kind (``"purchase"``; like, view ... in lower case), evaluation
        (bool: held out by whoever published the log). Further columns are kept. No rows is allowed:
        collectors can be simulated later.

    Raises
    ------
    DataError
        A column is missing, has another type, or a required value is empty.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = checked(frame, INTERACTION_COLUMNS, REQUIRED, "log of interactions")

    @classmethod
    def empty(cls) -> Interactions:
        """A log without rows."""
        return cls(pl.DataFrame(schema={name: INTERACTION_COLUMNS[name] for name in REQUIRED}))

    def __len__(self) -> int:
        return self.frame.height

    def __repr__(self) -> str:
        return f"Interactions({len(self)} rows, {self.frame['user_id'].n_unique()} users)"

    def sales(self) -> pl.DataFrame:
        """The rows by which a work changes hands: kind `PURCHASE`, or all where there is no kind."""
        if "kind" not in self.frame.columns:
            return self.frame
        return self.frame.filter(pl.col("kind") == PURCHASE)

    def to_pandas(self) -> pd.DataFrame:
        """The log as a pandas data frame."""
        return self.frame.to_pandas()

    def to_arrow(self) -> pa.Table:
        """The log as a pyarrow table."""
        return self.frame.to_arrow()

    def describe(self) -> dict[str, Any]:
        """Counts of interactions, users, baskets, items taken, and the span of time."""
        frame = self.frame
        first, last = frame["timestamp"].min(), frame["timestamp"].max()
        return {
            "interactions": len(self),
            "users": frame["user_id"].n_unique(),
            "items_taken": frame["item_id"].n_unique(),
            "baskets": frame.select("user_id", "timestamp").n_unique() if len(self) else 0,
            "first": None if first is None else str(first),
            "last": None if last is None else str(last),
        }
