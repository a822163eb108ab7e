"""Batches: reproducible, in proportion, evenly spread, whole."""

from collections import Counter

import numpy as np
import pytest
from gallery_oracle import Gallery, rows
from scipy.stats import chisquare

from vasari.core.errors import DataError, UsageError
from vasari.data.histories import Histories
from vasari.data.ids import Ids
from vasari.sampling import ARTIFICIAL, Rules, Sampler, SamplingContext, stream


def gallery(seed=0, users=25, items=240, artists=12, clusters=10, dim=8) -> Gallery:
    """Artists keep to a few clusters, and collectors to a few artists."""
    rng = np.random.default_rng(seed)
    artist = rng.integers(0, artists, items)
    home = rng.integers(0, clusters, (artists, 3))
    cluster = home[artist, rng.integers(0, 3, items)]
    space = rng.standard_normal((clusters, dim))[cluster] + 0.5 * rng.standard_normal((items, dim))
    space[5], cluster[5] = space[4], cluster[4]
    log = []
    for _ in range(users):
        works = np.flatnonzero(np.isin(artist, rng.integers(0, artists, 2)))
        log.append([rng.choice(works, rng.integers(1, 4)).tolist() for _ in range(rng.integers(1, 6))])
    unknown = np.where(rng.random(items) < 0.1, -1, artist)
    return Gallery(log, unknown.tolist(), cluster.tolist(), space.tolist())


@pytest.fixture(scope="module")
def data() -> Gallery:
    return gallery()


@pytest.fixture(scope="module")
def context(data) -> SamplingContext:
    return data.context()


def same(a, b) -> bool:
    names = ("profile", "positive", "negative", "user", "rule")
    flat = all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)
    return (
        flat and np.array_equal(a.profiles.values, b.profiles.values) and len(a.profiles) == len(b.profiles)
    )


@pytest.mark.parametrize(
    "mixture",
    [
        "guidelines",
        "artists",
        "uniform",
        "tutorial",
        "sequential",
        "sequential-users",
        {"G2": 1, "tutorial": 2, "uniform": 1},
    ],
)
def test_every_triple_of_a_larger_gallery_obeys_its_rule(data, context, mixture):
    sampler = Sampler(context, mixture)
    batch = sampler.batch(3, 0, 0, 600)
    names = {f"G{number}" for number in range(1, 7)} if mixture == "guidelines" else set(sampler.weights)
    for number, triple in zip(batch.rule.tolist(), rows(batch), strict=True):
        possible = [f"G{number}"] if number else sorted(names - {"G2"})
        assert any(data.allowed(name, *triple) for name in possible)
        assert triple[0] == ARTIFICIAL or triple[3] not in data.owned(triple[0])


def test_a_batch_depends_on_its_arguments_only(context):
    sampler = Sampler(context)
    reference = sampler.batch(1, 2, 3, 500)
    sampler.batch(1, 2, 4, 100)
    assert same(reference, Sampler(context).batch(1, 2, 3, 500))
    for other in [(2, 2, 3), (1, 3, 3), (1, 2, 4)]:
        assert not same(reference, sampler.batch(*other, 500))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_workers_and_resuming_change_nothing(context, workers):
    sampler = Sampler(context)
    expected = [sampler.batch(5, 1, index, 200) for index in range(9)]
    assert all(map(same, expected, stream(sampler, 5, 1, 9, 200, workers)))
    resumed = list(stream(sampler, 5, 1, 9, 200, workers, first=6))
    assert len(resumed) == 3
    assert all(map(same, expected[6:], resumed))


def test_a_stream_can_be_left_early(context):
    for index, batch in enumerate(stream(Sampler(context), 0, 0, 10_000, 50, workers=2)):
        assert len(batch) == 50
        if index == 3:
            break


def test_an_error_while_drawing_ahead_reaches_the_caller(context):
    sampler = Sampler(context)
    sampler.batch = lambda *_: (_ for _ in ()).throw(DataError("no"))
    with pytest.raises(DataError):
        list(stream(sampler, 0, 0, 5, 10, workers=2))


