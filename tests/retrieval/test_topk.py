"""The best k of each row against sorting everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vasari.core.errors import UsageError
from vasari.retrieval import top_k


def slow_top_k(scores, k, candidates):
    rows = []
    for row, mask in zip(scores, candidates, strict=True):
        listed = [i for i in range(len(row)) if mask[i] and row[i] > -np.inf]
        rows.append(sorted(listed, key=lambda i, row=row: (-row[i], i))[:k])
    return rows


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 6), st.integers(1, 5))
def test_equals_sorting_with_ties_in_item_order(seed, k, n_items, levels):
    random = np.random.default_rng(seed)
    n_items *= 4
    scores = random.integers(0, levels, (6, n_items)).astype(np.float32)
    scores[random.random(scores.shape) < 0.2] = -np.inf
    candidates = random.random(scores.shape) < 0.7
    candidates[0] = False
    kept = scores.copy()
    items, best = top_k(scores, k, candidates)
    assert items.shape == best.shape == (6, k)
    np.testing.assert_array_equal(scores, kept)
    for row, expected in enumerate(slow_top_k(scores, k, candidates)):
        padding = k - len(expected)
        assert items[row].tolist() == expected + [-1] * padding
        assert best[row].tolist() == [scores[row, i] for i in expected] + [-np.inf] * padding


def test_one_mask_for_all_rows_and_none():
    scores = np.random.default_rng(0).normal(size=(4, 30)).astype(np.float32)
    mask = np.arange(30) % 2 == 0
    items, _ = top_k(scores, 5, mask)
    assert [row.tolist() for row in items] == slow_top_k(scores, 5, np.tile(mask, (4, 1)))
    items, _ = top_k(scores, 5)
    assert [row.tolist() for row in items] == slow_top_k(scores, 5, np.ones((4, 30), bool))


def test_nothing_to_pick_from():
    items, best = top_k(np.empty((2, 0), np.float32), 3)
    assert (items == -1).all()
    assert (best == -np.inf).all()
    assert top_k(np.empty((0, 5), np.float32), 3)[0].shape == (0, 3)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match="at least 1"):
        top_k(np.zeros((1, 3), np.float32), 0)
    with pytest.raises(UsageError, match="not a number"):
        top_k(np.array([[0.0, np.nan]], np.float32), 1)
