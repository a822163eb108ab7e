import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_data import day, make_dataset

from vasari.core.errors import DataError
from vasari.data.cases import hidden_cases, last_baskets
from vasari.data.histories import Histories
from vasari.data.ragged import Ragged
from vasari.data.splits import evaluation_column, last_basket, replay

ITEMS = [f"i{n}" for n in range(6)]
logs = st.lists(
    st.tuples(st.sampled_from("uvwx"), st.sampled_from(ITEMS), st.integers(0, 5)), min_size=1, max_size=30
)
originals = st.lists(st.booleans(), min_size=6, max_size=6)


def by_user(rows):
    users = {}
    for user, item, when in rows:
        users.setdefault(user, []).append((when, item))
    return {user: sorted(taken, key=lambda pair: pair[0]) for user, taken in users.items()}


@given(logs)
def test_histories_agree_with_dictionaries(rows):
    histories = make_dataset(rows, ITEMS).histories
    slow = by_user(rows)
    assert list(histories.user_ids) == list(slow)
    for user, taken in enumerate(slow.values()):
        assert [ITEMS[i] for i in histories.items[user]] == [item for _, item in taken]
        days = sorted({when for when, _ in taken})
        place = slice(*histories.items.offsets[user : user + 2])
        assert histories.baskets[place].tolist() == [days.index(when) for when, _ in taken]
        assert histories.basket_counts[user] == len(days)


@given(logs, st.data())
def test_histories_where_is_building_anew(rows, data):
    histories = make_dataset(rows, ITEMS).histories
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    left = histories.where(keep)
    expected = {}
    for flag, user, item, when in zip(
        keep, histories.users, histories.items.values, histories.times, strict=True
    ):
        if flag:
            expected.setdefault(histories.user_ids[user], []).append((item, when))
    assert list(left.user_ids) == list(expected)
    assert list(zip(left.items.values, left.times, strict=True)) == [
        p for taken in expected.values() for p in taken
    ]
    counts = [len({when for _, when in taken}) for taken in expected.values()]
    assert left.basket_counts.tolist() == counts


@given(logs)
def test_last_basket_agrees_with_dictionaries(rows):
    data = make_dataset(rows, ITEMS)
    split = last_basket(data)
    cases = split.cases
    expected = {}
    for user, taken in by_user(rows).items():
        last = max(when for when, _ in taken)
        before = [item for when, item in taken if when < last]
        if before:
            expected[user] = (before, list(dict.fromkeys(i for when, i in taken if when == last)), last)
    assert list(cases.user_ids) == list(expected)
    for row, (before, hidden, last) in enumerate(expected.values()):
        assert [ITEMS[i] for i in cases.profiles[row]] == before
        assert [ITEMS[i] for i in cases.relevant[row]] == hidden
        assert cases.times[row] == int(day(last).timestamp()) * 10**6
    trained = split.train.interactions.frame
    hidden_rows = [(u, i, w) for u, i, w in rows if u in expected and w == expected[u][2]]
    assert trained.height + len(hidden_rows) == len(rows)
    assert [(u, i, day(w)) for u, i, w in rows if (u, i, w) not in hidden_rows] == trained.select(
        "user_id", "item_id", "timestamp"
    ).rows()