@pytest.mark.parametrize("size", [1, 5, 64, 1000])
def test_shares_are_exact_in_every_batch_and_in_expectation(context, size):
    weights = {"G1": 1, "G4": 2, "uniform": 3.5, "G5": 0}
    sampler = Sampler(context, weights)
    assert "G5" not in sampler.weights
    shares = np.array([1, 2, 3.5]) / 6.5 * size
    counts = []
    for index in range(200):
        rule = sampler.batch(0, 0, index, size).rule
        counts.append([(rule == number).sum() for number in (1, 4, 0)])
    counts = np.array(counts)
    assert (counts.sum(axis=1) == size).all()
    assert (np.abs(counts - shares) < 1 + 1e-9).all()
    np.testing.assert_allclose(counts.mean(axis=0), shares, atol=0.15)


@pytest.mark.parametrize("rule", ["G1", "G2", "G3", "G4", "tutorial", "sequential-users"])
def test_eligible_users_are_equally_likely(data, context, rule):
    sampler = Sampler(context, rule)
    users = np.concatenate([sampler.batch(0, 0, index, 10_000).user for index in range(4)])
    counts = np.bincount(users, minlength=len(data.log))
    eligible = [user for user in range(len(data.log)) if counts[user]]
    assert chisquare(counts[eligible]).pvalue > 1e-3


def test_single_items_and_their_seeds_are_equally_likely(data, context):
    drawn = Sampler(context, "G5").batch(0, 0, 0, 100_000).positive
    assert chisquare(np.bincount(drawn, minlength=240)).pvalue > 1e-3
    # Uniform over the other works of the artist: the seed itself never, its neighbours in the list evenly.
    batch = Sampler(context, "G6", rules=Rules(margin=-3)).batch(0, 0, 0, 200_000)
    seeds = batch.profiles.values[batch.profile]
    seed = int(np.bincount(seeds).argmax())
    others = [i for i, artist in enumerate(data.artists) if artist == data.artists[seed] and i != seed]
    drawn = batch.positive[(seeds == seed)]
    assert set(drawn.tolist()) == set(others)


@pytest.mark.parametrize(("fine_grained", "low", "high"), [(0.6, 0.6, 0.6), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)])
def test_fine_grained_share(context, fine_grained, low, high):
    # A coarse draw finds the same cluster once in ten, and refusals shift little here.
    coarse = 1 / len(context.by_cluster)
    for rule in ("G4", "G5"):
        batch = Sampler(context, rule, rules=Rules(fine_grained=fine_grained)).batch(0, 0, 0, 50_000)
        cluster = np.full(240, -1)
        cluster[context.works] = context.cluster
        share = (cluster[batch.positive] == cluster[batch.negative]).mean()
        assert low + (1 - low) * coarse - 0.06 < share < high + (1 - high) * coarse + 0.02


def test_coarse_negatives_draw_the_cluster_first(context):
    batch = Sampler(context, "G5", rules=Rules(fine_grained=0.0)).batch(0, 0, 0, 50_000)
    clusters = np.bincount(context.cluster[batch.negative], minlength=len(context.by_cluster))
    assert clusters.min() / clusters.max() > 0.85  # clusters differ in size by far more


@pytest.mark.parametrize("owned", [1, 20, 238])
def test_uniform_negatives_are_uniform(owned):
    items = 240
    log = [[list(range(owned))], [[7]]]
    data = Gallery(
        log, [-1] * items, [0] * items, np.random.default_rng(0).standard_normal((items, 4)).tolist()
    )
    batch = Sampler(data.context(), "uniform").batch(0, 0, 0, 60_000)
    for user in (0, 1):
        counts = np.bincount(batch.negative[batch.user == user], minlength=items)
        outside = sorted(set(range(items)) - set(data.owned(user)))
        assert counts.sum() == counts[outside].sum()
        if counts.sum() > 5 * items or owned == 238:
            assert chisquare(counts[outside]).pvalue > 1e-3
    positives = np.bincount(batch.positive[batch.user == 0], minlength=items)[:owned]
    if owned == 20:
        assert chisquare(positives).pvalue > 1e-3


def test_guided_negatives_are_found_by_a_user_who_owns_nearly_everything():
    items = 300
    space = np.random.default_rng(0).standard_normal((items, 4)).tolist()
    data = Gallery([[list(range(items - 1))]], [0] * items, [0] * (items - 1) + [1], space)
    sampler = Sampler(data.context(), "G4")
    assert set(sampler.batch(0, 0, 0, 500).negative.tolist()) == {items - 1}


