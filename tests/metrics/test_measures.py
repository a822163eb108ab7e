"""Every metric against all orders of the ties, one by one, and against scikit-learn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vasari.core.errors import UsageError
from vasari.data.ragged import Ragged
from vasari.metrics import measure, metric_names, rank
from vasari.metrics.measures import first_hit_rank

KS = (1, 2, 3, 5, 50)


def slow_metrics(order, relevant, ks):
    """The textbook, on one list: `order` holds the candidates best first."""
    flags = [item in relevant for item in order]
    n, total = sum(flags), len(flags)
    places = [p for p, flag in enumerate(flags) if flag]
    right = sum(1 for p in places for q in range(total) if not flags[q] and q > p)
    values = {
        "auc": right / (n * (total - n)) if total > n else np.nan,
        "rr": 1 / (places[0] + 1),
        "first": places[0] + 1,
    }
    for k in ks:
        hits = [p for p in places if p < k]
        values[f"precision@{k}"] = len(hits) / k
        values[f"recall@{k}"] = len(hits) / n
        values[f"hit@{k}"] = float(bool(hits))
        ideal = sum(1 / np.log2(p + 2) for p in range(min(k, n)))
        values[f"ndcg@{k}"] = sum(1 / np.log2(p + 2) for p in hits) / ideal
        values[f"map@{k}"] = sum((i + 1) / (p + 1) for i, p in enumerate(hits)) / min(k, n)
    return values


def all_orders(scores, candidates):
    """Every list that sorting could give, ties in any order."""
    groups = [
        [i for i in candidates if scores[i] == value]
        for value in sorted({scores[i] for i in candidates}, reverse=True)
    ]
    for parts in itertools.product(*(itertools.permutations(group) for group in groups)):
        yield list(itertools.chain.from_iterable(parts))


def fast(scores, candidates, relevant, ks=KS):
    ranks = rank(np.array([scores], np.float32), np.array([candidates]), Ragged.from_rows([relevant]))
    return {**measure(ranks, ks), "first": first_hit_rank(ranks)}, ranks


@st.composite
def small_cases(draw):
    n = draw(st.integers(1, 7))
    scores = draw(st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]), min_size=n, max_size=n))
    candidates = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    relevant = draw(st.lists(st.integers(0, n - 1), unique=True))
    return scores, candidates, relevant


@settings(max_examples=150, deadline=None)
@given(small_cases())
def test_every_metric_is_the_mean_over_all_tie_orders(case):
    scores, candidates, relevant = case
    listed = [i for i, c in enumerate(candidates) if c]
    wanted = {i for i in relevant if candidates[i]}
    values, ranks = fast(scores, candidates, relevant)
    assert ranks.lost.tolist() == [len(relevant) - len(wanted)]
    if not wanted:
        assert len(ranks) == 0
        assert ranks.n_left_out == 1
        assert all(len(v) == 0 for v in values.values())
        return
    expected = [slow_metrics(order, wanted, KS) for order in all_orders(scores, listed)]
    for name, got in values.items():
        np.testing.assert_allclose(got, [np.mean([e[name] for e in expected])], atol=1e-12, err_msg=name)


@pytest.mark.parametrize("n_relevant", [1, 3, 20])
def test_vectorised_equals_slow_on_many_cases(n_relevant):
    random = np.random.default_rng(n_relevant)
    scores = random.normal(size=(40, 60)).astype(np.float32)
    candidates = random.random((40, 60)) < 0.8
    relevant = Ragged.from_rows([random.choice(60, n_relevant, replace=False) for _ in range(40)])
    ranks = rank(scores, candidates, relevant)
    values = measure(ranks, (5, 20))
    for position, case in enumerate(ranks.cases.tolist()):
        listed = np.flatnonzero(candidates[case])
        order = listed[np.argsort(-scores[case, listed])].tolist()
        expected = slow_metrics(order, set(relevant[case].tolist()) & set(order), (5, 20))
        for name, got in values.items():
            assert got[position] == pytest.approx(expected[name]), name


@pytest.mark.parametrize("levels", [3, 10**6])
def test_agrees_with_scikit_learn(levels):
    from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

    random = np.random.default_rng(levels)
    scores = random.integers(0, levels, (25, 200)).astype(np.float32)
    relevant = [random.choice(200, random.integers(1, 30), replace=False) for _ in range(25)]
    truth = np.zeros((25, 200))
    for row, items in enumerate(relevant):
        truth[row, items] = 1
    values = measure(rank(scores, np.ones((25, 200), bool), Ragged.from_rows(relevant)), (10, 200))
    for row in range(25):
        assert values["auc"][row] == pytest.approx(roc_auc_score(truth[row], scores[row]))
        for k in (10, 200):  # scikit-learn averages the gain over ties as well
            wanted = ndcg_score(truth[row : row + 1], scores[row : row + 1], k=k)
            assert values[f"ndcg@{k}"][row] == pytest.approx(wanted)
        if levels > 200:  # its average precision puts ties on one threshold instead of averaging
            assert values["map@200"][row] == pytest.approx(average_precision_score(truth[row], scores[row]))


def test_agrees_with_ranx():
    ranx = pytest.importorskip("ranx", reason="ranx is not installed; pip install ranx to compare with it")
    random = np.random.default_rng(5)
    scores = random.permuted(np.tile(np.arange(80.0), (12, 1)), axis=1).astype(np.float32)
    relevant = [random.choice(80, random.integers(1, 12), replace=False) for _ in range(12)]
    truth = {str(u): {str(i): 1 for i in items.tolist()} for u, items in enumerate(relevant)}
    run = {str(u): {str(i): float(s) for i, s in enumerate(row)} for u, row in enumerate(scores.tolist())}
    values = measure(rank(scores, np.ones(scores.shape, bool), Ragged.from_rows(relevant)), (20,))
    theirs = ranx.evaluate(
        ranx.Qrels(truth), ranx.Run(run), ["mrr", "precision@20", "recall@20", "hit_rate@20", "ndcg@20"]
    )
    for mine, name in [("rr", "mrr"), ("hit@20", "hit_rate@20")] + [
        (m, m) for m in ("precision@20", "recall@20", "ndcg@20")
    ]:
        assert values[mine].mean() == pytest.approx(theirs[name]), name


def test_a_constant_scorer_gets_what_lots_would_give():
    relevant = Ragged.from_rows([[0], [1], [2]])  # the first rows: an argsort would call this excellent
    ranks = rank(np.zeros((3, 1000), np.float32), np.ones((3, 1000), bool), relevant)
    values = measure(ranks, (20,))
    np.testing.assert_allclose(values["auc"], 0.5)
    np.testing.assert_allclose(values["recall@20"], 0.02)
    np.testing.assert_allclose(values["hit@20"], 0.02)
    np.testing.assert_allclose(values["ndcg@20"], (1 / np.log2(np.arange(2, 22))).sum() / 1000)
    np.testing.assert_allclose(values["rr"], (1 / np.arange(1, 1001)).sum() / 1000)
    np.testing.assert_allclose(first_hit_rank(ranks), 500.5)


def test_random_scores_are_worth_one_half():
    random = np.random.default_rng(3)
    scores = random.random((2000, 90)).astype(np.float32)
    relevant = Ragged.from_rows(random.integers(0, 90, (2000, 1)))
    candidates = random.random((2000, 90)) < 0.7
    values = measure(rank(scores, candidates, relevant), (9,))
    assert values["auc"].mean() == pytest.approx(0.5, abs=0.02)
    assert values["recall@9"].mean() == pytest.approx(9 / 63, abs=0.02)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_only_the_order_of_the_scores_counts(seed):
    random = np.random.default_rng(seed)
    scores = random.integers(-3, 4, (5, 30)).astype(np.float32)
    candidates = random.random((5, 30)) < 0.8
    relevant = [random.choice(30, 4, replace=False) for _ in range(5)]
    before = measure(rank(scores, candidates, Ragged.from_rows(relevant)), (5,))
    after = measure(rank(np.exp(scores) * 7 - 2, candidates, Ragged.from_rows(relevant)), (5,))
    shuffle = random.permutation(30)
    back = np.argsort(shuffle)
    moved = measure(
        rank(scores[:, shuffle], candidates[:, shuffle], Ragged.from_rows([back[r] for r in relevant])), (5,)
    )
    for name in metric_names((5,)):
        np.testing.assert_array_equal(before[name], after[name])
        np.testing.assert_array_equal(before[name], moved[name])


def test_a_large_tie_group_does_not_lose_precision():
    n, m = 200_000, 40
    scores = np.zeros((1, n), np.float32)
    values = measure(rank(scores, np.ones((1, n), bool), Ragged.from_rows([range(m)])), (20,))
    assert values["hit@20"][0] == pytest.approx(
        1 - np.prod([(n - 20 - i) / (n - i) for i in range(m)]), rel=1e-6
    )
    assert values["recall@20"][0] == pytest.approx(20 / n)
    assert values["auc"][0] == pytest.approx(0.5)


def test_ideal_gain_uses_the_smaller_of_k_and_relevant():
    """The reference's ideal, from the hits found, gives 1 and .431 here."""
    scores = -np.arange(6000, dtype=np.float32)[None]
    everything = np.ones((1, 6000), bool)
    two = measure(rank(scores, everything, Ragged.from_rows([[0, 5000]])), (20,))
    five = measure(rank(scores, everything, Ragged.from_rows([[3, 100, 200, 300, 400]])), (20,))
    assert two["ndcg@20"][0] == pytest.approx(0.613, abs=5e-4)
    assert five["ndcg@20"][0] == pytest.approx(0.146, abs=5e-4)


def test_all_candidates_relevant_leaves_auc_undefined():
    values = measure(
        rank(np.zeros((1, 2), np.float32), np.ones((1, 2), bool), Ragged.from_rows([[0, 1]])), (1,)
    )
    assert np.isnan(values["auc"][0])
    assert values["ndcg@1"][0] == 1


@pytest.mark.parametrize("k", [0, -3])
def test_a_list_must_have_a_length(k):
    ranks = rank(np.zeros((1, 2), np.float32), np.ones((1, 2), bool), Ragged.from_rows([[0]]))
    with pytest.raises(UsageError, match="at least 1"):
        measure(ranks, (k,))
