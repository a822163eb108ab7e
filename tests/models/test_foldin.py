import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from vasari.data.ragged import Ragged
from vasari.models import BPR
from vasari.models.foldin import FLOOR, fold_in


def objective(taste, positives, negatives, penalty):
    """The definition, pair by pair."""
    total = 0.0
    for liked in positives:
        for other in negatives:
            difference = liked[:-1] @ taste + liked[-1] - other[:-1] @ taste - other[-1]
            total += np.logaddexp(0, -difference)
    return total / (len(positives) * len(negatives)) + penalty / 2 * taste @ taste


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("penalty", [0.0, 0.01, 1.0])
def test_it_finds_the_optimum_that_a_general_optimiser_finds(scale, penalty):
    rng = np.random.default_rng(3)
    positives, negatives = rng.normal(0, scale, (4, 4)), rng.normal(0, scale, (11, 4))
    got = fold_in(positives, negatives, penalty)
    wanted = minimize(
        objective,
        np.zeros(3),
        (positives, negatives, max(penalty, FLOOR)),
        "L-BFGS-B",
        tol=1e-14,
        options={"maxiter": 5000},
    )
    if penalty > 0:
        np.testing.assert_allclose(got, wanted.x, atol=1e-4)
    assert objective(got, positives, negatives, max(penalty, FLOOR)) <= wanted.fun + 1e-9


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 9), st.floats(1e-3, 10))
@settings(max_examples=40, deadline=None)
def test_the_order_of_works_does_not_matter_and_nothing_near_is_better(seed, liked, others, penalty):
    rng = np.random.default_rng(seed)
    positives, negatives = rng.normal(0, 2, (liked, 5)), rng.normal(0, 2, (others, 5))
    got = fold_in(positives, negatives, penalty)
    again = fold_in(positives[::-1], rng.permutation(negatives), penalty)
    np.testing.assert_allclose(got, again, atol=1e-5)
    best = objective(got, positives, negatives, penalty)
    for step in rng.normal(0, 1e-2, (10, 4)):
        assert objective(got + step, positives, negatives, penalty) >= best


def test_without_works_or_without_others_nothing_is_known():
    rows = np.ones((3, 4))
    assert not fold_in(rows[:0], rows, 0.1).any()
    assert not fold_in(rows, rows[:0], 0.1).any()


def test_a_model_folds_in_against_all_works_outside_the_profile():
    """The whole way: item vectors of a model, a profile, the optimum over the small catalogue."""
    from galleries import ITEMS, style_gallery

    data, _ = style_gallery()
    model = BPR(factors=3, epochs=2, triples_per_epoch=2000, batch_size=200).fit(data)
    profile = [4, 9, 30]
    got = model.user_vectors(Ragged.from_rows([profile]))[0]
    others = np.setdiff1d(np.arange(ITEMS), profile)
    rows = model.item_vectors.astype(float)
    wanted = minimize(
        objective, np.zeros(3), (rows[profile], rows[others], model.settings.lambda_user), tol=1e-12
    )
    np.testing.assert_allclose(got[:-1], wanted.x, atol=1e-4)
    assert got[-1] == 1
