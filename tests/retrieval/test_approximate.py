"""What the graph finds, against exact search."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from vasari.core.errors import NotFoundError, UsageError
from vasari.retrieval import ApproximateIndex, exact_top_k


def vectors(seed, count, dim=24):
    """Vectors of different lengths with most of their variance in some directions."""
    random = np.random.default_rng(seed)
    spread = (1 + np.arange(dim)) ** -0.75
    return (random.normal(size=(count, dim)) * spread * random.lognormal(0, 0.3, (count, 1))).astype(
        np.float32
    )


@pytest.fixture(scope="module")
def index():
    pytest.importorskip("usearch")
    return ApproximateIndex(vectors(0, 3000), search_effort=256)


def recall(found, truth):
    shared = [len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), truth.tolist(), strict=True)]
    return np.mean(shared)


def test_most_of_the_best_are_found_and_scored_exactly(index):
    queries = vectors(1, 100)
    truth, _ = exact_top_k(queries, vectors(0, 3000), 20)
    items, scores = index.search(queries, 20)
    assert recall(items, truth) >= 0.97
    wanted = np.einsum("qd,qkd->qk", queries.astype(np.float64), vectors(0, 3000)[items])
    np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-5)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert all(len(set(row)) == 20 for row in items.tolist())


def test_less_effort_finds_less(index):
    queries = vectors(1, 100)
    truth, _ = exact_top_k(queries, vectors(0, 3000), 20)
    lazy = ApproximateIndex(vectors(0, 3000), connectivity=4, build_effort=8, search_effort=1)
    assert recall(lazy.search(queries, 20)[0], truth) < recall(index.search(queries, 20)[0], truth)


def test_scale_of_queries_and_vectors_does_not_matter(index):
    queries = vectors(1, 20)
    items, _ = index.search(queries, 10)
    loud, scores = ApproximateIndex(1e6 * vectors(0, 3000), search_effort=256).search(1e-8 * queries, 10)
    assert np.isfinite(scores).all()
    assert recall(loud, items) >= 0.97


def test_directions_in_which_vectors_hardly_differ_are_left_out_and_what_is_found_is_scored_with_all():
    rng = np.random.default_rng(0)
    spread = np.where(np.arange(40) < 6, 1.0, 0.01)
    flat = (rng.normal(size=(2000, 40)) * spread) @ np.linalg.qr(rng.normal(size=(40, 40)))[0]
    flat = flat.astype(np.float32)
    index = ApproximateIndex(flat, search_effort=256)
    assert index._axes.shape == (40, 6)
    items, scores = index.search(flat[:50], 10)
    truth, exact = exact_top_k(flat[:50], flat, 10)
    assert recall(items, truth) > 0.95
    same = items == truth
    np.testing.assert_allclose(scores[same], exact[same], rtol=1e-5)


@pytest.mark.parametrize("share", [0.5, 0.12, 0.01])
@pytest.mark.parametrize("each", [False, True])
def test_only_candidates_are_found(index, share, each):
    queries = vectors(2, 30)
    mask = np.random.default_rng(3).random((30, 3000) if each else 3000) < share
    items, _ = index.search(queries, 20, mask)
    truth, _ = exact_top_k(queries, vectors(0, 3000), 20, mask)
    assert (items >= 0).sum() == (truth >= 0).sum()
    allowed = np.broadcast_to(mask, (30, 3000))
    assert all(allowed[row, item] for row in range(30) for item in items[row] if item >= 0)
    assert recall(items, truth) >= 0.97


def test_a_query_without_enough_candidates_gets_them_all(index):
    mask = np.ones((2, 3000), bool)
    mask[1] = False
    mask[1, [7, 2999]] = True
    items, scores = index.search(vectors(2, 2), 5, mask)
    assert (items[0] >= 0).all()
    assert sorted(items[1].tolist()) == [-1, -1, -1, 7, 2999]
    assert (scores[1, 2:] == -np.inf).all()
    nobody, _ = index.search(vectors(2, 2), 5, np.zeros(3000, bool))
    assert (nobody == -1).all()


def test_one_thread_builds_the_same_graph_again(index):
    queries = vectors(4, 50)
    again = ApproximateIndex(vectors(0, 3000), search_effort=256).search(queries, 20)
    for one, other in zip(index.search(queries, 20), again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_fewer_items_than_wanted_equal_items_and_none(tmp_path):
    pytest.importorskip("usearch")
    np.save(tmp_path / "vectors.npy", np.ones((6, 3), np.float16))
    same = ApproximateIndex(np.load(tmp_path / "vectors.npy", mmap_mode="r"))
    items, scores = same.search(np.ones((1, 3)), 8)
    assert items.tolist() == [[0, 1, 2, 3, 4, 5, -1, -1]]
    assert scores[0, :6].tolist() == [3.0] * 6
    assert same.search(np.zeros((1, 3)), 8)[1][0, :6].tolist() == [0.0] * 6
    assert same.search(np.zeros((0, 3)), 8)[0].shape == (0, 8)
    assert (ApproximateIndex(np.empty((0, 3))).search(np.ones((1, 3)), 2)[0] == -1).all()


def test_what_does_not_fit_is_refused(index):
    with pytest.raises(UsageError, match="columns"):
        index.search(np.zeros((1, 3)), 2)
    with pytest.raises(UsageError, match="at least 1"):
        index.search(np.zeros((1, 24)), 0)
    with pytest.raises(UsageError, match="truth value"):
        index.search(np.zeros((1, 24)), 2, np.ones(10, bool))
    with pytest.raises(UsageError, match="not a number"):
        index.search(np.full((1, 24), np.nan), 2)
    with pytest.raises(UsageError, match="not all numbers"):
        ApproximateIndex(np.full((5, 3), np.inf))
    with pytest.raises(UsageError, match="matrix"):
        ApproximateIndex(np.zeros(5))


def test_without_usearch_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(NotFoundError, match=r"vasari\[ann\]"):
        ApproximateIndex(np.zeros((5, 3)))
