"""Works that show the same image: duplicate uploads, never both positive and negative of a triple."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.core.seeds import generator

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

SAME_COSINE = 1e-7  # |cos - 1| below this, within one cluster, is the same image (released notebook)
# For unit vectors |a - b|^2 = 2 - 2 cos, which float32 still resolves where 1 - cos is lost to rounding.
SAME_SQUARED_DISTANCE = 2 * SAME_COSINE
_PROJECTIONS = 4


def image_groups(clusters: IntArray, space: FloatArray) -> IntArray:
    """Number the works so that any two that show the same image share a number.

    Close vectors have close projections: works are sorted by one random projection, and only
    those within reach of each other in all of a few projections are compared in full, so no
    pass over all pairs is needed.

    Parameters
    ----------
    clusters
        Visual cluster of every work, shape (works,).
    space
        Unit vectors, shape (works, d); a zero row shows nothing that could be the same.

    Returns
    -------
    Shape (works,). Works linked by a chain of equal pairs share a number too, so compare the pair
    itself where two numbers agree (`SamplingContext.same_image`).
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n, dim = space.shape
    reach = np.float32(1.01 * SAME_SQUARED_DISTANCE**0.5)
    directions = generator(0, "image_groups").standard_normal((dim, _PROJECTIONS)).astype(np.float32)
    directions /= np.maximum(np.linalg.norm(directions, axis=0), np.finfo(np.float32).tiny)
    shadows = space @ directions  # (works, projections)
    order = np.lexsort((shadows[:, 0], clusters))
    order = order[np.einsum("ij,ij->i", space, space)[order] > 0]

    # Exact copies are neighbours in this order: keep the first of each run, so that a thousand
    # copies of one picture do not cost a million comparisons.
    links = [np.stack([order[1:], order[:-1]])[:, _same(clusters, space, order[1:], order[:-1])]]
    heads = order[~np.isin(order, links[0][0])]
    left = np.arange(len(heads))
    step = 1
    while left.size:
        left = left[left + step < len(heads)]
        a, b = heads[left], heads[left + step]
        near = (clusters[a] == clusters[b]) & (shadows[b, 0] - shadows[a, 0] < reach)
        left, a, b = left[near], a[near], b[near]
        close = (np.abs(shadows[a] - shadows[b]) < reach).all(axis=1)
        a, b = a[close], b[close]
        links.append(np.stack([a, b])[:, _same(clusters, space, a, b)])
        step += 1
    first, second = np.concatenate(links, axis=1)
    graph = coo_matrix((np.ones(len(first), dtype=bool), (first, second)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _same(clusters: IntArray, space: FloatArray, a: IntArray, b: IntArray) -> npt.NDArray[np.bool_]:
    same: npt.NDArray[np.bool_] = clusters[a] == clusters[b]
    for start in range(0, len(a), 1 << 14):  # bounds the memory of the differences
        block = slice(start, start + (1 << 14))
        same[block] &= squared_distance(space, a[block], b[block]) < SAME_SQUARED_DISTANCE
    return same


def squared_distance(space: FloatArray, a: IntArray, b: IntArray) -> FloatArray:
    """Squared Euclidean distance of rows `a` and `b`, shape (pairs,)."""
    difference = space[a] - space[b]
    return np.asarray(np.einsum("ij,ij->i", difference, difference))
