"""The reference's flawed numbers, as they are recorded for its code."""

from __future__ import annotations

import numpy as np
import pytest

from vasari.data.ragged import Ragged
from vasari.metrics import measure, rank


def by_rank(places, n_items=1000, removed=0):
    """One case whose relevant items stand at the given 0-based places; the last `removed` items are gone."""
    candidates = np.ones((1, n_items), bool)
    candidates[0, n_items - removed :] = False
    scores = -np.arange(n_items, dtype=np.float32)[None]
    return rank(scores, candidates, Ragged.from_rows([places]))


@pytest.mark.parametrize(
    ("places", "flawed", "right"),
    [
        ([0, 5000], 1.0, 0.613),
        ([3, 100, 200, 300, 400], 0.431, 0.146),
        ([0, 600, 700, 800, 900], 1.0, 0.3392),
        ([3, 10, 200], 0.4351, 0.3330),
    ],
)
def test_ndcg_of_the_reference(places, flawed, right):
    ranks = by_rank(places, 6000)
    assert measure(ranks, (20,), legacy="puc")["ndcg@20"][0] == pytest.approx(flawed, abs=6e-4)
    assert measure(ranks, (20,))["ndcg@20"][0] == pytest.approx(right, abs=6e-4)


def test_auc_of_the_reference_counts_removed_items_as_beaten():
    everywhere = [measure(by_rank([p], 100, removed=30), (20,), legacy="puc")["auc"][0] for p in range(70)]
    assert np.mean(everywhere) == pytest.approx(0.652, abs=5e-4)
    proper = [measure(by_rank([p], 100, removed=30), (20,))["auc"][0] for p in range(70)]
    assert np.mean(proper) == pytest.approx(0.5)
    worst = by_rank([799], 1000, removed=200)
    assert measure(worst, (20,), legacy="puc")["auc"][0] == pytest.approx(0.20, abs=5e-4)
    assert measure(worst, (20,))["auc"][0] == 0.0


def test_auc_of_the_reference_is_the_published_formula():
    """(1/n) sum_i ((N - r_i - 1) - (n - i)) / (N - n), i from 1, on sorted 0-based ranks."""
    places, total = [2, 7, 30], 100
    n = len(places)
    expected = np.mean([((total - r - 1) - (n - i)) / (total - n) for i, r in enumerate(places, 1)])
    assert measure(by_rank(places, total), (20,), legacy="puc")["auc"][0] == pytest.approx(expected)


def test_without_removed_items_and_with_one_relevant_both_agree():
    ranks = by_rank([4], 50)
    flawed, right = measure(ranks, (3, 20), legacy="puc"), measure(ranks, (3, 20))
    assert flawed.keys() == right.keys()
    for name, values in right.items():
        np.testing.assert_allclose(flawed[name], values, atol=1e-12, err_msg=name)


def test_ties_are_drawn_by_lot_with_a_seed():
    scores = np.zeros((400, 50), np.float32)
    ranks = rank(scores, np.ones(scores.shape, bool), Ragged.from_rows([[0]] * 400))
    first = measure(ranks, (10,), legacy="puc", seed=1)["ndcg@10"]
    assert np.array_equal(first, measure(ranks, (10,), legacy="puc", seed=1)["ndcg@10"])
    assert first.mean() == pytest.approx((1 / np.log2(np.arange(2, 12))).sum() / 50, abs=0.03)
