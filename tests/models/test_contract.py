"""What every registered model must do, whatever it is."""

import numpy as np
import polars as pl
import pytest
from galleries import ITEMS, style_gallery

import vasari
from vasari.core.errors import DataError, NotFittedError, NotFoundError, UsageError
from vasari.data.ragged import Ragged
from vasari.models import CuratorNet, list_models, model_class

BRIEF = {"epochs": 2, "triples_per_epoch": 2000, "batch_size": 200, "learning_rate": 1e-3}
QUICK = {
    "ACF": BRIEF | {"dim": 16, "attention_dim": 8, "channels": 8},
    "CuratorNet": BRIEF,
    "DVBPR": BRIEF
    | {"triples_per_epoch": 600, "backbone": "test_efficientnet", "image_size": 32, "factors": 8},
    "Vista": BRIEF,
    "YouTubeDNN": BRIEF | {"embedding": 16, "layers": (32, 16), "negatives": 64},
}
NAMES = list_models()
SAVED = [name for name in NAMES if name != "Oracle"]
FEATURES = [name for name in NAMES if model_class(name).needs_features]
VISUAL = FEATURES + [name for name in NAMES if model_class(name).needs_pictures]


def new(name):
    return model_class(name)(**QUICK.get(name, {}))


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    return style_gallery(without_picture=("w005", "w040"), folder=tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def fitted(gallery):
    data, table = gallery
    return {name: new(name).fit(data, table, seed=1) for name in NAMES}


PROFILES = Ragged.from_rows([[0, 1, 2], [13], [30, 31, 32, 33, 34], [50, 2], []])
PEOPLE = ["u00", "u01", "u02", "u03", None]


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_equals_one_by_one_and_order_does_not_matter(fitted, name):
    model = fitted[name]
    together = model.score(PROFILES, PEOPLE)
    assert together.shape == (5, ITEMS)
    assert not np.isnan(together).any()
    alone = [model.score(PROFILES.take([row]), [PEOPLE[row]])[0] for row in range(5)]
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-4, atol=1e-4)
    order = [3, 0, 4, 2, 1]
    shuffled = model.score(PROFILES.take(order), [PEOPLE[row] for row in order])
    np.testing.assert_allclose(together[order], shuffled, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_a_set(fitted, name):
    model = fitted[name]
    once = model.score(Ragged.from_rows([[3, 1, 2]]))
    twice = model.score(Ragged.from_rows([[3, 1, 3, 2, 1, 2, 3, 1, 2]]))
    if name != "Random":
        np.testing.assert_allclose(once, twice, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_model_and_refit_forgets(gallery, fitted, name, tmp_path):
    data, table = gallery
    other = style_gallery(seed=9, folder=tmp_path)
    again = new(name).fit(*other, seed=5).fit(data, table, seed=1)
    np.testing.assert_array_equal(again.score(PROFILES, PEOPLE), fitted[name].score(PROFILES, PEOPLE))
    assert again.trained_on == data.fingerprint


@pytest.mark.parametrize("name", SAVED)
def test_save_and_load_change_nothing(fitted, name, tmp_path):
    model = fitted[name]
    loaded = vasari.load(model.save_pretrained(tmp_path / "model"))
    assert type(loaded) is type(model)
    assert loaded.config() == model.config()
    assert loaded.history == model.history
    np.testing.assert_array_equal(loaded.score(PROFILES, PEOPLE), model.score(PROFILES, PEOPLE))
    users = ["u07", "u00"]
    assert loaded.recommend(users=users, k=7).equals(model.recommend(users=users, k=7))


@pytest.mark.parametrize("name", NAMES)
def test_recommend_returns_a_long_table_of_new_works(gallery, fitted, name):
    data, _ = gallery
    table = fitted[name].recommend(users=["u03", "u01"], k=5)
    assert table.columns == ["user_id", "item_id", "score", "rank"]
    assert table["user_id"].unique(maintain_order=True).to_list() == ["u03", "u01"]
    for user in ("u03", "u01"):
        mine = table.filter(pl.col("user_id") == user)
        assert mine["rank"].to_list() == [1, 2, 3, 4, 5]
        assert mine["score"].is_sorted(descending=True)
        owned = data.interactions.frame.filter(pl.col("user_id") == user)["item_id"]
        assert not set(mine["item_id"]) & set(owned)


@pytest.mark.parametrize("name", NAMES)
def test_filters_and_more_than_there_is(fitted, name):
    model = fitted[name]
    few = model.recommend(profile=["w000"], candidates=["w001", "w002", "w003"], exclude=["w002"], k=50)
    assert sorted(few["item_id"]) == ["w001", "w003"]
    assert "w000" in set(model.recommend(profile=["w000"], k=ITEMS, exclude_profile=False)["item_id"])
    assert len(model.recommend(profile=["w000"], candidates=[], k=3)) == 0
    assert len(model.recommend(users=[], k=3)) == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_profile_and_a_cold_visitor_get_an_answer(fitted, name):
    model = fitted[name]
    assert len(model.recommend(profile=[], k=4)) == 4
    if name in VISUAL:  # nothing of the profile can be seen
        empty, unseen = model.score(Ragged.from_rows([[], [5]]))
        np.testing.assert_array_equal(empty, unseen)


@pytest.mark.parametrize("name", VISUAL)
def test_works_without_a_picture_are_masked(gallery, fitted, name):
    model = fitted[name]
    scores = model.score(PROFILES)
    assert np.isneginf(scores[:, [5, 40]]).all()
    assert np.isfinite(np.delete(scores, [5, 40], axis=1)).all()
    assert not {"w005", "w040"} & set(model.recommend(profile=["w000"], k=ITEMS)["item_id"])
    with pytest.raises(UsageError, match="w005"):
        model.similar_items("w005")


@pytest.mark.parametrize("name", VISUAL)
def test_nearest_neighbours_share_the_style(fitted, name):
    if name in QUICK:
        pytest.skip("two epochs on a toy gallery; its learning is tested apart")
    near = fitted[name].similar_items("w020", k=5)
    assert {int(item[1:]) // 12 for item in near["item_id"]} == {1}
    assert "w020" not in set(near["item_id"])


@pytest.mark.parametrize("name", VISUAL)
def test_contributions_have_a_row_per_work_of_the_profile(fitted, name):
    table = fitted[name].explain(profile=["w000", "w030", "w000"], item="w001")
    assert sorted(table["item_id"]) == ["w000", "w030"]
    assert table["contribution"].is_sorted(descending=True)


@pytest.mark.parametrize("name", FEATURES)
def test_read_only_memory_maps_are_enough_and_inputs_stay_as_they_are(gallery, fitted, name, tmp_path):
    data, table = gallery
    table.save(tmp_path / "features")
    mapped = type(table).load(tmp_path / "features")
    before = data.interactions.frame.clone(), np.array(mapped.matrix)
    model = new(name).fit(data, mapped, seed=1)
    np.testing.assert_allclose(model.score(PROFILES), fitted[name].score(PROFILES), rtol=1e-5, atol=1e-5)
    assert data.interactions.frame.equals(before[0])
    np.testing.assert_array_equal(np.array(mapped.matrix), before[1])


@pytest.mark.parametrize("name", NAMES)
def test_errors_name_what_is_wrong(gallery, fitted, name):
    data, _ = gallery
    model = fitted[name]
    with pytest.raises(NotFittedError):
        new(name).recommend(profile=["w000"])
    with pytest.raises(NotFoundError, match="nobody"):
        model.recommend(users=["nobody"])
    with pytest.raises(NotFoundError, match="w999"):
        model.recommend(profile=["w999"])
    with pytest.raises(UsageError, match="k=0"):
        model.recommend(profile=["w000"], k=0)
    with pytest.raises(UsageError, match="either"):
        model.recommend()
    with pytest.raises(UsageError, match="list"):
        model.recommend(users="u01")
    with pytest.raises(UsageError, match="no setting"):
        type(model)(not_a_setting=1)
    empty = data.with_interactions(data.interactions.frame.clear())
    with pytest.raises(DataError, match="0 users"):
        new(name).fit(empty, gallery[1])


@pytest.mark.parametrize("name", FEATURES)
def test_features_are_asked_for_and_must_belong(gallery, name):
    data, table = gallery
    with pytest.raises(UsageError, match="features"):
        new(name).fit(data)
    foreign = type(table).from_arrays(["x1", "x2"], np.ones((2, table.dim), np.float32), source="test")
    with pytest.raises(DataError, match="another catalogue"):
        new(name).fit(data, foreign)


def test_sold_originals_and_removed_works_are_not_recommended(gallery):
    data, table = gallery
    catalogue = data.catalogue.frame.with_columns(original=pl.lit(True))
    sold = type(data)(type(data.catalogue)(catalogue, None), data.interactions)
    model = model_class("VisRank")().fit(sold, table)
    bought = set(data.interactions.frame["item_id"])
    assert not bought & set(model.recommend(profile=["w000"], k=ITEMS)["item_id"])
    assert bought & set(model.recommend(profile=["w000"], k=ITEMS, candidates="all")["item_id"])


def test_the_registry_finds_models_in_any_case():
    assert model_class("curatornet") is CuratorNet
    assert list_models("visr*") == ["VisRank"]
    with pytest.raises(NotFoundError, match="NoSuchNet"):
        model_class("NoSuchNet")