@given(logs, originals, st.booleans())
def test_replay_ranks_what_was_to_be_had(rows, original, exclude):
    data = make_dataset(rows, ITEMS, original=original)
    split = replay(data, exclude_profile=exclude)
    cases = split.cases
    sold = {}
    for _, item, when in rows:
        sold[item] = min(when, sold.get(item, when))
    lost = 0
    for row in range(len(cases)):
        when = (cases.times[row] // 10**6 - int(day(0).timestamp())) // 86400
        there = {
            number
            for number, item in enumerate(ITEMS)
            if not (original[number] and sold.get(item, 99) < when)
            and not (exclude and number in cases.profiles[row])
        }
        assert set(np.flatnonzero(cases.candidates(row, row + 1)[0])) == there
        lost += len(set(cases.relevant[row].tolist()) - there)
    assert split.lost == lost


@given(logs, st.data())
def test_evaluation_column_hides_what_is_flagged(rows, data):
    rows = list(dict.fromkeys(rows))
    flags = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    dataset = make_dataset(rows, ITEMS)
    dataset = dataset.with_interactions(dataset.interactions.frame.with_columns(evaluation=pl.Series(flags)))
    if not any(flags):
        with pytest.raises(DataError, match="flags no row"):
            evaluation_column(dataset)
        return
    split = evaluation_column(dataset)
    asked = dict(zip(split.cases.user_ids, split.cases.relevant, strict=True))
    for user in {row[0] for row in rows}:
        wanted = {item for (u, item, _), flag in zip(rows, flags, strict=True) if u == user and flag}
        assert {ITEMS[i] for i in asked.get(user, [])} == wanted
    assert split.train.interactions.frame.height == len(rows) - sum(flags)
    assert not split.train.interactions.frame["evaluation"].any()
    assert split.cases.candidates(0, len(split.cases)).shape == (len(asked), len(ITEMS))


def test_evaluation_column_must_be_there_and_whole():
    data = make_dataset([("u", "i0", 1), ("u", "i1", 2)], ITEMS)
    with pytest.raises(DataError, match="no column 'evaluation'"):
        evaluation_column(data)
    twice = make_dataset([("u", "i0", 1), ("u", "i1", 2), ("u", "i1", 2)], ITEMS)
    frame = twice.interactions.frame.with_columns(evaluation=pl.Series([False, False, True]))
    with pytest.raises(DataError, match="'i1' of user 'u'"):
        evaluation_column(twice.with_interactions(frame))


def test_no_user_with_two_baskets_gives_no_case():
    split = replay(make_dataset([("u", "i0", 1), ("v", "i1", 2)], ITEMS))
    assert len(split.cases) == 0
    assert split.lost == 0
    assert len(split.train.interactions) == 2


def test_last_baskets_among_some_users():
    rows = [("u", "i0", 1), ("u", "i1", 2), ("v", "i0", 1), ("v", "i1", 2)]
    histories = make_dataset(rows, ITEMS).histories
    assert last_baskets(histories, among=[1]).tolist() == [False, False, False, True]
    assert not last_baskets(histories, among=[]).any()
    cases = hidden_cases(histories, last_baskets(histories), make_dataset(rows, ITEMS).stock)
    assert cases.take([1]).user_ids == ["v"]


rows_of_numbers = st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=6)


@given(rows_of_numbers, st.data())
def test_ragged_is_a_list_of_lists(rows, data):
    ragged = Ragged.from_rows(rows)
    assert [row.tolist() for row in ragged] == rows
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    assert ragged.row_of_value.tolist() == [n for n, row in enumerate(rows) for _ in row]
    keep = data.draw(st.lists(st.booleans(), min_size=len(ragged.values), max_size=len(ragged.values)))
    flags = iter(keep)
    filtered = [[value for value in row if next(flags)] for row in rows]
    assert [r.tolist() for r in ragged.where(np.array(keep, dtype=bool))] == filtered
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    assert [r.tolist() for r in ragged.slice(start, stop)] == rows[start:stop]
    if rows:
        taken = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=5))
        assert [r.tolist() for r in ragged.take(taken)] == [rows[n] for n in taken]
    most = data.draw(st.integers(0, 10))
    tiles = list(ragged.tiles(most))
    assert [n for start, stop in tiles for n in range(start, stop)] == list(range(len(rows)))
    for start, stop in tiles:
        held = [len(row) for row in rows[start:stop]]
        assert sum(held) <= most or sum(length > 0 for length in held) == 1


def test_histories_of_nothing():
    data = make_dataset([], ITEMS)
    assert len(Histories.from_frame(data.interactions.frame, data.catalogue.ids).items) == 0
    assert data.histories.basket_counts.tolist() == []
    assert len(last_basket(data).cases) == 0
