"""The flawed AUC and nDCG of the reference code, kept only to compare with published tables.

Source: the evaluation code released with CuratorNet (Messina et al. 2020) and with the tutorials on
visually aware recommendation that build on it (IUI 2021, ICDM 2021). Never use these to choose a model.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.core.seeds import generator
from vasari.metrics.ranks import Ranks

FloatArray = npt.NDArray[np.float64]


def auc(ranks: Ranks) -> FloatArray:
    """(1 / n) Σ_i ((N - r_i - 1) - (n - i)) / (N - n) with N the whole catalogue.

    The items removed from the ranking (the profile, works not in stock) stay in N, so they count as
    beaten: a random scorer gets .652 where 30 of 100 are removed. Ties count half here as well.
    """
    n, total = ranks.n_relevant, ranks.n_items
    standing = ranks.better.values + ranks.tied / 2
    behind = np.bincount(ranks.better.row_of_value, total - standing - 1, minlength=len(ranks))
    pairs = (n * (total - n)).astype(np.float64)
    right = behind - n * (n - 1) / 2
    result = np.full(len(n), np.nan)
    np.divide(right, pairs, out=result, where=pairs > 0)
    return result


def ndcg(ranks: Ranks, k: int, seed: int = 0) -> FloatArray:
    """Discounted gain of the first k divided by that of the same *number of hits* at the top.

    One hit of five at the first place thus scores 1. Ties are broken by lot.
    """
    places = _drawn_places(ranks, seed)
    case = ranks.better.row_of_value
    counted = places < k
    gain = np.bincount(case[counted], 1.0 / np.log2(places[counted] + 2.0), minlength=len(ranks))
    hits = np.bincount(case[counted], minlength=len(ranks))
    best = np.r_[0.0, np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))][hits]
    result = np.zeros(len(ranks))
    np.divide(gain, best, out=result, where=hits > 0)
    return result


def _drawn_places(ranks: Ranks, seed: int) -> npt.NDArray[np.int64]:
    """One place per relevant candidate, drawn without replacement inside each tie group."""
    places: npt.NDArray[np.int64] = ranks.better.values.copy()
    group = ranks.groups
    ends = np.cumsum(group.relevant)
    random = generator(seed, "ties")
    for number in np.flatnonzero(group.size > 1).tolist():
        part = slice(ends[number] - group.relevant[number], ends[number])
        places[part] += random.choice(group.size[number], group.relevant[number], replace=False)
    return places
