"""Recipes: what is read, and that every mistake is named with its place."""

from __future__ import annotations

import pytest

from vasari.core.errors import DataError, NotFoundError, UsageError
from vasari.evaluation.recipe import Range, parse_recipe, read_recipe

WHOLE = """
data: gallery
features: {small: tables/small, large: /elsewhere/large}
protocol: last-basket
validation: replay
seeds: [3, 4]
trials: 7
metric: auc
ks: [5]
models:
  - model: CuratorNet
    preset: tuned
    settings: {epochs: 3}
    grid:
      learning_rate: {low: 1e-4, high: 1e-2, log: true}
      batch_size: {low: 16, high: 64}
      pooling: [[mean], [max], [mean, max]]
    features: large
  - {model: visrank, name: nearest, settings: {similarity: max}}
"""


def read(tmp_path, text):
    file = tmp_path / "recipe.yaml"
    file.write_text(text, encoding="utf-8")
    return read_recipe(file)


def test_a_whole_recipe_is_read_and_its_paths_are_relative_to_it(tmp_path):
    recipe = read(tmp_path, WHOLE)
    recipe.verify()
    assert recipe.data == tmp_path / "gallery"
    assert {name: str(path) for name, path in recipe.tables.items()} == {
        "small": str(tmp_path / "tables/small"),
        "large": "/elsewhere/large",
    }
    first, second = recipe.models
    assert first.grid["learning_rate"] == Range(low=1e-4, high=1e-2, log=True)
    assert isinstance(first.grid["batch_size"].low, int)
    assert first.grid["pooling"] == [["mean"], ["max"], ["mean", "max"]]
    assert (first.title, second.title) == ("CuratorNet", "nearest")
    model = first.build({"pooling": ["max"]})
    assert (model.settings.epochs, model.settings.dropout, model.settings.pooling) == (3, 0.5, ("max",))


def test_entries_may_share_keys(tmp_path):
    text = "data: x\nmodels: [&a {model: VisRank, settings: {top: 2}}, {<<: *a, name: other, model: Random}]"
    first, second = read(tmp_path, text).models
    assert (second.model, second.name, second.settings) == ("Random", "other", first.settings)


def test_what_is_left_out_has_a_default():
    recipe = parse_recipe({"data": "here", "models": [{"model": "VisRank"}]})
    assert (recipe.protocol, recipe.seeds, recipe.metric, recipe.ks) == (
        "replay", [0, 1, 2], "ndcg@20", [20, 100],
    )  # fmt: skip
    assert str(recipe.tables["features"]) == "here/features"
    assert parse_recipe({"data": "here", "models": [{"model": "Popularity"}]}).tables == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data: x\nmodels: [{model: Random}]\nsedes: [1]", ["sedes", "seeds"]),
        ("data: x\nmodels: [{model: Random}, {model: VisRank, gird: {}}]", ["models[1].gird", "grid"]),
        ("data: x\nmodels: [{model: Random, grid: {a: {low: 0, hgih: 1}}}]", ["models[0].grid.a", "high"]),
        ("models: [{model: Random}]", ["data is missing"]),
        ("data: x\nmodels: [{name: only}]", ["models[0].model is missing"]),
        ("data: x\nmodels: []", ["models"]),
        ("data: x\nmodels: [{model: Random}]\nseeds: [1, one]", ["seeds[1]"]),
        ("data: x\nmodels: [{model: Random}]\nseeds: [1, 1]", ["seeds", "twice"]),
        ("data: x\nmodels: [{model: Random}]\ntrials: 0", ["trials"]),
        ("data: x\nmodels: [{model: Random}]\nmetric: ndcg@7", ["ndcg@7", "ndcg@20"]),
        ("data: x\nmodels: [{model: Random}, {model: Random}]", ["'Random'", "name"]),
        ("data: x\nmodels: [{model: Random}]\nreference: Random forest", ["reference", "Random forest"]),
        ("data: x\nmodels: [{model: Random, grid: {a: []}}]", ["models[0].grid.a"]),
        ("data: x\nmodels: [{model: Random, grid: {a: {low: 2, high: 1}}}]", ["low=2", "high=1"]),
        ("data: x\nmodels: [{model: Random, grid: {a: {low: 0, high: 1, log: true}}}]", ["low=0"]),
        ("data: x\ndata: y\nmodels: [{model: Random}]", ["'data'", "twice", "line 2"]),
        ("data: x\nmodels: [{model: Random, grid: {a: {low: 1, high: .inf}}}]", ["grid.a.high:", "finite"]),
        ("data: x\nmodels: [{model: Random}]\nseeds: [99999999999999999999]", ["seeds[0]"]),
        ("data: x\nmodels: [{model: Random}]\nfeatures: {a: 1}", ["features: "]),
        ("data: 2024-13-01\nmodels: [{model: Random}]", ["YAML", "month"]),
        ("data: [x", ["YAML", "line"]),
        ("just words", ["str"]),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path, text, words):
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    for word in ["recipe.yaml", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ({"model": "NoNet"}, NotFoundError, ["models[1]", "NoNet"]),
        ({"model": "VisRank", "settings": {"colour": 1}}, UsageError, ["models[1]", "colour"]),
        ({"model": "VisRank", "grid": {"similarity": ["max", "min"]}}, UsageError, ["models[1]", "min"]),
        ({"model": "VisRank", "grid": {"top": {"low": 0, "high": 3}}}, UsageError, ["models[1]", "top=0"]),
        ({"model": "VisRank", "preset": "paper"}, UsageError, ["models[1]", "CuratorNet"]),
        (
            {"model": "VisRank", "settings": {"top": 2}, "grid": {"top": [1]}},
            UsageError,
            ["models[1]", "top"],
        ),
    ],
)
def test_models_and_settings_are_checked_before_anything_runs(spec, error, words):
    recipe = parse_recipe({"data": "x", "models": [{"model": "Random"}, spec]})
    with pytest.raises(error) as caught:
        recipe.verify()
    for word in words:
        assert word in str(caught.value)


def test_a_recipe_cannot_run_anything(tmp_path):
    with pytest.raises(DataError, match="YAML"):
        read(tmp_path, "data: !!python/object/apply:os.getcwd []\nmodels: [{model: Random}]")
    with pytest.raises(NotFoundError, match="absent"):
        read_recipe(tmp_path / "absent.yaml")
