"""The parts the samplers stand on: pair sets, image groups, profiles, tastes, refusals."""

import numpy as np
import pytest
from gallery_oracle import Gallery
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from vasari.core.errors import DataError, UsageError
from vasari.sampling import SamplingContext, tastes
from vasari.sampling.images import image_groups
from vasari.sampling.pairs import PairSet


@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 8))))
def test_a_pair_set_is_a_set(pairs):
    rows, values = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2).T
    held = PairSet(rows, values, 5, 9)
    asked = np.array([(row, value) for row in range(5) for value in range(9)])
    answer = held.has(asked[:, 0], asked[:, 1])
    assert [tuple(pair) for pair in asked[answer].tolist()] == sorted(pairs)
    assert [row.tolist() for row in held.ragged] == [
        [v for r, v in sorted(pairs) if r == row] for row in range(5)
    ]
    lacking = np.flatnonzero(held.counts < 9).repeat(200)
    drawn = held.draw_absent(np.random.default_rng(0), lacking)
    assert ((drawn >= 0) & (drawn < 9)).all()
    assert not held.has(lacking, drawn).any()


def test_absent_values_are_drawn_uniformly():
    held = PairSet(np.array([1] * 6), np.array([0, 1, 4, 5, 8, 9]), 3, 10)
    drawn = held.draw_absent(np.random.default_rng(0), np.full(40_000, 1))
    assert chisquare(np.bincount(drawn, minlength=10)[[2, 3, 6, 7]]).pvalue > 1e-3


@settings(max_examples=50)
@given(st.integers(0, 2**31))
def test_same_images_are_found_without_comparing_all(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 120))
    space = rng.standard_normal((n, int(rng.integers(2, 20))))
    for copy in np.flatnonzero(rng.random(n) < 0.4):
        space[copy] = (
            space[rng.integers(n)] * rng.uniform(0.1, 5) + rng.choice([0, 1e-6, 1e-2]) * rng.standard_normal()
        )
    clusters = rng.integers(0, 3, n)
    gallery = Gallery([[[0]]], [-1] * n, clusters.tolist(), space.tolist())
    context = gallery.context()
    a, b = (axis.ravel() for axis in np.mgrid[:n, :n])
    found = context.same_image(a, b)
    gap = np.array(
        [abs(abs(gallery.cosine(i, j) - 1) - 1e-7) for i, j in zip(a.tolist(), b.tolist(), strict=True)]
    )
    sure = gap > 2e-8  # at the threshold itself float32 may say either
    expected = np.array([gallery.same_image(i, j) for i, j in zip(a.tolist(), b.tolist(), strict=True)])
    assert np.array_equal(found[sure], expected[sure])


def test_copies_are_found_among_many_lookalikes():
    # On a small sphere, thousands of projections lie between those of two near copies.
    rng = np.random.default_rng(0)
    space = rng.standard_normal((4000, 3))
    space[2000:2400] = space[:400] + 1e-5 * rng.standard_normal((400, 3))
    space /= np.linalg.norm(space, axis=1, keepdims=True)
    groups = image_groups(np.zeros(4000, np.int64), space.astype(np.float32))
    a, b = np.nonzero(np.triu(space @ space.T > 1 - 9e-8, k=1))
    assert len(a) >= 400
    assert np.array_equal(groups[a], groups[b])
    assert len(np.unique(groups)) > 3500


def test_many_copies_of_one_picture_cost_little():
    space = np.zeros((60_000, 3), np.float32)
    space[:, 0] = 1
    assert len(np.unique(image_groups(np.zeros(60_000, np.int64), space))) == 1


def test_a_picture_without_direction_is_like_no_other():
    groups = image_groups(np.zeros(3, np.int64), np.zeros((3, 2), np.float32))
    assert len(np.unique(groups)) == 3


def test_tastes_do_not_depend_on_the_block_size(monkeypatch):
    rng = np.random.default_rng(0)
    n = 80
    log = [[rng.integers(0, n, 3).tolist() for _ in range(3)] for _ in range(20)]
    gallery = Gallery(log, rng.integers(-1, 9, n).tolist(), rng.integers(0, 12, n).tolist(), [[1.0]] * n)
    whole = gallery.context().tastes
    monkeypatch.setattr(tastes, "_EXPANDED_AT_ONCE", 3)
    cut = gallery.context().tastes
    assert np.array_equal(whole.artists.offsets, cut.artists.offsets)
    assert np.array_equal(whole.has_beyond, cut.has_beyond)
    assert np.array_equal(whole._cumulative, cut._cumulative)
    for user in range(20):
        beyond = [
            i
            for i in range(n)
            if not gallery.likes_artist_of(user, i) and not gallery.likes_cluster_of(user, i)
        ]
        assert whole.has_beyond[user] == bool(beyond)
        wanted = {
            gallery.artists[i]
            for i in range(n)
            if i not in gallery.owned(user)
            and gallery.likes_artist_of(user, i)
            and gallery.likes_cluster_of(user, i)
        }
        assert whole.artists.lengths[user] == len(wanted)


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"artists": np.zeros(2, int)}, UsageError, "artists"),
        ({"artists": np.zeros(3)}, UsageError, "artists"),
        ({"clusters": np.zeros((3, 1), int)}, UsageError, "clusters"),
        ({"space": np.zeros((2, 4))}, UsageError, "space"),
        ({"space": np.array([[0.0], [np.nan], [1.0]])}, DataError, "item number 1"),
    ],
)
def test_misaligned_or_broken_input_is_refused(arguments, error, named):
    histories = Gallery([[[0]]], [-1] * 3, [0] * 3, [[1.0]] * 3).histories()
    with pytest.raises(error, match=named):
        SamplingContext(histories, **arguments)


def test_rows_of_items_without_picture_are_not_read():
    histories = Gallery([[[0]]], [-1] * 3, [0] * 3, [[1.0]] * 3).histories()
    space = np.array([[0.0, 1], [np.nan, 1], [1, 0]])
    context = SamplingContext(histories, clusters=np.array([4, -1, 9]), space=space)
    assert context.works.tolist() == [0, 2]
    assert context.cluster.tolist() == [0, 1]
