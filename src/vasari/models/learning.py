"""Training a model's network on triples: what all models of the pairwise family share."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from vasari.core.errors import UsageError
from vasari.data.cases import Cases
from vasari.models.base import FitInputs, Recommender
from vasari.models.validation import Validator
from vasari.sampling.sampler import Sampler
from vasari.sampling.triples import Triples
from vasari.training.loop import TrainingSettings, train

VALIDATION_TRIPLES = 10_000  # drawn anew for the triple accuracy of each epoch, a tenth of it at most


@dataclass(frozen=True)
class LearningSettings(TrainingSettings):
    """Settings of every model that trains on triples; those of training are inherited.

    Attributes
    ----------
    validation_share
        Share of the users with two or more baskets whose last baskets are hidden to judge the epochs.
    """

    validation_share: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.validation_share < 1:
            raise UsageError(f"validation_share={self.validation_share} must lie in [0, 1)")


def learn(
    model: Recommender[Any],
    inputs: FitInputs,
    settings: TrainingSettings,
    network: nn.Module,
    sampler: Sampler,
    hidden: Cases,
    prepare: Callable[[], object],
) -> list[dict[str, float]]:
    """Train `network` in place and leave it at its best epoch; returns the record of every epoch.

    Parameters
    ----------
    model
        Whose name and settings identify the run in its checkpoints.
    inputs
        As `fit` hands them over.
    network
        A module that is a `vasari.training.loop.TripleNetwork`.
    sampler
        Draws the triples, from what is not hidden.
    hidden
        Cases that choose the epoch; without any, all epochs are run and the last is kept.
    prepare
        Brings the model up to date with the network, so that it can score; called once a validation.
    """

    def batches(epoch: int, triples: int = settings.triples_per_epoch) -> Iterator[Triples]:
        size = settings.batch_size
        for number, start in enumerate(range(0, triples, size)):
            yield sampler.batch(inputs.seed, epoch, number, min(size, triples - start))

    def accuracy() -> float:
        triples = min(VALIDATION_TRIPLES, math.ceil(settings.triples_per_epoch / 10))
        return triple_accuracy(network, batches(settings.epochs, triples))

    run = train(
        network,
        batches,
        Validator(hidden, prepare, model._masked_scores, accuracy) if len(hidden) else None,
        settings,
        seed=inputs.seed,
        checkpoints=inputs.checkpoints,
        run_key=_run_key(model, inputs),
        progress=inputs.progress,
    )
    return run.history


@torch.inference_mode()
def triple_accuracy(network: nn.Module, batches: Iterator[Triples]) -> float:
    """Share of triples in the right order; a tie counts as wrong (as in CuratorNet's published code)."""
    network.eval()
    scored = [network.pair_scores(batch) for batch in batches]  # type: ignore[operator]  # nn.Module hides the protocol's method
    return float(torch.cat([pair.positive > pair.negative for pair in scored]).float().mean())


def _run_key(model: Recommender[Any], inputs: FitInputs) -> str:
    """Identity of a run, so that its checkpoints are continued by no other."""
    table = inputs.table.fingerprint.to_json() if inputs.table is not None else None
    facts = [model.name, model.config(), inputs.data.fingerprint, table, inputs.seed]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
