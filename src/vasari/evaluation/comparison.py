"""What a comparison over several seeds found; every table in it is over users, each weighing the same.

A user's value is the mean over the seeds, so users, whose number decides how sure one can be, are drawn
in the bootstrap and swapped in the tests, and seeds are not mistaken for further users. How much a model
depends on its seed stands beside it as the standard deviation of its mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from vasari.core.errors import CorruptFileError
from vasari.core.files import atomic_path, read_json, sha256_file, write_json
from vasari.evaluation import per_user
from vasari.evaluation.beyond import PER_LIST
from vasari.evaluation.storage import plain
from vasari.metrics import metric_names

if TYPE_CHECKING:
    from rich.table import Table

FILE = "comparison.json"
USERS_FILE = "users.parquet"
KEYS = ("model", "seed", "user_id")


@dataclass(frozen=True)
class Trial:
    """Settings from a grid and the mean of the metric over validation users."""

    settings: dict[str, Any]
    value: float


def best(trials: list[Trial]) -> Trial:
    """The first trial with the highest value."""
    return max(trials, key=lambda trial: trial.value)


@dataclass(frozen=True)
class Competitor:
    """One model of a comparison.

    Attributes
    ----------
    name
        What it is called.
    model
        Its name in the registry.
    config
        All its settings, those found by tuning included.
    features
        Name of its feature table, None if it looks at no pictures.
    trials
        What tuning tried, in order.
    overall
        What all lists together were like, by measure (`vasari.evaluation.beyond.OVERALL`): one value a seed;
        null where it is undefined.
    """

    name: str
    model: str
    config: dict[str, Any]
    features: str | None
    trials: list[Trial]
    overall: dict[str, list[float | None]]

    @property
    def upper_bound(self) -> bool:
        """Whether it knows the answers: it stands in the tables, but is never the best."""
        return self.model == "Oracle"


@dataclass(frozen=True, eq=False)
class ModelComparison:
    """Several models, tuned alike, fitted with several seeds, on the same cases.

    Attributes
    ----------
    data_name, simulated
        The dataset's name, and its sentence about what is simulated (None for real people).
    protocol, validation
        What hid the test cases, and what hid the validation cases (None if nothing was tuned).
    metric
        What was tuned for and what the tests compare by default.
    ks, seeds, trials
        As in the recipe.
    counts, left_out
        As in `Evaluation`; `counts` also has validation_cases.
    fingerprints
        Of data, train, features by name.
    provenance
        Versions, machine and command.
    reference
        The model that the others are compared with; None for the best.
    notes
        Remarks of the recipe.
    competitors
        The models.
    users
        One row per model, seed and user: model, seed, user_id, profile_size, metrics, measures of the lists.
    """

    data_name: str
    simulated: str | None
    protocol: str
    validation: str | None
    metric: str
    ks: tuple[int, ...]
    seeds: tuple[int, ...]
    trials: int
    counts: dict[str, int]
    left_out: dict[str, int]
    fingerprints: dict[str, Any]
    provenance: dict[str, Any]
    reference: str | None
    notes: list[str]
    competitors: list[Competitor]
    users: pl.DataFrame

    @property
    def models(self) -> list[str]:
        """Names of the models."""
        return [one.name for one in self.competitors]

    @property
    def bounds(self) -> frozenset[str]:
        """Names of the upper bounds, which do not compete."""
        return frozenset(one.name for one in self.competitors if one.upper_bound)

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics."""
        return metric_names(self.ks)

    @cached_property
    def _pooled(self) -> dict[str, pl.DataFrame]:
        """One row per user and model: the means over the seeds."""
        means = self.users.drop("seed").group_by("model", "user_id", maintain_order=True).mean()
        parts = means.partition_by("model", as_dict=True, include_key=False, maintain_order=True)
        return {name: parts[(name,)] for name in self.models}

    def summary(self) -> pl.DataFrame:
        """Long table: model, metric, mean, low, high (95% bootstrap over users), n, seed_sd.

        `seed_sd` is the standard deviation over the seeds of the mean over users; null for one seed.
        """
        return self._summary

    @cached_property
    def _summary(self) -> pl.DataFrame:
        table = per_user.summary(self._pooled, self.metrics, self.seeds[0])
        by_seed = self.by_seed().group_by("model", "metric").agg(pl.col("mean").std().alias("seed_sd"))
        return table.join(by_seed, on=["model", "metric"], how="left", maintain_order="left")

    def by_seed(self) -> pl.DataFrame:
        """Long table: model, seed, metric, mean over users."""
        means = self.users.group_by("model", "seed", maintain_order=True).agg(pl.col(self.metrics).mean())
        return means.unpivot(index=["model", "seed"], variable_name="metric", value_name="mean")

    @property
    def best(self) -> str:
        """The model with the highest mean of the metric, upper bounds left out if there is any other."""
        return self.order(self.metric)[0]

    @property
    def standard(self) -> str:
        """The model that the others are compared with: the reference or, without one, the best."""
        return self.reference or self.best

    def order(self, metric: str) -> list[str]:
        """The models that compete, best first."""
        rivals = [name for name in self.models if name not in self.bounds] or self.models
        means = {name: np.nanmean(per_user.column(self._pooled, name, metric)) for name in rivals}
        return sorted(rivals, key=lambda name: -means[name])

    def compare_with(self, reference: str | None = None, metric: str | None = None) -> pl.DataFrame:
        """Every competing model against one, by default `standard`, paired over users.

        Columns as `vasari.evaluation.per_user.compare_with`: p-values of both tests, also Holm-adjusted for
        the number of models, Cohen's d_z, shares of users for whom a model is better, worse, the same.

        Raises
        ------
        NotFoundError
            There is no such model or metric.
        """
        reference = reference or self.standard
        known = {name: self._pooled[name] for name in self.models if name not in self.bounds - {reference}}
        return per_user.compare_with(known, reference, metric or self.metric, self.seeds[0])

    def by_profile_size(self, metric: str | None = None) -> pl.DataFrame:
        """How a metric grows with what is known about a user; see `vasari.evaluation.per_user`."""
        return per_user.by_profile_size(self._pooled, metric or self.metric, self.seeds[0])

    def beyond(self) -> pl.DataFrame:
        """What the shown lists are like, at the first k, as `Evaluation.beyond`; means over the seeds."""
        columns = [f"{name}@{self.ks[0]}" for name in PER_LIST]
        measured = [name for name in columns if name in self.users.columns]
        table = per_user.summary(self._pooled, measured, self.seeds[0]).rename({"metric": "measure"})
        rows = [
            (one.name, measure, float(np.mean(np.array(values, dtype=np.float64))))  # null is NaN
            for one in self.competitors
            for measure, values in one.overall.items()
        ]
        overall = pl.DataFrame(rows, {n: table.schema[n] for n in ("model", "measure", "mean")}, orient="row")
        return pl.concat([table, overall], how="diagonal")

    def table(self) -> Table:
        """Lay the comparison out as a rich table, every model against `standard`."""
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        table = Table(
            title=escape(self.title),
            caption=escape(self.caption),
            title_justify="left",
            caption_justify="left",
        )
        table.box = box.SIMPLE_HEAD
        table.add_column("model")
        tests = ("p perm.\np Wilc.", "d_z\nbetter/worse")
        for name in (self.metric, "sd of\nseeds", f"difference to\n{escape(self.standard)}", *tests):
            table.add_column(name, justify="right")
        means = {(r["model"], r["metric"]): r for r in self.summary().iter_rows(named=True)}
        against = {row["model"]: row for row in self.compare_with().iter_rows(named=True)}
        rivals = self.order(self.metric)
        for name in [*rivals, *(bound for bound in self.models if bound not in rivals)]:
            found = means[name, self.metric]
            spread = "" if found["seed_sd"] is None else f"{found['seed_sd']:.4f}"
            cells = [f"{found['mean']:.4f}\n[{found['low']:.3f}, {found['high']:.3f}]", spread]
            if row := against.get(name):
                cells += [f"{row['difference']:+.4f}\n[{row['low']:+.3f}, {row['high']:+.3f}]"]
                cells += [f"{row['p_holm']:.4f}\n{row['p_wilcoxon_holm']:.4f}"]
                cells += [f"{row['effect']:+.2f}\n{100 * row['better']:.0f}% / {100 * row['worse']:.0f}%"]
            table.add_row(escape(name), *cells)
        return table

    @property
    def title(self) -> str:
        """Data, protocol, numbers of users, seeds and trials."""
        tuned = f", {self.trials} trials a model" if any(one.trials for one in self.competitors) else ""
        return (
            f"{self.data_name}, {self.protocol}, {self.counts['users_ranked']} users, "
            f"{len(self.seeds)} seed{'s' if len(self.seeds) > 1 else ''}{tuned}"
        )

    @property
    def caption(self) -> str:
        """What the reader must know."""
        lines = [
            "mean over users and seeds [95% bootstrap interval over users]; p-values Holm-adjusted",
            *(f"users left out: {number}, {reason}" for reason, number in self.left_out.items() if number),
        ]
        return "\n".join([*lines, *self.notes, *([self.simulated] if self.simulated else [])])

    def __str__(self) -> str:
        from vasari.evaluation.printing import as_text

        return as_text(self.table())

    # ------------------------------------------------------------------ files

    def to_json(self) -> dict[str, Any]:
        """Everything but the users' values, as JSON can hold it: the facts and all tables."""
        facts = {name: getattr(self, name) for name in _FACTS}
        facts["competitors"] = [asdict(one) for one in self.competitors]
        tables: dict[str, Sequence[Any]] = {
            "summary": self.summary().to_dicts(),
            "compared_with_standard": self.compare_with().to_dicts(),
            "by_profile_size": self.by_profile_size().to_dicts(),
            "by_seed": self.by_seed().filter(pl.col("metric") == self.metric).to_dicts(),
            "beyond": self.beyond().to_dicts(),
        }
        found: dict[str, Any] = plain(facts | {"best": self.best, "standard": self.standard} | tables)
        return found

    def save(self, folder: str | Path) -> Path:
        """Write comparison.json and users.parquet into `folder`; the JSON last, with the other's checksum."""
        folder = Path(folder)
        with atomic_path(folder / USERS_FILE) as path:
            self.users.write_parquet(path)
        write_json(folder / FILE, self.to_json() | {"sha256": {USERS_FILE: sha256_file(folder / USERS_FILE)}})
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> ModelComparison:
        """Read what `save` wrote.

        Raises
        ------
        NotFoundError
            There is no finished comparison in `folder`.
        CorruptFileError
            The users' values are missing or differ from their checksum.
        """
        folder = Path(folder)
        facts = read_json(folder / FILE)
        users = folder / USERS_FILE
        if not users.is_file() or sha256_file(users) != facts["sha256"][USERS_FILE]:
            raise CorruptFileError(f"{users} is missing or differs from its checksum; compare again")
        competitors = [
            Competitor(**{**one, "trials": [Trial(**trial) for trial in one["trials"]]})
            for one in facts["competitors"]
        ]
        known = {name: facts[name] for name in _FACTS}
        known |= {"ks": tuple(known["ks"]), "seeds": tuple(known["seeds"])}
        return cls(competitors=competitors, users=pl.read_parquet(users), **known)


_FACTS = (
    "data_name", "simulated", "protocol", "validation", "metric", "ks", "seeds", "trials", "counts",
    "left_out", "fingerprints", "provenance", "reference", "notes",
)  # fmt: skip
