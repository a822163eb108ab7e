import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from vasari.core.seeds import generator
from vasari.data.ragged import Ragged
from vasari.models import folding
from vasari.models.folding import fold_in

RNG = np.random.default_rng(5)
VECTORS = RNG.normal(size=(400, 6)).astype(np.float32)
POOL = np.flatnonzero(RNG.random(400) < 0.9)


def loss(theta, profile, negatives, regularisation):
    terms = [
        np.log1p(np.exp(theta @ VECTORS[j] - theta @ VECTORS[l]))
        for l in profile  # noqa: E741  # the formula's letter
        for j in negatives
        if j not in profile
    ]
    return np.mean(terms) + regularisation / 2 * theta @ theta


@pytest.mark.parametrize("regularisation", [0.05, 1.0])
def test_it_finds_the_minimum(regularisation):
    negatives = generator(0, "fold in").permutation(POOL)[: folding.NEGATIVES]
    profile = [3, 17, int(negatives[0])]
    wanted = minimize(loss, np.zeros(6), (profile, negatives, regularisation), tol=1e-9).x
    got = fold_in(torch.from_numpy(VECTORS), Ragged.from_rows([profile]), POOL, regularisation)[0]
    np.testing.assert_allclose(got, wanted, atol=1e-4)


@settings(max_examples=15)
@given(st.lists(st.lists(st.integers(0, 399), max_size=5, unique=True), min_size=1, max_size=5))
def test_a_profile_is_answered_as_if_alone(rows):
    vectors = torch.from_numpy(VECTORS)
    together = fold_in(vectors, Ragged.from_rows(rows), POOL, 0.1)
    for row, profile in enumerate(rows):
        alone = fold_in(vectors, Ragged.from_rows([profile]), POOL, 0.1)[0]
        np.testing.assert_allclose(together[row], alone, rtol=1e-3, atol=1e-4)
        if not profile:
            assert not alone.any()


def test_tiles_change_nothing(monkeypatch):
    profiles = Ragged.from_rows([[1, 2, 3], [], [4], [5, 6], []])
    whole = fold_in(torch.from_numpy(VECTORS), profiles, POOL, 0.1)
    monkeypatch.setattr(folding, "TILE", 1)
    np.testing.assert_allclose(fold_in(torch.from_numpy(VECTORS), profiles, POOL, 0.1), whole, atol=1e-5)


def test_a_gallery_of_the_profile_alone_tells_nothing():
    got = fold_in(torch.from_numpy(VECTORS), Ragged.from_rows([[1, 2]]), np.array([2, 1]), 0.0)
    np.testing.assert_array_equal(got, np.zeros((1, 6)))
