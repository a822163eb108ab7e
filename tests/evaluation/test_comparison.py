"""compare(): tuning that never sees the test, pooling over seeds, tables against slow versions, resuming."""

from __future__ import annotations

import json

import competitors
import numpy as np
import polars as pl
import pytest
from scipy.stats import binom, wilcoxon

from vasari.core.errors import CorruptFileError, DataError, NotFoundError, UsageError
from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.evaluation import compare as module
from vasari.evaluation import per_user, protocols, tuning
from vasari.evaluation.comparison import ModelComparison
from vasari.evaluation.recipe import ModelSpec, Plan
from vasari.evaluation.result import Evaluation
from vasari.models import registry

NOISE = {"low": 0.01, "high": 10.0, "log": True}


@pytest.fixture(autouse=True)
def noisy(monkeypatch):
    """Noisy is known by name, and what it is fitted on is recorded."""
    monkeypatch.setitem(registry._MODELS, "Noisy", competitors.Noisy)
    competitors.FITTED_ON.clear()
    return competitors.FITTED_ON


@pytest.fixture
def plan():
    return Plan(
        models=[
            ModelSpec(model="Noisy", name="tuned", grid={"noise": NOISE}),
            ModelSpec(model="Noisy", name="backwards", settings={"sign": -1}, grid={"noise": [0.1, 0.2]}),
            ModelSpec(model="Random"),
            ModelSpec(model="Oracle"),
        ],
        protocol="last-basket",
        seeds=[0, 5],
        trials=4,
        metric="auc",
        ks=[5],
    )


def users_of(found, model, metric):
    """The mean over seeds of every user's value, by loops."""
    rows = found.users.filter(pl.col("model") == model)
    values = {}
    for row in rows.iter_rows(named=True):
        values.setdefault(row["user_id"], []).append(row[metric])
    return {user: None if None in seen else sum(seen) / len(seen) for user, seen in values.items()}


def test_every_number_of_the_tables_can_be_computed_from_the_users(data, plan):
    found = module.run(plan, data, {})
    assert found.models == ["tuned", "backwards", "Random", "Oracle"]
    assert found.bounds == {"Oracle"}
    means = {name: np.mean(list(users_of(found, name, "auc").values())) for name in found.models[:-1]}
    assert found.order("auc") == sorted(means, key=means.get, reverse=True)
    assert found.best == max(means, key=means.get)
    for row in found.summary().iter_rows(named=True):
        values = [v for v in users_of(found, row["model"], row["metric"]).values() if v is not None]
        assert row["mean"] == pytest.approx(sum(values) / len(values), abs=1e-9)
        assert row["n"] == len(values)
        by_seed = [
            np.nanmean(part[row["metric"]].cast(float).to_numpy())
            for part in found.users.filter(pl.col("model") == row["model"]).partition_by("seed")
        ]
        assert row["seed_sd"] == pytest.approx(np.std(by_seed, ddof=1), abs=1e-9)
    best = users_of(found, found.best, "auc")
    tests = found.compare_with()
    assert tests["model"].to_list() == [name for name in found.models[:-1] if name != found.best]
    for row in tests.iter_rows(named=True):
        mine = users_of(found, row["model"], "auc")
        differences = np.array([round(mine[user] - best[user], 12) for user in best])
        assert row["difference"] == pytest.approx(differences.mean(), abs=1e-9)
        assert row["effect"] == pytest.approx(differences.mean() / differences.std(ddof=1), abs=1e-9)
        assert row["worse"] == pytest.approx((differences < 0).mean(), abs=1e-9)
        p = wilcoxon(differences, zero_method="pratt").pvalue
        assert row["p_wilcoxon"] == pytest.approx(p, abs=1e-9)
    smaller, larger = sorted(tests["p_wilcoxon"])
    assert sorted(tests["p_wilcoxon_holm"]) == pytest.approx([min(2 * smaller, 1), max(2 * smaller, larger)])


