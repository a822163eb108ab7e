"""What is kept: every write is one transaction, on disk when the method returns."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json, to_json
from sqlalchemy import Connection, Select, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from vasari.serving.asks import Conflict
from vasari.serving.store import engine as engines
from vasari.serving.store.migrate import migrate
from vasari.serving.store.tables import events, exposures, idempotency, sales, works
from vasari.serving.turns import turn

LIKE, DISLIKE, VIEW, TAKE_BACK = "like", "dislike", "view", "take_back"
SALE, ADDED, CHANGED, SWAP = "sale", "added", "changed", "swap"

ALL = (1 << 63) - 1
# Written once: to write it takes longer than to answer it.
NEXT = select(events).where(events.c.id > bindparam("last")).order_by(events.c.id).limit(bindparam("most"))


class Event(NamedTuple):
    """One thing that happened; `id` grows in the order of commits."""

    id: int
    at: int
    kind: str
    user_id: str | None
    item_id: str
    value: float


@dataclass(frozen=True, eq=False)
class StoredWork:
    """A work hung since, or changes to one of the data set; see `tables.works`."""

    item_id: str
    added: bool
    original: bool
    changes: Mapping[str, Any]
    picture: str | None
    extractor: str | None
    features: npt.NDArray[np.float32] | None


@dataclass(frozen=True)
class Exposure:
    """An answer that was given."""

    at: int
    user_id: str | None
    model: str
    version: str
    cold: bool
    items: tuple[str, ...]


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


class Store:
    """The database behind a gallery.

    Parameters
    ----------
    url
        As `vasari.serving.store.engine.connect`; the tables are made, or brought up to date.
    """

    def __init__(self, url: str) -> None:
        migrate(url)
        self.engine = engines.connect(url)
        self._newest = engines.Watch(self.engine, "SELECT max(id) FROM events")
        self._one_writer = threading.Lock()  # threads of this process queue here, not in the database

    @classmethod
    def embedded(cls, file: Path) -> Store:
        """SQLite in one file, which is made with its folder."""
        file.parent.mkdir(parents=True, exist_ok=True)
        return cls(f"sqlite:///{file.resolve()}")

    def close(self) -> None:
        """Close all connections."""
        self._newest.close()
        self.engine.dispose()

    # ------------------------------------------------------------------ writing

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Connection]:
        with turn(self._one_writer), engines.writing(self.engine) as connection:
            yield connection

    def once(
        self,
        key: str | None,
        request: Mapping[str, Any],
        write: Callable[[Connection], dict[str, Any]],
    ) -> dict[str, Any]:
        """Run `write` in a transaction, or give the answer it gave when `key` was used before.

        Raises
        ------
        Conflict
            The key was used for another request.
        """
        digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        with self._writing() as connection:
            if key is not None:
                known = connection.execute(select(idempotency).where(idempotency.c.key == key)).first()
                if known is not None:
                    if known.request != digest:
                        raise Conflict(f"idempotency key {key!r} was used for another request; use a new one")
                    return dict(json.loads(known.answer))
            answer = write(connection)
            if key is not None:
                row = {"key": key, "at": now(), "request": digest, "answer": json.dumps(answer)}
                connection.execute(insert(idempotency).values(row))
            return answer

    def record(self, user_id: str, item_id: str, kind: str, value: float, key: str | None) -> None:
        """Keep what a user did."""
        request = {"do": kind, "user": user_id, "item": item_id, "value": value}
        self.once(key, request, lambda connection: _happened(connection, kind, item_id, user_id, value))

    def swap(self, name: str, folder: str) -> None:
        """Keep which folder a model now comes from."""
        with self._writing() as connection:
            _happened(connection, SWAP, name, folder)

    def sell(
        self, item_id: str, buyer: str, original: bool, refused: str | None, key: str | None
    ) -> dict[str, Any]:
        """Sell a work; gives sale_id and at.

        Parameters
        ----------
        refused
            Why it cannot be sold any more, apart from what the store knows; None: it can.

        Raises
        ------
        Conflict
            It is an original and sold, or `refused`.
        """

        def write(connection: Connection) -> dict[str, Any]:
            if refused is not None:  # in here, so that a key used before still gets its answer
                raise Conflict(refused)
            at = now()
            row = {"at": at, "item_id": item_id, "buyer": buyer, "original": item_id if original else None}
            sale = connection.execute(insert(sales).values(row)).inserted_primary_key
            _happened(connection, SALE, item_id, buyer, 1.0, at)
            return {"sale_id": int(sale[0]) if sale else 0, "at": at}

        try:
            return self.once(key, {"do": SALE, "user": buyer, "item": item_id}, write)
        except IntegrityError:
            raise Conflict(f"item_id {item_id!r} is an original and already sold") from None

    def add_work(self, work: StoredWork, request: Mapping[str, Any], key: str | None) -> None:
        """Keep a new work.

        Raises
        ------
        Conflict
            The id is taken.
        """

        def write(connection: Connection) -> dict[str, Any]:
            row = vars(work) | {"changes": json.dumps(dict(work.changes))}
            connection.execute(insert(works).values(row))
            return _happened(connection, ADDED, work.item_id)

        try:
            self.once(key, request, write)
        except IntegrityError:
            raise Conflict(f"item_id {work.item_id!r} is taken") from None

    def change_work(
        self,
        item_id: str,
        changes: Mapping[str, Any],
        original: bool,
        picture: Mapping[str, Any],
        request: Mapping[str, Any],
        key: str | None,
    ) -> None:
        """Lay changes over a work; `picture` holds picture, extractor and features, or nothing."""

        def write(connection: Connection) -> dict[str, Any]:
            here = works.c.item_id == item_id
            known = connection.execute(select(works.c.changes).where(here)).first()
            if known is None:
                row = {"item_id": item_id, "added": False, "original": original, **picture}
                connection.execute(insert(works).values(row | {"changes": json.dumps(dict(changes))}))
            else:
                merged = json.dumps(json.loads(known.changes) | dict(changes))
                connection.execute(update(works).where(here).values(changes=merged, **picture))
            return _happened(connection, CHANGED, item_id)

        self.once(key, request, write)

    def expose(self, shown: Sequence[Exposure]) -> None:
        """Keep what was shown; nobody was promised these rows, so they come in bulk."""
        rows = [{**vars(one), "items": to_json(one.items).decode()} for one in shown]
        # To the driver as they are: what SQLAlchemy does for each row would hold up those who are answered.
        columns = [field.name for field in fields(Exposure)]
        keep = insert(exposures).inline().compile(self.engine, column_keys=columns)
        order = keep.positiontup  # None where the driver takes names
        given = rows if order is None else [tuple(row[name] for name in order) for row in rows]
        with self._writing() as connection:
            connection.exec_driver_sql(str(keep), given)

    # ------------------------------------------------------------------ reading

    def newest(self) -> int:
        """Number of the newest event, 0 before the first; for one thread at a time."""
        return self._newest()

    def events_after(self, last: int, most: int = ALL) -> list[Event]:
        """What happened after event number `last`, in order; the first `most` of it."""
        with engines.reading(self.engine) as connection:
            return list(map(Event._make, connection.execute(NEXT, {"last": last, "most": most})))

    def stored_works(self, item_ids: Sequence[str]) -> dict[str, StoredWork]:
        """What is kept of some works."""
        wanted = select(works).where(works.c.item_id.in_(list(item_ids)))
        with engines.reading(self.engine) as connection:
            rows = [row._asdict() for row in connection.execute(wanted)]
        return {row["item_id"]: StoredWork(**row | {"changes": json.loads(row["changes"])}) for row in rows}

    def sales_times(self) -> list[int]:
        """When works were sold here, in order."""
        with engines.reading(self.engine) as connection:
            return list(connection.execute(select(sales.c.at).order_by(sales.c.id)).scalars())

    def exposed_after(self, last: int) -> Iterator[tuple[int, Exposure]]:
        """What was shown after exposure number `last`, with its number, in order."""
        return self._exposed(select(exposures).where(exposures.c.id > last).order_by(exposures.c.id))

    def exposed_to_users(self) -> Iterator[Exposure]:
        """What users were shown, all of one user together and in order."""
        known = select(exposures).where(exposures.c.user_id.is_not(None))
        return (one for _, one in self._exposed(known.order_by(exposures.c.user_id, exposures.c.id)))

    def _exposed(self, wanted: Select[Any]) -> Iterator[tuple[int, Exposure]]:
        with engines.reading(self.engine) as connection:
            for row in connection.execution_options(yield_per=1000).execute(wanted):
                number, at, user_id, model, version, cold, items = row
                yield number, Exposure(at, user_id, model, version, cold, tuple(from_json(items)))

    def answers(self) -> dict[str, int]:
        """How many answers each model gave."""
        counted = select(exposures.c.model, func.count().label("given")).group_by(exposures.c.model)
        with engines.reading(self.engine) as connection:
            return {row.model: row.given for row in connection.execute(counted)}

    def last_taken(self) -> Iterator[tuple[str, str, int]]:
        """User, work and when the user last took it (liked or bought), of all who did so here."""
        columns = (events.c.user_id, events.c.item_id)
        taken = events.c.user_id.is_not(None) & events.c.kind.in_((LIKE, SALE))
        wanted = select(*columns, func.max(events.c.at)).where(taken).group_by(*columns)
        with engines.reading(self.engine) as connection:
            rows = connection.execution_options(yield_per=1000).execute(wanted)
            yield from ((user, item, at) for user, item, at in rows)


def _happened(
    connection: Connection,
    kind: str,
    item_id: str,
    user_id: str | None = None,
    value: float = 1.0,
    at: int = 0,
) -> dict[str, Any]:
    row = {"at": at or now(), "kind": kind, "user_id": user_id, "item_id": item_id, "value": value}
    connection.execute(insert(events).values(row))
    return {}
