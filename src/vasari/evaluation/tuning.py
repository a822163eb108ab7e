"""Choosing settings: the same number of trials for every model, on validation cases only.

The validation cases come from the training part of the comparison's protocol, which is split once more.
What the test asks is in neither half, so no choice can look at it. The users of both are the same
people as far as the protocol asks them twice; their test interactions are not seen.

Every trial is one `evaluate`, whose result stays on disk under a key of all it depends on. Trials are
proposed by a seeded sampler from the values before, so a tuning that was killed walks through the same
trials, takes the finished ones from disk, and goes on as if nothing had happened.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vasari.core.errors import DataError, UsageError
from vasari.core.progress import bar
from vasari.core.seeds import generator
from vasari.data.dataset import Dataset
from vasari.data.splits import Split
from vasari.evaluation import protocols
from vasari.evaluation.comparison import Trial, best
from vasari.evaluation.evaluate import evaluate
from vasari.evaluation.recipe import ModelSpec, Plan, Range
from vasari.evaluation.result import ModelResult
from vasari.features.table import FeatureTable


def validation_split(train: Dataset, protocol: str) -> Split:
    """Split the training part again, for tuning.

    Raises
    ------
    DataError
        The protocol finds nothing to hide in it.
    """
    cure = "name another protocol as `validation`, or replace grids by settings"
    try:
        split = protocols.split(train, protocol)
    except DataError as error:
        raise DataError(f"no validation users can be found in the training part: {error}; {cure}") from None
    if not len(split.cases):
        raise DataError(f"{protocol} hides nothing of the training part, so nobody can be tuned on; {cure}")
    return split


def tune(
    spec: ModelSpec,
    plan: Plan,
    split: Split,
    features: FeatureTable | None,
    out: Path | None = None,
    device: str = "auto",
    progress: bool | None = None,
) -> list[Trial]:
    """Try settings from the grid of one model.

    A grid of no more points than `Plan.trials` is tried point by point; from a larger one Optuna's TPE
    proposes exactly that many (Bergstra et al. 2011; the first ten at random). A point proposed twice
    counts twice, but is computed once.

    Parameters
    ----------
    split
        Of the training part, from `validation_split`.
    out
        Where the results of trials stay.

    Returns
    -------
    The trials in their order; none for a model without a grid.

    Raises
    ------
    UsageError
        The grid is larger than the budget and Optuna is not installed.
    DataError
        The metric is defined for no validation user.
    """
    if not spec.grid:
        return []
    k = int(plan.metric.partition("@")[2] or plan.ks[0])

    def value(settings: Mapping[str, Any]) -> float:
        found = evaluate(
            {spec.title: spec.build(settings)},
            split.train,
            features,
            split,
            ks=(k,),
            seed=plan.seeds[0],
            progress=False,
            out=out,
            device=device,
        )
        return mean_of(found.results[0], plan.metric)

    trials: list[Trial] = []
    size = grid_size(spec.grid)
    proposals = iter(grid_points(spec.grid)) if size <= plan.trials else _tpe(spec, plan, trials)
    with bar(f"tuning {spec.title}", int(min(size, plan.trials)), progress) as advance:
        for settings in proposals:
            trials.append(Trial(settings, value(settings)))
            advance.advance(note=f"best {best(trials).value:.4f}")
    return trials


def mean_of(result: ModelResult, metric: str) -> float:
    """Mean of a metric over users.

    Raises
    ------
    DataError
        No user has it: AUC where all that can be recommended is relevant.
    """
    mean = result.per_user()[metric].mean()
    if mean is None:
        raise DataError(f"{metric} is defined for nobody who is asked; compare by another metric")
    return float(mean)  # type: ignore[arg-type]  # a column of numbers


def grid_size(grid: Mapping[str, list[Any] | Range]) -> float:
    """Number of combinations, infinite with a range."""
    return math.prod(math.inf if isinstance(choice, Range) else len(choice) for choice in grid.values())


def grid_points(grid: Mapping[str, list[Any] | Range]) -> Iterator[dict[str, Any]]:
    """All combinations of a grid without ranges, the last setting changing fastest."""
    lists = [choice for choice in grid.values() if not isinstance(choice, Range)]
    return (dict(zip(grid, values, strict=True)) for values in itertools.product(*lists))


def _tpe(spec: ModelSpec, plan: Plan, trials: list[Trial]) -> Iterator[dict[str, Any]]:
    """Settings to try next; by then `trials` must end with the value of those before."""
    try:
        import optuna
    except ImportError:
        raise UsageError(
            f"{spec.title} has more settings to try than trials={plan.trials}, which needs Optuna: "
            'pip install "vasari[tune]", or make the grid smaller'
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = int(generator(plan.seeds[0], "tuning", zlib.crc32(spec.title.encode())).integers(2**32))
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    for _ in range(plan.trials):
        trial = study.ask()
        yield {name: _suggest(trial, name, choice) for name, choice in spec.grid.items()}
        study.tell(trial, trials[-1].value)


def _suggest(trial: Any, name: str, choice: list[Any] | Range) -> Any:
    if not isinstance(choice, Range):  # by place in the list: Optuna takes no lists or dictionaries as values
        return choice[trial.suggest_categorical(name, range(len(choice)))]
    whole = isinstance(choice.low, int) and isinstance(choice.high, int)
    suggest = trial.suggest_int if whole else trial.suggest_float
    return suggest(name, choice.low, choice.high, log=choice.log)
