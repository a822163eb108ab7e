"""evaluate(): the whole way against a slow version, refits, ids, leaks, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from vasari.core.errors import DataError, NotFoundError, UsageError
from vasari.data.ids import Ids
from vasari.evaluation import protocols
from vasari.evaluation.evaluate import evaluate
from vasari.evaluation.scoring import answerable
from vasari.metrics import rank_cases


def test_means_equal_a_loop_over_users(data, toys):
    evaluation = evaluate([toys["Toy"](), toys["Constant"]()], data, protocol="last-basket", ks=(5,))
    split = protocols.split(data, "last-basket")
    model = toys["Toy"]().fit(split.train)
    cases, recalls, aucs = split.cases, {}, {}
    for row, user in enumerate(cases.user_ids):
        free = cases.candidates(row, row + 1)[0]
        wanted = [i for i in cases.relevant[row] if free[i]]
        others = [i for i in range(40) if free[i] and i not in wanted]
        if not wanted:
            continue
        counts = model.counts
        aucs[user] = np.mean(
            [(counts[i] > counts[j]) + 0.5 * (counts[i] == counts[j]) for i in wanted for j in others]
        )
        above = [sum(counts[j] > counts[i] for j in range(40) if free[j]) for i in wanted]
        level = [sum(counts[j] == counts[i] for j in range(40) if free[j]) for i in wanted]
        recalls[user] = np.mean([min(max(5 - a, 0), g) / g for a, g in zip(above, level, strict=True)])
    users = evaluation["Toy"].per_user()
    assert users["user_id"].to_list() == list(aucs)
    np.testing.assert_allclose(users["auc"], list(aucs.values()))
    np.testing.assert_allclose(users["recall@5"], list(recalls.values()))
    summary = evaluation.summary()
    assert summary.height == 2 * len(evaluation.metrics)
    row = summary.row(by_predicate=(pl.col("model") == "Toy") & (pl.col("metric") == "auc"), named=True)
    assert row["mean"] == pytest.approx(np.mean(list(aucs.values())))
    assert row["low"] < row["mean"] < row["high"]
    assert row["n"] == len(aucs) == evaluation.counts["users_ranked"]
    constant = summary.filter((summary["model"] == "Constant") & (summary["metric"] == "auc"))
    assert constant["mean"].item() == pytest.approx(0.5)


def test_who_is_left_out_is_counted(data, toys):
    evaluation = evaluate([toys["Toy"]()], data, protocol="last-basket")
    users = data.interactions.frame["user_id"].n_unique()
    assert sum(evaluation.left_out.values()) + evaluation.counts["users_ranked"] == users
    assert evaluation.counts["users_asked"] == users - 1  # the last one has a single basket
    lost = rank_cases(lambda p, u: np.zeros((len(p), 40), np.float32), evaluation.cases).lost
    assert evaluation.counts["relevant_lost"] == lost.sum()


@pytest.mark.parametrize("seed", range(4))
def test_answerable_is_what_the_masks_say(gallery, seed):
    cases = protocols.split(gallery(seed=seed, originals=True), "replay").cases
    masks = cases.candidates(0, len(cases))
    expected = masks[cases.relevant.row_of_value, cases.relevant.values]
    np.testing.assert_array_equal(answerable(cases), expected)


def test_a_model_fitted_on_the_training_part_is_used_as_it_is(data, toys):
    split = protocols.split(data, "last-basket")
    ready = toys["Toy"]().fit(split.train)
    leaky = toys["Constant"]().fit(data)
    evaluation = evaluate({"ready": ready, "leaky": leaky}, data, protocol="last-basket")
    assert not evaluation["ready"].refitted
    assert evaluation["ready"].model is ready
    assert ready.fits == 1
    assert evaluation["leaky"].refitted
    assert evaluation["leaky"].model is not leaky
    assert leaky.trained_on == data.fingerprint


def test_a_model_with_another_order_of_items_is_matched_by_ids(data, toys):
    split = protocols.split(data, "last-basket")
    order = np.random.default_rng(0).permutation(40)[:35]

    class Shuffled(toys["Toy"]):
        def fit(self, data, features=None, **options):
            super().fit(data, features, **options)
            self.item_ids = Ids(data.catalogue.ids.take(order))
            self.counts = self.counts[order]
            return self

        def score(self, profiles, user_ids=None):
            assert all((row >= 0).all() and (row < 35).all() for row in profiles)
            return super().score(profiles, user_ids)

    straight = evaluate([toys["Toy"]()], data, protocol=split).results[0]
    shuffled = evaluate([Shuffled()], data, protocol=split).results[0]
    known = set(order.tolist())
    for case in range(len(split.cases)):
        counts = toys["Toy"]().fit(split.train).counts
        listed = shuffled.top_items[case][shuffled.top_items[case] >= 0]
        expected = [i for i in straight.top_items[case].tolist() if i in known]
        assert listed.tolist() == expected
        np.testing.assert_array_equal(shuffled.top_scores[case][: len(listed)], counts[listed])
    assert (shuffled.per_case["n_candidates"] == straight.per_case["n_candidates"]).all()


def test_top_lists_hold_candidates_only_in_order_of_score(data, toys):
    result = evaluate([toys["Toy"]()], data, protocol="last-basket", ks=(3, 10)).results[0]
    cases = protocols.split(data, "last-basket").cases
    assert result.top_items.shape == (len(cases), 10)
    assert (np.diff(result.top_scores, axis=1) <= 0).all()
    free = cases.candidates(0, len(cases))
    assert all(free[row, item] for row, items in enumerate(result.top_items) for item in items)


def test_an_oracle_is_told_and_is_perfect(data, toys):
    evaluation = evaluate([toys["Knowing"]()], data, protocol="last-basket", ks=(20,))
    users = evaluation["Knowing"].per_user()
    for metric in ("auc", "rr", "ndcg@20", "recall@20", "map@20", "hit@20"):
        np.testing.assert_allclose(users[metric], 1.0, err_msg=metric)


def test_a_leak_is_refused(data, toys):
    split = protocols.split(data, "last-basket")
    with pytest.raises(DataError, match="hidden interaction"):
        evaluate([toys["Toy"]()], data, protocol=replace(split, train=data))


def test_a_split_of_another_catalogue_is_refused(data, gallery, toys):
    split = protocols.split(data, "last-basket")
    other = protocols.split(gallery(items=39), "last-basket")
    with pytest.raises(DataError, match="another catalogue"):
        evaluate([toys["Toy"]()], data, protocol=replace(split, train=other.train))


def test_scores_that_are_no_numbers_are_refused(data, toys):
    class Broken(toys["Toy"]):
        def score(self, profiles, user_ids=None):
            return np.full((len(profiles), len(self.item_ids)), np.nan, np.float32)

    with pytest.raises(UsageError, match="not a number"):
        evaluate([Broken()], data, protocol="last-basket")


def test_models_are_told_apart_by_their_settings(data, toys):
    toy = toys["Toy"]
    evaluation = evaluate([toy(sign=1), toy(sign=-1), toys["Constant"]()], data, protocol="last-basket")
    assert evaluation.models == ["Toy (sign=1)", "Toy (sign=-1)", "Constant"]
    with pytest.raises(UsageError, match="mapping"):
        evaluate([toy(), toy()], data, protocol="last-basket")
    with pytest.raises(UsageError, match="no models"):
        evaluate([], data)


def test_unknown_names_and_empty_lists_are_refused(data, toys):
    with pytest.raises(NotFoundError, match="last-basket"):
        evaluate([toys["Toy"]()], data, protocol="guess")
    with pytest.raises(UsageError, match="at least 1"):
        evaluate([toys["Toy"]()], data, ks=(0,))
    evaluation = evaluate([toys["Toy"]()], data, protocol="last-basket", ks=(5,))
    with pytest.raises(NotFoundError, match="ndcg@20"):
        evaluation.compare("Toy", "Toy", "ndcg@20")
    with pytest.raises(NotFoundError, match="Nobody"):
        evaluation["Nobody"]


def test_legacy_says_so_and_changes_only_the_flawed_metrics(data, toys):
    right = evaluate([toys["Toy"]()], data, protocol="last-basket", ks=(5,))
    flawed = evaluate([toys["Toy"]()], data, protocol="last-basket", ks=(5,), legacy=True)
    assert "errors" in flawed.title
    assert "errors" not in right.title
    ours, theirs = right["Toy"].per_case, flawed["Toy"].per_case
    assert (theirs["auc"] > ours["auc"]).any()
    assert (theirs["recall@5"] == ours["recall@5"]).all()


def test_scores_that_are_no_numbers_are_blamed_on_their_model(data, toys):
    class Broken(toys["Toy"]):
        def score(self, profiles, user_ids=None):
            return np.full((len(profiles), len(self.item_ids)), np.nan, np.float32)

    with pytest.raises(UsageError, match="second: the score"):
        evaluate({"first": toys["Toy"](), "second": Broken()}, data, protocol="last-basket")


def test_users_without_a_profile_have_a_class_of_their_own(data, toys):
    strangers = protocols.split(data, "global-time:share=0.1,cold_users=true")
    evaluation = evaluate([toys["Toy"]()], data, protocol=strangers, ks=(5,))
    table = evaluation.by_profile_size("rr")
    sizes = evaluation["Toy"].per_user()["profile_size"]
    assert table["profile_size"][0] == "0"
    assert table["n"][0] == (sizes == 0).sum() > 0
    assert table["n"].sum() == evaluation.counts["users_ranked"]
