"""What collectors like: anchors in the space of looks, favourite artists, and a little regard for quality.

The utility of work i for collector c is

    u(c, i) = w_look A(c, i) + w_artist F(c, artist of i) + w_quality q_i
    A(c, i) = max_j s_cj exp(-|x_i - t_cj|^2 / (2 h^2))

with the works' looks x, the collector's one to three anchors t and their strengths s (the first is 1, the
others lie between .6 and 1), favourites F (between .5 and 1 for one to three artists, 0 for the rest) and
quality q (standard normal). The bandwidth h is a low quantile of the distances between works: a taste
covers a neighbourhood, not half of the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.core.seeds import generator
from vasari.synthetic.colour import FloatArray

IntArray = npt.NDArray[np.int64]

ANCHORS = 3  # at most
_TILE = 256  # collectors per matrix product


@dataclass(frozen=True)
class Taste:
    """How much each part of a taste weighs against the noise of a choice (Gumbel, scale 1).

    Attributes
    ----------
    look, artist, quality
        The weights of the equation above.
    columns
        Share of the looks' variance that the categorical `taste_columns` make up together.
    drift
        How far anchors lie from the works they were taken from, in units of the bandwidth.
    breadth
        The quantile of the distances between works that is the bandwidth.
    """

    look: float = 6.0
    artist: float = 2.0
    quality: float = 0.5
    columns: float = 0.4
    drift: float = 0.35
    breadth: float = 0.02


@dataclass(frozen=True, eq=False)
class Collectors:
    """The tastes of all collectors.

    Attributes
    ----------
    anchors
        Points in the space of looks, shape (collectors, 3, d).
    strengths
        Of each anchor, 0 where a collector has fewer, shape (collectors, 3).
    favourites
        Strength of the liking for every artist, shape (collectors, artists).
    bandwidth
        h of the equation.
    """

    anchors: FloatArray
    strengths: FloatArray
    favourites: FloatArray
    bandwidth: float


def bandwidth(looks: FloatArray, quantile: float, seed: int) -> float:
    """The given quantile of the distances between up to 1,500 random works."""
    rng = generator(seed, "bandwidth")
    some = looks[rng.permutation(len(looks))[:1500]].astype(np.float64)
    squares = (some**2).sum(axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * some @ some.T
    pairs = distances[np.triu_indices(len(some), 1)]
    return float(np.sqrt(max(np.quantile(pairs, quantile), 1e-6))) if pairs.size else 1.0


def invent_collectors(
    looks: FloatArray, artists: IntArray, count: int, seed: int, taste: Taste
) -> Collectors:
    """Draw `count` tastes.

    Anchors are the looks of random works, a little displaced. Half of the collectors came to an anchor
    through its artist, who then is a favourite; half have a favourite for no reason that one can see.

    Parameters
    ----------
    looks
        Shape (works, d).
    artists
        Row of the artist per work, -1 where unknown, shape (works,).
    """
    rng = generator(seed, "collectors")
    width = bandwidth(looks, taste.breadth, seed)
    dearest = rng.integers(0, len(looks), (count, ANCHORS))
    # a displacement of length drift * h in a random direction, whatever the number of dimensions
    shift = rng.standard_normal((count, ANCHORS, looks.shape[1]), dtype=np.float32)
    shift *= np.float32(taste.drift * width) / np.linalg.norm(shift, axis=2, keepdims=True)
    numbers = rng.choice([1, 2, 3], size=count, p=[0.45, 0.35, 0.2])
    strengths = rng.uniform(0.6, 1.0, (count, ANCHORS)).astype(np.float32)
    strengths[:, 0] = 1.0
    strengths[np.arange(ANCHORS) >= numbers[:, None]] = 0.0
    n_artists = int(artists.max(initial=-1)) + 1
    favourites = np.zeros((count, n_artists), dtype=np.float32)
    through = (rng.random((count, ANCHORS)) < 0.5) & (strengths > 0)
    liking = rng.uniform(0.5, 1.0, (count, ANCHORS + 1)).astype(np.float32)
    chance = rng.random(count) < 0.5
    someone = artists[rng.integers(0, len(looks), count)]
    everyone = np.arange(count)
    for j in range(ANCHORS):
        artist = artists[dearest[:, j]]
        known = through[:, j] & (artist >= 0)
        favourites[everyone[known], artist[known]] = liking[known, j]
    chance &= someone >= 0
    favourites[everyone[chance], someone[chance]] = liking[chance, ANCHORS]
    return Collectors((looks[dearest] + shift).astype(np.float32), strengths, favourites, width)


def utilities(
    collectors: Collectors, looks: FloatArray, artists: IntArray, quality: FloatArray, taste: Taste
) -> FloatArray:
    """u(c, i) without noise for every collector and work, shape (collectors, works), float32."""
    count, works = len(collectors.anchors), len(looks)
    scores = np.empty((count, works), dtype=np.float32)
    squares = np.einsum("id,id->i", looks, looks)
    common = np.float32(taste.quality) * quality
    known = artists >= 0
    for start, stop in _tiles(count):
        affinity = np.zeros((stop - start, works), dtype=np.float32)
        for j in range(ANCHORS):
            anchors = collectors.anchors[start:stop, j]
            distances = anchors @ looks.T
            distances *= -2
            distances += squares
            distances += np.einsum("cd,cd->c", anchors, anchors)[:, None]
            np.maximum(distances, 0, out=distances)
            distances *= np.float32(-0.5 / collectors.bandwidth**2)
            np.exp(distances, out=distances)
            distances *= collectors.strengths[start:stop, j, None]
            np.maximum(affinity, distances, out=affinity)
        affinity *= np.float32(taste.look)
        affinity += common
        if collectors.favourites.shape[1]:
            liked = collectors.favourites[start:stop][:, artists] * known
            liked *= np.float32(taste.artist)
            affinity += liked
        scores[start:stop] = affinity
    return scores


def _tiles(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, _TILE):
        yield start, min(start + _TILE, count)


def qualities(artists: IntArray, skills: FloatArray | None, seed: int) -> FloatArray:
    """How well liked every work is by all, shape (works,), standard normal.

    Parameters
    ----------
    skills
        Of every artist; drawn when None. An artist's skill makes up a third of a work's variance.
    """
    rng = generator(seed, "quality")
    own = rng.standard_normal(len(artists), dtype=np.float32)
    n_artists = int(artists.max(initial=-1)) + 1
    if skills is None:
        skills = rng.standard_normal(n_artists, dtype=np.float32)
    shared = np.where(artists >= 0, np.r_[skills, np.float32(0)][artists], 0)
    return np.asarray(np.sqrt(2 / 3) * own + np.sqrt(1 / 3) * shared, dtype=np.float32)
