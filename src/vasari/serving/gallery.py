"""The gallery itself: what the API and the page call, and all they need to know."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import Self

from vasari.core.errors import UsageError, VasariError
from vasari.core.files import atomic_path
from vasari.core.machine import let_others_go_first
from vasari.data.dataset import Dataset
from vasari.features.table import FeatureTable
from vasari.models.base import distinct
from vasari.serving import likeness
from vasari.serving.answering import Question, answer_all, taste_of
from vasari.serving.asks import (
    MOST,
    Answer,
    Artist,
    Ask,
    Busy,
    Conflict,
    HeatMap,
    Hung,
    ModelInfo,
    NotFound,
    Overview,
    Page,
    Reason,
    Sale,
    Work,
)
from vasari.serving.batching import Batcher
from vasari.serving.encoder import Encoder, admit
from vasari.serving.exposures import Contest, ExposureLog, Variant, check_shares, compare_variants, variant
from vasari.serving.filters import Filters
from vasari.serving.live import Live, State
from vasari.serving.owner import Owner
from vasari.serving.run_folder import RunFolder, is_model
from vasari.serving.shelf import FIXED, Shelf, fitted
from vasari.serving.snapshot import Snapshot, weights_version
from vasari.serving.store import keys
from vasari.serving.store.store import TAKE_BACK, Store, StoredWork, now
from vasari.serving.visitors import Visitors

logger = logging.getLogger(__name__)

LIVE = "live"  # the folder of a run for what happens while it is served

FEW = 200  # distinct values of a column that can be chosen from
CHANGEABLE = ("title", "artist_id", "removed")  # beside the catalogue's further columns


class Gallery:
    """Models, catalogue and live state under one roof; every method may be called from any thread.

    Every answer reflects all that was acknowledged before it was asked for, also by other processes that
    share the store. A work that is unknown raises `NotFound`. Use `open`.

    Attributes
    ----------
    name, simulated
        Of the data set: what it is called, and one sentence if anything of it is invented.
    folder
        Where what happens while serving is kept: ``RUN/live``.
    pictures
        Folder of the pictures that were uploaded as new works.
    """

    def __init__(
        self,
        run: RunFolder,
        data: Dataset,
        table: FeatureTable | None,
        store: Store,
        shares: Mapping[str, float],
    ) -> None:
        self.run, self.store = run, store
        self.name, self.simulated = data.name, data.simulated
        self.folder = run.root / LIVE
        self._item_ids, self._table = data.catalogue.ids, table
        self._evaluated = run.evaluated()
        shelf = Shelf.of(data, table, now())
        self._sold_before = shelf.original & shelf.sold
        snapshots = {name: self._read(name, folder) for name, folder in run.models.items()}
        # One that looks at pictures can place works that are hung later.
        default = next((name for name, one in snapshots.items() if one.columns is not None), None)
        self._shares = check_shares(shares, list(snapshots), default or next(iter(snapshots)))
        fingerprint = None if table is None else table.fingerprint
        self._extractor = None if fingerprint is None else fingerprint.digest
        self._encoder = Encoder(fingerprint)
        histories = data.histories
        visitors = Visitors(histories.user_ids, distinct(histories.items, len(data.catalogue)))
        self.pictures = self.folder / "pictures"
        self._swaps: list[threading.Thread] = []
        self._newest_swap: dict[str, int] = {}  # how many swaps of a model's name the log has told of
        self._live = Live(
            store, State(shelf, snapshots), visitors, self.pictures, self._extractor, self._swapped
        )
        self._live.catch_up()
        self.settle()  # models that were swapped in before the last stop answer from the start
        self._owner = Owner(data, store, self._evaluated.title)
        # Here, since whoever looks at the first work should not wait for it.
        self._centres = None if shelf.looks is None else likeness.cluster_centres(shelf.looks)
        self._exposures = ExposureLog(store)
        self._batcher: Batcher[Question, Answer] = Batcher(lambda asked: answer_all(self._live, asked))

    @classmethod
    def open(
        cls,
        run: str | Path,
        database: str | None = None,
        data: str | Path | None = None,
        features: str | Path | None = None,
        shares: Mapping[str, float] | None = None,
    ) -> Self:
        """Open a run for visitors; see `vasari.serving.run_folder.RunFolder` for what a run is.

        Parameters
        ----------
        run
            A folder such as `vasari demo` writes, or a model's folder.
        database
            SQLAlchemy URL; None: SQLite in ``RUN/live/gallery.db``.
        data, features
            Data set and feature table where the run does not hold them.
        shares
            Model name to its share of the visitors; None: the first that looks at pictures answers all.
        """
        found = RunFolder.find(run, data, features)
        table = None if found.features is None else FeatureTable.load(found.features)
        dataset = Dataset.load(found.data)
        return cls(found, dataset, table, open_store(found.root, database), shares or {})

    def close(self) -> None:
        """Stop answering and let go of the store; twice is allowed."""
        self._batcher.close()
        self._exposures.close()
        self.store.close()

    # ------------------------------------------------------------------ answers

    def recommend(self, ask: Ask) -> Answer:
        """Hang a wall."""
        return self.submit(ask).result()

    def submit(self, ask: Ask) -> Future[Answer]:
        """As `recommend`, for those who wait otherwise; asks that wait together are answered together."""
        question = Question(ask, self._features(ask), ask.model or self.variant_of(ask.user_id))
        future = self._batcher.submit(question)
        future.add_done_callback(lambda done: self._note(ask, done))
        return future

    def explain(self, ask: Ask, item_id: str) -> list[Reason]:
        """Which works of the visitor's profile speak for a work, strongest first; none for a cold visitor."""
        return self.explain_all(ask, [item_id])[item_id]

    def explain_all(self, ask: Ask, item_ids: Sequence[str]) -> dict[str, list[Reason]]:
        """As `explain`, for a whole wall; the pictures of the ask are called ``image:0``, ``image:1``, ..."""
        state = self._live.catch_up()
        roster = state.shelf.roster
        rows = roster.rows(item_ids)
        snapshot = state.snapshot(ask.model or self.variant_of(ask.user_id))
        taste = taste_of(self._live, state, ask, self._features(ask))
        members, values, exact = snapshot.contributions(taste, rows)
        names = [roster[member] if member >= 0 else f"image:{-1 - member}" for member in members]
        found = {}
        for item, mine in zip(item_ids, values.tolist(), strict=True):
            reasons = [Reason(name, value, exact) for name, value in zip(names, mine, strict=True)]
            found[item] = sorted(reasons, key=lambda reason: -reason.contribution)
        return found

    def similar(self, item_id: str, k: int = 12, filters: Filters | None = None) -> Answer:
        """Works most like one work; the work itself is left out."""
        shelf = self._live.catch_up().shelf
        mask = (filters or Filters()).mask(shelf.frame, shelf.available)
        return self._wall(shelf, *likeness.similar(shelf, shelf.roster.row(item_id), _few(k), mask))

    def between(self, item_a: str, item_b: str, k: int = 12) -> Answer:
        """Works that are like both of two works: by the smaller of the two likenesses."""
        shelf = self._live.catch_up().shelf
        first, second = shelf.roster.rows([item_a, item_b]).tolist()
        return self._wall(shelf, *likeness.between(shelf, first, second, _few(k)))

    def surprise(self, start: str | None = None, k: int = 12, seed: int | None = None) -> Answer:
        """A random walk among similar works, from `start` or from anywhere; same seed, same walk."""
        shelf = self._live.catch_up().shelf
        row = None if start is None else shelf.roster.row(start)
        path = likeness.walk(shelf, row, _few(k), time.time_ns() if seed is None else seed)
        return self._wall(shelf, path, np.zeros(len(path)))

    def heat_maps(self, ask: Ask) -> dict[str, HeatMap]:
        """Where the model looked in the works of the visitor's profile; empty if it keeps no spatial maps."""
        state = self._live.catch_up()
        snapshot = state.snapshot(ask.model or self.variant_of(ask.user_id))
        if not snapshot.attends:
            return {}
        return snapshot.heat_maps(taste_of(self._live, state, ask, None), state.shelf.roster)

    # ------------------------------------------------------------------ works

    def work(self, item_id: str) -> Work:
        """One work."""
        shelf = self._live.catch_up().shelf
        return shelf.work(shelf.roster.row(item_id))

    def works(self, item_ids: Iterable[str]) -> list[Work]:
        """Some works, in the given order."""
        shelf = self._live.catch_up().shelf
        return shelf.works(shelf.roster.rows(item_ids))

    def browse(
        self, offset: int = 0, limit: int = 60, filters: Filters | None = None, order: str = "catalogue"
    ) -> Page:
        """Page through the works; `order` is ``"catalogue"``, a column, or ``"-column"`` for descending."""
        shelf = self._live.catch_up().shelf
        rows = np.flatnonzero((filters or Filters()).mask(shelf.frame, shelf.available))
        if order != "catalogue":
            column, falling = order.removeprefix("-"), order.startswith("-")
            if column not in shelf.frame.columns:
                raise UsageError(
                    f"order {order[:100]!r} must be catalogue, a column, or a column behind a minus"
                )
            keys = shelf.frame[column].gather(rows)
            rows = rows[keys.arg_sort(descending=falling, nulls_last=True).to_numpy()]
        offset = max(0, offset)
        return Page(tuple(shelf.works(rows[offset : offset + _few(limit)])), len(rows))

    def columns(self) -> dict[str, Sequence[Any]]:
        """What can be filtered by: column to a list of its values, or a tuple (least, largest) of numbers."""
        frame = self._live.catch_up().shelf.frame
        found: dict[str, Sequence[Any]] = {}
        for name in frame.columns:
            column = frame[name].drop_nulls()
            if name in ("item_id", "image", "title") or not len(column):
                continue
            if column.dtype.is_numeric():
                found[name] = (column.min(), column.max())
            elif column.dtype in (pl.String, pl.Boolean) and column.n_unique() <= FEW:
                found[name] = column.unique().sort().to_list()
        return found

    def artists(self) -> list[Artist]:
        """All artists, those with most works first."""
        return self._live.catch_up().shelf.artists()

    def of_artist(self, artist_id: str) -> list[Work]:
        """All works of one artist; an unknown artist raises `NotFound`."""
        shelf = self._live.catch_up().shelf
        return shelf.works(shelf.of_artist(artist_id))

    def cluster_neighbours(self, item_id: str, k: int = 12) -> list[Work]:
        """Works of the same visual cluster that can be had, the most alike first."""
        shelf = self._live.catch_up().shelf
        return shelf.works(
            likeness.cluster_neighbours(shelf, self._centres, shelf.roster.row(item_id), _few(k))
        )

    # ------------------------------------------------------------------ live state

    def profile(self, user_id: str) -> list[str]:
        """What a user took or likes, oldest first: the log, then what was recorded since."""
        state = self._live.catch_up()
        return state.shelf.roster.take(self._live.visitors.likes(user_id))

    def dislikes(self, user_id: str) -> list[str]:
        """What a user dislikes."""
        state = self._live.catch_up()
        return state.shelf.roster.take(self._live.visitors.dislikes(user_id))

    def record(
        self,
        user_id: str,
        item_id: str,
        kind: Literal["like", "dislike", "view"] = "like",
        value: float = 1.0,
        idempotency_key: str | None = None,
    ) -> None:
        """Keep what a user did; on disk when this returns."""
        if kind not in ("like", "dislike", "view"):
            raise UsageError(f"kind {kind!r} must be like, dislike or view")
        self._live.catch_up().shelf.roster.row(item_id)
        self.store.record(user_id, item_id, kind, value, idempotency_key)

    def take_back(self, user_id: str, item_id: str, idempotency_key: str | None = None) -> None:
        """Forget a user's like or dislike of a work; nothing happens if there is none."""
        self._live.catch_up().shelf.roster.row(item_id)
        self.store.record(user_id, item_id, TAKE_BACK, 1.0, idempotency_key)

    def sell(self, item_id: str, buyer: str, idempotency_key: str | None = None) -> Sale:
        """Sell a work; of two buyers of one original exactly one wins, the other gets `Conflict`."""
        shelf = self._live.catch_up().shelf
        row = shelf.roster.row(item_id)
        refused = None
        if row < len(self._sold_before) and self._sold_before[row]:
            refused = f"item_id {item_id!r} is an original and already sold"
        elif shelf.removed[row]:
            refused = f"item_id {item_id!r} is no longer for sale"
        sale = self.store.sell(item_id, buyer, bool(shelf.original[row]), refused, idempotency_key)
        at = datetime.fromtimestamp(sale["at"] / 1e6, tz=timezone.utc)
        return Sale(sale["sale_id"], item_id, buyer, at)

    def add_work(
        self,
        item_id: str,
        picture: bytes,
        title: str | None = None,
        artist_id: str | None = None,
        original: bool = False,
        columns: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Work:
        """Hang a new work, to be found at once; an id that is taken raises `Conflict`."""
        if item_id in (".", "..") or item_id.endswith(("/similar", "/picture", "/sale")):
            raise UsageError(f"item_id {item_id!r} can stand in no address; choose another")
        if "removed" in (columns or {}):
            raise UsageError("a new work is hung; take it off with a change of removed")
        if item_id in self._item_ids:
            raise Conflict(f"item_id {item_id!r} is taken")
        shelf = self._live.catch_up().shelf
        values = _values({"title": title, "artist_id": artist_id, **(columns or {})}, shelf)
        kept = self._keep(picture)
        work = StoredWork(item_id, True, original, values, **kept)
        request = {"do": "add", "item": item_id, "original": original, **values, "picture": kept["picture"]}
        self.store.add_work(work, request, idempotency_key)
        return self.work(item_id)

    def update_work(
        self,
        item_id: str,
        changes: Mapping[str, Any],
        picture: bytes | None = None,
        idempotency_key: str | None = None,
    ) -> Work:
        """Change picture, title, artist_id, further columns, or `removed` (True takes it off the walls)."""
        shelf = self._live.catch_up().shelf
        row = shelf.roster.row(item_id)
        values = _values(changes, shelf)
        kept = {} if picture is None else self._keep(picture)
        request = {"do": "change", "item": item_id, "changes": values, "picture": kept.get("picture")}
        original = bool(shelf.original[row])
        self.store.change_work(item_id, values, original, kept, request, idempotency_key)
        return self.work(item_id)

    # ------------------------------------------------------------------ models and owner

    def models(self) -> list[ModelInfo]:
        """The models that answer."""
        snapshots = self._live.catch_up().snapshots
        return [one.info(self._shares.get(name, 0.0)) for name, one in snapshots.items()]

    def swap(self, name: str, folder: str | Path) -> ModelInfo:
        """Put another model in the place of `name` (or beside the others), without a request that fails."""
        snapshot = self._read(name, Path(folder))
        self._live.install(snapshot)
        self.store.swap(name, str(Path(folder).resolve()))
        return snapshot.info(self._shares.get(name, 0.0))

    def settle(self) -> None:
        """Wait for models that other processes swapped in and that are being read."""
        while self._swaps:
            self._swaps.pop().join()

    def variant_of(self, user_id: str | None) -> str:
        """The model that answers a user: by a stable hash of the id, in proportion to the shares."""
        return next(iter(self._shares)) if user_id is None else variant(user_id, self._shares)

    def overview(self) -> Overview:
        """What an owner wants to see."""
        state = self._live.catch_up()
        self._exposures.flush()
        return self._owner.overview(state.shelf, len(self._live.visitors), self.models())

    def experiment(self) -> tuple[list[Variant], list[Contest]]:
        """Compare the models by what visitors took of what they were shown; see `compare_variants`."""
        self._exposures.flush()
        return compare_variants(self.store)

    def counts(self) -> tuple[int, int]:
        """How many works there are, all and those that can be had, as of the last answer.

        That, like `ages`, is told without the store: whoever watches a gallery does so while it is gone, too.
        """
        shelf = self._live.state.shelf
        return len(shelf), int(shelf.available.sum())

    def ages(self) -> dict[str, float]:
        """Seconds since each model was written."""
        return {name: one.info(0).age_seconds for name, one in self._live.state.snapshots.items()}

    def ready(self) -> bool:
        """Whether answers are up to date, which they are not where the store cannot be reached."""
        try:
            self._live.catch_up()
        except (Busy, SQLAlchemyError) as error:
            logger.warning("not ready: %s", error)
            return False
        return True

    @property
    def has_keys(self) -> bool:
        """Whether there are API keys; without any, nothing is protected by one."""
        return keys.any_keys(self.store)

    def key_holder(self, key: str) -> str | None:
        """Whose API key this is; None if it is nobody's."""
        return keys.holder(self.store, key)

    def is_owner(self, key: str) -> bool:
        """Whether this is one of the gallery's API keys."""
        return self.key_holder(key) is not None

    # ------------------------------------------------------------------ inside

    def _read(self, name: str, folder: Path) -> Snapshot:
        if not is_model(folder):
            raise NotFound(f"{folder.name!r} is no folder with a model")
        # Visitors come first: reading a large model would take half of what answers them.
        with ThreadPoolExecutor(1, "vasari-read", let_others_go_first) as reader:
            snapshot = reader.submit(Snapshot.read, name, folder, self._item_ids, self._table).result()
        return replace(snapshot, evaluation=self._evaluated.means.get(snapshot.model.name, {}))

    def _swapped(self, name: str, folder: str) -> None:
        """Follow a swap that some process made; the old model answers until the new one stands."""
        number = self._newest_swap[name] = self._newest_swap.get(name, 0) + 1
        thread = threading.Thread(target=self._follow, args=(name, Path(folder), number), name="vasari-swap")
        thread.start()
        self._swaps = [one for one in self._swaps if one.is_alive()] + [thread]

    def _follow(self, name: str, folder: Path, number: int) -> None:
        try:
            standing = self._live.state.snapshots.get(name)
            if standing is not None and standing.version == weights_version(folder):
                return  # this very process made the swap
            snapshot = self._read(name, folder)
        except (VasariError, OSError) as error:  # the folder may be gone since; the model that stands goes on
            logger.warning("model %s could not be read again from %s: %s", name, folder, error)
            return
        # A later swap may have been read sooner.
        self._live.install(snapshot, lambda: number == self._newest_swap[name])

    def _features(self, ask: Ask) -> likeness.FloatArray | None:
        return self._encoder.encode(ask.images) if ask.images else None

    def _note(self, ask: Ask, done: Future[Answer]) -> None:
        if not done.cancelled() and done.exception() is None:
            # Whoever names a model was not dealt to it, and is no evidence of which does better.
            self._exposures.add(ask.user_id if ask.model is None else None, done.result())

    def _wall(self, shelf: Shelf, rows: likeness.IntArray, scores: npt.NDArray[np.floating]) -> Answer:
        """An answer by looks."""
        found = zip(shelf.roster.take(rows.tolist()), scores.tolist(), strict=True)
        works = tuple(Hung(item, score, rank) for rank, (item, score) in enumerate(found, start=1))
        return Answer(works, "looks", (self._extractor or "none")[:12])

    def _keep(self, picture: bytes) -> dict[str, Any]:
        """Put a picture among the gallery's own, under its hash; gives what the store keeps of it."""
        image = admit(picture)
        features = self._encoder.encode([image])[0] if self._extractor is not None else None
        name = f"{hashlib.sha256(picture).hexdigest()}.{(image.format or 'img').lower()}"
        self.pictures.mkdir(parents=True, exist_ok=True)
        if not (self.pictures / name).exists():
            with atomic_path(self.pictures / name) as temporary:
                temporary.write_bytes(picture)
        return {"picture": name, "extractor": self._extractor, "features": features}


def open_store(root: Path, database: str | None = None) -> Store:
    """The store at a URL, or the one that is embedded in a run."""
    return Store(database) if database is not None else Store.embedded(root / LIVE / "gallery.db")


def _few(k: int) -> int:
    """Refuse what is no number of works to answer."""
    if not 1 <= k <= MOST:
        raise UsageError(f"k={k} must lie in 1 to {MOST}")
    return k


def _values(given: Mapping[str, Any], shelf: Shelf) -> dict[str, Any]:
    """What is given for columns of the catalogue, refused if a column is unknown or cannot hold it."""
    for name, value in given.items():
        if name == "removed" and not isinstance(value, bool):
            raise UsageError(f"removed must be true or false, not {str(value)[:100]!r}")
        if name in ("title", "artist_id") and not isinstance(value, str | None):
            raise UsageError(f"{name} must be text, not {str(value)[:100]!r}")
        if name in CHANGEABLE:
            continue
        if name in FIXED or name not in shelf.frame.columns:
            free = ", ".join([*CHANGEABLE, *(one for one in shelf.frame.columns if one not in FIXED)])
            raise UsageError(f"a work has no column {name[:100]!r} that can be given; there are {free}")
        if value is not None and fitted([{name: value}], shelf.frame.schema)[name].null_count():
            raise UsageError(f"column {name!r} holds {shelf.frame.schema[name]}, not {str(value)[:100]!r}")
    return dict(given)
