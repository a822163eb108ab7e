"""From a log and its feature table to the sampler that a model trains with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.data.cases import Cases
from vasari.data.dataset import Dataset
from vasari.data.histories import Histories
from vasari.features.clusters import Clusters, visual_clusters
from vasari.features.table import FeatureTable
from vasari.sampling.context import SamplingContext
from vasari.sampling.guidelines import Rules
from vasari.sampling.leaks import verify_disjoint
from vasari.sampling.sampler import Sampler
from vasari.sampling.uniform import UNIFORM

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


_last: list[tuple[FeatureTable, int, Clusters]] = []


def clusters_of(table: FeatureTable, seed: int) -> Clusters:
    """Visual clusters of a table; the last answer is kept, since several models ask for the same."""
    if not (_last and _last[0][0] is table and _last[0][1] == seed):
        _last[:] = [(table, seed, visual_clusters(table, seed=seed))]
    return _last[0][2]


def item_clusters(clusters: Clusters, rows: IntArray) -> IntArray:
    """Cluster of every item, shape (items,); -1 where `rows` says that it has no picture."""
    return np.where(rows >= 0, clusters.labels[rows], -1)


def triple_sampler(
    data: Dataset,
    histories: Histories,
    hidden: Cases,
    table: FeatureTable,
    rows: IntArray,
    mixture: str | Mapping[str, float] = "guidelines",
    profile_cap: int | None = None,
    seed: int = 0,
    rules: Rules | None = None,
) -> Sampler:
    """Cluster the pictures, check that nothing hidden is trained on, and build the sampler.

    Works that were added after the end of the log are not drawn at all: nobody could take them, so
    that nobody did says nothing.

    Parameters
    ----------
    data
        The catalogue's artists and stock are read from here.
    histories
        What may be trained on.
    hidden
        What may not; see `vasari.sampling.leaks.verify_disjoint`.
    table, rows
        Feature table, and its row for every item of the catalogue (-1 without a picture).
    mixture, profile_cap, rules
        As for `Sampler`.
    seed
        Of the clustering.

    Raises
    ------
    DataError
        A hidden interaction is in `histories`.
    """
    verify_disjoint(histories, hidden)
    present = rows >= 0
    clusters = clusters_of(table, seed)
    space = np.zeros((len(rows), clusters.space.shape[1]), dtype=np.float32)
    space[present] = clusters.space[rows[present]]
    labels = np.where(_could_be_taken(data, histories), item_clusters(clusters, rows), -1)
    context = SamplingContext(histories, data.catalogue.artists, labels, space)
    return Sampler(context, mixture, profile_cap, rules)


def uniform_sampler(data: Dataset, histories: Histories, hidden: Cases, scorable: BoolArray) -> Sampler:
    """The sampler of models that know people by their number: LearnBPR's triples, the profile left aside.

    Parameters
    ----------
    data, histories, hidden
        As for `triple_sampler`; works added after the end of the log are not drawn here either.
    scorable
        Which items may be drawn, shape (items,).

    Raises
    ------
    DataError
        A hidden interaction is in `histories`.
    """
    verify_disjoint(histories, hidden)
    drawn = scorable & _could_be_taken(data, histories)
    context = SamplingContext(histories, clusters=np.where(drawn, 0, -1))
    return Sampler(context, "uniform", profile_cap=0, rules=Rules(exclude_positive=False))


@dataclass(frozen=True, eq=False)
class Taught:
    """Whom and what triples can teach: parameters of all others stay the noise they began as.

    Attributes
    ----------
    users
        People whom some triple is about, shape (users,).
    taken
        Works that can be positives, shape (items,).
    refused
        Works that can be negatives only, shape (items,); all that can be said of them is how often they
        were drawn.
    """

    users: BoolArray
    taken: BoolArray
    refused: BoolArray

    @classmethod
    def by(cls, source: str, context: SamplingContext, n_items: int) -> Taught:
        """Of ``"uniform"`` or ``"sequential"`` sampling."""
        places = UNIFORM[source].starts(context)
        users = np.zeros(context.n_users, dtype=bool)
        taken, drawn = np.zeros((2, n_items), dtype=bool)
        users[context.owner[places]] = True
        taken[context.works[context.history.values[places]]] = True
        drawn[context.works] = True
        return cls(users, taken, drawn & ~taken)


def _could_be_taken(data: Dataset, histories: Histories) -> BoolArray:
    """Which works were there before the end of the log, or are in it all the same; shape (items,)."""
    there = data.stock.enters <= data.histories.times.max(initial=0)
    there[histories.items.values] = True
    return there
