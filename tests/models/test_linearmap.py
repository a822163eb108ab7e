import numpy as np
import polars as pl
import pytest
from galleries import DIM, ITEMS, style_gallery, style_of

import vasari
from vasari.core.errors import DataError, UsageError
from vasari.data.ragged import Ragged
from vasari.models import LinearMap
from vasari.models.bank import FeatureBank
from vasari.models.linearmap import PENALTIES, alternate, least_squares, ridge

ALPHA, PENALTY = 3.0, 0.7


def random_log(rng, users, works):
    rows = [rng.permutation(works)[: rng.integers(1, works)] for _ in range(users)]
    taken = np.zeros((users, works))
    for user, row in enumerate(rows):
        taken[user, row] = 1
    return Ragged.from_rows(rows), taken


def loss(users, items, taken):
    """The objective of Hu et al. 2008, cell by cell."""
    confidence = 1 + ALPHA * taken
    error = (confidence * (taken - users @ items.T) ** 2).sum()
    return error + PENALTY * ((users**2).sum() + (items**2).sum())


def test_a_row_is_the_weighted_ridge_regression_over_all_cells():
    rng = np.random.default_rng(0)
    log, taken = random_log(rng, 6, 9)
    items = rng.normal(size=(9, 4))
    got = least_squares(log, items, items.T @ items, ALPHA, PENALTY)
    for user in range(6):
        confidence = np.diag(1 + ALPHA * taken[user])
        normal = items.T @ confidence @ items + PENALTY * np.eye(4)
        np.testing.assert_allclose(got[user], np.linalg.inv(normal) @ items.T @ confidence @ taken[user])


def test_alternating_ends_where_no_small_move_is_better():
    rng = np.random.default_rng(1)
    log, taken = random_log(rng, 12, 8)
    first = rng.normal(0, 0.1, (8, 3))
    items = alternate(log, first, ALPHA, PENALTY, 300)
    users = least_squares(log, items, items.T @ items, ALPHA, PENALTY)
    best = loss(users, items, taken)
    worse = least_squares(log, first, first.T @ first, ALPHA, PENALTY)
    assert best < loss(worse, first, taken)
    for _ in range(30):
        step_users, step_items = rng.normal(0, 1e-3, users.shape), rng.normal(0, 1e-3, items.shape)
        assert loss(users + step_users, items, taken) > best
        assert loss(users, items + step_items, taken) > best


@pytest.mark.parametrize("unit_length", [False, True])
def test_every_axis_of_the_factors_is_shrunk_as_suits_it_best(unit_length):
    """GCV from its definition: the hat matrix of the centred regression, written out for every penalty."""
    rng = np.random.default_rng(2)
    features = rng.normal(3, 2, (40, 6)).astype(np.float32)
    items = np.arange(2, 40)
    bank = FeatureBank.fit(features, np.arange(40), "none")
    x = features[items].astype(float)
    if unit_length:
        x /= np.sqrt((x**2).sum(1, keepdims=True))
    read, guessed = x @ rng.normal(size=(2, 6, 1)), rng.normal(size=(2, 38, 1))
    # In either set of factors one axis can be read off the picture and the other hardly; both are turned.
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    near, far = read + 0.3 * guessed, 0.3 * read + 2 * guessed[::-1]
    targets = [np.hstack([a, b]) @ turn + 5 for a, b in zip(near, far, strict=True)]

    centred = x - x.mean(0)
    solves = [np.linalg.inv(centred.T @ centred + mu * np.eye(6)) @ centred.T for mu in PENALTIES]
    hats = [centred @ solve + 1 / len(x) for solve in solves]  # the mean is fitted too
    expected, chosen = [], set()
    for y in targets:
        axes = np.linalg.eigh(np.cov(y.T))[1].T
        w = np.zeros((2, 6))
        for axis in axes:
            along = y @ axis
            errors = [((along - hat @ along) ** 2).sum() / (len(x) - np.trace(hat)) ** 2 for hat in hats]
            best = int(np.argmin(errors))
            chosen.add(best)
            w += np.outer(axis, solves[best] @ (along - along.mean()))
        expected.append(w)
    assert len(chosen) > 1
    weights, intercept = ridge(bank, items, targets, unit_length)
    np.testing.assert_allclose(weights, np.concatenate(expected), rtol=1e-3, atol=1e-5)
    centre = np.concatenate(targets, axis=1).mean(0)
    np.testing.assert_allclose(intercept, centre - np.concatenate(expected) @ x.mean(0), rtol=1e-3)


