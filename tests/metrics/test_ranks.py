"""Counting: masks, ties, items that cannot be scored, tiles."""

from __future__ import annotations

import numpy as np
import pytest

from vasari.core.errors import UsageError
from vasari.data.cases import Cases
from vasari.data.ids import Ids
from vasari.data.ragged import Ragged
from vasari.data.stock import Stock
from vasari.metrics import Ranks, rank, rank_cases, ranks


def slow_counts(scores, candidates, relevant):
    rows = []
    for row, items in enumerate(relevant):
        listed = [i for i in range(scores.shape[1]) if candidates[row, i]]
        pairs = sorted(
            (
                sum(scores[row, j] > scores[row, i] for j in listed),
                sum(scores[row, j] == scores[row, i] for j in listed) - 1,
            )
            for i in items
            if i in listed
        )
        if pairs:
            rows.append((row, len(listed), pairs))
    return rows


@pytest.mark.parametrize("n_relevant", [1, 4, 15])  # below and above the change from counting to sorting
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_counts_equal_the_obvious(n_relevant, dtype):
    random = np.random.default_rng(n_relevant)
    scores = random.integers(0, 12, (20, 40)).astype(dtype)
    scores[random.random((20, 40)) < 0.2] = -np.inf
    candidates = random.random((20, 40)) < 0.6
    candidates[3] = False
    relevant = [random.choice(40, n_relevant, replace=False).tolist() for _ in range(20)]
    ranks = rank(scores, candidates, Ragged.from_rows(relevant))
    expected = slow_counts(scores, candidates, relevant)
    assert ranks.cases.tolist() == [row for row, _, _ in expected]
    assert ranks.candidates.tolist() == [n for _, n, _ in expected]
    assert [r.tolist() for r in ranks.better] == [[b for b, _ in pairs] for _, _, pairs in expected]
    assert ranks.tied.tolist() == [t for _, _, pairs in expected for _, t in pairs]
    assert ranks.n_cases == 20
    assert ranks.n_left_out == 20 - len(expected)
    found = dict(zip(ranks.cases.tolist(), ranks.n_relevant.tolist(), strict=True))
    assert ranks.lost.tolist() == [n_relevant - found.get(row, 0) for row in range(20)]


def test_what_cannot_be_scored_stands_last_and_ties():
    scores = np.array([[-np.inf, -5.0, -np.inf, -np.inf]], np.float32)
    ranks = rank(scores, np.ones((1, 4), bool), Ragged.from_rows([[0]]))
    assert ranks.better.values.tolist() == [1]
    assert ranks.tied.tolist() == [2]


def test_a_score_that_is_no_number_is_refused_with_its_place():
    scores = np.zeros((3, 4), np.float32)
    scores[1, 2] = np.nan
    with pytest.raises(UsageError, match="item 2 for case 1"):
        rank(scores, np.ones((3, 4), bool), Ragged.from_rows([[0], [0], [0]]))


def test_shapes_and_repeats_are_refused():
    everything = np.ones((2, 4), bool)
    with pytest.raises(UsageError, match="belong together"):
        rank(np.zeros((2, 5), np.float32), everything, Ragged.from_rows([[0], [1]]))
    with pytest.raises(UsageError, match="belong together"):
        rank(np.zeros((2, 4), np.float32), everything, Ragged.from_rows([[0]]))
    with pytest.raises(UsageError, match="twice"):
        rank(np.zeros((2, 4), np.float32), everything, Ragged.from_rows([[0, 0], [1]]))


def make_cases(n_cases=11, n_items=30, seed=0):
    random = np.random.default_rng(seed)
    stock = Stock(random.integers(0, 5, n_items), random.integers(5, 12, n_items))
    return Cases(
        [f"u{c}" for c in range(n_cases)],
        Ids([f"a{i}" for i in range(n_items)]),
        Ragged.from_rows([random.choice(n_items, 3, replace=False) for _ in range(n_cases)]),
        Ragged.from_rows([random.choice(n_items, 2, replace=False) for _ in range(n_cases)]),
        random.integers(0, 12, n_cases),
        stock,
    )


def test_the_size_of_the_tiles_changes_nothing():
    cases = make_cases()
    table = np.random.default_rng(1).normal(size=(11, 30)).astype(np.float32)

    def score(profiles, users):
        assert len(profiles) == len(users)
        return table[[int(user[1:]) for user in users]]

    whole = rank_cases(score, cases)
    assert isinstance(whole, Ranks)
    for tile in (1, 2, 5, 100):
        parts = rank_cases(score, cases, tile)
        for name in ("cases", "tied", "candidates", "lost"):
            np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
        np.testing.assert_array_equal(whole.better.values, parts.better.values)
        np.testing.assert_array_equal(whole.better.offsets, parts.better.offsets)


@pytest.mark.parametrize(
    ("cached", "held", "sizes"),
    [
        (30 * 5, 30 * 4, [5, 5, 1]),  # a small catalogue: what stays in the cache
        (30, 30 * 4, [4, 4, 3]),  # a large one: several cases for one reading of the vectors
        (30, 30 * 100, [11]),
        (0, 0, [1] * 11),  # one that not even one case of fits
    ],
)
def test_a_large_catalogue_is_not_read_anew_for_every_case(monkeypatch, cached, held, sizes):
    monkeypatch.setattr(ranks, "TILE_SCORES", cached)
    monkeypatch.setattr(ranks, "MOST_SCORES", held)
    asked = []

    def score(profiles, users):
        asked.append(len(users))
        return np.zeros((len(users), 30), dtype=np.float32)

    rank_cases(score, make_cases())
    assert asked == sizes


def test_the_profile_and_what_is_sold_do_not_stand_in_the_way():
    cases = make_cases()
    whole = rank_cases(lambda profiles, users: np.zeros((len(profiles), 30), np.float32), cases)
    for position, case in enumerate(whole.cases.tolist()):
        now = cases.times[case]
        free = {
            item
            for item in range(30)
            if cases.stock.enters[item] <= now <= cases.stock.leaves[item]
            and item not in cases.profiles[case]
        }
        assert whole.candidates[position] == len(free)
        assert whole.n_relevant[position] == len(free & set(cases.relevant[case].tolist()))


def test_no_cases_is_said():
    with pytest.raises(UsageError, match="no ranks"):
        rank_cases(lambda profiles, users: np.zeros((0, 30)), make_cases(n_cases=0))
