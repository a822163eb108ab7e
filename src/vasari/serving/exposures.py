"""Who is shown which model, what was shown, and which model does better.

A visitor keeps a model as long as the shares stay: the id is hashed to a number in 0..1, and the shares
cut that line into pieces.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby
from operator import attrgetter

import numpy as np
import numpy.typing as npt
from sqlalchemy.exc import DataError, SQLAlchemyError

from vasari.core.errors import UsageError
from vasari.core.seeds import generator
from vasari.metrics import Interval, bootstrap, holm
from vasari.metrics.intervals import RESAMPLES
from vasari.serving.asks import Answer
from vasari.serving.store.store import Exposure, Store, now

logger = logging.getLogger(__name__)

Rates = npt.NDArray[np.float64]

FLUSH = 1.0  # seconds between two writes of what was shown
PATIENCE = 15.0  # seconds for the last write: longer than the store waits for another writer
COLD = 10_000  # visitors remembered of whom nothing was known: most of them never come back
HELD = 20_000  # answers held in memory at most, should the store be slow
PERMUTATIONS = 9_999
BATCH = 500  # resamples in memory at a time


def variant(user_id: str, shares: Mapping[str, float]) -> str:
    """The model of a user: the same for the same shares, in any process."""
    digest = hashlib.sha256(b"variant\0" + user_id.encode("utf-8", "surrogatepass")).digest()
    at = int.from_bytes(digest[:8], "big") / 2**64 * sum(shares.values())
    for name, share in shares.items():
        if at < share:
            return name
        at -= share
    return list(shares)[-1]


def check_shares(shares: Mapping[str, float], models: Sequence[str], default: str) -> dict[str, float]:
    """Shares of all models, the largest first, summing to 1; where none is given all goes to `default`.

    Raises
    ------
    UsageError
        A share is negative, none is positive, or a model is unknown.
    """
    if unknown := sorted(set(shares) - set(models)):
        raise UsageError(
            f"there is no model {unknown[0]!r} to give a share to; there are {', '.join(models)}"
        )
    total = sum(shares.values())
    if shares and (min(shares.values()) < 0 or not 0 < total < float("inf")):
        raise UsageError(f"shares {dict(shares)} must be non-negative and one of them positive")
    given = {name: shares.get(name, 0.0) / total for name in models} if shares else {default: 1.0}
    named = {name: given.get(name, 0.0) for name in models}
    return dict(sorted(named.items(), key=lambda one: -one[1]))


class ExposureLog:
    """Writes what was shown in bulk: a kill may cost the last second of it, never a visitor's time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[Exposure] = []
        self._lock = threading.Lock()
        self._one_writer = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vasari-exposures", daemon=True)
        self._thread.start()

    def add(self, user_id: str | None, answer: Answer) -> None:
        """Take note of an answer."""
        items = tuple(work.item_id for work in answer.works)
        one = Exposure(now(), user_id, answer.model, answer.version, answer.cold, items)
        with self._lock:
            if len(self._waiting) < HELD:
                self._waiting.append(one)

    def flush(self) -> None:
        """Write what waits; all that was added before this call is in the store when it returns.

        Raises
        ------
        SQLAlchemyError
            It could not be written; it waits for the next time, unless the database refuses the rows.
        """
        with self._one_writer:  # another thread may hold what was added, and still be writing it
            with self._lock:
                waiting, self._waiting = self._waiting, []
            try:
                if waiting:
                    self._store.expose(waiting)
            except DataError:  # the database would refuse them again, and then all that came behind them
                raise
            except SQLAlchemyError:
                with self._lock:
                    self._waiting = (waiting + self._waiting)[:HELD]
                raise

    def close(self) -> None:
        """Write what waits, and stop; a store that does not answer for `PATIENCE` is given up."""
        self._closing.set()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            logger.warning("the store does not answer: what was shown last is not written")

    def _run(self) -> None:
        closing = False
        while not closing:
            closing = self._closing.wait(FLUSH)
            try:
                self.flush()
            except Exception as error:  # the next answers are written all the same
                logger.warning("what was shown could not be written: %s", error)


