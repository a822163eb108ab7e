"""How sure one can be of a mean over users, and of a difference between two models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.core.errors import UsageError
from vasari.core.seeds import generator

FloatArray = npt.NDArray[np.float64]

RESAMPLES = 2000
PERMUTATIONS = 10_000
CHUNK = 1 << 22  # drawn numbers held at a time


@dataclass(frozen=True)
class Interval:
    """A mean and its 95% interval (or what `confidence` was asked) over `n` users."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Comparison:
    """The paired difference first - second between two models over the same users.

    Attributes
    ----------
    difference
        Mean difference with its bootstrap interval.
    p_permutation
        Two-sided, by swapping the two models at random for each user.
    p_wilcoxon
        Two-sided Wilcoxon signed-rank test, users without a difference ranked with the rest (Pratt 1959).
    effect
        Cohen's d_z: the mean difference in standard deviations of the differences between users.
    better, worse, tied
        Share of users for whom the first model is better, worse, or the same; together 1.
    """

    difference: Interval
    p_permutation: float
    p_wilcoxon: float
    effect: float
    better: float
    worse: float
    tied: float


def bootstrap(
    values: npt.ArrayLike, seed: int = 0, resamples: int = RESAMPLES, confidence: float = 0.95
) -> list[Interval]:
    """Percentile bootstrap intervals of the means of several columns over users.

    All columns see the same resampled users. NaN (a metric that a user does not have) is left out of
    the mean and of `n`.

    Parameters
    ----------
    values
        One row per user, shape (users,) or (users, columns).
    resamples
        Number of times the users are drawn anew with replacement.

    Returns
    -------
    One interval per column; all NaN where no user has a value.
    """
    table = np.asarray(values, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    known = ~np.isnan(table)
    filled = np.where(known, table, 0.0)
    sums = np.empty((resamples, table.shape[1]))
    counts = np.empty_like(sums)
    users = len(table)
    chunk = max(1, CHUNK // max(users, 1))
    random = generator(seed, "bootstrap")
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = random.integers(0, max(users, 1), (rows, users))
        drawn += np.arange(rows)[:, None] * users
        # Times each user was drawn; one product serves every column: (rows, users) @ (users, columns)
        times = np.bincount(drawn.reshape(-1), minlength=rows * users).reshape(rows, users).astype(np.float64)
        sums[start : start + rows] = times @ filled
        counts[start : start + rows] = times @ known
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return [
        _interval(table[known[:, column], column], means[:, column], confidence)
        for column in range(table.shape[1])
    ]


def _interval(values: FloatArray, means: FloatArray, confidence: float) -> Interval:
    means = means[~np.isnan(means)]
    if not len(values) or not len(means):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    tail = 50 * (1 - confidence)
    low, high = np.percentile(means, [tail, 100 - tail]).tolist()
    return Interval(float(values.mean()), low, high, len(values))


def compare(first: npt.ArrayLike, second: npt.ArrayLike, seed: int = 0) -> Comparison:
    """Test whether two models differ, from one value per user each.

    Parameters
    ----------
    first, second
        Shape (users,), the same users in the same order. Users with NaN in either are left out.

    Raises
    ------
    UsageError
        Different lengths, or no user has both values.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise UsageError(f"{a.shape[0]} and {b.shape[0]} values cannot be paired; give the same users twice")
    # Means of the same numbers, added in another order, differ in their last digits: that is a tie.
    difference = np.round(a - b, 12)
    difference = difference[~np.isnan(difference)]
    if not len(difference):
        raise UsageError("no user has a value in both models; there is nothing to compare")
    return Comparison(
        bootstrap(difference, seed)[0],
        _permutation(difference, seed),
        _wilcoxon(difference),
        effect_size(difference),
        better=float((difference > 0).mean()),
        worse=float((difference < 0).mean()),
        tied=float((difference == 0).mean()),
    )


def effect_size(difference: npt.ArrayLike) -> float:
    """Cohen's d_z of paired differences: mean / standard deviation (n - 1), Cohen 1988, section 2.3.5.

    Unlike a p-value it does not grow with the number of users. 0 where nobody differs, NaN where the
    spread is not known: for one user, or where all differ by the same amount.

    Parameters
    ----------
    difference
        One per user, shape (users,), without NaN.
    """
    values = np.asarray(difference, dtype=np.float64)
    if not values.any():
        return 0.0
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return float(values.mean() / spread) if spread > 1e-12 * abs(values).max() else float("nan")


def _permutation(difference: FloatArray, seed: int) -> float:
    """Share of random sign patterns whose mean is at least as far from 0 (the observed one included)."""
    moving = difference[difference != 0]
    if not len(moving):
        return 1.0
    observed = abs(moving.sum()) * (1 - 1e-12)  # sums of the same numbers differ in their last digits
    chunk = max(1, CHUNK // len(moving))
    random = generator(seed, "permutation")
    extreme = 0
    for start in range(0, PERMUTATIONS, chunk):
        rows = min(chunk, PERMUTATIONS - start)
        signs = random.integers(0, 2, (rows, len(moving)), dtype=np.int8).astype(np.float64) * 2 - 1
        extreme += int(np.count_nonzero(np.abs(signs @ moving) >= observed))
    return (1 + extreme) / (1 + PERMUTATIONS)


def _wilcoxon(difference: FloatArray) -> float:
    from scipy.stats import wilcoxon

    if not difference.any():
        return 1.0
    return float(wilcoxon(difference, zero_method="pratt").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of several comparisons for their number (Holm 1979, step-down).

    Returns
    -------
    Adjusted values in the given order; rejecting those below α keeps the chance of any false
    rejection below α.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty_like(p)
    result[order] = np.minimum(adjusted, 1.0)
    return [float(value) for value in result]
