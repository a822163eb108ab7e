"""Tables, comparisons, and results on disk that survive a kill."""

from __future__ import annotations

import shutil

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from vasari.core.errors import CorruptFileError, NotFoundError
from vasari.evaluation import evaluate as module
from vasari.evaluation.evaluate import evaluate
from vasari.evaluation.result import Evaluation


@pytest.fixture
def evaluation(gallery, toys):
    models = {"popular": toys["Toy"](), "unpopular": toys["Toy"](sign=-1), "knowing": toys["Knowing"]()}
    return evaluate(models, gallery(users=60), protocol="last-basket", ks=(5, 20))


def same(a, b):
    assert a.models == b.models
    assert_frame_equal(a.summary(), b.summary())
    for x, y in zip(a.results, b.results, strict=True):
        assert_frame_equal(x.per_case, y.per_case)
        np.testing.assert_array_equal(x.top_items, y.top_items)
        np.testing.assert_array_equal(x.top_scores, y.top_scores)
        assert (x.config, x.refitted, x.key) == (y.config, y.refitted, y.key)


def test_comparisons_are_paired(evaluation):
    found = evaluation.compare("knowing", "popular", "auc")
    a, b = (evaluation[name].per_user()["auc"] for name in ("knowing", "popular"))
    assert found.difference.mean == pytest.approx((a - b).mean())
    assert found.difference.low > 0
    assert found.p_permutation < 0.01
    table = evaluation.compare_with("popular", "auc")
    assert table["model"].to_list() == ["unpopular", "knowing"]
    assert (table["p_holm"] >= table["p_permutation"]).all()
    assert evaluation.compare("popular", "popular", "auc").p_wilcoxon == 1.0


def test_profile_sizes_cover_every_user_once(evaluation):
    table = evaluation.by_profile_size("auc")
    users = evaluation["popular"].per_user()
    mine = table.filter(pl.col("model") == "popular")
    assert mine["n"].sum() == users.height
    ones = users.filter(pl.col("profile_size") == 1)["auc"].mean()
    assert mine.filter(pl.col("profile_size") == "1")["mean"].item() == pytest.approx(ones)
    weighted = (mine["mean"] * mine["n"]).sum() / mine["n"].sum()
    assert weighted == pytest.approx(users["auc"].mean())


def test_users_weigh_the_same_whatever_their_number_of_cases(evaluation):
    result = evaluation["popular"]
    twice = pl.concat([result.per_case, result.per_case.head(1).with_columns(auc=pl.lit(0.0))])
    first = result.per_case["user_id"][0]
    means = module.replace(result, per_case=twice).per_user()
    assert means.height == result.per_user().height
    assert means.filter(pl.col("user_id") == first)["auc"].item() == pytest.approx(
        result.per_case["auc"][0] / 2
    )


def test_the_table_tells_what_one_must_know(evaluation):
    text = str(evaluation)
    for word in ("popular", "knowing", "auc", "Invented users.", "left out", "last-basket"):
        assert word in text


def test_saved_and_loaded_are_the_same(evaluation, tmp_path):
    evaluation.save(tmp_path / "out")
    loaded = Evaluation.load(tmp_path / "out")
    same(evaluation, loaded)
    for name in ("data_name", "simulated", "protocol", "counts", "left_out", "ks", "seed", "fingerprints"):
        assert getattr(loaded, name) == getattr(evaluation, name)
    assert loaded.provenance["vasari"]
    for ours, theirs in ((evaluation.cases.profiles, loaded.cases.profiles),):
        np.testing.assert_array_equal(ours.values, theirs.values)
        np.testing.assert_array_equal(ours.offsets, theirs.offsets)
    assert loaded.cases.item_ids == evaluation.cases.item_ids
    assert loaded["popular"].history == [{"epoch": 1, "loss": None}]  # JSON has no NaN


def test_damage_is_noticed_and_absence_is_said(evaluation, tmp_path):
    with pytest.raises(NotFoundError):
        Evaluation.load(tmp_path)
    evaluation.save(tmp_path)
    (folder,) = (tmp_path / "models").glob("popular-*")
    (folder / "per_case.parquet").write_bytes(b"torn")
    with pytest.raises(CorruptFileError, match="per_case"):
        Evaluation.load(tmp_path)
    evaluation.save(tmp_path)  # puts the damaged one right
    same(evaluation, Evaluation.load(tmp_path))


class Counting:
    """Counts fits over all clones and can die in the middle of one."""

    def __init__(self, base):
        self.fits = 0
        counter = self

        class Model(base):
            def fit(self, data, features=None, **options):
                if self.settings.get("dies"):
                    raise KeyboardInterrupt
                counter.fits += 1
                return super().fit(data, features, **options)

        self.model = Model


def test_what_was_finished_before_a_kill_is_not_done_again(data, toys, tmp_path):
    counting = Counting(toys["Toy"])
    first, second = counting.model(sign=1), counting.model(sign=-1)
    whole = evaluate({"a": first, "b": second}, data, protocol="last-basket")
    assert counting.fits == 2
    with pytest.raises(KeyboardInterrupt):
        evaluate({"a": first, "b": counting.model(dies=True)}, data, protocol="last-basket", out=tmp_path)
    assert counting.fits == 3
    with pytest.raises(NotFoundError):
        Evaluation.load(tmp_path)  # nothing pretends to be finished
    resumed = evaluate({"a": first, "b": second}, data, protocol="last-basket", out=tmp_path)
    assert counting.fits == 4  # only the second one
    assert_frame_equal(resumed.summary(), whole.summary())
    again = evaluate({"a": first, "b": second}, data, protocol="last-basket", out=tmp_path)
    assert counting.fits == 4
    same(again, resumed)
    same(again, Evaluation.load(tmp_path))


@pytest.mark.parametrize("change", ["seed", "ks", "data", "config", "legacy"])
def test_a_result_is_never_used_for_something_else(data, gallery, toys, tmp_path, change):
    counting = Counting(toys["Toy"])
    settings = {"data": data, "protocol": "last-basket", "ks": (5,), "seed": 0, "legacy": False}
    evaluate({"m": counting.model(sign=1)}, out=tmp_path, **settings)
    settings |= {"seed": {"seed": 1}, "ks": {"ks": (6,)}, "data": {"data": gallery(seed=9)}}.get(
        change, {"legacy": change == "legacy"}
    )
    model = counting.model(sign=-1 if change == "config" else 1)
    cached = evaluate({"m": model}, out=tmp_path, **settings)
    assert counting.fits == 2
    same_fresh = evaluate({"m": model}, **settings)
    assert_frame_equal(cached.summary(), same_fresh.summary())


def test_two_fits_of_the_same_settings_are_told_apart(data, toys, tmp_path):
    train = module.protocols.split(data, "last-basket").train
    one, other = toys["Toy"]().fit(train), toys["Toy"]().fit(train)
    other.counts = other.counts[::-1].copy()
    a = evaluate([one], data, protocol="last-basket", out=tmp_path)
    b = evaluate([other], data, protocol="last-basket", out=tmp_path)
    assert a.results[0].key != b.results[0].key
    assert not a.summary().equals(b.summary())


def test_a_torn_result_is_computed_again(data, toys, tmp_path):
    counting = Counting(toys["Toy"])
    first = evaluate([counting.model()], data, protocol="last-basket", out=tmp_path)
    (folder,) = (tmp_path / "models").iterdir()
    shutil.copy(folder / "result.json", folder / "top.npz")
    second = evaluate([counting.model()], data, protocol="last-basket", out=tmp_path)
    assert counting.fits == 2
    same(first, second)