@dataclass
class Shown:
    """What was shown so far, counted; reads only what is new."""

    works: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    cold: dict[str, int] = field(default_factory=dict)  # user to when, the latest `COLD`, most recent last
    _last: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def catch_up(self, store: Store) -> None:
        """Count what came since."""
        with self._lock:
            for number, one in store.exposed_after(self._last):
                self._last = number
                self.works.update(one.items)
                self.answers[one.model] += 1
                if one.user_id is not None:
                    self.cold.pop(one.user_id, None)
                    if one.cold:
                        self.cold[one.user_id] = one.at
                        if len(self.cold) > COLD:
                            del self.cold[next(iter(self.cold))]


@dataclass(frozen=True)
class Variant:
    """What a model did for those who were shown it: works taken of ten shown, mean over users."""

    model: str
    users: int
    answers: int
    taken_of_ten: Interval


@dataclass(frozen=True)
class Contest:
    """Two variants: difference of the means (first - second) with its 95% interval, and its p-value.

    The p-value is Holm's, for all pairs.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    p_value: float


def compare_variants(store: Store, seed: int = 0) -> tuple[list[Variant], list[Contest]]:
    """Compare the models by what visitors took (liked or bought) of what they had been shown before.

    As in `vasari compare`, a user is one observation: the share of the works shown to them that they later
    took, in tenths. Intervals are bootstrapped over users and p-values adjusted by Holm; as nobody is in two
    groups, the test is the permutation of users between them. Users who saw several models are left out.
    """
    taken: dict[str, dict[str, int]] = {}  # user to work to when last
    for user_id, item_id, when in store.last_taken():
        taken.setdefault(user_id, {})[item_id] = when
    rates: dict[str, list[float]] = {}
    for user, answers in groupby(store.exposed_to_users(), key=attrgetter("user_id")):
        models: set[str] = set()
        first: dict[str, int] = {}  # work to when first shown
        for one in answers:
            models.add(one.model)
            for item in one.items:
                first.setdefault(item, one.at)
        if len(models) == 1 and first:
            mine = taken.get(user, {})
            count = sum(item in first and at >= first[item] for item, at in mine.items())
            rates.setdefault(models.pop(), []).append(10 * count / len(first))
    given = store.answers()
    variants = [
        Variant(name, len(values), given[name], bootstrap(values, seed=seed)[0])
        for name, values in sorted(rates.items())
    ]
    pairs = list(combinations(sorted(rates), 2))
    p_values = holm([_permutation(rates[a], rates[b], seed) for a, b in pairs]) if pairs else []
    contests = [
        Contest(a, b, *_difference(rates[a], rates[b], seed), p)
        for (a, b), p in zip(pairs, p_values, strict=True)
    ]
    return variants, contests


def _of_means(first: Rates, second: Rates, axis: int) -> Rates:
    return np.asarray(np.mean(first, axis=axis) - np.mean(second, axis=axis))


def _difference(first: Sequence[float], second: Sequence[float], seed: int) -> tuple[float, float, float]:
    """Difference of two means and its percentile bootstrap interval, each group drawn by itself."""
    from scipy import stats

    mean = float(np.mean(first) - np.mean(second))
    if len(first) < 2 or len(second) < 2:
        return mean, math.nan, math.nan
    found = stats.bootstrap(
        (first, second),
        _of_means,
        n_resamples=RESAMPLES,
        vectorized=True,
        batch=BATCH,
        method="percentile",
        rng=generator(seed, "difference"),
    ).confidence_interval
    return mean, float(found.low), float(found.high)


def _permutation(first: Sequence[float], second: Sequence[float], seed: int) -> float:
    """Two-sided p-value of the difference of two means when users are dealt anew to both groups."""
    from scipy.stats import permutation_test

    if len(first) < 2 or len(second) < 2:
        return 1.0
    found = permutation_test(
        (first, second),
        _of_means,
        n_resamples=PERMUTATIONS,
        vectorized=True,
        batch=BATCH,
        rng=generator(seed, "variants"),
    )
    return float(found.pvalue)
