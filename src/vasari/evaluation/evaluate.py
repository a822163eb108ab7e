"""Compare models on one protocol: fit what must be fitted, rank every case, keep what was finished."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from vasari._version import __version__
from vasari.core.errors import DataError, UsageError
from vasari.core.progress import bar
from vasari.data.cases import Cases
from vasari.data.dataset import Dataset
from vasari.data.splits import Split
from vasari.evaluation import protocols
from vasari.evaluation.beyond import Shop
from vasari.evaluation.identity import identity, inputs_digest
from vasari.evaluation.result import Evaluation, ModelResult
from vasari.evaluation.sampled import sample_candidates
from vasari.evaluation.scoring import (
    Revealable,
    answer,
    answerable,
    score_by_ids,
    without,
)
from vasari.evaluation.storage import finished_result, result_folder, save_result
from vasari.metrics import Score
from vasari.sampling.leaks import verify_disjoint

if TYPE_CHECKING:
    from vasari.features.table import FeatureTable
    from vasari.models.base import Recommender

    Models = Sequence[Recommender[Any]] | Mapping[str, Recommender[Any]]
    Features = FeatureTable | Mapping[str, FeatureTable] | None

PROBES = 8  # cases whose scores tell two fitted models of the same settings apart


def evaluate(
    models: Models,
    data: Dataset,
    features: Features = None,
    protocol: str | Split = "replay",
    ks: Sequence[int] = (20, 100),
    seed: int = 0,
    legacy: bool = False,
    progress: bool | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    sampled_candidates: int | None = None,
) -> Evaluation:
    """Rank what a protocol hid, with every model, among the same candidates.

    A model that was fitted on exactly the protocol's training part is used as it is. Any other one, fitted
    or not, stands for its settings: a fresh copy is fitted on the training part, and its result says so.

    Parameters
    ----------
    models
        The recommenders, or a mapping from the names they shall have in the tables. Without names, models of
        one kind are told apart by the settings in which they differ.
    data
        The whole log; the protocol splits it.
    features
        For models that look at pictures; one table for all, or one for each model by its name. Items without
        a vector in any of them are candidates for no model, so that all models rank the same works. The
        visual diversity of all lists is measured in the first.
    protocol
        A name of `vasari.evaluation.protocols.PROTOCOLS`, with settings as ``"cold-items:share=0.3,seed=1"``,
        or a split made elsewhere.
    ks
        Lengths of the list.
    seed
        Of the fits and of the resampling.
    legacy
        Compute AUC and nDCG with the errors of the reference, to compare with published tables.
    out
        Folder for the results. Each finished model is written at once; a later run with the same models,
        data, code and settings takes it from there instead of computing it again.
    sampled_candidates
        Rank what is relevant among only so many others, drawn by `seed` for each case. Such metrics are
        biased (`vasari.evaluation.sampled`), and the protocol's name says so; None ranks all candidates.

    Raises
    ------
    UsageError
        No models, two that cannot be told apart, a list length below 1, or sampled candidates together
        with `legacy`, whose AUC counts the whole catalogue.
    DataError
        Nothing is hidden, no hidden work is a candidate, or the training part holds hidden interactions.
    """
    ks = tuple(dict.fromkeys(ks))
    if not ks or min(ks) < 1:
        raise UsageError(f"ks={ks} must hold list lengths of at least 1")
    if legacy and sampled_candidates is not None:
        raise UsageError("legacy metrics count the whole catalogue; leave out legacy or sampled_candidates")
    named = _named(models)
    split = protocol if isinstance(protocol, Split) else protocols.split(data, protocol)
    cases = split.cases
    if not len(cases):
        raise DataError(
            f"{split.protocol} hides nothing of {data.name}: no user has what it takes for a case"
        )
    if split.train.catalogue.ids != cases.item_ids:
        raise DataError("the training part has another catalogue than the cases; split them from one dataset")
    verify_disjoint(split.train.histories, cases)
    split.verify()
    tables = _tables(features, named)
    unseen = np.zeros(len(cases.item_ids), dtype=bool)
    for table in tables.values():
        unseen |= table.align(cases.item_ids) < 0
    if tables:
        cases = without(cases, unseen)
    kept = answerable(cases)
    if not kept.any():
        raise DataError(f"no hidden work of {data.name} is a candidate at its moment; is the stock right?")

    name = split.protocol
    if sampled_candidates is not None:
        cases = sample_candidates(cases, sampled_candidates, seed)
        name += f" among {sampled_candidates} sampled candidates (biased)"

    folder = Path(out) if out is not None else None
    job = _Job(split.train, cases, tables, ks, seed, legacy, progress, folder, device)
    results = [job.run(name, model) for name, model in named.items()]
    asked, ranked = set(cases.user_ids), set(results[0].per_case["user_id"])
    evaluation = Evaluation(
        data_name=data.name,
        simulated=data.simulated,
        protocol=name,
        cases=cases,
        counts={
            "users": len(data.histories.user_ids),
            "users_asked": len(asked),
            "users_ranked": len(ranked),
            "cases": len(cases),
            "cases_ranked": results[0].per_case.height,
            "items": len(cases.item_ids),
            "items_without_picture": int(unseen.sum()),
            "relevant": len(kept),
            "relevant_lost": int((~kept).sum()),
        },
        left_out={
            "the protocol hides nothing of theirs": len(data.histories.user_ids)
            - len(asked)
            - sum(split.left_out.values()),
            **split.left_out,
            "none of their hidden works was a candidate (sold, removed, known or without picture)": len(asked)
            - len(ranked),
        },
        ks=ks,
        seed=seed,
        legacy=legacy,
        fingerprints={
            "data": data.fingerprint,
            "train": split.train.fingerprint,
            "features": _fingerprints(features),
        },
        provenance=provenance(),
        results=results,
    )
    if folder is not None:
        evaluation.save(folder)
    return evaluation


@dataclass(frozen=True, eq=False)
class _Job:
    """What all models of one evaluation share."""

    train: Dataset
    cases: Cases
    tables: Mapping[str, FeatureTable]
    ks: tuple[int, ...]
    seed: int
    legacy: bool
    progress: bool | None
    out: Path | None
    device: str

    def run(self, name: str, model: Recommender[Any]) -> ModelResult:
        """Fit if need be and answer all cases, or take the finished result."""
        ready = model.trained_on == self.train.fingerprint
        key = self._key(model, name, ready)
        if self.out is not None and (finished := finished_result(self.out, name, key)) is not None:
            return replace(finished, model=model if ready else None)
        started = time.perf_counter()
        fitted = model if ready else self._fit(model, name, key)
        between = time.perf_counter()
        with bar(f"ranking with {name}", len(self.cases), self.progress) as progress:
            try:
                answers = answer(self._score(fitted), self.cases, self.ks, self.legacy, self.seed, progress)
            except UsageError as error:  # scores that are no numbers
                raise UsageError(f"{name}: {error}") from error
        shown = answers.top_items[answers.per_case["case"].to_numpy(), : self.ks[0]]
        beyond = {f"{n}@{self.ks[0]}": values for n, values in self._shop.per_list(shown).items()}
        result = ModelResult(
            name=name,
            config=fitted.config(),
            per_case=answers.per_case.with_columns(**beyond).with_columns(
                pl.col(list(beyond)).fill_nan(None)
            ),
            overall={f"{n}@{self.ks[0]}": value for n, value in self._shop.overall(shown).items()},
            top_items=answers.top_items,
            top_scores=answers.top_scores,
            history=fitted.history,
            refitted=not ready,
            seconds_fit=0.0 if ready else between - started,
            seconds_score=time.perf_counter() - between,
            key=key,
            model=fitted,
        )
        if self.out is not None:
            save_result(result, self.out)
            if (checkpoints := self._checkpoints(name, key)) is not None:
                shutil.rmtree(checkpoints, ignore_errors=True)  # the result stands; training never goes on
        return result

    def _key(self, model: Recommender[Any], name: str, ready: bool) -> str:
        if self.out is None:
            return ""
        probe = None
        if ready:
            some = self.cases.take(np.arange(min(PROBES, len(self.cases))))
            probe = self._score(model)(some.profiles, some.user_ids)
        return identity(model, name, probe, self._inputs(name))

    def _inputs(self, name: str) -> str:
        table = self.tables.get(name)
        if table not in self._digests:
            settings = {"ks": self.ks, "seed": self.seed, "legacy": self.legacy, "device": self.device}
            settings |= {"looks": str(self._looks and self._looks.fingerprint)}
            self._digests[table] = inputs_digest(self.train, self.cases, table, settings)
        return self._digests[table]

    @cached_property
    def _digests(self) -> dict[FeatureTable | None, str]:
        return {}

    @cached_property
    def _looks(self) -> FeatureTable | None:
        """The table in which the diversity of all lists is measured."""
        return next(iter(self.tables.values()), None)

    @cached_property
    def _shop(self) -> Shop:
        return Shop.of(self.train, self.cases, self._looks)

    def _fit(self, model: Recommender[Any], name: str, key: str) -> Recommender[Any]:
        return model.clone().fit(
            self.train,
            self.tables.get(name),
            seed=self.seed,
            device=self.device,
            checkpoints=self._checkpoints(name, key),
            progress=self.progress,
        )

    def _score(self, model: Recommender[Any]) -> Score:
        if isinstance(model, Revealable):
            model.reveal(self.cases)
        return score_by_ids(model, self.cases.item_ids)

    def _checkpoints(self, name: str, key: str) -> Path | None:
        """Where training leaves its state, so that a killed fit goes on as well."""
        return self.out / "training" / result_folder(self.out, name, key).name if self.out else None


def _named(models: Models) -> dict[str, Recommender[Any]]:
    """Give every model a name of its own."""
    if isinstance(models, Mapping):
        named = dict(models)
    else:
        named = {}
        for model in models:
            twins = [other for other in models if other.name == model.name and other is not model]
            config, others = model.config(), [other.config() for other in twins]
            differ = [s for s, value in config.items() if any(other.get(s) != value for other in others)]
            suffix = f" ({', '.join(f'{s}={config[s]}' for s in differ)})" if differ else ""
            if (name := model.name + suffix) in named:
                raise UsageError(
                    f"two models are called {name!r}; pass a mapping such as {{'first': ..., 'second': ...}}"
                )
            named[name] = model
    if not named:
        raise UsageError("there are no models to evaluate; pass at least one")
    return named


def _tables(features: Features, names: Iterable[str]) -> dict[str, FeatureTable]:
    """The table of every model that has one, by its name."""
    if not isinstance(features, Mapping):
        return {} if features is None else dict.fromkeys(names, features)
    if strangers := set(features) - set(names):
        raise UsageError(f"features are given for {sorted(strangers)[0]!r}, but no model has that name")
    return dict(features)


def _fingerprints(features: Features) -> dict[str, Any] | None:
    if isinstance(features, Mapping):
        return {name: table.fingerprint.to_json() for name, table in features.items()}
    return None if features is None else features.fingerprint.to_json()


def provenance() -> dict[str, Any]:
    """Versions, machine, command and time."""
    packages = ("numpy", "polars", "scipy", "torch")
    return {
        "vasari": __version__,
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "machine": f"{platform.platform()}, {os.cpu_count()} cores",
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
