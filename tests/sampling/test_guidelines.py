"""Every guideline against a slow, independent statement of its rule, on small random galleries."""

import numpy as np
import pytest
from gallery_oracle import Gallery, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from vasari.core.errors import UsageError
from vasari.sampling import Rules, Sampler

RULES = ["G1", "G2", "G3", "G4", "G5", "G6", "uniform", "tutorial", "sequential", "sequential-users"]


def make_gallery(seed: int) -> Gallery:
    """Up to 4 users and 14 items; missing pictures, unknown artists, repeats and duplicate images happen."""
    rng = np.random.default_rng(seed)
    n, n_artists, n_clusters = rng.integers(2, 15), rng.choice([1, 4, 8, 8, 8]), rng.choice([1, 4, 8, 8, 8])
    space = rng.standard_normal((n, 3))
    for copy in np.flatnonzero(rng.random(n) < 0.15):
        space[copy] = space[rng.integers(n)] * rng.uniform(0.5, 2)
    clusters = rng.integers(0, n_clusters, n) * 3
    clusters[rng.random(n) < rng.choice([0, 0.1, 0.4])] = -1
    artists = rng.integers(0, n_artists, n) + 7
    artists[rng.random(n) < rng.choice([0, 0.1, 0.4])] = -1
    reach = 1 + rng.integers(n) ** 2 // n  # few favourites leave room for guidelines 1 to 3
    log = [
        [rng.integers(0, reach, rng.integers(1, 4)).tolist() for _ in range(rng.integers(1, 5))]
        for _ in range(rng.integers(1, 5))
    ]
    return Gallery(log, artists.tolist(), clusters.tolist(), space.tolist())


seeds = st.integers(0, 2**31)


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=100, deadline=None)
@given(seed=seeds, in_profile=st.booleans())
def test_exactly_the_triples_of_the_rule_are_drawn(rule, seed, in_profile):
    gallery = make_gallery(seed)
    gallery.positive_in_profile = in_profile
    expected = gallery.every_triple(rule)
    rules = Rules(positive_in_profile=in_profile)
    if not expected:
        with pytest.raises(UsageError, match=rule):
            Sampler(gallery.context(), rule, rules=rules)
        return
    sampler = Sampler(gallery.context(), rule, rules=rules)
    seen = set()
    for index in range(60):
        seen |= set(rows(sampler.batch(0, 0, index, 4096)))
        if seen >= expected:
            break
    assert seen == expected


@settings(max_examples=100, deadline=None)
@given(seed=seeds)
def test_the_default_mixture_leaves_out_what_cannot_be_drawn(seed):
    gallery = make_gallery(seed)
    possible = [rule for rule in RULES[:6] if gallery.every_triple(rule)]
    if not possible:
        with pytest.raises(UsageError):
            Sampler(gallery.context())
        return
    sampler = Sampler(gallery.context())
    assert list(sampler.weights) == possible
    assert set(sampler.left_out) == set(RULES[:6]) - set(possible)
    assert all(reason.startswith(name) for name, reason in sampler.left_out.items())
    batch = sampler.batch(1, 2, 3, 60)
    assert len(batch) == 60
    for number, triple in zip(batch.rule.tolist(), rows(batch), strict=True):
        assert gallery.allowed(f"G{number}", *triple)
    counts = np.bincount(batch.rule, minlength=7)[1:]
    shares = 60 / len(possible)
    assert all(abs(counts[int(rule[1]) - 1] - shares) < 1 for rule in possible)
