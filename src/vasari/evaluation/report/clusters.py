"""The wall of visual clusters: a few works of each, how many it holds and whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.core.errors import DataError
from vasari.core.seeds import generator
from vasari.data.catalogue import Catalogue
from vasari.evaluation.report.pictures import Work, Works

EXAMPLES = 8  # works shown of each cluster
OPEN = 20  # clusters on the wall; the others unfold
MOST = 120  # beyond this many clusters the report would outgrow its use


@dataclass(frozen=True)
class Cluster:
    """One visual cluster.

    Attributes
    ----------
    number
        The label of the cluster.
    size
        How many works it holds.
    examples
        Works drawn from it at random.
    artists
        The artists with the most works in it, with their share of it.
    """

    number: int
    size: int
    examples: Sequence[Work]
    artists: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Wall:
    """All clusters, largest first; `open` of them are shown at once and `left_out` not at all."""

    clusters: Sequence[Cluster]
    works: int
    total: int
    silhouette: float | None
    open: int = OPEN

    @property
    def left_out(self) -> int:
        """How many small clusters the wall has no room for."""
        return self.total - len(self.clusters)


def wall(labels: npt.NDArray[np.int64], works: Works, seed: int, silhouette: float | None = None) -> Wall:
    """Build the wall from one label per work of the catalogue (-1: in no cluster).

    Raises
    ------
    DataError
        There is not one label per work.
    """
    labels = np.asarray(labels, dtype=np.int64)
    if labels.shape != (len(works),):
        raise DataError(
            f"the cluster labels have shape {labels.shape} for a catalogue of {len(works)} works; "
            "give one label per work, -1 where a work has no picture"
        )
    numbers, sizes = np.unique(labels[labels >= 0], return_counts=True)
    largest = np.argsort(-sizes, kind="stable")
    clusters = []
    for number in numbers[largest[:MOST]].tolist():
        rows = np.flatnonzero(labels == number)
        shown = generator(seed, "report clusters", number).permutation(rows)[:EXAMPLES].tolist()
        clusters.append(Cluster(number, len(rows), works.take(shown), _dominant(works.catalogue, rows)))
    return Wall(clusters, int(sizes.sum()), len(numbers), silhouette)


def _dominant(catalogue: Catalogue, rows: npt.NDArray[np.int64]) -> list[tuple[str, float]]:
    """Up to three artists with the most of the given works, and their shares."""
    artists = catalogue.artists[rows]
    codes, counts = np.unique(artists[artists >= 0], return_counts=True)
    most = np.argsort(-counts, kind="stable")[:3].tolist()
    return [(catalogue.artist_ids[int(codes[k])], int(counts[k]) / len(rows)) for k in most]
