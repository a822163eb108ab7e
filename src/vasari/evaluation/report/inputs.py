"""What the report is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import numpy as np
import numpy.typing as npt

from vasari.data.dataset import Dataset
from vasari.evaluation.report.people import Explanations
from vasari.evaluation.result import Evaluation
from vasari.sampling.triples import Triples


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True, eq=False)
class ReportInput:
    """Everything one report shows; all but the first two may be absent, and their sections then are.

    Attributes
    ----------
    data
        The whole data set, with the catalogue that all item numbers refer to.
    evaluation
        How the models ranked the cases.
    seed
        Decides which collectors, works and triples are drawn for showing.
    commands
        The commands from the pictures to the report, in order, the last being the one that wrote it; by
        default only that of the evaluation's provenance.
    clusters
        Visual cluster per work of the catalogue, shape (items,), -1 where a work has no picture.
    silhouette
        Of the clusters.
    triples
        Some triples of each guideline, by its name; profiles and items are rows of the catalogue.
    explanations
        (model, case, item) to the works of the profile with their contribution to that item's score,
        any order. `shown_recommendations` names the keys that are used.
    settings
        Settings beside those of the models, for example of features or clusters: name to (key to value).
    created
        When the report was made.
    """

    data: Dataset
    evaluation: Evaluation
    seed: int = 0
    commands: Sequence[str] = ()
    clusters: npt.NDArray[np.int64] | None = None
    silhouette: float | None = None
    triples: Mapping[str, Triples] = field(default_factory=dict)
    explanations: Explanations = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    created: datetime = field(default_factory=_now)
