"""What every protocol promises, and each against a slow version with dictionaries."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vasari.core.errors import DataError, NotFoundError, UsageError
from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.data.disjoint_splits import cold_items, user_disjoint
from vasari.data.interactions import Interactions
from vasari.data.time_splits import global_time, last_share, leave_one_out
from vasari.evaluation import protocols
from vasari.evaluation.evaluate import evaluate
from vasari.evaluation.result import Evaluation
from vasari.metrics import measure, rank_cases
from vasari.sampling import verify_disjoint

ITEMS = [f"a{n}" for n in range(8)]
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
KEY = ["user_id", "item_id", "timestamp"]
NAMES = [
    *(name for name in protocols.PROTOCOLS if name != "evaluation-column"),
    "global-time:share=0.5,cold_users=true",
    "global-time:moment=2024-01-03",
    "leave-one-out:pick=random,seed=3",
    "last-share:share=0.6",
    "cold-items:share=0.5,seed=2",
    "user-disjoint:share=0.7,seed=5",
]
WHOLE = ("last-basket", "leave-one-out", "last-share", "user-disjoint")

rows_of_logs = st.lists(
    st.tuples(st.sampled_from("uvwxyz"), st.sampled_from(ITEMS), st.integers(0, 6)), min_size=2, max_size=40
)


def log_of(rows, **columns):
    schema = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Datetime("us", "UTC")}
    log = pl.DataFrame([(u, i, START + timedelta(days=d)) for u, i, d in rows], schema=schema, orient="row")
    return Dataset(Catalogue(pl.DataFrame({"item_id": ITEMS, **columns})), Interactions(log), "small")


def split_of(data, name):
    if "moment" in name:  # one before everything is refused
        assume((data.interactions.frame["timestamp"] <= START + timedelta(days=2)).any())
    return protocols.split(data, name)


def micros(day):
    return int((START + timedelta(days=day)).timestamp()) * 10**6


# ---------------------------------------------------------------------- all protocols


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(rows=rows_of_logs, original=st.lists(st.booleans(), min_size=8, max_size=8))
def test_nothing_hidden_is_trained_on_or_shown(name, rows, original):
    data = log_of(rows, original=original)
    split = split_of(data, name)
    train, cases = split.train.interactions.frame, split.cases
    assert split.withheld.join(train, on=KEY, how="semi").height == 0
    both = pl.concat([train.select(KEY), split.withheld]).sort(KEY)
    assert both.equals(data.interactions.frame.select(KEY).sort(KEY))
    verify_disjoint(split.train.histories, cases)

    taken, withheld = {}, {}
    for user, item, _ in train.select(KEY).iter_rows():
        taken.setdefault(user, set()).add(item)
    for user, item, when in split.withheld.iter_rows():
        withheld.setdefault(user, []).append((item, int(when.timestamp()) * 10**6))
    for row, user in enumerate(cases.user_ids):
        profile = {ITEMS[i] for i in cases.profiles[row]}
        relevant = {ITEMS[i] for i in cases.relevant[row]}
        free = {ITEMS[i] for i in np.flatnonzero(cases.candidates(row, row + 1)[0])}
        assert relevant
        assert relevant <= {item for item, _ in withheld[user]}
        if name.startswith("user-disjoint"):
            assert user not in taken
            assert profile == {i for i, when in withheld[user] if when < cases.times[row]}
        else:
            assert profile == taken.get(user, set())
            assert relevant == {item for item, _ in withheld[user]}
        assert not profile & free
        if name.startswith(WHOLE):
            assert free == set(ITEMS) - profile
        if name.startswith("cold-items"):
            assert not relevant & profile
            assert relevant <= free
    everyone = data.interactions.frame["user_id"].n_unique()
    hidden_from = len(set(cases.user_ids)) + sum(split.left_out.values())
    assert hidden_from == len(withheld) <= everyone


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(rows=rows_of_logs)
def test_without_repeats_every_answer_can_be_found(name, rows):
    seen = {}
    for user, item, day in rows:
        seen.setdefault((user, item), day)
    split = split_of(log_of([(u, i, d) for (u, i), d in seen.items()]), name)
    cases = split.cases
    masks = cases.candidates(0, len(cases))
    assert masks[cases.relevant.row_of_value, cases.relevant.values].all()
    for row in range(len(cases)):
        assert not set(cases.profiles[row].tolist()) & set(cases.relevant[row].tolist())
    assert split.lost == 0


@pytest.mark.parametrize("name", [*NAMES, *(f"{n}:exclude_profile=false" for n in ("replay", "global-time"))])
def test_the_name_makes_the_same_split_again(data, name):
    first = protocols.split(data, name)
    again = protocols.split(data, first.protocol)
    assert again.protocol == first.protocol
    assert again.train.fingerprint == first.train.fingerprint
    assert again.cases.user_ids == first.cases.user_ids
    assert again.cases.exclude_profile == first.cases.exclude_profile == ("exclude" not in name)
    np.testing.assert_array_equal(again.cases.relevant.values, first.cases.relevant.values)


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_scorer_gets_what_lots_would_give(name, toys):
    """Also where the first items of the catalogue are the popular ones, as in MovieLens."""
    data = popular_first()
    evaluation = evaluate([toys["Constant"]()], data, protocol=name, ks=(5,))
    cases = evaluation["Constant"].per_case
    assert cases.height > 5
    np.testing.assert_allclose(cases["auc"].drop_nulls(), 0.5)
    gains = 1 / np.log2(np.arange(2, 7))
    for case, n, total, ndcg in cases.select("case", "n_relevant", "n_candidates", "ndcg@5").iter_rows():
        free = evaluation.cases.candidates(case, case + 1)[0]
        assert total == free.sum()
        assert n == free[evaluation.cases.relevant[case]].sum()
        # A place holds something relevant with probability n / total.
        expected = n / total * gains[: min(5, total)].sum() / gains[: min(5, n)].sum()
        assert ndcg == pytest.approx(expected)


@pytest.mark.parametrize("name", NAMES)
def test_one_hidden_row_in_training_stops_the_run(name, toys):
    data = popular_first()
    split = protocols.split(data, name)
    model = toys["Toy"]
    evaluate([model()], data, protocol=split)
    for place in (0, split.withheld.height // 2, split.withheld.height - 1):
        row = split.withheld[place].select(split.train.interactions.frame.columns)
        leaky = split.train.with_interactions(pl.concat([split.train.interactions.frame, row]))
        with pytest.raises(DataError, match=row["item_id"].item()):
            evaluate([model()], data, protocol=replace(split, train=leaky))


def popular_first():
    """Popularity falls with the row of the item; nobody takes a work twice."""
    random = np.random.default_rng(1)
    chances = 1 / np.arange(1, 41)
    rows = []
    for user in range(40):
        taken = random.choice(40, random.integers(3, 9), replace=False, p=chances / chances.sum())
        days = np.sort(random.integers(0, 6, len(taken)))
        rows += [
            (f"u{user}", f"a{i}", START + timedelta(days=int(d))) for i, d in zip(taken, days, strict=True)
        ]
    schema = {"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Datetime("us", "UTC")}
    catalogue = pl.DataFrame({"item_id": [f"a{n}" for n in range(40)]})
    log = pl.DataFrame(rows, schema=schema, orient="row")
    return Dataset(Catalogue(catalogue), Interactions(log), "popular first")


# ---------------------------------------------------------------------- each against a slow version


@settings(max_examples=50)
@given(rows=rows_of_logs, share=st.floats(0.05, 0.95), cold=st.booleans())
def test_global_time_cuts_everybody_at_one_moment(rows, share, cold):
    days = sorted(day for _, _, day in rows)
    cut = next(day for day in days if sum(d <= day for d in days) >= share * len(rows) - 1e-9)
    split = split_of(log_of(rows), f"global-time:share={share},cold_users={cold}")
    assert split.train.interactions.frame.height == sum(day <= cut for day in days)
    assert (split.cases.times == micros(cut) + 1).all()
    late = list(dict.fromkeys(u for u, _, d in rows if d > cut))
    known = {u for u, _, d in rows if d <= cut}
    assert set(split.cases.user_ids) == {u for u in late if cold or u in known}
    assert sum(split.left_out.values()) == (0 if cold else len(set(late) - known))


def test_global_time_ranks_the_stock_just_after_the_cut():
    def at(*days):
        return pl.Series([None if d is None else START + timedelta(days=d) for d in days], dtype=time)

    time = pl.Datetime("us", "UTC")
    #            a0    a1    a2    a3    a4    a5    a6    a7
    added = at(None, 1, 2, 3, None, None, None, None)
    removed = at(None, None, None, None, 1, 4, None, None)
    original = [False] * 6 + [True, True]
    rows = [("u", "a0", 0), ("v", "a6", 2), ("u", "a3", 4), ("v", "a7", 5), ("v", "a2", 5), ("w", "a1", 5)]
    data = log_of(rows, added_at=added, removed_at=removed, original=original)
    split = global_time(data, moment=START + timedelta(days=2))
    assert split.cases.user_ids == ["u", "v"]
    free = split.cases.candidates(0, 2)
    assert np.flatnonzero(free[0]).tolist() == [1, 2, 5, 7]  # a0 known, a3 to come, a4 removed, a6 sold
    assert np.flatnonzero(free[1]).tolist() == [0, 1, 2, 5, 7]
    assert split.lost == 1  # a3
    naive = global_time(data, moment=datetime(2024, 1, 3))
    assert naive.train.fingerprint == split.train.fingerprint
    assert list(split.left_out.values()) == [1]  # w


@settings(max_examples=50)
@given(rows=rows_of_logs)
def test_leave_one_out_hides_the_last(rows):
    split = leave_one_out(log_of(rows))
    expected = {}
    for user in dict.fromkeys(u for u, _, _ in rows):
        taken = sorted(((i, d) for u, i, d in rows if u == user), key=lambda pair: pair[1])
        if set(taken) - {taken[-1]}:
            expected[user] = taken[-1][0]
    asked = {
        u: [ITEMS[i] for i in r] for u, r in zip(split.cases.user_ids, split.cases.relevant, strict=True)
    }
    assert asked == {user: [item] for user, item in expected.items()}


def test_leave_one_out_at_random_takes_each_work_alike():
    rows = [("u", "a0", 0), ("u", "a1", 1), ("u", "a1", 2), ("u", "a1", 3), ("u", "a2", 4), ("v", "a0", 1)]
    data = log_of(rows)
    counts = dict.fromkeys(("a0", "a1", "a2"), 0)
    for seed in range(300):
        split = leave_one_out(data, "random", seed)
        assert split.cases.user_ids == ["u"]
        (item,) = split.cases.relevant.values
        assert item not in split.cases.profiles.values
        counts[ITEMS[item]] += 1
    assert min(counts.values()) > 70  # 100 expected, standard deviation 8
    with pytest.raises(UsageError, match="first"):
        leave_one_out(data, "first")


@settings(max_examples=50)
@given(rows=rows_of_logs, share=st.floats(0.05, 0.95))
def test_last_share_counts_per_user(rows, share):
    rows = list({(u, i): (u, i, d) for u, i, d in rows}.values())
    split = last_share(log_of(rows), share)
    asked = dict(zip(split.cases.user_ids, split.cases.relevant, strict=True))
    for user in {u for u, _, _ in rows}:
        taken = sorted(((i, d) for u, i, d in rows if u == user), key=lambda pair: pair[1])
        count = min(max(round(share * len(taken)), 1), len(taken) - 1)
        expected = [item for item, _ in taken[len(taken) - count :]]
        assert [ITEMS[i] for i in asked.get(user, [])] == expected


def test_a_hidden_work_taken_again_is_hidden_again():
    rows = [("u", "a0", 0), ("u", "a2", 1), ("u", "a1", 1), ("u", "a2", 2), ("u", "a2", 2)]
    split = last_share(log_of(rows), 0.6)  # the last three; the a2 of the same day 1 gives the answer away
    assert split.train.interactions.frame["item_id"].to_list() == ["a0"]
    alone = log_of([("u", "a0", 0), ("u", "a0", 0), ("v", "a1", 1)])
    assert len(leave_one_out(alone).cases) == 0
    assert len(leave_one_out(alone).train.interactions) == 3


@settings(max_examples=50)
@given(rows=rows_of_logs, share=st.floats(0.05, 0.95), seed=st.integers(0, 9))
def test_cold_items_are_ranked_among_themselves(rows, share, seed):
    split = cold_items(log_of(rows), share, seed)
    taken = {i for _, i, _ in rows}
    trained = set(split.train.interactions.frame["item_id"])
    cold = taken - trained
    assert len(cold) == min(max(round(share * len(taken)), 1), len(taken))
    for row, user in enumerate(split.cases.user_ids):
        free = {ITEMS[i] for i in np.flatnonzero(split.cases.candidates(row, row + 1)[0])}
        assert free == cold
        assert {ITEMS[i] for i in split.cases.relevant[row]} == {i for u, i, _ in rows if u == user} & cold
        assert {ITEMS[i] for i in split.cases.profiles[row]} == {i for u, i, _ in rows if u == user} - cold
    asked = {u for u, i, _ in rows if i in cold} & {u for u, i, _ in rows if i not in cold}
    assert set(split.cases.user_ids) == asked


@settings(max_examples=50)
@given(rows=rows_of_logs, share=st.floats(0.05, 0.95), seed=st.integers(0, 9))
def test_disjoint_users_are_unknown_to_the_model(rows, share, seed):
    split = user_disjoint(log_of(rows), share, seed)
    days = {u: {d for v, _, d in rows if v == u} for u, _, _ in rows}
    returning = [u for u in days if len(days[u]) >= 2]
    assert len(split.cases) == (min(max(round(share * len(returning)), 1), len(returning)))
    assert not set(split.cases.user_ids) & set(split.train.histories.user_ids)
    for row, user in enumerate(split.cases.user_ids):
        last = max(days[user])
        assert {ITEMS[i] for i in split.cases.relevant[row]} == {
            i for u, i, d in rows if (u, d) == (user, last)
        }


def test_seeds_choose_and_are_kept(data):
    for name in ("cold-items", "user-disjoint", "leave-one-out:pick=random"):
        separator = "," if ":" in name else ":"
        prints = {
            protocols.split(data, f"{name}{separator}seed={seed}").train.fingerprint for seed in (0, 1, 2, 0)
        }
        assert len(prints) == 3


# ---------------------------------------------------------------------- names, counts, sampled candidates


def test_what_cannot_be_split_is_refused(data):
    with pytest.raises(NotFoundError, match="cold-items"):
        protocols.split(data, "cold")
    with pytest.raises(UsageError, match="no setting 'shares'"):
        protocols.split(data, "cold-items:shares=0.2")
    with pytest.raises(UsageError, match="share='many'"):
        protocols.split(data, "cold-items:share=many")
    for name in ("global-time", "last-share", "cold-items", "user-disjoint"):
        with pytest.raises(UsageError, match="between 0 and 1"):
            protocols.split(data, f"{name}:share=1")
    with pytest.raises(DataError, match="nothing to train on"):
        protocols.split(data, "global-time:moment=1999-01-01")
    empty = data.with_interactions(data.interactions.frame.clear())
    with pytest.raises(DataError, match="no interactions"):
        protocols.split(empty, "global-time")
    for name in ("leave-one-out", "last-share", "cold-items", "user-disjoint"):
        assert len(protocols.split(empty, name).cases) == 0


@pytest.mark.parametrize("name", NAMES)
def test_every_user_is_ranked_or_counted(data, toys, name):
    evaluation = evaluate([toys["Toy"]()], data, protocol=name)
    left = evaluation.left_out
    assert min(left.values()) >= 0
    assert sum(left.values()) + evaluation.counts["users_ranked"] == len(data.histories.user_ids)
    assert evaluation.protocol == protocols.split(data, name).protocol


def test_sampled_candidates_say_that_they_are_biased(data, toys, tmp_path):
    full = evaluate([toys["Toy"]()], data, protocol="last-basket", ks=(5,))
    some = evaluate([toys["Toy"]()], data, protocol="last-basket", ks=(5,), sampled_candidates=7)
    assert "biased" in some.protocol
    assert "biased" in some.title
    assert "biased" in some.caption
    assert "biased" not in full.title + full.caption
    masks, whole = some.cases.candidates(0, len(some.cases)), full.cases.candidates(0, len(full.cases))
    assert not (masks & ~whole).any()
    for row, case, n, total in (
        some["Toy"].per_case.select(pl.int_range(pl.len()), "case", "n_relevant", "n_candidates").iter_rows()
    ):
        assert total == n + 7
        assert masks[case, full.cases.relevant[case]].sum() == n == full["Toy"].per_case["n_relevant"][row]
    ranks = rank_cases(lambda p, u: np.tile(some["Toy"].model.counts, (len(p), 1)), some.cases)
    np.testing.assert_allclose(measure(ranks, (5,))["ndcg@5"], some["Toy"].per_case["ndcg@5"])

    again = evaluate([toys["Toy"]()], data, protocol="last-basket", ks=(5,), sampled_candidates=7)
    other = evaluate([toys["Toy"]()], data, protocol="last-basket", ks=(5,), sampled_candidates=7, seed=1)
    np.testing.assert_array_equal(again.cases.shortlist.values, some.cases.shortlist.values)
    assert other.cases.shortlist.values.tolist() != some.cases.shortlist.values.tolist()
    some.save(tmp_path)
    loaded = Evaluation.load(tmp_path)
    np.testing.assert_array_equal(loaded.cases.candidates(0, len(masks)), masks)
    assert "biased" in loaded.caption

    many = evaluate([toys["Toy"]()], data, protocol="last-basket", ks=(5,), sampled_candidates=1000)
    assert many["Toy"].per_case["ndcg@5"].equals(full["Toy"].per_case["ndcg@5"])
    with pytest.raises(UsageError, match="sampled_candidates=0"):
        evaluate([toys["Toy"]()], data, sampled_candidates=0)
    with pytest.raises(UsageError, match="legacy"):
        evaluate([toys["Toy"]()], data, legacy=True, sampled_candidates=7)


def test_a_finished_result_is_not_taken_for_another_sample(data, toys, tmp_path):
    def run(count):
        return evaluate(
            [toys["Toy"]()], data, protocol="last-basket", sampled_candidates=count, out=tmp_path
        ).results[0]

    assert run(5).per_case["n_candidates"].max() < run(9).per_case["n_candidates"].min()
