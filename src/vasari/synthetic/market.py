"""The gallery's years: works are hung and taken down, collectors come and buy from what hangs there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.core.errors import UsageError
from vasari.core.progress import bar
from vasari.core.seeds import generator
from vasari.data.stock import NEVER
from vasari.synthetic.colour import FloatArray

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SECOND = 1_000_000
DAY = 86_400 * SECOND
# deviations of the logarithms: .85 leaves 29% of the collectors with two or more baskets (UGallery: 25%)
BASKETS_DEVIATION, BASKET_DEVIATION = 0.85, 0.7
OPENING = 1_388_534_400 * SECOND  # 1 January 2014, when UGallery's log begins


@dataclass(frozen=True)
class Market:
    """Sizes of the market; the defaults follow UGallery (Messina et al. 2020 and its public log).

    Attributes
    ----------
    years
        Length of the log.
    originals
        Share of works that are one of a kind (UGallery: 78%).
    hung
        Share of the works that hang there on the first day; the others come evenly over the years.
    withdrawn
        Share of works that are to be taken down some day if they have not sold.
    mean_baskets, mean_basket
        Mean baskets per collector (4,897 / 2,919) and works per basket (6,535 / 4,897).
    """

    years: float = 4.4
    originals: float = 0.78
    hung: float = 0.2
    withdrawn: float = 0.25
    mean_baskets: float = 4897 / 2919
    mean_basket: float = 6535 / 4897

    def __post_init__(self) -> None:
        for name in ("originals", "hung", "withdrawn"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name}={getattr(self, name)} is a share: it must lie between 0 and 1")
        for name in ("mean_baskets", "mean_basket"):
            if not 1 <= getattr(self, name) <= 20:
                raise UsageError(f"{name}={getattr(self, name)} must lie between 1 and 20")
        if not 0.1 <= self.years <= 200:
            raise UsageError(f"years={self.years} must lie between 0.1 and 200")


@dataclass(frozen=True, eq=False)
class Sessions:
    """Visits that end in a purchase, in time order: who, when (microseconds), how many works."""

    collectors: IntArray
    times: IntArray
    sizes: IntArray


@dataclass(frozen=True, eq=False)
class Sales:
    """What was sold: collector, work and time (microseconds) of every sale, in time order."""

    collectors: IntArray
    works: IntArray
    times: IntArray


def log_normal_sizes(
    rng: np.random.Generator, count: int, mean: float, deviation: float, largest: int
) -> IntArray:
    """Draw `count` whole numbers from 1 to `largest`: a log-normal rounded down, of the given mean.

    The quantiles are evenly spread over the draws, so that a few hundred already show the long tail in
    its right proportion.

    Parameters
    ----------
    deviation
        Of the logarithm; a larger one makes a longer tail.
    """
    from scipy.special import ndtr, ndtri

    steps = np.arange(2, largest + 1)

    def expected(location: float) -> float:
        return 1.0 + float(ndtr((location - np.log(steps)) / deviation).sum())

    low, high = -20.0, 20.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if expected(middle) < mean else (low, middle)
    quantiles = (rng.permutation(count) + rng.random(count)) / count
    drawn = np.exp(low + deviation * ndtri(quantiles))
    return np.asarray(np.clip(np.floor(drawn), 1, largest), dtype=np.int64)


def hang(works: int, seed: int, market: Market) -> tuple[IntArray, IntArray]:
    """When every work is hung, and when it is to be taken down if unsold (`NEVER` for most).

    Returns
    -------
    Two arrays of microseconds since 1970, shape (works,), in whole seconds.
    """
    rng = generator(seed, "hanging")
    span = market.years * 365.25 * 86_400
    enters = np.where(rng.random(works) < market.hung, 0.0, rng.uniform(0, 0.98 * span, works))
    stays = 86_400 * np.exp(rng.normal(np.log(400), 0.7, works))
    leaves = OPENING + (enters + stays).astype(np.int64) * SECOND
    keep = (rng.random(works) >= market.withdrawn) | (enters + stays >= span)
    return OPENING + enters.astype(np.int64) * SECOND, np.where(keep, NEVER, leaves)


def visit(collectors: int, start: int, stop: int, seed: int, market: Market) -> Sessions:
    """When each collector comes between `start` and `stop`, and how much each time.

    Baskets per collector and works per basket are log-normal, and so is the time between two visits, with
    a median of three months. No two visits fall on the same second.
    """
    rng = generator(seed, "visits")
    counts = log_normal_sizes(rng, collectors, market.mean_baskets, BASKETS_DEVIATION, 60)
    who = np.repeat(np.arange(collectors), counts)
    sizes = log_normal_sizes(rng, len(who), market.mean_basket, BASKET_DEVIATION, 21)
    gaps = np.exp(rng.normal(np.log(90), 1.1, len(who))) * DAY
    first = np.r_[0, np.cumsum(counts)[:-1]]
    elapsed = np.cumsum(gaps) - np.repeat(np.cumsum(gaps)[first], counts)
    span = np.repeat(np.maximum.reduceat(elapsed, first), counts)
    room = 0.97 * (stop - start)
    elapsed = np.where(span > room, elapsed * room / np.maximum(span, 1), elapsed)
    arrival = np.repeat(rng.random(collectors), counts) * (stop - start - np.minimum(span, room))
    seconds = (start + arrival + elapsed).astype(np.int64) // SECOND
    order = np.argsort(seconds, kind="stable")
    turn = np.arange(len(order))
    distinct = np.maximum.accumulate(seconds[order] - turn) + turn
    return Sessions(who[order], distinct * SECOND, sizes[order])


def trade(
    preference: FloatArray,
    sessions: Sessions,
    enters: IntArray,
    leaves: IntArray,
    originals: BoolArray,
    seed: int,
    progress: bool | None = None,
) -> Sales:
    """Let the collectors choose, visit by visit, from what hangs there at that moment.

    A basket of k works is the top k of utility plus Gumbel noise: k draws without replacement from the
    multinomial logit (Gumbel-top-k; Yellott 1977, Kool et al. 2019). An original leaves with its buyer;
    nobody buys the same work twice; a visit to empty walls ends without a purchase.

    Parameters
    ----------
    preference
        Utility without noise, shape (collectors, works).
    enters, leaves
        Microseconds, shape (works,): a work hangs at t if ``enters <= t <= leaves`` and it is not sold.
    """
    hanging = np.ones(len(enters), dtype=bool)
    owned: dict[int, list[int]] = {}
    who: list[int] = []
    what: list[int] = []
    when: list[int] = []
    with bar("Collecting", len(sessions.times), show=progress) as steps:
        visits = zip(
            sessions.collectors.tolist(), sessions.times.tolist(), sessions.sizes.tolist(), strict=True
        )
        for number, (collector, time, size) in enumerate(visits):
            steps.advance()
            stock = hanging & (enters <= time) & (time <= leaves)
            mine = owned.setdefault(collector, [])
            stock[mine] = False
            works = np.flatnonzero(stock)
            if not works.size:
                continue
            rng = generator(seed, "choice", number)
            appeal = preference[collector, works] + rng.gumbel(size=works.size)
            taken = np.argsort(-appeal, kind="stable")[:size]
            chosen = works[taken]
            hanging[chosen[originals[chosen]]] = False
            bought = chosen.tolist()
            mine += bought
            who += [collector] * len(bought)
            what += bought
            when += [time] * len(bought)
    as_array = [np.array(column, dtype=np.int64) for column in (who, what, when)]
    return Sales(as_array[0], as_array[1], as_array[2])
