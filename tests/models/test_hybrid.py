import math

import numpy as np
import polars as pl
import pytest
from galleries import ITEMS, style_gallery

import vasari
from vasari.core.errors import DataError, UsageError
from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.data.interactions import Interactions
from vasari.data.ragged import Ragged
from vasari.features.table import FeatureTable
from vasari.models import Hybrid
from vasari.models.hybrid import combination_loss, fit_weights
from vasari.models.pooling import Pooling
from vasari.models.validation import hold_out

PROFILES = [[0], [1, 2, 3, 30], [70, 4, 18], [5, 6, 7, 8, 9, 60]]
MEDIA = [None, ["oil"], ["oil", "wood"], ["ink", "paper", "wood"], []]


def gallery(seed=0):
    """The style gallery with three visual families and two curated attributes; a work without artist."""
    data, table = style_gallery(seed=seed)
    frame = data.catalogue.frame.with_columns(
        medium=pl.Series([MEDIA[n % 5] for n in range(ITEMS)], dtype=pl.List(pl.String)),
        decade=pl.Series([1900 + n % 3 * 10 if n % 7 else None for n in range(ITEMS)]),
        artist_id=pl.when(pl.col("item_id") == "w003").then(None).otherwise(pl.col("artist_id")),
    )
    rng = np.random.default_rng(seed)
    other = [
        FeatureTable.from_arrays(table.ids, rng.normal(size=(ITEMS, dim)).astype(np.float32), name)
        for name, dim in (("explicit", 3), ("lbp", 5))
    ]
    return Dataset(Catalogue(frame, None), data.interactions, "g"), FeatureTable.join([table, *other])


def slow_likeness(data, table):
    """Every family as a function of two items."""
    frame = data.catalogue.frame
    families = {}
    for name in table.families:
        values = table.family(name).gather(range(ITEMS)).astype(np.float64)
        values = (values - values.mean(0)) / values.std(0)
        values /= np.linalg.norm(values, axis=1, keepdims=True)
        families[name] = lambda i, j, v=values: float(v[i] @ v[j])
    for name, column in {
        "artist": "artist_id",
        "attribute medium": "medium",
        "attribute decade": "decade",
    }.items():
        sets = [
            set() if v is None else set(v) if isinstance(v, list) else {v} for v in frame[column].to_list()
        ]

        def jaccard(i, j, sets=sets):
            union = sets[i] | sets[j]
            return len(sets[i] & sets[j]) / len(union) if union else 0.0

        families[name] = jaccard
    return families


def slow_pool(values, similarity, top):
    values = sorted(values, reverse=True)
    used = {"max": values[:1], "mean": values, "topk": values[:top]}[similarity]
    return sum(used) / len(used)


@pytest.mark.parametrize(("similarity", "top"), [("max", 3), ("mean", 3), ("topk", 2), ("topk", 9)])
def test_scores_equal_the_definition(similarity, top):
    data, table = gallery()
    model = Hybrid(attributes=("medium", "decade"), similarity=similarity, top=top).fit(data, table)
    # The learnt weights may be 0; the sum is to be tested with every family in it.
    model._weights = np.array([0.3, 0.1, 0.05, 0.2, 0.15, 0.2])
    families = slow_likeness(data, table)
    assert list(model.weights) == list(families)
    factors = model._weights / model._scales
    scores = model.score(Ragged.from_rows(PROFILES))
    for row, profile in enumerate(PROFILES):
        for item in range(ITEMS):
            wanted = sum(
                factor * slow_pool([like(item, j) for j in profile], similarity, top)
                for factor, like in zip(factors, families.values(), strict=True)
            )
            assert scores[row, item] == pytest.approx(wanted, rel=1e-3, abs=1e-4)

    profile, items = np.array([1, 30, 50, 3]), np.array([2, 31, 70])
    parts = model.contributions(profile, items)
    assert parts.shape == (3, 4)
    np.testing.assert_allclose(parts.sum(1), model.score(Ragged.from_rows([profile]))[0, items], rtol=1e-4)
    near = model.similar_items("w020", k=3, candidates="all")
    likeness = {
        other: sum(f * like(20, other) for f, like in zip(factors, families.values(), strict=True))
        for other in range(ITEMS)
        if other != 20
    }
    best = sorted(likeness, key=lambda other: -likeness[other])[:3]
    assert near["item_id"].to_list() == [f"w{n:03d}" for n in best]
    np.testing.assert_allclose(near["score"], [likeness[n] for n in best], rtol=1e-3)


