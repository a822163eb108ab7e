"""A foreign table becomes a log of interactions with the works of one catalogue."""

from __future__ import annotations

import polars as pl

from vasari.core.errors import DataError
from vasari.data.catalogue import Catalogue
from vasari.data.columns import lookalike_key, positive_numbers
from vasari.data.door import Door
from vasari.data.interactions import PURCHASE, REQUIRED, SALES, Interactions
from vasari.data.sieve import FIX, Sieve
from vasari.data.tables import LINE, Table


def admit_interactions(door: Door, table: Table, catalogue: Catalogue) -> Interactions:
    """Check a log against its catalogue and bring it into canonical form.

    Raises
    ------
    DataError
        A column is missing, or no row is left (0 users).
    """
    sieve = Sieve(door, table, REQUIRED)
    sieve.ids("user_id")
    sieve.ids("item_id")
    sieve.times("timestamp", required=True)
    if sieve.has("weight"):
        raw = sieve.frame["weight"]
        weights, wrong = positive_numbers(raw, table.source)
        sieve.replace("weight", weights)
        cure = f"leave out what nobody wanted; {FIX}"
        sieve.out(wrong, "weight", "is no number above 0", cure, values=raw)
    if sieve.has("kind"):
        sieve.ids("kind")
        kinds = sieve.frame["kind"].str.strip_chars().str.to_lowercase()
        sieve.replace("kind", kinds.replace(SALES, [PURCHASE] * len(SALES)))
    if sieve.has("evaluation"):
        sieve.flags("evaluation", required=True)
    _known_items(sieve, catalogue)
    _duplicates(sieve)
    _sold_twice(sieve, catalogue)
    sieve.remark_lookalikes("user_id", "users")
    _remark_outside_stock(sieve, catalogue)
    door.fact(f"{table.source}: rows read", table.frame.height + len(table.ragged))
    door.fact(f"{table.source}: rows kept", sieve.frame.height)
    if sieve.frame.height == 0:
        door.close()
        raise DataError(f"{table.source}: 0 users, no usable row is left; at least one interaction is needed")
    return Interactions(sieve.frame.drop(LINE))


def _known_items(sieve: Sieve, catalogue: Catalogue) -> None:
    items = sieve.frame["item_id"]
    unknown = catalogue.ids.find(items) < 0
    if not unknown.any():
        return
    first = items.filter(pl.Series(unknown)).head(1)
    ids = catalogue.frame["item_id"]
    alike = ids.filter(lookalike_key(ids) == lookalike_key(first)[0])
    hint = f" (it has {alike[0]!r}, which differs only in type or case)" if len(alike) else ""
    cure = 'add it or pass on_unknown="drop"'
    sieve.out(unknown, "item_id", f"is not in the catalogue{hint}", cure, sieve.door.policy.on_unknown)


def _duplicates(sieve: Sieve) -> None:
    """Report the same taking twice; taking a work again at another time is ordinary and only counted."""
    key = [name for name in ("user_id", "item_id", "timestamp", "kind") if sieve.has(name)]
    again = ~sieve.frame.select(pl.struct(key)).to_series().is_first_distinct()
    message = "was taken by the same user at the same time in an earlier row"
    cure = 'pass on_duplicate="drop" if it is one and the same'
    sieve.out(again, "item_id", message, cure, sieve.door.policy.on_duplicate)
    pairs = sieve.frame.select("user_id", "item_id").n_unique() if sieve.frame.height else 0
    repeats = sieve.frame.height - pairs
    sieve.door.fact(f"{sieve.table.source}: rows with a work its user had taken before", repeats)


def _sold_twice(sieve: Sieve, catalogue: Catalogue) -> None:
    if not catalogue.originals.any():
        return
    frame = sieve.frame
    sale = pl.Series(catalogue.originals[catalogue.ids.rows(frame["item_id"])])
    if sieve.has("kind"):
        bought = frame["kind"] == PURCHASE
        if not bought.any():
            kinds = frame["kind"].unique(maintain_order=True).head(5).to_list()
            message = f"has no sale, only kinds {kinds!r}, so no original ever leaves the stock"
            cure = f"call sales {PURCHASE!r} in column kind, or leave the column out if all rows are sales"
            sieve.door.remark(sieve.table.source, message, cure, frame.height)
        sale &= bought
    sold = frame.filter(sale).select(LINE, "item_id", "timestamp").sort("timestamp", maintain_order=True)
    first = sold.unique("item_id", keep="first")[LINE].to_list()
    again = sale & ~frame[LINE].is_in(first)
    cure = 'correct `original` in the catalogue or pass on_duplicate="drop"'
    sieve.out(again, "item_id", "is an original and was sold before", cure, sieve.door.policy.on_duplicate)


def _remark_outside_stock(sieve: Sieve, catalogue: Catalogue) -> None:
    rows = catalogue.ids.rows(sieve.frame["item_id"])
    for column, word in (("added_at", "before it was added"), ("removed_at", "after it was removed")):
        if column in catalogue.frame.columns:
            limit, taken = catalogue.frame[column].gather(rows), sieve.frame["timestamp"]
            outside = taken < limit if column == "added_at" else taken > limit
            cure = "it counts for training, not as an answer in replay"
            sieve.out(outside, "item_id", f"was taken {word} ({column})", cure, "keep")