def test_profiles_of_a_batch_are_distinct_and_capped(data, context):
    whole = Sampler(context).batch(0, 0, 0, 3000)
    assert len(whole.profiles) < len(whole)
    assert np.array_equal(np.unique(whole.profile), np.arange(len(whole.profiles)))
    keyed = set()
    for user, profile in zip(whole.user.tolist(), whole.profile.tolist(), strict=True):
        keyed.add((user, tuple(whole.profiles[profile].tolist())))
    assert len(whole.profiles) == len(keyed)
    for cap in (1, 2, 4):
        capped = Sampler(context, profile_cap=cap).batch(0, 0, 0, 3000)
        assert np.array_equal(capped.positive, whole.positive)
        for a, b in zip(capped.profile.tolist(), whole.profile.tolist(), strict=True):
            assert capped.profiles[a].tolist() == whole.profiles[b].tolist()[-cap:]
    unread = Sampler(context, profile_cap=0).batch(0, 0, 0, 3000)
    assert np.array_equal(unread.negative, whole.negative)
    assert [profile.tolist() for profile in unread.profiles] == [[]]
    assert not unread.profile.any()


def test_sequential_examples_are_equally_likely(data, context):
    """Every interaction with a basket before it; with equal shares of users, every one of a user."""
    later = [(u, i) for u in range(len(data.log)) for basket in data.baskets(u)[1:] for i in basket]
    for rule in ("sequential", "sequential-users"):
        batch = Sampler(context, rule).batch(0, 0, 0, 60_000)
        drawn = list(zip(batch.user.tolist(), batch.positive.tolist(), strict=True))
        assert set(drawn) == set(later)
        counts = Counter(drawn)
        everyone = {user for user, _ in later}
        for users in [everyone] if rule == "sequential" else [{user} for user in everyone]:
            mine = [counts[pair] for pair in later if pair[0] in users]
            assert len(mine) == 1 or chisquare(mine).pvalue > 1e-4


def test_uniform_can_keep_the_positive(data, context):
    batch = Sampler(context, "uniform", rules=Rules(exclude_positive=False)).batch(0, 0, 0, 300)
    for user, profile, _, _ in rows(batch):
        assert list(profile) == data.owned(user)


def test_the_tutorial_window(data, context):
    batch = Sampler(context, "tutorial", rules=Rules(window=3)).batch(0, 0, 0, 500)
    for user, profile, positive, _ in rows(batch):
        owned = data.owned(user)
        assert list(profile) == owned[: owned.index(positive) + 1][-3:]


def test_without_pictures_uniform_works_and_the_rest_says_why(data):
    context = SamplingContext(data.histories())
    batch = Sampler(context, "uniform").batch(0, 0, 0, 200)
    assert all(triple[3] not in data.owned(triple[0]) for triple in rows(batch))
    for rule in ("G1", "G2", "G3", "G6"):
        with pytest.raises(UsageError, match=rule):
            Sampler(context, rule)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"mixture": "G7"}, "G7"),
        ({"mixture": {"G1": -1}}, "G1"),
        ({"mixture": {"G1": float("nan")}}, "G1"),
        ({"mixture": {"G1": 0}}, "weight"),
        ({"mixture": {}}, "weight"),
        ({"profile_cap": -1}, "profile_cap"),
    ],
)
def test_bad_arguments_are_refused(context, arguments, named):
    with pytest.raises(UsageError, match=named):
        Sampler(context, **arguments)
    with pytest.raises(UsageError, match="size"):
        Sampler(context).batch(0, 0, 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        Gallery([[[0]], [[1]]], [0, 0], [-1, -1], [[1.0], [1.0]]),  # no picture at all
        Gallery([[[0, 1]]], [0, 1], [0, 1], [[1.0, 0.0], [0.0, 1.0]]),  # the only user owns everything
        Gallery([[[0]]], [0], [0], [[1.0]]),  # one work
    ],
)
def test_data_that_serves_no_rule_is_refused_by_name(data):
    for rule in ("G1", "G2", "G3", "G4", "G6", "uniform", "tutorial", "sequential", "sequential-users"):
        with pytest.raises(UsageError, match=rule):
            Sampler(data.context(), rule)


def test_no_users_leave_the_artificial_profiles():
    nothing = np.empty(0, np.int64)
    histories = Histories.from_sorted(Ids([], what="user_id"), Ids("abcd"), nothing, nothing, nothing)
    space = np.random.default_rng(0).standard_normal((4, 3))
    sampler = Sampler(SamplingContext(histories, np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), space))
    assert set(sampler.weights) == {"G5", "G6"}
    assert set(sampler.batch(0, 0, 0, 50).user.tolist()) == {ARTIFICIAL}
