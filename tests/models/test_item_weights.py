"""ItemKNN and EASE against slow versions with dictionaries and solved equations."""

import math

import numpy as np
import polars as pl
import pytest
from galleries import style_gallery

import vasari
from vasari.core.errors import DataError, UsageError
from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.data.interactions import Interactions
from vasari.data.ragged import Ragged
from vasari.models import EASE, ItemKNN, VisRank, itemknn

ITEMS, USERS = 14, 25
NEVER = (0, 6, 13)  # nobody takes these


def log_of(pairs, items=ITEMS):
    """Turn (user, item) pairs into a dataset; each interaction has its own time."""
    log = pl.DataFrame(
        [(f"u{u}", f"w{i}", 1_600_000_000 + n) for n, (u, i) in enumerate(pairs)],
        schema=["user_id", "item_id", "timestamp"],
        orient="row",
    ).with_columns(pl.from_epoch("timestamp").dt.cast_time_unit("us").dt.replace_time_zone("UTC"))
    catalogue = Catalogue(pl.DataFrame({"item_id": [f"w{n}" for n in range(items)]}))
    return Dataset(catalogue, Interactions(log), "pairs")


def random_pairs(seed):
    rng = np.random.default_rng(seed)
    sold = [i for i in range(ITEMS) if i not in NEVER]
    pairs = [(u, int(i)) for u in range(USERS) for i in rng.choice(sold, rng.integers(1, 6), replace=False)]
    return pairs + pairs[:5]  # some take a work twice


def takers(pairs):
    return {i: {u for u, j in pairs if j == i} for i in range(ITEMS)}


