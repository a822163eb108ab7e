"""Run a comparison: tune every model alike, fit it with every seed, rank the test cases, put it together.

out/
  tuning/          an evaluation of every trial, on validation cases
  seed-0/ ...      an `Evaluation` of all models for each seed, on the test cases
  users.parquet    one row per model, seed and user
  comparison.json  everything else; written last
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import polars as pl

from vasari.core.errors import NotFoundError, UsageError
from vasari.data.dataset import Dataset
from vasari.evaluation import protocols
from vasari.evaluation.comparison import Competitor, ModelComparison, Trial, best
from vasari.evaluation.evaluate import evaluate, provenance
from vasari.evaluation.recipe import ModelSpec, Plan, Recipe, parse_recipe, read_recipe
from vasari.evaluation.result import Evaluation
from vasari.evaluation.tuning import mean_of, tune, validation_split
from vasari.features.table import FeatureTable


def compare(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    out: str | Path | None = None,
    device: str = "auto",
    progress: bool | None = None,
) -> ModelComparison:
    """Compare models as a recipe says: tuned alike, with several seeds, tested over the same users.

    Parameters
    ----------
    recipe
        A YAML file (`vasari.evaluation.recipe`), or the same as a dictionary.
    out
        Folder for the results. What is finished there is taken over, so that a comparison that was
        interrupted goes on and ends in the same result.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``.
    progress
        As in `vasari.core.progress.bar`.

    Raises
    ------
    DataError
        The recipe is wrong, its protocol hides nothing, in the log or again in the training part, or its
        metric is defined for nobody.
    NotFoundError
        A file, model, feature table or protocol that it names does not exist.
    UsageError
        A setting does not exist or is out of range, or Optuna is needed and missing.
    """
    if isinstance(recipe, (str, Path)):
        recipe = read_recipe(recipe)
    elif not isinstance(recipe, Recipe):
        recipe = parse_recipe(recipe)
    recipe.verify()
    tables = {name: FeatureTable.load(path) for name, path in recipe.tables.items()}
    return run(recipe, Dataset.load(recipe.data), tables, out, device, progress)


def run(
    plan: Plan,
    data: Dataset,
    tables: Mapping[str, FeatureTable],
    out: str | Path | None = None,
    device: str = "auto",
    progress: bool | None = None,
) -> ModelComparison:
    """Compare models on data in memory; otherwise as `compare`.

    Parameters
    ----------
    tables
        The feature tables by the names that `ModelSpec.features` uses; the first serves the others.
    """
    plan.verify()
    looks = {spec.title: _table_name(spec, tables) for spec in plan.models}
    split = protocols.split(data, plan.protocol)
    folder = Path(out) if out is not None else None

    validation, trials = None, dict[str, list[Trial]]()
    if any(spec.grid for spec in plan.models):
        validation = validation_split(split.train, plan.validation or plan.protocol)
        for spec in plan.models:
            table = tables.get(looks[spec.title] or "")
            where = folder / "tuning" if folder else None
            trials[spec.title] = tune(spec, plan, validation, table, where, device, progress)

    found = {name: best(tried).settings if tried else {} for name, tried in trials.items()}
    models = {spec.title: spec.build(found.get(spec.title)) for spec in plan.models}
    features = {title: tables[name] for title, name in looks.items() if name is not None}
    evaluations = [
        evaluate(
            models,
            data,
            features,
            split,
            plan.ks,
            seed,
            progress=progress,
            out=folder / f"seed-{seed}" if folder else None,
            device=device,
        )
        for seed in plan.seeds
    ]
    first = evaluations[0]
    mean_of(first.results[0], plan.metric)  # without a value there is nothing to order and test by
    result = ModelComparison(
        data_name=data.name,
        simulated=data.simulated,
        protocol=first.protocol,
        validation=validation.protocol if validation else None,
        metric=plan.metric,
        ks=first.ks,
        seeds=tuple(plan.seeds),
        trials=plan.trials,
        counts=first.counts | {"validation_cases": len(validation.cases) if validation else 0},
        left_out=first.left_out,
        fingerprints=first.fingerprints
        | {"features": {name: tables[name].fingerprint.to_json() for name in looks.values() if name}},
        # without the time: a comparison that was interrupted ends in the same bytes
        provenance={n: value for n, value in provenance().items() if n != "time"}
        | ({"optuna": _version("optuna")} if validation else {}),
        reference=plan.reference,
        notes=plan.notes,
        competitors=[
            Competitor(
                spec.title,
                type(models[spec.title]).name,
                models[spec.title].config(),
                looks[spec.title],
                trials.get(spec.title, []),
                _overall(evaluations, spec.title),
            )
            for spec in plan.models
        ],
        users=pl.concat(
            [_users(evaluation, seed) for evaluation, seed in zip(evaluations, plan.seeds, strict=True)]
        ),
    )
    if folder is not None:
        result.save(folder)
    return result


def _table_name(spec: ModelSpec, tables: Mapping[str, FeatureTable]) -> str | None:
    """The feature table of one model, None if it looks at none."""
    if spec.features is not None:
        if spec.features not in tables:
            raise NotFoundError(
                f"{spec.title} looks at the features {spec.features!r}; there are {list(tables) or 'none'}"
            )
        return spec.features
    if not spec.build().needs_features:
        return None
    if not tables:
        raise UsageError(f"{spec.title} looks at pictures, but no features are given")
    return next(iter(tables))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _overall(evaluations: list[Evaluation], model: str) -> dict[str, list[float | None]]:
    measures = evaluations[0][model].overall
    return {measure: [found[model].overall[measure] for found in evaluations] for measure in measures}


def _users(evaluation: Evaluation, seed: int) -> pl.DataFrame:
    """One row per model and user of one seed."""
    parts = [
        result.per_user().select(
            pl.lit(result.name).alias("model"),
            pl.lit(seed, dtype=pl.Int64).alias("seed"),
            pl.exclude("n_relevant", "n_candidates", "first_hit_rank"),
        )
        for result in evaluation.results
    ]
    return pl.concat(parts)
