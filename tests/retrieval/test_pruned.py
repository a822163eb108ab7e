"""The pruned index gives the answers of the exact one, whatever the vectors are like."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vasari.core.errors import UsageError
from vasari.retrieval import ExactIndex, PrunedIndex


def vectors(seed, items, dim, decay):
    rng = np.random.default_rng(seed)
    spread = (1.0 + np.arange(dim)) ** -decay
    return (rng.normal(size=(items, dim)) * spread).astype(np.float32)


def same(found, truth):
    np.testing.assert_allclose(found[1], truth[1], rtol=1e-4, atol=1e-5)
    tied = np.isclose(found[1], truth[1], rtol=1e-6)  # works that differ in the last digit may change places
    assert ((found[0] == truth[0]) | tied).all()
    assert ((found[0] == -1) == (truth[0] == -1)).all()


@given(
    st.integers(0, 10**6),
    st.sampled_from([1, 40, 700, 6000]),
    st.sampled_from([1, 3, 60]),
    st.sampled_from([0.0, 0.8, 2.0]),
    st.sampled_from([1, 5, 300]),
    st.sampled_from([None, 0.0, 0.02, 0.9]),
)
@settings(max_examples=60)
def test_it_finds_what_exact_search_finds(seed, items, dim, decay, k, share):
    stock = vectors(seed, items, dim, decay)
    queries = vectors(seed + 1, 3, dim, decay)
    candidates = None
    if share is not None:
        candidates = np.random.default_rng(seed).random((3, items)) < share
    index, exact = PrunedIndex(stock), ExactIndex(stock)
    same(index.search(queries, k, candidates), exact.search(queries, k, candidates))
    one = np.ones(items, bool) if candidates is None else candidates[0]
    without = [[], [0, items - 1], list(range(0, items, 2))]
    fewer = np.stack([one] * 3)
    for mask, rows in zip(fewer, without, strict=True):
        mask[rows] = False
    for shared in (one, [one, one, one.copy()]):
        same(index.search(queries, k, shared, without), exact.search(queries, k, fewer))


@pytest.mark.parametrize("noise", [0.0, 1e-3])
@pytest.mark.parametrize("scale", [1.0, 1e-15, 1e15])
@pytest.mark.parametrize("k", [1, 10])
def test_a_rest_that_is_next_to_nothing_loses_no_work(k, scale, noise):
    # Unit vectors of few directions, rounded to float16: |t|^2 is less than float32 leaves of |v|^2 - |h|^2.
    rng = np.random.default_rng(3)
    flat = rng.normal(size=(20_000, 6)) @ rng.normal(size=(6, 128)) + noise * rng.normal(size=(20_000, 128))
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    stock = flat.astype(np.float16).astype(np.float32) * np.float32(scale)
    queries = rng.normal(size=(200, 128)).astype(np.float32) / np.float32(scale)
    for longer in (1, 10):
        older, later = stock[:15_000], np.float32(longer) * stock[15_000:]
        found = PrunedIndex(older).extended(later).search(queries, k)
        assert (found[0] >= 0).all()
        same(found, ExactIndex(np.concatenate([older, later])).search(queries, k))


def test_nobody_may_ask():
    rows, scores = PrunedIndex(vectors(0, 300, 4, 0.5)).search(np.zeros((0, 4)), [])
    assert rows.shape == scores.shape == (0, 0)


def test_it_prunes_where_there_is_something_to_prune():
    index = PrunedIndex(vectors(0, 20_000, 60, 1.5))
    assert index.head < 20
    query = vectors(1, 1, 60, 1.5)
    rows = index._contenders(query[0], index._bounds(query)[0], 10, 0.0)
    assert rows is not None
    assert len(rows) < 1000


def test_works_of_equal_score_come_in_their_order():
    index = PrunedIndex(np.tile(vectors(0, 1, 8, 1.0), (5000, 1)))
    rows, _ = index.search(vectors(0, 1, 8, 1.0), 7)
    assert rows[0].tolist() == list(range(7))


def test_growing_and_replacing_are_as_building_anew():
    stock, more = vectors(0, 900, 20, 1.0), vectors(1, 30, 20, 1.0)
    queries = vectors(2, 4, 20, 1.0)
    first = PrunedIndex(stock)
    before = first.search(queries, 10)
    grown = first.extended(more[:10]).extended(more[10:])
    whole = np.concatenate([stock, more])
    assert grown.shape == (930, 20)
    same(grown.search(queries, 40), ExactIndex(whole).search(queries, 40))
    np.testing.assert_array_equal(grown.take(np.array([929, 3])), whole[[929, 3]])
    for row in (5, 925):
        whole = whole.copy()
        whole[row] = 5 * queries[0]
        grown = grown.replaced(row, whole[row])
        same(grown.search(queries, 40), ExactIndex(whole).search(queries, 40))
    np.testing.assert_allclose(grown.scores(queries[1]), whole @ queries[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(first.search(queries, 10)[0], before[0])  # the old one knows nothing of it


def test_what_is_no_number_is_refused():
    with pytest.raises(UsageError):
        PrunedIndex(np.array([[1.0, np.nan]]))
    with pytest.raises(UsageError):
        PrunedIndex(np.ones((3, 2))).search(np.array([[np.inf, 0]]), 1)
    with pytest.raises(UsageError):
        PrunedIndex(np.ones(3))
    with pytest.raises(UsageError):
        PrunedIndex(np.ones((3, 2))).search(np.ones((0, 5)), 1)
    for wrong in ([np.ones(3, bool)], [np.ones(3, bool), np.ones(2, bool)], np.ones(2, bool)):
        with pytest.raises(UsageError, match="candidates"):
            PrunedIndex(np.ones((3, 2))).search(np.ones((2, 2)), 1, wrong)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_later_vectors_that_are_no_numbers_are_refused(value):
    index = PrunedIndex(vectors(0, 300, 4, 0.5))
    bad = np.full((1, 4), value, np.float32)
    for change in (lambda: index.extended(bad), lambda: index.replaced(3, bad[0])):
        with pytest.raises(UsageError):
            change()


def test_every_query_may_ask_for_its_own_number():
    stock, queries, wanted = vectors(0, 6000, 40, 0.8), vectors(1, 4, 40, 0.8), [3, 300, 20, 1]
    index = PrunedIndex(stock)
    rows, scores = index.search(queries, wanted)
    assert rows.shape == scores.shape == (4, 300)
    for query, k, mine, values in zip(queries, wanted, rows, scores, strict=True):
        same((mine[None, :k], values[None, :k]), ExactIndex(stock).search(query[None], k))
        assert (mine[k:] == -1).all()
        assert np.isneginf(values[k:]).all()
