"""Answers by looks alone: works like one work, like two works, in its cluster, and a walk among them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.core.errors import UsageError
from vasari.core.seeds import generator
from vasari.retrieval import top_k
from vasari.serving.looks import Looks
from vasari.serving.shelf import Shelf

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Found = tuple[IntArray, npt.NDArray[np.floating]]

STEP = 20  # works nearest to where a walk stands, of which it takes one
JUMP = 0.1  # chance that it goes anywhere instead
SAMPLE = 20_000  # works that the clusters are learnt from
CLUSTERS, PER_CLUSTER = 100, 10


def need_looks(shelf: Shelf) -> Looks:
    """The looks of the works.

    Raises
    ------
    UsageError
        There are no features.
    """
    if shelf.looks is None:
        raise UsageError(
            "this gallery has no features of pictures; pass --features, made with: vasari extract"
        )
    return shelf.looks


def similar(shelf: Shelf, row: int, k: int, mask: BoolArray) -> Found:
    """The works of the mask most like one, itself left out; nothing is like a work without a picture."""
    looks = need_looks(shelf)
    vector = looks.vectors(np.array([row]))
    if not vector.any():
        return np.zeros(0, np.int64), np.zeros(0)
    rows, scores = looks.index.search(vector, k, mask, [[row]])
    found = rows[0] >= 0
    return rows[0][found], scores[0][found]


def between(shelf: Shelf, first: int, second: int, k: int) -> Found:
    """The works that can be had which are like both of two: by the smaller likeness."""
    looks = need_looks(shelf)
    vectors = looks.vectors(np.array([first, second]))
    both = np.minimum(looks.index.scores(vectors[0]), looks.index.scores(vectors[1]))
    mask = shelf.available.copy()
    mask[[first, second]] = False
    rows, scores = top_k(both[None], k, mask)
    found = rows[0] >= 0
    return rows[0][found], scores[0][found]


def walk(shelf: Shelf, start: int | None, k: int, seed: int) -> IntArray:
    """Rows of a random walk among works that can be had, without repeats."""
    random = generator(seed, "walk")
    left = shelf.available.copy()
    path: list[int] = []
    here = start
    if start is not None:
        left[start] = False
    while len(path) < k and left.any():
        near = np.zeros(0, np.int64)
        if here is not None and random.random() >= JUMP:
            near, _ = similar(shelf, here, STEP, left)
        here = int(random.choice(near if len(near) else np.flatnonzero(left)))
        left[here] = False
        path.append(here)
    return np.array(path, dtype=np.int64)


def cluster_neighbours(shelf: Shelf, centres: FloatArray | None, row: int, k: int) -> IntArray:
    """Works of the same cluster that can be had, the most alike first; `centres` from `cluster_centres`."""
    looks = need_looks(shelf)
    near, _ = similar(shelf, row, max(10 * k, 200), shelf.available)
    if not len(near) or centres is None:
        return near[:k]
    labels = (looks.vectors(np.append(near, row)) @ centres.T).argmax(1)
    return near[labels[:-1] == labels[-1]][:k]


def cluster_centres(looks: Looks) -> FloatArray:
    """Visual clusters as unit vectors, shape (clusters, axes): k-means in the space of looks.

    Learnt from at most `SAMPLE` works, so that it takes a second in a collection of any size.
    """
    from sklearn.cluster import MiniBatchKMeans

    count = len(looks.index)
    vectors = looks.vectors(np.arange(0, count, max(1, -(-count // SAMPLE))))
    vectors = vectors[vectors.any(axis=1)]
    if not len(vectors):  # all look the same
        return np.zeros((1, vectors.shape[1]), np.float32)
    clusters = min(CLUSTERS, max(1, len(vectors) // PER_CLUSTER))
    centres = MiniBatchKMeans(clusters, random_state=0, n_init=3).fit(vectors).cluster_centers_
    unit: FloatArray = centres / np.linalg.norm(centres, axis=1, keepdims=True).clip(1e-12)
    return unit.astype(np.float32)
