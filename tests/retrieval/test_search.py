"""Exact search in tiles against one big product."""

from __future__ import annotations

import numpy as np
import pytest

from vasari.core.errors import UsageError
from vasari.retrieval import ExactIndex, exact_top_k, search, top_k


@pytest.mark.parametrize("tiles", [(7, 12), (64, 100), (1 << 18, 1 << 23)])
@pytest.mark.parametrize("kind", ["none", "shared", "each"])
def test_tiles_change_nothing(monkeypatch, tiles, kind):
    monkeypatch.setattr(search, "TILE_SCORES", tiles[0])
    monkeypatch.setattr(search, "BLOCK_VALUES", tiles[1])
    random = np.random.default_rng(0)
    queries = random.integers(-2, 3, (9, 4)).astype(np.float32)  # integers: sums are exact and ties common
    vectors = random.integers(-2, 3, (50, 4)).astype(np.float16)
    candidates = {"none": None, "shared": random.random(50) < 0.5, "each": random.random((9, 50)) < 0.1}[kind]
    items, best = exact_top_k(queries, vectors, 8, candidates)
    wanted, values = top_k(queries @ vectors.T.astype(np.float32), 8, candidates)
    np.testing.assert_array_equal(items, wanted)
    np.testing.assert_array_equal(best, values)
    again = ExactIndex(vectors).search(queries, 8, candidates)
    np.testing.assert_array_equal(again[0], wanted)
    np.testing.assert_array_equal(again[1], values)


@pytest.mark.parametrize("n_items", [3, 600, 5000])
@pytest.mark.parametrize("n_queries", [1, 300])
def test_many_items_against_sorting(n_items, n_queries):
    random = np.random.default_rng(n_items)
    queries = random.integers(-3, 4, (n_queries, 5)).astype(np.float32)
    vectors = random.integers(-3, 4, (n_items, 5)).astype(np.float32)
    vectors[: n_items // 2] -= 1  # the best come late, so that later tiles matter
    mask = random.random((n_queries, n_items)) < 0.8
    items, best = ExactIndex(vectors).search(queries, 20, mask)
    for row, scores in enumerate(queries @ vectors.T):
        listed = np.flatnonzero(mask[row])
        wanted = listed[np.argsort(-scores[listed], kind="stable")][:20]
        assert items[row, : len(wanted)].tolist() == wanted.tolist()
        assert best[row, : len(wanted)].tolist() == scores[wanted].tolist()
        assert (items[row, len(wanted) :] == -1).all()


def test_a_memory_mapped_table_and_more_wanted_than_there_is(tmp_path):
    random = np.random.default_rng(1)
    np.save(tmp_path / "vectors.npy", random.normal(size=(6, 3)).astype(np.float16))
    vectors = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    items, best = exact_top_k(random.normal(size=(2, 3)), vectors, 10)
    assert [sorted(row[:6].tolist()) for row in items] == [list(range(6))] * 2
    assert (items[:, 6:] == -1).all()
    assert (np.diff(best[:, :6], axis=1) <= 0).all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="columns"):
        exact_top_k(np.zeros((1, 3)), np.zeros((5, 4)), 2)
    with pytest.raises(UsageError, match="at least 1"):
        exact_top_k(np.zeros((1, 3)), np.zeros((5, 3)), 0)
    with pytest.raises(UsageError, match="not a number"):
        exact_top_k(np.zeros((1, 3)), np.full((5, 3), np.nan), 1)
    with pytest.raises(UsageError, match="truth value"):
        exact_top_k(np.zeros((1, 3)), np.zeros((5, 3)), 1, np.ones(4, bool))
    with pytest.raises(UsageError, match="matrix"):
        ExactIndex(np.zeros(3))
