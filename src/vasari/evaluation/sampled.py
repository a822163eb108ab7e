"""Ranking among a few candidates drawn at random: only to compare with papers that did so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vasari.core.errors import UsageError
from vasari.core.seeds import generator
from vasari.data.cases import Cases
from vasari.data.ragged import Ragged

TILE_FLAGS = 1 << 22  # candidate flags held at a time


def sample_candidates(cases: Cases, count: int, seed: int) -> Cases:
    """Keep, of each case, the relevant works and `count` other candidates drawn alike without replacement.

    Metrics among sampled candidates are biased, and not alike for all models: they can reverse the order
    of two (Krichene & Rendle 2020, "On sampled metrics for item recommendation"). Whoever shows them must
    say so; `vasari.evaluate` does in the name of the protocol, and so in every title.

    Parameters
    ----------
    cases
        With everything that decides the candidates settled: stock, works without a picture.
    count
        Candidates drawn per case; all of them where there are fewer.
    seed
        With the number of the case decides the draw.

    Raises
    ------
    UsageError
        `count` is below 1.
    """
    if count < 1:
        raise UsageError(f"sampled_candidates={count} must be at least 1, or None to rank all candidates")
    tile = max(1, TILE_FLAGS // max(len(cases.item_ids), 1))
    lists = []
    for start in range(0, len(cases), tile):
        for case, free in enumerate(cases.candidates(start, min(start + tile, len(cases))), start):
            relevant = cases.relevant[case]
            free[relevant] = False
            others = np.flatnonzero(free)
            drawn = generator(seed, "sampled candidates", case).choice(
                others, min(count, len(others)), replace=False
            )
            lists.append(np.concatenate([relevant, np.sort(drawn)]))
    return replace(cases, shortlist=Ragged.from_rows(lists))
