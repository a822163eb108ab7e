"""Sizes of the default gallery's log and how well the true preference itself ranks, per seed.

    python benchmarks/simulated_collectors.py 0 1 2 3 4

Nothing is painted: the looks are the painter's parameters.
"""

from __future__ import annotations

import sys

import numpy as np
import polars as pl

from vasari.data.cases import hidden_cases, last_baskets
from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.synthetic import simulate_collectors
from vasari.synthetic.artists import commission_works, invent_artists, look_vectors


def simulated(seed: int) -> Dataset:
    makers = invent_artists(seed, 80)
    commissions = commission_works(seed, makers, 2000, 320)
    frame = pl.DataFrame(
        {
            "item_id": [str(work.number) for work in commissions],
            "artist_id": [str(work.artist) for work in commissions],
        }
    )
    catalogue = Catalogue(frame)
    skills = [makers[int(artist_id)].skill for artist_id in catalogue.artist_ids]
    return simulate_collectors(catalogue, look_vectors(commissions), 500, seed, skills=skills, progress=False)


def main(seeds: list[int]) -> None:
    print("seed  purchases/user  max  users>=2 baskets  cases  stock  oracle AUC  oracle nDCG@20")
    for seed in seeds:
        data = simulated(seed)
        histories = data.histories
        cases = hidden_cases(histories, last_baskets(histories), data.stock)
        rows = data.preference.user_ids.rows(cases.user_ids)
        stock, aucs, gains = [], [], []
        for case, candidates in enumerate(cases.candidates(0, len(cases))):
            works = np.flatnonzero(candidates)
            best_first = works[np.argsort(-data.preference.scores[rows[case], works], kind="stable")]
            hits = np.flatnonzero(np.isin(best_first, cases.relevant[case]))
            n = len(hits)
            stock.append(len(works))
            aucs.append(1 - np.mean((hits - np.arange(n)) / (len(works) - n)))
            ideal = (1 / np.log2(np.arange(min(n, 20)) + 2)).sum()
            gains.append((1 / np.log2(hits[hits < 20] + 2)).sum() / ideal)
        lengths = histories.items.lengths
        share = (histories.basket_counts >= 2).mean()
        print(
            f"{seed:4d}  {lengths.mean():14.2f}  {lengths.max():3d}  {share:16.2f}  {len(cases):5d}  "
            f"{np.mean(stock):5.0f}  {np.mean(aucs):10.3f}  {np.mean(gains):14.3f}"
        )


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [0])
