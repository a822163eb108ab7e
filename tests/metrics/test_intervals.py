"""Bootstrap, paired tests and the correction for several comparisons."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from vasari.core.errors import UsageError
from vasari.metrics import bootstrap, compare, holm, intervals


def test_the_interval_is_that_of_a_mean():
    values = np.random.default_rng(0).normal(3.0, 2.0, 900)
    (interval,) = bootstrap(values)
    error = values.std() / np.sqrt(900)
    assert interval.mean == values.mean()
    assert interval.n == 900
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error * 1.96)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error * 1.96)


def test_coverage_is_about_what_it_says():
    random = np.random.default_rng(1)
    covered = []
    for seed in range(200):
        (interval,) = bootstrap(random.exponential(1.0, 120), seed=seed, resamples=400)
        covered.append(interval.low <= 1.0 <= interval.high)
    assert 0.88 <= np.mean(covered) <= 0.99


def test_same_seed_same_interval_for_any_chunk_size(monkeypatch):
    values = np.random.default_rng(2).random((50, 3))
    whole = bootstrap(values, seed=4, resamples=300)
    assert bootstrap(values, seed=4, resamples=300) == whole
    assert bootstrap(values, seed=5, resamples=300) != whole
    monkeypatch.setattr(intervals, "CHUNK", 50 * 7)
    for small, large in zip(bootstrap(values, seed=4, resamples=300), whole, strict=True):
        assert small.low == pytest.approx(large.low)
        assert small.high == pytest.approx(large.high)


def test_undefined_values_are_left_out_and_counted():
    values = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    known, unknown = bootstrap(values)
    assert (known.mean, known.n) == (2.0, 3)
    assert 1.0 <= known.low <= known.high <= 3.0
    assert unknown.n == 0
    assert np.isnan([unknown.mean, unknown.low, unknown.high]).all()
    assert bootstrap(np.empty((0, 1)))[0].n == 0


def test_permutation_equals_all_sign_patterns():
    difference = np.array([0.3, -0.1, 0.4, 0.0, 0.2, -0.05, 0.6])
    sums = [abs(np.dot(signs, difference)) for signs in itertools.product([-1, 1], repeat=7)]
    exact = np.mean(np.array(sums) >= abs(difference.sum()) - 1e-12)
    result = compare(difference + 1, np.ones(7), seed=3)
    assert result.p_permutation == pytest.approx(exact, abs=0.015)
    assert result.difference.mean == pytest.approx(difference.mean())


def test_a_real_difference_is_found_and_none_is_not_invented():
    random = np.random.default_rng(7)
    base = random.random(300)
    better = compare(base + random.normal(0.05, 0.1, 300), base)
    assert better.difference.low > 0
    assert max(better.p_permutation, better.p_wilcoxon) < 0.01
    same = compare(base, base)
    assert (same.p_permutation, same.p_wilcoxon, same.difference.mean) == (1.0, 1.0, 0.0)


def test_wilcoxon_is_scipys():
    from scipy.stats import wilcoxon

    random = np.random.default_rng(8)
    a, b = random.random(40), random.random(40)
    assert compare(a, b).p_wilcoxon == pytest.approx(wilcoxon(a, b, zero_method="pratt").pvalue)


def test_pairs_must_pair():
    with pytest.raises(UsageError, match="paired"):
        compare([1.0, 2.0], [1.0])
    with pytest.raises(UsageError, match="nothing to compare"):
        compare([np.nan, 1.0], [1.0, np.nan])
    assert compare([np.nan, 1.0, 2.0], [1.0, 1.0, 1.0]).difference.n == 2


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_effect_size_is_the_t_statistic_over_the_root_of_n():
    from scipy.stats import ttest_rel

    random = np.random.default_rng(9)
    a, b = random.random(60), random.random(60)
    found = compare(a, b)
    assert found.effect == pytest.approx(ttest_rel(a, b).statistic / np.sqrt(60), abs=1e-12)
    assert compare(b, a).effect == pytest.approx(-found.effect)


def test_shares_of_users_better_worse_and_tied():
    found = compare([1.0, 1.0, 0.0, 0.5, np.nan], [0.0, 0.5, 1.0, 0.5, 1.0])
    assert (found.better, found.worse, found.tied) == (0.5, 0.25, 0.25)


def test_means_of_the_same_numbers_in_another_order_tie():
    values = np.array([0.1, 0.2, 0.3])
    first = np.repeat(np.add.reduce(values) / 3, 20)
    second = np.repeat(np.add.reduce(values[::-1]) / 3, 20)
    assert (first != second).all()
    found = compare(first, second)
    assert (found.tied, found.p_wilcoxon, found.p_permutation) == (1.0, 1.0, 1.0)


def test_an_effect_without_spread_is_none_or_unknown():
    assert compare([1.0, 2.0], [1.0, 2.0]).effect == 0.0
    assert np.isnan(compare([0.3, 0.4, 0.5], [0.2, 0.3, 0.4]).effect)
    assert np.isnan(compare([1.0], [0.0]).effect)
