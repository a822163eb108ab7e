"""What lists are like, against loops over lists, pairs and artists."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.evaluation import beyond, protocols
from vasari.evaluation.evaluate import evaluate
from vasari.evaluation.result import Evaluation
from vasari.features.table import FeatureTable
from vasari.models.bank import FeatureBank


@pytest.fixture
def lists():
    """Some full, one short, one of a single work, one empty."""
    random = np.random.default_rng(0)
    found = np.stack([random.permutation(30)[:6] for _ in range(12)])
    found[3, 4:], found[7, 1:], found[9] = -1, -1, -1
    return found


def rows_of(lists):
    return [[item for item in row if item >= 0] for row in lists.tolist()]


def test_diversity_is_the_mean_over_pairs(lists, monkeypatch):
    random = np.random.default_rng(1)
    rows = random.permutation(30)
    rows[[4, 11]] = -1  # no picture
    matrix = (random.normal(size=(30, 7)) * random.uniform(0.1, 20, 7) + 3).astype(np.float32)
    bank = FeatureBank.fit(matrix, rows, "zscore")
    there = matrix[rows[rows >= 0]].astype(np.float64)
    scaled = (matrix - there.mean(0)) / there.std(0)
    expected = []
    for shown in rows_of(lists):
        pairs = list(combinations([scaled[rows[i]] for i in shown if rows[i] >= 0], 2))
        cosines = [a @ b / math.sqrt(a @ a) / math.sqrt(b @ b) for a, b in pairs]
        expected.append(np.mean([1 - c for c in cosines]) if pairs else np.nan)
    np.testing.assert_allclose(beyond.diversity(lists, bank), expected, rtol=1e-5)
    monkeypatch.setattr(beyond, "TILE", 1)
    np.testing.assert_allclose(beyond.diversity(lists, bank), expected, rtol=1e-5)


def test_equal_pictures_have_no_diversity():
    bank = FeatureBank(
        np.tile([[1.0, 2.0]], (4, 1)).astype(np.float32), np.arange(4), np.zeros(2), np.ones(2)
    )
    assert beyond.diversity(np.array([[0, 1, 2]]), bank)[0] == pytest.approx(0, abs=1e-9)


def test_novelty_and_originals_are_means_over_the_list(lists):
    counts = np.random.default_rng(2).integers(0, 9, 30)
    flags = counts % 2 == 0
    bits = [[-math.log2((counts[i] + 1) / 10) for i in shown] for shown in rows_of(lists)]
    expected = [sum(row) / len(row) if row else math.nan for row in bits]
    np.testing.assert_allclose(beyond.novelty(lists, counts, 9), expected, rtol=1e-9)
    shares = [sum(flags[i] for i in row) / len(row) if row else math.nan for row in rows_of(lists)]
    np.testing.assert_allclose(beyond.mean_of(lists, flags), shares, rtol=1e-9)


def test_coverage_and_exposure_count_what_is_shown(lists):
    artists = np.array([n % 7 - 1 for n in range(30)])
    possible = np.ones(30, dtype=bool)
    shown = [item for row in rows_of(lists) for item in row]
    assert beyond.coverage(lists, possible) == len(set(shown)) / 30
    expected = [sum(artists[i] == a for i in shown) for a in range(6)]
    assert beyond.exposure(lists, artists, possible).tolist() == expected
    some = artists != 2  # an artist without a work in stock has no share to get
    assert len(beyond.exposure(lists[:0], artists, some)) == 5


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12))
def test_gini_is_the_mean_difference_over_twice_the_mean(values):
    found = beyond.gini(values)
    if not sum(values):
        assert math.isnan(found)
        return
    n = len(values)
    differences = sum(abs(a - b) for a in values for b in values) / n**2
    assert found == pytest.approx(differences / (2 * sum(values) / n), abs=1e-9)
    assert beyond.gini([10 * value for value in values]) == pytest.approx(found, abs=1e-9)


def test_gini_of_one_taker_and_of_equals():
    assert beyond.gini([0, 0, 5, 0]) == 0.75
    assert beyond.gini([3, 3, 3]) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("protocol", ["replay", "last-basket"])
def test_reachable_is_the_union_of_the_stocks(gallery, protocol):
    cases = protocols.split(gallery(originals=True), protocol).cases
    assert (beyond.reachable(cases) == cases.stock.at(cases.times).any(axis=0)).all()


def test_an_evaluation_tells_what_its_lists_are_like(gallery, toys, tmp_path):
    data = gallery(originals=True)
    frame = data.catalogue.frame.with_columns(artist_id=pl.Series([f"p{n % 5}" for n in range(40)]))
    data = Dataset(Catalogue(frame), data.interactions, "toy")
    features = FeatureTable.from_arrays(
        data.catalogue.ids, np.random.default_rng(0).normal(size=(40, 5)), "test"
    )
    models = {"first": toys["Toy"](), "second": toys["Toy"](sign=-1)}
    evaluation = evaluate(models, data, features, "last-basket", ks=(3, 8), out=tmp_path)
    split = protocols.split(data, "last-basket")
    result = evaluation["second"]
    lists = result.top_items[result.per_case["case"].to_numpy(), :3]
    takers = [len({u for u, row in enumerate(split.train.histories.items) if i in row}) for i in range(40)]
    bits = -np.log2((np.array(takers) + 1) / (len(split.train.histories.user_ids) + 1))
    np.testing.assert_allclose(result.per_case["novelty@3"], bits[lists].mean(1), rtol=1e-9)
    np.testing.assert_allclose(result.per_case["originals@3"], (lists % 2 == 0).mean(1), rtol=1e-9)
    assert result.overall["coverage@3"] == len(np.unique(lists)) / 40
    places = np.bincount(lists.reshape(-1) % 5, minlength=5)
    assert result.overall["artist_gini@3"] == pytest.approx(beyond.gini(places))
    table = evaluation.beyond()
    assert set(table["measure"]) == {f"{n}@3" for n in (*beyond.PER_LIST, *beyond.OVERALL)}
    assert table.equals(Evaluation.load(tmp_path).beyond())
    assert not set(table["measure"]) & set(evaluation.metrics)


def test_without_pictures_artists_or_originals_only_the_rest_is_measured(data, toys):
    evaluation = evaluate([toys["Toy"]()], data, protocol="last-basket", ks=(5,))
    assert evaluation.beyond()["measure"].to_list() == ["novelty@5", "coverage@5"]


def test_each_model_may_have_its_own_table_and_all_rank_the_same_works(data, toys):
    random = np.random.default_rng(3)
    ids, seen = data.catalogue.ids, {}

    class Watching(toys["Toy"]):
        def fit(self, data, features=None, **options):
            seen[self.settings["name"]] = features
            return super().fit(data, features, **options)

    small = FeatureTable.from_arrays(ids.take(np.arange(35)), random.normal(size=(35, 4)), "small")
    large = FeatureTable.from_arrays(ids.take(np.arange(2, 40)), random.normal(size=(38, 6)), "large")
    models = {"a": Watching(name="a"), "b": Watching(name="b"), "c": Watching(name="c")}
    evaluation = evaluate(models, data, {"a": small, "b": large}, "last-basket", ks=(5,))
    assert (seen["a"], seen["b"], seen["c"]) == (small, large, None)
    assert evaluation.counts["items_without_picture"] == 7
    for result in evaluation.results:
        assert set(result.top_items.reshape(-1).tolist()) <= set(range(2, 35))
    assert list(evaluation.fingerprints["features"]) == ["a", "b"]


def test_lists_are_compared_in_one_and_the_same_space(data, toys):
    random = np.random.default_rng(4)
    tables = {
        name: FeatureTable.from_arrays(data.catalogue.ids, random.normal(size=(40, 3)), name) for name in "ab"
    }
    models = {"a": toys["Toy"](), "b": toys["Toy"]()}
    evaluation = evaluate(models, data, tables, "last-basket", ks=(5,))
    first, second = (evaluation[name].per_case["diversity@5"] for name in "ab")
    assert first.equals(second)
    alone = evaluate([toys["Toy"]()], data, tables["a"], "last-basket", ks=(5,)).results[0]
    assert alone.per_case["diversity@5"].equals(first)
    assert replace(alone, name="x").per_user()["diversity@5"].mean() == pytest.approx(first.mean())