def test_the_loss_and_its_gradient_equal_a_sum_over_pairs():
    rng = np.random.default_rng(0)
    differences, weights = rng.normal(size=(30, 4)), rng.uniform(0, 2, 4)

    def slow(weights):
        total = 0.0
        for row in differences:
            margin = sum(w * d for w, d in zip(weights, row, strict=True))
            total -= math.log(1 / (1 + math.exp(-margin)))
        return total / len(differences) + 0.01 * sum(w * w for w in weights)

    loss, gradient = combination_loss(weights, differences, 0.01)
    assert loss == pytest.approx(slow(weights))
    for place in range(4):
        step = np.eye(4)[place] * 1e-6
        assert gradient[place] == pytest.approx(
            (slow(weights + step) - slow(weights - step)) / 2e-6, abs=1e-7
        )


def test_weights_are_the_minimum_among_those_not_below_zero():
    rng = np.random.default_rng(1)
    differences = rng.normal([0.8, 0.3, -0.5, 0.0], 1, (400, 4))
    useful = np.array([True, True, True, False])
    weights = fit_weights(differences, useful, 0.01)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > weights[1] > 0
    assert (weights[2:] == 0).all()  # one that ranks worse than chance, one that may not be used
    best = min(combination_loss(scale * weights, differences, 0.01)[0] for scale in np.linspace(0, 5, 2000))
    for _ in range(300):
        other = np.append(rng.uniform(0, 2, 3), 0.0)
        assert combination_loss(other, differences, 0.01)[0] >= best - 1e-6
    np.testing.assert_allclose(fit_weights(-np.abs(differences), useful, 0.01), [1 / 3, 1 / 3, 1 / 3, 0])


def artist_market(users=40, artists=8, works=10):
    """A checkerboard: each user buys from one artist only, and the pictures say nothing about it."""
    rng = np.random.default_rng(0)
    names = [f"w{n}" for n in range(artists * works)]
    catalogue = pl.DataFrame(
        {
            "item_id": names,
            "artist_id": [f"a{n // works}" for n in range(artists * works)],
            "medium": [["oil", "ink"][n % 2] for n in range(artists * works)],
        }
    )
    rows = [
        (f"u{user}", names[user % artists * works + work], 1_600_000_000 + 86_400 * place)
        for user in range(users)
        for place, work in enumerate(rng.permutation(works)[:4].tolist())
    ]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row").with_columns(
        pl.from_epoch("timestamp", time_unit="s").dt.cast_time_unit("us").dt.replace_time_zone("UTC")
    )
    vectors = rng.normal(size=(len(names), 6)).astype(np.float32)
    data = Dataset(Catalogue(catalogue, None), Interactions(log), "artists")
    return data, FeatureTable.from_arrays(names, vectors, "noise")


