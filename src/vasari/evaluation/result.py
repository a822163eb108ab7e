"""What a comparison of models found: per case on disk, per user in every mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.core.errors import NotFoundError, UsageError
from vasari.data.cases import Cases
from vasari.evaluation import per_user
from vasari.evaluation.beyond import PER_LIST
from vasari.metrics import Comparison, compare, metric_names

if TYPE_CHECKING:
    from rich.table import Table

    from vasari.models.base import Recommender

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

BIASED = (
    "biased: ranked among a few candidates drawn at random, which flatters every model and can reverse their "
    "order; not comparable with rankings of all candidates"
)


@dataclass(frozen=True, eq=False)
class ModelResult:
    """One model's row of the table, and everything behind it.

    Attributes
    ----------
    name
        Unique within the evaluation.
    config
        The model's settings.
    per_case
        One row per ranked case: case, user_id, profile_size, n_relevant, n_candidates, one column per
        metric (null where undefined), first_hit_rank, and what the list was like at the first k
        (`vasari.evaluation.beyond.PER_LIST`, for example ``"novelty@20"``).
    overall
        What all lists together were like (`vasari.evaluation.beyond.OVERALL`); null where undefined.
    top_items
        Rows of `Evaluation.cases.item_ids`, best first, shape (cases, longest k), -1 where a list ends.
    top_scores
        Their scores, -inf where a list ends.
    history
        What training recorded per epoch.
    refitted
        False if the model came fitted on exactly the training part, True if a fresh copy was fitted.
    seconds_fit, seconds_score
        Wall time; `seconds_fit` is 0 where nothing was fitted.
    key
        Identity of all that the result depends on.
    model
        The fitted model; None in results read from disk.
    """

    name: str
    config: dict[str, Any]
    per_case: pl.DataFrame
    top_items: IntArray
    top_scores: FloatArray
    history: list[dict[str, Any]]
    refitted: bool
    seconds_fit: float
    seconds_score: float
    key: str
    overall: dict[str, float | None] = field(default_factory=dict)
    model: Recommender[Any] | None = None

    def per_user(self) -> pl.DataFrame:
        """Means over each user's cases (most users have one), users in order of their first case."""
        return self.per_case.drop("case").group_by("user_id", maintain_order=True).mean()


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Several models on the same cases. All means are over users, each user weighing the same.

    Attributes
    ----------
    data_name, simulated
        The dataset's name, and its sentence about what is simulated (None for real people).
    protocol
        Name of the protocol.
    cases
        The questions, with the catalogue that all item numbers refer to.
    counts
        users (of the whole log), users_asked, users_ranked, cases, cases_ranked, items,
        items_without_picture, relevant, relevant_lost.
    left_out
        Reason to number of users who do not enter the means.
    ks, seed, legacy
        As given to `evaluate`.
    fingerprints
        Of data, train and features (None without).
    provenance
        Versions, machine, command and time.
    results
        One per model, in the given order.
    """

    data_name: str
    simulated: str | None
    protocol: str
    cases: Cases
    counts: dict[str, int]
    left_out: dict[str, int]
    ks: tuple[int, ...]
    seed: int
    legacy: bool
    fingerprints: dict[str, Any]
    provenance: dict[str, Any]
    results: list[ModelResult] = field(default_factory=list)

    @property
    def models(self) -> list[str]:
        """Names of the models."""
        return [result.name for result in self.results]

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics."""
        return metric_names(self.ks)

    def __getitem__(self, name: str) -> ModelResult:
        for result in self.results:
            if result.name == name:
                return result
        raise NotFoundError(f"no model {name!r} was evaluated; there are {self.models}")

    def summary(self) -> pl.DataFrame:
        """Long table: model, metric, mean, low, high (95% bootstrap over users), n (users with a value)."""
        return self._summary

    @cached_property
    def _summary(self) -> pl.DataFrame:
        return per_user.summary(self._users, self.metrics, self.seed)

    @cached_property
    def _users(self) -> dict[str, pl.DataFrame]:
        return {result.name: result.per_user() for result in self.results}

    def compare(self, first: str, second: str, metric: str = "ndcg@20") -> Comparison:
        """Paired difference first - second over users: mean, 95% interval, two p-values.

        Raises
        ------
        NotFoundError
            A model or metric is not in the evaluation.
        """
        return compare(self._values(first, metric), self._values(second, metric), self.seed)

    def compare_with(self, reference: str, metric: str = "ndcg@20") -> pl.DataFrame:
        """Every other model against one, as `vasari.evaluation.per_user.compare_with` describes."""
        return per_user.compare_with(self._users, reference, metric, self.seed)

    def by_profile_size(self, metric: str = "ndcg@20") -> pl.DataFrame:
        """How a metric grows with what is known about a user; see `vasari.evaluation.per_user`."""
        return per_user.by_profile_size(self._users, metric, self.seed)

    def beyond(self) -> pl.DataFrame:
        """What the shown lists are like (`vasari.evaluation.beyond`), at the first k.

        Returns
        -------
        Long table: model, measure, mean, low, high, n; the last three are null for what all lists make
        together.
        """
        columns = [f"{name}@{self.ks[0]}" for name in PER_LIST]
        measured = [name for name in columns if name in self.results[0].per_case.columns]
        table = per_user.summary(self._users, measured, self.seed).rename({"metric": "measure"})
        rows = [(r.name, measure, value) for r in self.results for measure, value in r.overall.items()]
        overall = pl.DataFrame(rows, {n: table.schema[n] for n in ("model", "measure", "mean")}, orient="row")
        return pl.concat([table, overall], how="diagonal")

    def table(self, metrics: Sequence[str] | None = None) -> Table:
        """Lay the means with their intervals out as a rich table, one row per model."""
        from rich.markup import escape
        from rich.table import Table

        shown = list(metrics) if metrics is not None else _main_metrics(self.ks)
        table = Table(
            title=escape(self.title),
            caption=escape(self.caption),
            title_justify="left",
            caption_justify="left",
        )
        table.add_column("model")
        for metric in shown:
            table.add_column(metric, justify="right")
        for result in self.results:
            cells = []
            for metric in shown:
                row = self._cell(result.name, metric)
                cells.append(f"{row['mean']:.4f}\n[{row['low']:.3f}, {row['high']:.3f}]")
            table.add_row(escape(result.name), *cells)
        return table

    @property
    def title(self) -> str:
        """Data, protocol and number of users, with a warning where the metrics are the flawed ones."""
        flawed = ", AUC and nDCG computed with the reference's errors" if self.legacy else ""
        return f"{self.data_name}, {self.protocol}, {self.counts['users_ranked']} users{flawed}"

    @property
    def caption(self) -> str:
        """What the reader must know: intervals, who was left out and why, and what is simulated."""
        lines = ["mean over users [95% bootstrap interval]"]
        lines += [BIASED] if self.cases.shortlist is not None else []
        lines += [f"users left out: {number}, {reason}" for reason, number in self.left_out.items() if number]
        return "\n".join(lines + ([self.simulated] if self.simulated else []))

    def __str__(self) -> str:
        from vasari.evaluation.printing import as_text

        return as_text(self.table())

    def save(self, folder: str | Path) -> Path:
        """Write everything into `folder`; results already there under the same key are not rewritten."""
        from vasari.evaluation.storage import save_evaluation

        return save_evaluation(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> Evaluation:
        """Read what `save` wrote.

        Raises
        ------
        NotFoundError
            There is no finished evaluation in `folder`.
        CorruptFileError
            A file is missing or differs from its checksum.
        """
        from vasari.evaluation.storage import load_evaluation

        return load_evaluation(Path(folder))

    def _values(self, model: str, metric: str) -> npt.NDArray[np.float64]:
        """One value per user, NaN where undefined."""
        return per_user.column(self._users, model, metric)

    def _cell(self, model: str, metric: str) -> dict[str, Any]:
        if metric not in self.metrics:
            raise UsageError(f"no metric {metric!r} was computed; there are {self.metrics}")
        return self.summary().row(
            by_predicate=(pl.col("model") == model) & (pl.col("metric") == metric), named=True
        )


def _main_metrics(ks: Sequence[int]) -> list[str]:
    return ["auc", "rr", *(f"{name}@{ks[0]}" for name in ("ndcg", "recall"))]
