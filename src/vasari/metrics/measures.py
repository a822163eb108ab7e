"""AUC, RR, precision, recall, hit rate, nDCG and average precision, per case.

Every value is the exact expectation under a uniformly random order of ties. A scorer that gives all
items the same score therefore gets what drawing lots would give it, whatever the order of the catalogue.
Only candidates count: in ranks, in the number of relevant items and in every denominator.

Below, a relevant candidate has b candidates above it and stands in a group of g equal ones, so it takes
the 0-based places b to b + g - 1 with equal probability; a case has n relevant ones among N candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from vasari.core.errors import UsageError
from vasari.metrics import legacy as flawed
from vasari.metrics.ranks import Ranks

FloatArray = npt.NDArray[np.float64]


def metric_names(ks: Sequence[int] = (20, 100)) -> list[str]:
    """Names of the metrics that `measure` gives for these list lengths, in order."""
    at_k = [f"{name}@{k}" for k in ks for name in ("precision", "recall", "hit", "ndcg", "map")]
    return ["auc", "rr", *at_k]


def measure(
    ranks: Ranks, ks: Sequence[int] = (20, 100), legacy: Literal["puc"] | None = None, seed: int = 0
) -> dict[str, FloatArray]:
    """Every metric of every ranked case.

    Parameters
    ----------
    ks
        Lengths of the list, each at least 1.
    legacy
        ``"puc"`` replaces AUC and nDCG by the flawed forms behind the published tables of CuratorNet and
        its tutorials (`vasari.metrics.legacy`).
    seed
        Breaks ties in the legacy nDCG, whose expectation has no simple form; otherwise unused.

    Returns
    -------
    Name (`metric_names`) to values, each of shape (ranked,).

    Raises
    ------
    UsageError
        A list length below 1.
    """
    if any(k < 1 for k in ks):
        raise UsageError(f"list lengths must be at least 1, not {min(ks)}")
    values = {"auc": flawed.auc(ranks) if legacy else auc(ranks), "rr": reciprocal_rank(ranks)}
    for k in ks:
        values[f"precision@{k}"] = precision(ranks, k)
        values[f"recall@{k}"] = recall(ranks, k)
        values[f"hit@{k}"] = hit(ranks, k)
        values[f"ndcg@{k}"] = flawed.ndcg(ranks, k, seed) if legacy else ndcg(ranks, k)
        values[f"map@{k}"] = average_precision(ranks, k)
    return values


def auc(ranks: Ranks) -> FloatArray:
    """Share of (relevant, irrelevant) candidate pairs in the right order; a tie is half right.

    1 - (Σ (b + (g - 1) / 2) - n (n - 1) / 2) / (n (N - n)): each pair of relevant ones adds exactly one to
    the sum whatever their order, which the second term takes out again. NaN where every candidate is
    relevant, since there is no pair.
    """
    n = ranks.n_relevant
    wrong = _sum(ranks, ranks.better.values + ranks.tied / 2) - n * (n - 1) / 2
    pairs = (n * (ranks.candidates - n)).astype(np.float64)
    result = np.full(len(n), np.nan)
    np.divide(wrong, pairs, out=result, where=pairs > 0)
    return 1.0 - result


def precision(ranks: Ranks, k: int) -> FloatArray:
    """Relevant candidates among the first k, divided by k (also where there are fewer than k candidates)."""
    return _hits(ranks, k) / k


def recall(ranks: Ranks, k: int) -> FloatArray:
    """Share of the n relevant candidates that stand among the first k."""
    return _hits(ranks, k) / ranks.n_relevant


def ndcg(ranks: Ranks, k: int) -> FloatArray:
    """Discounted cumulative gain of the first k, Σ 1 / log2(place + 2), divided by the best possible.

    The best possible puts min(k, n) relevant candidates first (Järvelin & Kekäläinen 2002, binary gain).
    """
    cumulative = np.r_[0.0, np.cumsum(discounts(k))]
    better, size = ranks.better.values, ranks.tied + 1
    gain = cumulative[np.minimum(better + size, k)] - cumulative[np.minimum(better, k)]
    ideal: FloatArray = cumulative[np.minimum(ranks.n_relevant, k)]
    return _sum(ranks, gain / size) / ideal


def average_precision(ranks: Ranks, k: int) -> FloatArray:
    """Σ over relevant places below k of the precision up to there, divided by min(k, n); its mean is MAP@k.

    Place b + j of a tie group of size g with m relevant ones is relevant with probability m / g, and then
    (m - 1) j / (g - 1) relevant ones are expected before it inside the group; with R above the group the
    term is (m / g) (R + 1 + (m - 1) j / (g - 1)) / (b + j + 1), whose sum over j needs only harmonic numbers.
    """
    group = ranks.groups
    harmonic = np.r_[0.0, np.cumsum(1.0 / np.arange(1, k + 1))]
    inside = np.clip(k - group.better, 0, group.size)  # places of the group among the first k
    start = np.minimum(group.better, k)
    inverse = harmonic[start + inside] - harmonic[start]  # Σ 1 / (b + j + 1)
    offset = inside - (group.better + 1) * inverse  # Σ j / (b + j + 1)
    inner = (group.relevant - 1) / np.maximum(group.size - 1, 1)
    gain = group.relevant / group.size * ((group.before + 1) * inverse + inner * offset)
    total = np.bincount(group.case, gain, minlength=len(ranks)).astype(np.float64)
    return total / np.minimum(ranks.n_relevant, k)


def hit(ranks: Ranks, k: int) -> FloatArray:
    """Probability that at least one relevant candidate stands among the first k (0 or 1 without ties).

    Only the best tie group matters: if k falls inside it, s = k - b of its g places count and all m
    relevant ones miss them with probability C(g - m, s) / C(g, s).
    """
    from scipy.special import gammaln

    better, size, relevant = _first_groups(ranks)
    places = np.clip(k - better, 0, size)
    others = size - relevant
    left = np.maximum(others - places, 0)
    log_miss = gammaln(others + 1) - gammaln(left + 1) - gammaln(size + 1) + gammaln(size - places + 1)
    miss = np.where(places > others, 0.0, np.exp(log_miss))
    return np.where(places == 0, 0.0, 1.0 - miss)


def reciprocal_rank(ranks: Ranks) -> FloatArray:
    """1 / (1-based rank of the first relevant candidate), over the whole list.

    In the best tie group the first of m relevant ones among g is at offset j with probability
    C(g - 1 - j, m - 1) / C(g, m), built here by its recurrence in j.
    """
    better, size, relevant = _first_groups(ranks)
    result = np.asarray(1.0 / (better + 1), dtype=np.float64)
    ties = np.flatnonzero(size > 1)
    distinct, back = np.unique(
        np.stack([better[ties], size[ties], relevant[ties]], axis=1), axis=0, return_inverse=True
    )
    expected = np.array([_expected_reciprocal(b, g, m) for b, g, m in distinct.tolist()])
    result[ties] = expected[back.reshape(-1)] if len(ties) else 0.0
    return result


def first_hit_rank(ranks: Ranks) -> FloatArray:
    """Give the expected 1-based rank of the first relevant candidate: b + (g + 1) / (m + 1)."""
    better, size, relevant = _first_groups(ranks)
    return np.asarray(better + (size + 1) / (relevant + 1), dtype=np.float64)


def discounts(k: int) -> FloatArray:
    """1 / log2(place + 2) of the 0-based places below k, shape (k,)."""
    return np.asarray(1.0 / np.log2(np.arange(2, k + 2)), dtype=np.float64)


def _expected_reciprocal(better: int, size: int, relevant: int) -> float:
    offset = np.arange(size - relevant + 1)
    step = (size - relevant - offset[:-1]) / (size - 1 - offset[:-1])
    chance = relevant / size * np.r_[1.0, np.cumprod(step)]
    return float(chance @ (1.0 / (better + 1 + offset)))


def _hits(ranks: Ranks, k: int) -> FloatArray:
    """Count, in expectation, the relevant candidates among the first k, shape (ranked,)."""
    size = ranks.tied + 1
    return _sum(ranks, np.clip(k - ranks.better.values, 0, size) / size)


def _first_groups(ranks: Ranks) -> tuple[npt.NDArray[np.int64], ...]:
    """`better`, `size` and `relevant` of the best tie group of each case, each of shape (ranked,)."""
    group = ranks.groups
    first = np.searchsorted(group.case, np.arange(len(ranks)))
    return group.better[first], group.size[first], group.relevant[first]


def _sum(ranks: Ranks, values: npt.NDArray[np.float64]) -> FloatArray:
    """Sum over the relevant candidates of each case, shape (ranked,)."""
    return np.bincount(ranks.better.row_of_value, values, minlength=len(ranks)).astype(np.float64)