def test_where_the_artist_alone_decides_it_has_the_largest_weight():
    data, table = artist_market()
    model = Hybrid(attributes=["medium"]).fit(data, table)
    assert list(model.weights) == ["noise", "artist", "attribute medium"]
    assert model.weights["artist"] > 0.8
    assert sum(model.weights.values()) == pytest.approx(1)
    assert model.history[-1]["weight of artist"] == model.weights["artist"]
    assert model.history[-1]["accuracy"] > 0.95
    best = model.recommend(profile=["w12", "w15"], k=8, candidates="all")
    assert {int(name[1:]) // 10 for name in best["item_id"]} == {1}


def test_weights_are_learnt_from_hidden_works_against_candidates_of_that_moment(monkeypatch):
    data, table = artist_market()
    original, seen = data.catalogue.frame.with_columns(original=pl.lit(True)), []
    data = Dataset(Catalogue(original, None), data.interactions, "originals")
    _, cases = hold_out(data, np.ones(len(data.catalogue), bool), 1.0, 3)
    scores = Hybrid._family_scores

    def watch(self, profile, items):
        seen.append((profile, items))
        return scores(self, profile, items)

    monkeypatch.setattr(Hybrid, "_family_scores", watch)
    Hybrid(negatives=5).fit(data, table, seed=3)
    expected = []
    for case in range(len(cases)):
        sold = data.stock.leaves < cases.times[case]
        taken = {item for item in cases.relevant[case].tolist() if not sold[item]}
        if taken:
            expected.append((set(cases.profiles[case].tolist()), taken, set(np.flatnonzero(sold).tolist())))
    assert 5 < len(seen) == len(expected)
    for (profile, items), (owned, taken, sold) in zip(seen, expected, strict=True):
        assert set(profile.tolist()) == owned
        assert taken <= set(items.tolist())
        assert not set(items.tolist()) & (owned | sold)
        assert 1 <= len(set(items.tolist()) - taken) <= 5 * len(taken)


def test_a_family_that_tells_nothing_apart_has_no_weight():
    data, table = artist_market()
    one = data.catalogue.frame.with_columns(artist_id=pl.lit("the same"))
    weights = Hybrid().fit(Dataset(Catalogue(one, None), data.interactions, "x"), table).weights
    assert weights == {"noise": 1.0, "artist": 0.0}
    bare = Dataset(Catalogue(one.drop("artist_id"), None), data.interactions, "x")
    assert Hybrid().fit(bare, table).weights == {"noise": 1.0}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_equal_weights_where_nobody_can_be_held_out(share):
    data, table = artist_market()
    frame = data.interactions.frame
    single = frame.filter(pl.col("item_id").is_first_distinct()).unique("user_id", keep="first")
    log = single if share else frame
    model = Hybrid(attributes=("medium",), validation_share=share).fit(data.with_interactions(log), table)
    assert list(model.weights.values()) == pytest.approx([1 / 3] * 3)
    assert model.history == []
    assert len(model.recommend(profile=["w3"], k=4)) == 4


def test_saved_with_labels_and_loaded(tmp_path):
    data, table = gallery()
    model = Hybrid(attributes=("medium", "decade"), similarity="topk", top=2).fit(data, table)
    loaded = vasari.load(model.save_pretrained(tmp_path / "m"))
    assert loaded.weights == model.weights
    assert loaded.config() == model.config()
    profiles = Ragged.from_rows(PROFILES)
    np.testing.assert_array_equal(loaded.score(profiles), model.score(profiles))


def test_a_guest_picture_has_a_look_but_no_artist():
    data, table = gallery()
    model = Hybrid(attributes=("medium",)).fit(data, table)
    model._weights = np.array([0.5, 0.2, 0.3, 0.0, 0.0])
    n, guests = len(model.item_ids), table.gather([4, 20])
    inside = model.score(Ragged.from_rows([[4, 20, 33]]))
    outside = model.score(Ragged.from_rows([[n, n + 1, 33]]), guests=guests)
    np.testing.assert_allclose(inside, outside, rtol=1e-4, atol=1e-5)
    model._weights = np.array([0.0, 0.0, 0.0, 0.5, 0.5])
    assert (model.score(Ragged.from_rows([[n, n + 1]]), guests=guests) == 0).all()
    alone = model.score(Ragged.from_rows([[33]]))
    third = model.score(Ragged.from_rows([[n, n + 1, 33]]), guests=guests)
    np.testing.assert_allclose(third, alone / 3, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"similarity": "median"}, "median"),
        ({"top": 0}, "top=0"),
        ({"negatives": 0}, "negatives=0"),
        ({"l2": 0.0}, "l2"),
        ({"validation_share": 1.5}, "validation_share"),
        ({"attributes": ("medium", "medium")}, "twice"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(UsageError, match=words):
        Hybrid(**settings)


def test_an_unknown_attribute_is_named():
    with pytest.raises(DataError, match="'mood'"):
        Hybrid(attributes=("mood",)).fit(*style_gallery())


@pytest.mark.parametrize("similarity", ["max", "mean", "topk"])
def test_how_many_likenesses_are_held_at_once_is_bounded_and_changes_nothing(monkeypatch, similarity):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(40, 30)).astype(np.float32)
    profiles = Ragged.from_rows([rng.permutation(40)[:size] for size in (3, 0, 5, 1, 9, 4)])
    asked = []

    def likeness(members):
        asked.append(len(members))
        return table[members]

    whole = Pooling(similarity, 2).scores(profiles, 30, likeness)
    monkeypatch.setattr("vasari.models.pooling.QUERY_TILE", 30 * 6)
    asked.clear()
    np.testing.assert_array_equal(Pooling(similarity, 2).scores(profiles, 30, likeness), whole)
    assert max(asked) == 9  # the longest profile; all others share rounds of at most six works
    assert sorted(asked)[-2] <= 6
