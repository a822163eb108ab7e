"""Visual clusters: which works look alike, as CuratorNet's guidelines need it.

Messina et al. 2020: z-score every dimension, PCA to 200, k-means with 100 clusters, and of
several runs the one with the best silhouette. Expect a low silhouette (.005 to .01 on UGallery): the
clusters are a coarse partition, not islands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.core.errors import DataError, UsageError
from vasari.core.seeds import generator
from vasari.features.table import FeatureTable

Matrix = npt.NDArray[np.floating]

_BLOCK = 4096  # rows in memory at a time
_PER_CLUSTER = 10
_LARGE = 20_000  # rows from which on k-means learns from batches
_SAMPLE = 10_000  # rows that the silhouette is measured on


@dataclass(frozen=True)
class Clusters:
    """A partition of a table's rows by looks.

    Attributes
    ----------
    labels
        int64, shape (n,), from 0, every number in use.
    space
        float32, shape (n, components): the z-scored and projected vectors the clusters were found in.
    silhouette
        Of the chosen run, -1 to 1; 0 where it is undefined (a single cluster, or each row its own).
    """

    labels: npt.NDArray[np.int64]
    space: npt.NDArray[np.float32]
    silhouette: float

    def __len__(self) -> int:
        """Count the clusters."""
        return int(self.labels.max()) + 1


def visual_clusters(
    features: FeatureTable | Matrix,
    n_clusters: int = 100,
    components: int = 200,
    runs: int = 4,
    inits: int = 1,
    seed: int = 0,
) -> Clusters:
    """Partition the rows of a table by looks.

    The result depends on the vectors and the seed alone, not on the number of cores. Only blocks of the
    matrix are in memory at a time, beside the projected vectors and one (dim, dim) matrix.

    Parameters
    ----------
    features
        A table, or its matrix, shape (n, dim).
    n_clusters
        At most so many; fewer for a small catalogue: one for every ten works, but at least two.
    components
        Of the PCA; fewer where n or dim is smaller.
    runs, inits
        The run with the best silhouette of `runs` is kept; each run is the one with the least inertia
        of `inits` starts. The paper's are 20 and 8.

    Raises
    ------
    DataError
        There are no rows, or a value is not finite.
    UsageError
        A number is below 1.
    """
    for name, value in {
        "n_clusters": n_clusters,
        "components": components,
        "runs": runs,
        "inits": inits,
    }.items():
        if value < 1:
            raise UsageError(f"{name} is {value}; use at least 1")
    matrix = features.matrix if isinstance(features, FeatureTable) else np.asanyarray(features)
    if matrix.ndim != 2 or not matrix.size:
        raise DataError(f"a matrix of shape {matrix.shape} has nothing to cluster")
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

    # One thread: scikit-learn adds up the threads' partial sums in the order in which they finish.
    with threadpool_limits(limits=1):
        space = project(matrix, components)
        count = min(n_clusters, max(min(2, len(matrix)), len(matrix) // _PER_CLUSTER))
        labels, silhouette = _best_run(space, count, runs, inits, seed)
    return Clusters(labels, space, silhouette)


def project(matrix: Matrix, components: int) -> npt.NDArray[np.float32]:
    """Z-score the columns and project on the first principal components, shape (n, <= components).

    A column that does not vary becomes 0. Exact, in three passes over blocks of rows: the covariance is
    added up, so that nothing but one square matrix of the smaller side is ever as large as the data.

    Raises
    ------
    DataError
        A value is not finite.
    """
    from scipy.linalg import eigh

    n, dim = matrix.shape
    mean, scale = _moments(matrix)
    kept = max(1, min(components, n - 1, dim))
    if n <= dim:
        rows = np.concatenate([(block - mean) * scale for block in _blocks(matrix)])  # (n, dim)
        values, vectors = eigh((rows @ rows.T).astype(np.float64), subset_by_index=(n - kept, n - 1))
        space = vectors[:, ::-1] * np.sqrt(np.maximum(values[::-1], 0.0))
        return space.astype(np.float32)
    covariance = np.zeros((dim, dim))
    for block in _blocks(matrix):
        rows = (block - mean) * scale
        covariance += rows.T @ rows
    axes = eigh(covariance, subset_by_index=(dim - kept, dim - 1))[1][:, ::-1].astype(
        np.float32
    )  # (dim, kept)
    return np.concatenate([((block - mean) * scale) @ axes for block in _blocks(matrix)])


def _blocks(matrix: Matrix) -> Iterator[npt.NDArray[np.float32]]:
    for start in range(0, len(matrix), _BLOCK):
        yield np.asarray(matrix[start : start + _BLOCK], dtype=np.float32)


def _moments(matrix: Matrix) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean and 1 / standard deviation of every column, shapes (dim,); 0 for a constant column."""
    total = np.zeros(matrix.shape[1])
    for block in _blocks(matrix):
        if not np.isfinite(block).all():
            raise DataError(
                "the vectors hold NaN or infinities; build the table with FeatureTable.from_arrays"
            )
        total += block.sum(axis=0, dtype=np.float64)
    mean = total / len(matrix)
    squares = np.zeros_like(mean)
    for block in _blocks(matrix):
        squares += np.square(block - mean).sum(axis=0)
    deviation = np.sqrt(squares / len(matrix))
    # Rounding leaves a constant column a tiny spread; what float32 cannot tell from none counts as none.
    varies = deviation > np.finfo(np.float32).eps * np.abs(mean)
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varies)
    return mean.astype(np.float32), scale.astype(np.float32)


def _best_run(
    space: npt.NDArray[np.float32], count: int, runs: int, inits: int, seed: int
) -> tuple[npt.NDArray[np.int64], float]:
    if count == 1 or not np.ptp(space, axis=0).any():
        return np.zeros(len(space), dtype=np.int64), 0.0
    from sklearn.cluster import KMeans, MiniBatchKMeans

    sample = np.arange(len(space))
    if len(space) > _SAMPLE:
        sample = np.sort(generator(seed, "silhouette").choice(len(space), _SAMPLE, replace=False))
    best: tuple[float, npt.NDArray[np.int64]] | None = None
    for run in range(runs):
        state = int(generator(seed, "clusters", run).integers(2**31))
        if len(space) > _LARGE:
            model = MiniBatchKMeans(count, n_init=inits, batch_size=_BLOCK, random_state=state)
        else:
            model = KMeans(count, n_init=inits, max_iter=2000, random_state=state)
        labels = _fit(model, space)
        silhouette = _silhouette(space[sample], labels[sample])
        if best is None or silhouette > best[0]:
            best = silhouette, labels
    assert best is not None  # runs >= 1
    return best[1], best[0]


def _fit(model: object, space: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    import warnings

    with warnings.catch_warnings():
        # Fewer different pictures than clusters: the labels below are numbered through all the same.
        warnings.filterwarnings("ignore", message="Number of distinct clusters")
        labels = model.fit_predict(space)  # type: ignore[attr-defined]  # scikit-learn has no types
    return np.unique(labels, return_inverse=True)[1].astype(np.int64).reshape(-1)


def _silhouette(space: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(labels)) <= len(labels) - 1:
        return 0.0
    return float(silhouette_score(space, labels))
