"""What collectors like: anchors in the space of looks, favourite artists, and a little regard for quality.

The utility of work i for collector c is

    u(c, i) = w_look A(c, i) + w_artist F(c, artist of i) + w_quality q_i
    A(c, i) = max_j s_cj exp(-p_cj(i) / b)

with the collector's one to three anchors, points in the space of looks, and their strengths s (the first
is 1, the others lie between .6 and 1); p_cj(i) the share of all works that look more like anchor j than
i does; b the breadth of a taste; favourites F (between .5 and 1 for a few artists, 0 for the rest) and
quality q (standard normal). Shares instead of distances make a taste cover as large a part of one
catalogue as of another, however the looks are measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.core.errors import UsageError
from vasari.core.seeds import generator
from vasari.synthetic.colour import FloatArray

IntArray = npt.NDArray[np.int64]

ANCHORS = 3  # at most
_TILE = 256  # anchors per matrix product


@dataclass(frozen=True)
class Taste:
    """How much each part of a taste weighs against the noise of a choice (Gumbel, scale 1).

    Attributes
    ----------
    look, artist, quality
        The weights of the equation above.
    breadth
        b of the equation: .05 says that a taste covers about a twentieth of the catalogue.
    columns
        Share of the looks' variance that the categorical `taste_columns` make up together.
    """

    look: float = 5.0
    artist: float = 2.0
    quality: float = 0.5
    breadth: float = 0.05
    columns: float = 0.4

    def __post_init__(self) -> None:
        for name in ("look", "artist", "quality"):
            if not 0 <= getattr(self, name) < 1e3:
                raise UsageError(f"{name}={getattr(self, name)}: a weight lies between 0 and 1000")
        if not 0 < self.breadth <= 1:
            raise UsageError(f"breadth={self.breadth}: a share of the catalogue, more than 0 and at most 1")
        if not 0 <= self.columns <= 1:
            raise UsageError(f"columns={self.columns} is a share: it must lie between 0 and 1")


@dataclass(frozen=True, eq=False)
class Collectors:
    """The tastes of all collectors.

    Attributes
    ----------
    anchors
        The works whose looks are the anchors, shape (collectors, 3).
    strengths
        Of each anchor, 0 where a collector has fewer, shape (collectors, 3).
    favourites
        Strength of the liking for every artist, shape (collectors, artists).
    """

    anchors: IntArray
    strengths: FloatArray
    favourites: FloatArray


def invent_collectors(artists: IntArray, count: int, seed: int) -> Collectors:
    """Draw `count` tastes.

    An anchor is the look of a random work. Half of the anchors were found through the work's artist,
    who then is a favourite; half of the collectors have a favourite for no reason that one can see.

    Parameters
    ----------
    artists
        Row of the artist per work, -1 where unknown, shape (works,).
    """
    rng = generator(seed, "collectors")
    works = len(artists)
    anchors = rng.integers(0, works, (count, ANCHORS))
    numbers = rng.choice([1, 2, 3], size=count, p=[0.45, 0.35, 0.2])
    strengths = rng.uniform(0.6, 1.0, (count, ANCHORS)).astype(np.float32)
    strengths[:, 0] = 1.0
    strengths[np.arange(ANCHORS) >= numbers[:, None]] = 0.0
    # the fourth column is the favourite for no reason
    reasons = np.concatenate([artists[anchors], artists[rng.integers(0, works, (count, 1))]], axis=1)
    held = (rng.random(reasons.shape) < 0.5) & (reasons >= 0)
    held[:, :ANCHORS] &= strengths > 0
    liking = rng.uniform(0.5, 1.0, reasons.shape).astype(np.float32)
    favourites = np.zeros((count, int(artists.max(initial=-1)) + 1), dtype=np.float32)
    who, which = np.nonzero(held)
    np.maximum.at(favourites, (who, reasons[who, which]), liking[who, which])
    return Collectors(anchors, strengths, favourites)


def affinities(collectors: Collectors, looks: FloatArray, breadth: float) -> FloatArray:
    """A(c, i) of the equation for every collector and work, shape (collectors, works), float32.

    Parameters
    ----------
    looks
        Shape (works, d).
    """
    works = len(looks)
    squares = np.einsum("id,id->i", looks, looks)
    result = np.zeros((len(collectors.anchors), works), dtype=np.float32)
    fading = np.exp(-np.arange(works, dtype=np.float32) / np.float32(breadth * works))
    owners, slots = np.nonzero(collectors.strengths)
    for start in range(0, len(owners), _TILE):
        owner, slot = owners[start : start + _TILE], slots[start : start + _TILE]
        points = looks[collectors.anchors[owner, slot]]
        nearness = np.argsort(squares - 2 * (points @ looks.T), axis=1, kind="stable")  # |x - t|^2 - |t|^2
        affinity = np.empty((len(owner), works), dtype=np.float32)
        np.put_along_axis(affinity, nearness, fading[None, :], axis=1)
        affinity *= collectors.strengths[owner, slot, None]
        for row, who in enumerate(owner):  # a collector's anchors may lie in one tile: no fancy indexing
            np.maximum(result[who], affinity[row], out=result[who])
    return result


def utilities(
    collectors: Collectors, looks: FloatArray, artists: IntArray, quality: FloatArray, taste: Taste
) -> FloatArray:
    """u(c, i) without noise for every collector and work, shape (collectors, works), float32."""
    scores = affinities(collectors, looks, taste.breadth)
    known = np.flatnonzero(artists >= 0)
    scores *= np.float32(taste.look)
    scores += np.float32(taste.quality) * quality
    for who, favourites in enumerate(collectors.favourites):  # row by row: no second large matrix
        scores[who, known] += np.float32(taste.artist) * favourites[artists[known]]
    return scores


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
    shared = np.where(artists >= 0, np.r_[skills, np.float32(0)][artists], rng.standard_normal(len(artists)))
    return np.asarray(np.sqrt(2 / 3) * own + np.sqrt(1 / 3) * shared, dtype=np.float32)