def test_seeds_are_evaluations_of_their_own(data, plan, tmp_path):
    found = module.run(plan, data, {}, tmp_path)
    for seed in plan.seeds:
        evaluation = Evaluation.load(tmp_path / f"seed-{seed}")
        assert evaluation.seed == seed
        theirs = evaluation["Random"].per_user()["auc"]
        ours = found.users.filter((pl.col("model") == "Random") & (pl.col("seed") == seed))["auc"]
        assert theirs.equals(ours)
        overall = found.competitors[2].overall["coverage@5"]
        assert overall[plan.seeds.index(seed)] == evaluation["Random"].overall["coverage@5"]
    mean = found.beyond().row(
        by_predicate=(pl.col("model") == "Random") & (pl.col("measure") == "coverage@5"), named=True
    )
    assert mean["mean"] == pytest.approx(sum(overall) / 2)


def test_every_model_gets_its_trials_and_the_best_of_them(data, plan):
    found = module.run(plan, data, {})
    tuned, backwards, random, _ = found.competitors
    assert len(tuned.trials) == plan.trials
    assert [trial.settings for trial in backwards.trials] == [{"noise": 0.1}, {"noise": 0.2}]
    assert random.trials == []
    for one in (tuned, backwards):
        chosen = max(one.trials, key=lambda trial: trial.value)
        assert one.config["noise"] == chosen.settings["noise"]
    validation = protocols.split(protocols.split(data, "last-basket").train, "last-basket")
    assert found.counts["validation_cases"] == len(validation.cases)
    from vasari.evaluation.evaluate import evaluate

    again = evaluate(
        [competitors.Noisy(**tuned.trials[1].settings)], validation.train, None, validation, ks=(5,)
    )
    assert tuned.trials[1].value == pytest.approx(again.results[0].per_user()["auc"].mean(), abs=1e-12)


@pytest.mark.parametrize("protocol", ["last-basket", "replay", "cold-items", "last-share"])
def test_tuning_never_sees_what_the_test_asks(gallery, noisy, protocol):
    data = gallery(users=60, originals=True)
    plan = Plan(
        models=[ModelSpec(model="Noisy", grid={"noise": [0.1, 1.0]})],
        protocol=protocol, validation="last-basket", seeds=[0], metric="auc", ks=[5],
    )  # fmt: skip
    module.run(plan, data, {})
    split = protocols.split(data, protocol)
    train = set(split.train.interactions.frame.select("user_id", "item_id", "timestamp").rows())
    whole = set(data.interactions.frame.select("user_id", "item_id", "timestamp").rows())
    assert train < whole
    *tuning_fits, final = noisy
    assert len(tuning_fits) == 2
    for fitted_on in tuning_fits:
        seen = set(fitted_on.interactions.frame.select("user_id", "item_id", "timestamp").rows())
        assert seen < train  # not even all of it: the validation cases are hidden as well
    assert final.fingerprint == split.train.fingerprint


def test_where_nothing_can_be_hidden_again_it_is_said(data):
    frame = data.interactions.frame
    flagged = data.with_interactions(
        frame.with_columns(evaluation=pl.int_range(pl.len()).over("user_id") == 0)
    )
    specs = [ModelSpec(model="Noisy", grid={"noise": [0.1, 1.0]})]
    plan = Plan(models=specs, protocol="evaluation-column", seeds=[0], metric="auc", ks=[5])
    with pytest.raises(DataError, match="validation"):
        module.run(plan, flagged, {})
    found = module.run(plan.model_copy(update={"validation": "last-basket"}), flagged, {})
    assert (found.protocol, found.validation) == ("evaluation-column", "last-basket")


def test_a_larger_grid_without_optuna_is_refused(data, plan, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"vasari\[tune\]"):
        module.run(plan, data, {})


def test_trials_are_the_same_again_and_others_for_another_seed(data, plan):
    split = tuning.validation_split(protocols.split(data, "last-basket").train, "last-basket")
    first = tuning.tune(plan.models[0], plan, split, None)
    assert tuning.tune(plan.models[0], plan, split, None) == first
    other = tuning.tune(plan.models[0], plan.model_copy(update={"seeds": [1]}), split, None)
    assert [t.settings for t in other] != [t.settings for t in first]


