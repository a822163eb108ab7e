import numpy as np
import pytest
from galleries import ITEMS, style_gallery

import vasari
from vasari.core.errors import NotFoundError, UsageError
from vasari.data.ragged import Ragged
from vasari.models import EASE, Blend, CuratorNet, LinearMap, VisRank

PARTS = {"VisRank": {"similarity": "max"}, "LinearMap": {"factors": 4}, "EASE": {}}


@pytest.fixture(scope="module")
def gallery():
    return style_gallery(without_picture=["w007"])


@pytest.fixture(scope="module")
def fitted(gallery):
    return Blend(parts=PARTS).fit(*gallery, seed=3)


def standardised(scores):
    """Profile by profile, over the works that have a score."""
    result = np.zeros_like(scores)
    for row, own in enumerate(scores):
        known = np.isfinite(own)
        result[row, known] = (own[known] - own[known].mean()) / own[known].std()
    return result


def test_the_score_is_the_mean_of_standardised_scores(gallery, fitted):
    profiles = Ragged.from_rows([[0, 1, 2, 40], [70, 7], [5]])
    parts = [
        VisRank(similarity="max").fit(*gallery, seed=3),
        LinearMap(factors=4).fit(*gallery, seed=3),
        EASE().fit(*gallery, seed=3),
    ]
    scores = [part.score(profiles) for part in parts]
    for one in scores:
        one[:, 7] = -np.inf  # has no picture: nobody can be asked about it
    wanted = np.mean([standardised(one) for one in scores], axis=0)
    got = fitted.score(profiles)
    assert np.isneginf(got[:, 7]).all()
    seen = np.delete(np.arange(ITEMS), 7)
    # The second profile has a work without picture, which EASE knows and the blend leaves out.
    np.testing.assert_allclose(got[0, seen], wanted[0, seen], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got[2, seen], wanted[2, seen], rtol=1e-4, atol=1e-5)


def test_what_tells_nothing_apart_is_not_heard(gallery):
    data, table = gallery
    alone = Blend(parts={"VisRank": {}}).fit(data, table)
    with_deaf = Blend(parts={"VisRank": {}, "CuratorNet": {"epochs": 1, "triples_per_epoch": 10}})
    with_deaf.fit(data, table)
    # A part whose scores are all the same, but for rounding
    deaf = with_deaf.models["CuratorNet"]
    noise = np.random.default_rng(0).normal(0, 1e-7, ITEMS).astype(np.float32)
    deaf._score = lambda profiles, *_: np.tile(np.float32(5) + noise, (len(profiles), 1))
    profile = Ragged.from_rows([[3, 50]])
    seen = alone.scorable
    one, two = alone.score(profile)[0, seen], with_deaf.score(profile)[0, seen]
    np.testing.assert_allclose(one, 2 * two, rtol=1e-5)


def test_guests_speak_through_the_models_that_look(gallery, fitted):
    guest = np.asarray(gallery[1].gather(np.array([50])), np.float32)
    answer = fitted.score(Ragged.from_rows([[0, ITEMS]]), None, guest)
    alone = fitted.score(Ragged.from_rows([[0]]))
    answer, alone = (one[:, fitted.scorable] for one in (answer, alone))
    assert np.isfinite(answer).all()
    assert np.abs(answer - alone).max() > 0.1


def test_saved_and_loaded_it_answers_alike(gallery, fitted, tmp_path):
    loaded = vasari.load(fitted.save_pretrained(tmp_path / "blend"))
    profiles = Ragged.from_rows([[0, 1], [60, 61, 9], []])
    np.testing.assert_array_equal(loaded.score(profiles), fitted.score(profiles))
    assert set(loaded.models) == set(PARTS)


def test_presets_and_settings_reach_the_parts():
    parts = Blend(parts={"CuratorNet": {"preset": "tuned", "epochs": 3}}).settings.build()
    assert parts["CuratorNet"].config() == CuratorNet.tuned(epochs=3).config()


@pytest.mark.parametrize(
    ("parts", "error", "named"),
    [
        ({}, UsageError, "parts"),
        ({"Blend": {}}, UsageError, "itself"),
        ({"VisRank": {}, "visrank": {}}, UsageError, "twice"),
        ({"NoSuchNet": {}}, NotFoundError, "NoSuchNet"),
        ({"VisRank": {"similarity": "least"}}, UsageError, "least"),
        ({"VisRank": {"preset": "tuned"}}, UsageError, "preset"),
    ],
)
def test_parts_that_cannot_be_are_refused(parts, error, named):
    with pytest.raises(error, match=named):
        Blend(parts=parts)