PROFILES = [[1, 2], [3], [0], [0, 4, 13, 5, 7], [8, 9, 10, 11, 12]]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shrinkage", [0.0, 2.5])
def test_itemknn_is_the_sum_of_shrunk_cosines(seed, shrinkage, monkeypatch):
    pairs = random_pairs(seed)
    who = takers(pairs)
    monkeypatch.setattr(itemknn, "BLOCK", 30)  # several blocks
    model = ItemKNN(neighbours=ITEMS, shrinkage=shrinkage).fit(log_of(pairs))

    def similar(j, i):
        if i == j or not who[i] or not who[j]:
            return 0.0
        return len(who[i] & who[j]) / (math.sqrt(len(who[i]) * len(who[j])) + shrinkage)

    expected = [[sum(similar(j, i) for j in profile) for i in range(ITEMS)] for profile in PROFILES]
    np.testing.assert_allclose(model.score(Ragged.from_rows(PROFILES)), expected, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_itemknn_keeps_the_nearest_of_every_work_of_the_profile(seed, monkeypatch):
    data = log_of(random_pairs(seed))
    every = ItemKNN(neighbours=ITEMS).fit(data).score(Ragged.from_rows([[j] for j in range(ITEMS)]))
    monkeypatch.setattr(itemknn, "BLOCK", 30)
    few = ItemKNN(neighbours=3).fit(data).score(Ragged.from_rows([[j] for j in range(ITEMS)]))
    for all_of_j, kept_of_j in zip(every, few, strict=True):
        kept = np.flatnonzero(kept_of_j)
        assert len(kept) == min(3, np.count_nonzero(all_of_j))
        np.testing.assert_array_equal(kept_of_j[kept], all_of_j[kept])
        np.testing.assert_array_equal(np.sort(kept_of_j[kept])[::-1], np.sort(all_of_j)[::-1][: len(kept)])


def test_ties_at_the_last_neighbour_are_broken_by_lot_not_by_order():
    pairs = [(n, item) for n, other in enumerate(range(1, 9)) for item in (0, other)]  # all alike to w0
    data = log_of(pairs)
    found = [ItemKNN(neighbours=2).fit(data, seed=s).score(Ragged.from_rows([[0]]))[0] for s in range(40)]
    counts = np.count_nonzero(found, axis=0)
    assert counts.sum() == 80
    assert counts[1:9].min() >= 2
    assert counts[1:9].max() <= 24


@pytest.mark.parametrize("seed", range(3))
def test_ease_solves_the_constrained_least_squares(seed):
    """Each column of B by its own ridge regression on all other columns of X."""
    pairs, l2 = random_pairs(seed), 3.0
    users = sorted({u for u, _ in pairs})
    x = np.array([[float(u in takers(pairs)[i]) for i in range(ITEMS)] for u in users])
    weights = np.zeros((ITEMS, ITEMS))
    for i in range(ITEMS):
        rest = [j for j in range(ITEMS) if j != i]
        left = x[:, rest].T @ x[:, rest] + l2 * np.eye(ITEMS - 1)
        weights[rest, i] = np.linalg.solve(left, x[:, rest].T @ x[:, i])
    model = EASE(l2=l2).fit(log_of(pairs))
    expected = [weights[profile].sum(axis=0) for profile in PROFILES]
    np.testing.assert_allclose(model.score(Ragged.from_rows(PROFILES)), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model", [ItemKNN(neighbours=4), EASE(l2=5)], ids=["ItemKNN", "EASE"])
def test_the_parts_of_the_contract_that_are_theirs(model, tmp_path):
    model = model.clone().fit(log_of(random_pairs(0)))
    scores = model.score(Ragged.from_rows(PROFILES))
    assert (scores[:, NEVER] == 0).all()
    assert (scores[2] == 0).all()  # a profile of which nothing is known
    if model.name == "ItemKNN":
        assert scores.min() == 0

    everything = np.arange(ITEMS)
    for profile, row in zip(PROFILES, scores, strict=True):
        terms = model.contributions(np.array(profile), everything)
        assert terms.shape == (ITEMS, len(profile))
        np.testing.assert_allclose(terms.sum(axis=1), row, rtol=1e-5, atol=1e-6)
        for place, work in enumerate(profile):
            np.testing.assert_allclose(terms[:, place], model.score(Ragged.from_rows([[work]]))[0], atol=1e-6)

    near = model.similar_items("w3", k=ITEMS)
    alone = dict(zip(map(str, everything), model.score(Ragged.from_rows([[3]]))[0], strict=True))
    assert near["item_id"].to_list() != []
    assert "w3" not in set(near["item_id"])
    for item, score in near.select("item_id", "score").iter_rows():
        assert score == pytest.approx(alone[item[1:]])
    with pytest.raises(UsageError, match="'w6'"):
        model.similar_items("w6")

    loaded = vasari.load(model.save_pretrained(tmp_path / "model"))
    np.testing.assert_array_equal(
        loaded.contributions(np.array([1, 2, 6]), everything),
        model.contributions(np.array([1, 2, 6]), everything),
    )
    smaller = log_of([(0, 1), (0, 2), (1, 2), (1, 3)])
    again = model.fit(smaller).score(Ragged.from_rows(PROFILES))
    np.testing.assert_array_equal(again, model.clone().fit(smaller).score(Ragged.from_rows(PROFILES)))


@pytest.mark.parametrize("name", ["ItemKNN", "EASE"])
def test_they_recommend_works_of_the_collectors_style(name):
    data, _ = style_gallery()
    model = vasari.models.model_class(name)().fit(data)
    assert set(model.recommend(profile=["w013", "w014"], k=5)["item_id"]) <= {f"w0{n}" for n in range(12, 24)}


def test_they_answer_unknown_users_and_know_nothing_of_new_works():
    data, table = style_gallery()
    models = [ItemKNN(), EASE(), VisRank()]
    cold = vasari.evaluate(models, data, table, protocol="cold-items", ks=(5,))
    for name in ("ItemKNN", "EASE"):
        np.testing.assert_allclose(cold[name].per_case["auc"].drop_nulls(), 0.5)
    assert cold["VisRank"].per_case["auc"].mean() > 0.95
    strangers = vasari.evaluate(models, data, table, protocol="user-disjoint", ks=(5,))
    for name in ("ItemKNN", "EASE"):
        assert strangers[name].per_case["auc"].mean() > 0.9


def test_settings_and_logs_out_of_range_are_refused():
    for settings in ({"neighbours": 0}, {"shrinkage": -1.0}):
        with pytest.raises(UsageError, match=next(iter(settings))):
            ItemKNN(**settings)
    for settings in ({"l2": 0.0}, {"max_items": 0}):
        with pytest.raises(UsageError, match=next(iter(settings))):
            EASE(**settings)
    data = log_of(random_pairs(0))
    assert EASE(max_items=ITEMS - len(NEVER)).fit(data).fitted  # works that nobody took do not count
    with pytest.raises(DataError, match=r"11 x 11 .* Use ItemKNN.*max_items=11"):
        EASE(max_items=ITEMS - len(NEVER) - 1).fit(data)