def test_grids_of_lists_whole_numbers_and_fractions(data, plan):
    grid = {"words": [["a"], ["b", "c"]], "sign": {"low": 1, "high": 9}, "noise": {"low": 0.0, "high": 1.0}}
    spec = ModelSpec(model="Noisy", grid=grid)
    split = tuning.validation_split(protocols.split(data, "last-basket").train, "last-basket")
    for trial in tuning.tune(spec, plan.model_copy(update={"trials": 12}), split, None):
        assert trial.settings["words"] in grid["words"]
        assert isinstance(trial.settings["sign"], int)
        assert 1 <= trial.settings["sign"] <= 9
        assert 0 <= trial.settings["noise"] <= 1
    grid = {"a": [1, 2], "b": ["x", "y"]}
    points = list(tuning.grid_points(grid))
    assert tuning.grid_size(grid) == len(points)
    assert [tuple(p.values()) for p in points] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


def test_a_grid_too_large_to_list_is_tuned_all_the_same(data, plan):
    grid = {name: list(range(1000)) for name in ("noise", "sign")} | {"words": [["a"]] * 1000}
    split = tuning.validation_split(protocols.split(data, "last-basket").train, "last-basket")
    assert tuning.grid_size(grid) == 1e9
    assert len(tuning.tune(ModelSpec(model="Noisy", grid=grid), plan, split, None)) == plan.trials


@pytest.mark.parametrize("grid", [{}, {"noise": [1.0, 2.0]}])
def test_a_metric_that_nobody_has_is_refused(data, grid):
    specs = [ModelSpec(model="Noisy", grid=grid), ModelSpec(model="Random")]
    plan = Plan(models=specs, protocol="cold-items:share=0.01", seeds=[0], metric="auc", ks=[5])
    with pytest.raises(DataError, match="auc is defined for nobody"):  # the one cold work is right for all
        module.run(plan, data, {})


def test_one_model_under_two_names_is_no_difference(data, tmp_path):
    names = ["модель [max]", "другая [/b]", "n" * 300]
    specs = [ModelSpec(model="Random", name=name) for name in names]
    plan = Plan(models=specs, protocol="last-basket", seeds=[0, 1], metric="auc", ks=[5])
    found = module.run(plan, data, {}, tmp_path)
    assert found.models == names
    assert found.compare_with()["tied"].to_list() == [1.0, 1.0]
    assert found.compare_with()["p_holm"].to_list() == [1.0, 1.0]
    assert Evaluation.load(tmp_path / "seed-0").models == names
    for text in (str(found), str(Evaluation.load(tmp_path / "seed-0"))):
        assert "[max]" in text
        assert "[/b]" in text


def test_a_measure_undefined_for_a_seed_survives_resuming_and_loading(data, tmp_path):
    nameless = pl.Series([None] * 39 + ["p"], dtype=pl.String)  # one artist, whom Noisy never shows
    catalogue = Catalogue(data.catalogue.frame.with_columns(artist_id=nameless), None)
    shop = Dataset(catalogue, data.interactions, "toy")
    specs = [ModelSpec(model="Noisy"), ModelSpec(model="Random")]
    plan = Plan(models=specs, protocol="last-basket", seeds=[0, 1], metric="auc", ks=[1])
    first = module.run(plan, shop, {}, tmp_path)
    rows = {(r["model"], r["measure"]): r["mean"] for r in first.beyond().iter_rows(named=True)}
    assert np.isnan(rows["Noisy", "artist_gini@1"])
    again = module.run(plan, shop, {}, tmp_path)
    assert again.to_json() == ModelComparison.load(tmp_path).to_json() == first.to_json()


