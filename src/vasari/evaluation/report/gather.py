"""Collect what the report shows beside the numbers: clusters, drawn triples, reasons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vasari.data.dataset import Dataset
from vasari.evaluation.report.inputs import ReportInput
from vasari.evaluation.report.people import shown_recommendations
from vasari.evaluation.result import Evaluation
from vasari.features.table import FeatureTable
from vasari.models.drawing import clusters_of, item_clusters, triple_sampler
from vasari.sampling.guidelines import GUIDELINES
from vasari.sampling.sampler import Sampler
from vasari.sampling.triples import Triples

TRIPLES = 64  # drawn per guideline; the report shows a few of them


def gather(
    data: Dataset,
    train: Dataset,
    evaluation: Evaluation,
    features: FeatureTable | None = None,
    seed: int = 0,
    commands: Sequence[str] = (),
) -> ReportInput:
    """Everything for `write_report`.

    Parameters
    ----------
    data, train
        The whole data, and the part that models were fitted on: triples are drawn from that.
    evaluation
        Reasons are given for models that are still in memory.
    features
        Without them the sections on clusters and triples are absent.
    seed
        Of clusters, triples and of what is shown.
    commands
        What led here, in order.
    """
    report = ReportInput(data, evaluation, seed, commands, explanations=explanations(evaluation, seed))
    if features is None:
        return report
    clusters = clusters_of(features, seed)
    return replace(
        report,
        clusters=item_clusters(clusters, features.align(data.catalogue.ids)),
        silhouette=clusters.silhouette,
        triples=drawn_triples(train, evaluation, features, seed),
    )


def explanations(evaluation: Evaluation, seed: int) -> dict[tuple[str, int, int], list[tuple[int, float]]]:
    """(model, case, item) of every recommendation shown to (work of the profile, contribution)."""
    cases = evaluation.cases
    wanted: dict[tuple[str, int], list[int]] = defaultdict(list)
    for name, case, item in shown_recommendations(evaluation, seed):
        wanted[name, case].append(item)
    found = {}
    for (name, case), items in wanted.items():
        model = evaluation[name].model
        profile = np.unique(cases.profiles[case])
        if model is None or not model.personal or not len(profile):
            continue
        ours = model.item_ids.find(cases.item_ids.take(profile))
        profile, ours = profile[ours >= 0], ours[ours >= 0]
        parts = model.contributions(ours, model.item_ids.rows(cases.item_ids.take(items)))
        for item, row in zip(items, parts, strict=True):
            found[name, case, item] = list(zip(profile.tolist(), map(float, row), strict=True))
    return found


def drawn_triples(
    train: Dataset, evaluation: Evaluation, features: FeatureTable, seed: int
) -> dict[str, Triples]:
    """Some triples of each guideline that the data can serve."""
    rows = features.align(train.catalogue.ids)
    drawn = {}
    sampler = triple_sampler(train, train.histories, evaluation.cases, features, rows, seed=seed)
    for name in GUIDELINES:
        if name not in sampler.left_out:
            drawn[name] = Sampler(sampler.context, {name: 1.0}).batch(seed, 0, 0, TRIPLES)
    return drawn
