"""Exact search in tiles against one big product."""

from __future__ import annotations

import numpy as np
import pytest

from vasari.core.errors import UsageError
from vasari.retrieval import exact_top_k, search, top_k


@pytest.mark.parametrize("tiles", [(7, 12), (64, 100), (1 << 22, 1 << 24)])
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