@pytest.mark.parametrize("stop", [2, 5, 7, 9])
def test_interrupted_at_any_fit_it_ends_in_the_same_bytes(data, plan, tmp_path, monkeypatch, stop):
    module.run(plan, data, {}, tmp_path / "whole")
    fits = len(competitors.FITTED_ON)
    competitors.FITTED_ON.clear()
    fit = competitors.Noisy._fit

    def killed(self, inputs):
        fit(self, inputs)
        if len(competitors.FITTED_ON) == stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(competitors.Noisy, "_fit", killed)
    with pytest.raises(KeyboardInterrupt):
        module.run(plan, data, {}, tmp_path / "broken")
    assert not (tmp_path / "broken" / "comparison.json").exists()
    monkeypatch.setattr(competitors.Noisy, "_fit", fit)
    module.run(plan, data, {}, tmp_path / "broken")
    assert len(competitors.FITTED_ON) == fits + 1  # only what was interrupted was fitted twice
    for name in ("comparison.json", "users.parquet"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_saved_and_loaded_are_the_same(data, plan, tmp_path):
    found = module.run(plan, data, {}, tmp_path)
    loaded = ModelComparison.load(tmp_path)
    assert loaded.to_json() == found.to_json()
    assert str(loaded) == str(found)
    facts = json.loads((tmp_path / "comparison.json").read_text())
    assert facts["fingerprints"]["data"] == data.fingerprint
    assert facts["seeds"] == [0, 5]
    assert {"vasari", "command", "torch", "optuna"} <= set(facts["provenance"])
    (tmp_path / "users.parquet").write_bytes(b"torn")
    with pytest.raises(CorruptFileError, match="users"):
        ModelComparison.load(tmp_path)


def test_the_table_tells_what_one_must_know(data, plan):
    found = module.run(plan, data, {})
    text = str(found)
    for word in ("tuned", "backwards", "Oracle", "2 seeds", "4 trials", "Holm", "Invented users."):
        assert word in text
    with pytest.raises(NotFoundError, match="nobody"):
        found.compare_with("nobody")
    with pytest.raises(NotFoundError, match="ndcg@20"):
        found.compare_with(metric="ndcg@20")


def test_features_are_asked_for_by_name(data):
    plan = Plan(models=[ModelSpec(model="VisRank", features="deep")], seeds=[0], metric="auc", ks=[5])
    with pytest.raises(NotFoundError, match="deep"):
        module.run(plan, data, {})
    with pytest.raises(UsageError, match="features"):
        module.run(plan.model_copy(update={"models": [ModelSpec(model="VisRank")]}), data, {})


def simulated(random, differences):
    """Users of two models whose values differ as given, on top of how hard each user is."""
    hard = random.beta(1, 3, len(differences))
    frames = {"first": hard + random.normal(0, 0.05, len(hard)), "second": hard + differences}
    return {n: pl.DataFrame({"user_id": np.arange(len(v)).astype(str), "m": v}) for n, v in frames.items()}


def test_no_difference_is_called_one_in_five_of_a_hundred_and_a_real_one_is_found(monkeypatch):
    from vasari.metrics import intervals

    monkeypatch.setattr(intervals, "PERMUTATIONS", 500)
    monkeypatch.setattr(intervals, "RESAMPLES", 200)
    random, repeats, users = np.random.default_rng(11), 400, 60
    called = {"p_holm": 0, "p_wilcoxon_holm": 0, "interval": 0}
    found = dict(called)
    for repeat in range(repeats):
        for counts, shift in ((called, 0.0), (found, 0.05)):
            frames = simulated(random, shift + random.normal(0, 0.05, users))
            row = per_user.compare_with(frames, "second", "m", repeat).row(0, named=True)
            counts["p_holm"] += row["p_holm"] < 0.05
            counts["p_wilcoxon_holm"] += row["p_wilcoxon_holm"] < 0.05
            counts["interval"] += not row["low"] <= 0 <= row["high"]
    low, high = binom.ppf([0.001, 0.999], repeats, 0.05)
    assert low <= called["p_holm"] <= high
    assert low <= called["p_wilcoxon_holm"] <= high
    assert low <= called["interval"] <= binom.ppf(0.999, repeats, 0.07)  # percentile intervals are narrow
    assert min(found.values()) > 0.95 * repeats
