"""Re-ranking, against a slow version that follows the equations word by word."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vasari.core.errors import UsageError
from vasari.retrieval import rerank


def slowly(scores, k, looks, artists, popularity, diversity, per_artist, novelty):
    low, high = min(scores), max(scores)
    unit = [(s - low) / (high - low) if high > low else 1.0 for s in scores]
    levels = sorted(set(popularity))
    known = [levels.index(p) / max(len(levels) - 1, 1) for p in popularity]
    relevance = [(1 - novelty) * u + novelty * (1 - r) for u, r in zip(unit, known, strict=True)]
    picked = []
    while len(picked) < k:
        best, best_value = None, -np.inf
        for place in range(len(scores)):
            mine = sum(artists[p] == artists[place] for p in picked)
            if place in picked or (per_artist is not None and artists[place] >= 0 and mine >= per_artist):
                continue
            nearest = max((float(looks[place] @ looks[p]) for p in picked), default=None)
            value = relevance[place]
            if nearest is not None and diversity:
                value = (1 - diversity) * value - diversity * max(nearest, -1.0)
            if value > best_value + 1e-12:
                best, best_value = place, value
        if best is None:
            break
        picked.append(best)
    return picked


@given(
    st.integers(0, 10**6),
    st.integers(1, 25),
    st.integers(1, 30),
    st.sampled_from([0.0, 0.4, 1.0]),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_it_follows_the_equations(seed, pool, k, diversity, per_artist, novelty):
    rng = np.random.default_rng(seed)
    looks = rng.normal(size=(pool, 5))
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    scores, artists = rng.normal(size=pool), rng.integers(-1, 4, pool)
    popularity = rng.integers(0, 5, pool)
    found = rerank(scores, k, looks, artists, popularity, diversity, per_artist, novelty)
    expected = slowly(scores, k, looks, artists, popularity, diversity, per_artist, novelty)
    assert found.tolist() == expected


def test_without_knobs_the_order_stays():
    assert rerank(np.array([3.0, 2.0, 1.0]), 2).tolist() == [0, 1]
    assert rerank(np.zeros(0), 2).tolist() == []


@pytest.mark.parametrize("knob", [{"diversity": 0.5}, {"per_artist": 1}, {"novelty": 0.5}])
def test_what_a_knob_needs_must_be_there(knob):
    with pytest.raises(UsageError):
        rerank(np.ones(3), 2, **knob)