@pytest.fixture(scope="module")
def gallery():
    data, table = style_gallery()
    kept = data.interactions.frame.filter(~pl.col("item_id").is_in(["w003", "w050"]))
    return data.with_interactions(kept), table


@pytest.fixture(scope="module")
def fitted(gallery):
    return LinearMap(factors=8, regularisation=1.0).fit(*gallery, seed=2)


def test_taken_works_keep_their_factors_and_new_ones_get_the_map(gallery, fitted):
    mapped = LinearMap(factors=8, regularisation=1.0, warm="map").fit(*gallery, seed=2)
    never = fitted.popularity == 0
    assert never[[3, 50]].all()
    np.testing.assert_array_equal(fitted.item_vectors[never], mapped.item_vectors[never])
    assert (np.abs(fitted.item_vectors - mapped.item_vectors).max(1) > 0)[~never].all()
    matrix = gallery[1].matrix
    scaled = (matrix - matrix.mean(0)) / matrix.std(0)
    scaled /= np.sqrt((scaled**2).sum(1, keepdims=True))
    np.testing.assert_allclose(
        mapped.item_vectors, scaled @ mapped.weights.T + mapped.intercept, rtol=1e-4, atol=1e-5
    )
    profile = Ragged.from_rows([[0, 1, 40]])  # profiles are read alike: by factors where there are some
    np.testing.assert_array_equal(fitted.user_vectors(profile), mapped.user_vectors(profile))


def test_the_score_is_the_mean_over_the_starts(gallery):
    model = LinearMap(factors=4, starts=3, alpha=ALPHA, regularisation=PENALTY).fit(*gallery, seed=1)
    assert model.item_vectors.shape == (ITEMS, 12)
    taken, profile = model.popularity > 0, [0, 1, 40]
    scores = []
    for vectors in np.split(model.item_vectors.astype(float), 3, axis=1):
        normal = vectors[taken].T @ vectors[taken] + PENALTY * np.eye(4)
        for work in profile:
            normal += ALPHA * np.outer(vectors[work], vectors[work])
        person = (1 + ALPHA) * np.linalg.inv(normal) @ vectors[profile].sum(0)
        scores.append(vectors @ person)
    assert np.abs(scores[0] - scores[1]).max() > 1e-3  # the starts end at different places
    got = model.score(Ragged.from_rows([profile]))[0]
    np.testing.assert_allclose(got, np.mean(scores, axis=0), rtol=1e-3, atol=1e-4)


def test_new_works_are_ranked_by_their_looks_for_people_and_strangers(fitted):
    asked = fitted.recommend(users=["u00", "u04"], candidates=["w003", "w050"], k=1)["item_id"].to_list()
    assert asked == ["w003", "w050"]  # styles 0 and 4
    answer = fitted.recommend(profile=["w050"], k=4)["item_id"]  # known by nothing but a new work
    assert {style_of(item) for item in answer} == {4}


def test_pictures_outside_the_catalogue_and_saving(gallery, fitted, tmp_path):
    guest = np.asarray(gallery[1].matrix[50:51], np.float32)
    profiles = Ragged.from_rows([[ITEMS], [50]])
    one, other = fitted.score(profiles, None, guest)
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    for warm in ("factors", "map"):
        model = LinearMap(factors=4, warm=warm).fit(*gallery)
        loaded = vasari.load(model.save_pretrained(tmp_path / warm))
        np.testing.assert_array_equal(loaded.score(profiles, None, guest), model.score(profiles, None, guest))


def test_a_map_needs_two_works_that_were_taken_and_have_a_picture():
    data, table = style_gallery()
    seen = type(table).from_arrays(["w001", "w002"], np.ones((2, DIM), np.float32), source="test")
    log = data.interactions.frame.filter(pl.col("item_id") != "w002")
    with pytest.raises(DataError, match="two"):
        LinearMap().fit(data.with_interactions(log), seen)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"factors": 0}, "factors"),
        ({"starts": 0}, "starts"),
        ({"alpha": 0.0}, "alpha"),
        ({"regularisation": -1.0}, "regularisation"),
        ({"warm": "both"}, "warm"),
        ({"scale": "x"}, "scale"),
    ],
)
def test_settings_out_of_range_are_refused(settings, named):
    with pytest.raises(UsageError, match=named):
        LinearMap(**settings)
