"""Another order for the best of a ranking: less alike, fewer of one artist, less known.

The pool is a few hundred of the best works by score; what is not among them cannot come back. Scores are
first brought to 0..1 within the pool, so that the weights mean the same for every model.

    relevance(i) = (1 - novelty) x_i + novelty (1 - popularity rank of i)
    next work    = argmax_i  (1 - diversity) relevance(i) - diversity max_{j picked} cos(f_i, f_j)

The second line is maximal marginal relevance (Carbonell and Goldstein 1998, "The use of MMR").
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.core.errors import UsageError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating]


def rerank(
    scores: FloatArray,
    k: int,
    looks: FloatArray | None = None,
    artists: IntArray | None = None,
    popularity: FloatArray | None = None,
    diversity: float = 0.0,
    per_artist: int | None = None,
    novelty: float = 0.0,
) -> IntArray:
    """Choose k of a pool.

    Parameters
    ----------
    scores
        Finite, shape (pool,).
    k
        How many; fewer come back where the cap leaves fewer.
    looks
        Unit vectors of the pictures, shape (pool, dim), zeros without a picture; needed for diversity.
    artists
        Number of the artist, -1 where unknown (unknown artists are not capped); needed for the cap.
    popularity
        How many people took each work; needed for novelty.
    diversity, novelty
        Weights, 0 to 1.
    per_artist
        At most so many works of one artist.

    Returns
    -------
    Places in the pool, in their new order.

    Raises
    ------
    UsageError
        Something that is needed is missing.
    """
    for name, needed, given in (
        ("looks", diversity > 0, looks),
        ("artists", per_artist is not None, artists),
        ("popularity", novelty > 0, popularity),
    ):
        if needed and given is None:
            raise UsageError(f"re-ranking needs {name}")
    relevance = _unit(scores)
    if popularity is not None and novelty > 0:
        relevance = (1 - novelty) * relevance + novelty * (1 - _ranks(popularity))
    free = np.ones(len(scores), dtype=bool)
    nearest = np.full(len(scores), -1.0)
    left: dict[int, int] = {}
    picked: list[int] = []
    while len(picked) < k and free.any():
        value = (
            relevance if not picked or diversity == 0 else (1 - diversity) * relevance - diversity * nearest
        )
        place = int(np.where(free, value, -np.inf).argmax())
        picked.append(place)
        free[place] = False
        if looks is not None and diversity > 0:
            nearest = np.maximum(nearest, looks @ looks[place])
        if per_artist is not None and artists is not None and artists[place] >= 0:
            artist = int(artists[place])
            left[artist] = left.get(artist, per_artist) - 1
            if left[artist] == 0:
                free &= artists != artist
    return np.array(picked, dtype=np.int64)


def _unit(values: FloatArray) -> npt.NDArray[np.float64]:
    """To 0..1, shape (n,); all 1 where all are equal."""
    wide = np.asarray(values, dtype=np.float64)
    if not len(wide) or wide.max() == wide.min():
        return np.ones(len(wide))
    return (wide - wide.min()) / (wide.max() - wide.min())


def _ranks(values: FloatArray) -> npt.NDArray[np.float64]:
    """Ranks in 0..1, shape (n,); equal values share one."""
    levels, place = np.unique(values, return_inverse=True)
    return place / max(len(levels) - 1, 1)
