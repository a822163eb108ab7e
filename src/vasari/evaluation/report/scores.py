"""The figures on models: the table with intervals, paired differences, profile sizes, first-hit ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import polars as pl
from markupsafe import Markup

from vasari.evaluation.report import charts
from vasari.evaluation.report.words import count, decimal, metric_name
from vasari.evaluation.result import Evaluation
from vasari.metrics import Interval

DRAWN = ("auc", "ndcg@20")  # metrics with a plot in the table, paired tests and a chart by profile size
BESIDE = ("recall@20", "hit@20", "rr")  # metrics that stand beside them in the first table
FEWEST = 5  # users below which a mean by profile size says nothing
BOUNDS = frozenset({"Oracle"})  # models that know the answers: set apart, never the best


@dataclass(frozen=True)
class Cell:
    """One metric of one model."""

    interval: Interval
    best: bool
    plot: Markup | None


@dataclass(frozen=True)
class Row:
    """One model in a table; `cells` in the order of the table's metrics."""

    name: str
    key: Markup
    bound: bool
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Table:
    """Metrics of all models."""

    metrics: Sequence[str]
    rows: Sequence[Row]


@dataclass(frozen=True)
class Differences:
    """All models against the best by one metric; `rows` as `Evaluation.compare_with` gives them."""

    metric: str
    best: str
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Figure:
    """One drawing with its caption."""

    caption: str
    aside: str
    drawing: Markup


class Measured(Protocol):
    """An evaluation with one seed or a comparison over several."""

    @property
    def models(self) -> list[str]:
        """Names of the models."""

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics."""

    def summary(self) -> pl.DataFrame:
        """Means with intervals."""

    def compare_with(self, reference: str, metric: str) -> pl.DataFrame:
        """Every other model against one."""

    def by_profile_size(self, metric: str) -> pl.DataFrame:
        """Means by class of profile sizes."""


class Scores:
    """Looks up what an evaluation found and draws it; models keep one colour and marker throughout."""

    def __init__(
        self, evaluation: Measured, drawn: Sequence[str] = DRAWN, bounds: frozenset[str] = BOUNDS
    ) -> None:
        self.evaluation, self._drawn = evaluation, drawn
        names = [name for name in evaluation.models if name not in bounds]
        self.style = {name: place for place, name in enumerate(names)}
        rows = evaluation.summary().iter_rows(named=True)
        self._means = {
            (r["model"], r["metric"]): Interval(r["mean"], r["low"], r["high"], r["n"]) for r in rows
        }

    def mean(self, model: str, metric: str) -> Interval:
        """Mean over users with its 95% interval."""
        return self._means[model, metric]

    def ordered(self, metric: str) -> list[str]:
        """Models with a value by this metric, best first, upper bounds left out."""
        known = [name for name in self.style if self.mean(name, metric).n]
        return sorted(known, key=lambda name: -self.mean(name, metric).mean)

    def drawn(self) -> list[str]:
        """The metrics worth drawing, as far as they were measured for anybody."""
        return [m for m in self._drawn if m in self.evaluation.metrics and self.ordered(m)]

    def first_metrics(self) -> list[str]:
        """The metrics of the first table."""
        wanted = [m for m in dict.fromkeys((*self._drawn, *BESIDE)) if m in self.evaluation.metrics]
        return wanted if len(wanted) > 2 else self.evaluation.metrics[:5]

    def table(self, metrics: Sequence[str], plots: bool) -> Table:
        """Models by falling first metric, upper bounds last."""
        bounds = [name for name in self.evaluation.models if name not in self.style]
        best = {m: self.ordered(m)[:1] for m in metrics}
        known = self.ordered(metrics[0])
        names = known + [name for name in self.style if name not in known] + bounds
        spans = {m: self._span(m) for m in metrics}
        rows = []
        for name in names:
            cells = []
            for metric in metrics:
                found, plot = self.mean(name, metric), None
                if plots and metric in self._drawn and name in self.style and found.n:
                    what = f"{metric_name(metric)} of {name}"
                    plot = charts.whisker(found, spans[metric], self.style[name], what)
                cells.append(Cell(found, name in best[metric], plot))
            rows.append(Row(name, charts.key(self.style.get(name, 0)), name in bounds, cells))
        return Table(metrics, rows)

    def differences(self) -> list[Differences]:
        """Every model against the best, paired over the same users, for each drawn metric."""
        result = []
        for metric in self.drawn():
            best, *others = self.ordered(metric)
            if not others:
                continue
            against = self.evaluation.compare_with(best, metric)
            rows = {row["model"]: row for row in against.iter_rows(named=True)}
            result.append(Differences(metric, best, [rows[name] for name in others]))
        return result

    def by_profile_size(self) -> list[Figure]:
        """Mean and interval of the drawn metrics by class of profile size."""
        figures = []
        for metric in self.drawn():
            frame = self.evaluation.by_profile_size(metric)
            rows = [r for r in frame.iter_rows(named=True) if r["model"] in self.style and r["n"] >= FEWEST]
            starts = sorted({row["from"] for row in rows})
            if not starts:
                continue
            labels = {
                row["from"]: (
                    float(starts.index(row["from"])),
                    row["profile_size"].replace("-", "–"),
                    count(row["n"]),
                )
                for row in rows
            }
            points: dict[str, list[charts.Point]] = {name: [] for name in self.style}
            for row in sorted(rows, key=lambda r: r["from"]):
                place = labels[row["from"]][0]
                points[row["model"]].append(charts.Point(place, row["mean"], row["low"], row["high"]))
            marks = sorted(labels.values())
            told = "; ".join(
                f"{name}: " + ", ".join(f"{decimal(p.y)} at {marks[int(p.x)][1]} works" for p in line)
                for name, line in points.items()
            )
            series = [charts.Series(name, line, self.style[name]) for name, line in points.items() if line]
            title = f"{metric_name(metric)} by size of profile"
            aside = "by works in the profile; below, collectors"
            figures.append(Figure(metric_name(metric), aside, charts.lines(title, told, series, marks)))
        return figures

    def legend(self) -> list[tuple[str, Markup]]:
        """Name and sign of every model."""
        return [(name, charts.key(style)) for name, style in self.style.items()]

    def _span(self, metric: str) -> tuple[float, float]:
        known = [self.mean(name, metric) for name in self.ordered(metric)]
        if not known:
            return 0.0, 1.0
        low, high = min(i.low for i in known), max(i.high for i in known)
        room = 0.04 * (high - low) or 0.01
        return low - room, high + room


def first_hits(evaluation: Evaluation, styles: Mapping[str, int]) -> list[Figure]:
    """Where the first work that was really taken stood in each model's list, in bins that widen."""
    found = {name: evaluation[name].per_case["first_hit_rank"].to_numpy() for name in styles}
    found = {name: ranks for name, ranks in found.items() if len(ranks)}
    if not found:
        return []
    longest = max(float(ranks.max()) for ranks in found.values())
    edges = [1]
    while edges[-1] <= longest:
        edges.append(edges[-1] * (2 if longest <= 512 else 4))
    labels = [_bin(low, high - 1) for low, high in pairwise(edges)]
    shares = {name: np.histogram(ranks, edges)[0] / len(ranks) for name, ranks in found.items()}
    top = max(float(share.max()) for share in shares.values())
    figures = []
    for name, share in shares.items():
        columns = dict(zip(labels, share.tolist(), strict=True))
        told = ", ".join(f"place {word}: {100 * value:.0f}%" for word, value in columns.items())
        drawing = charts.bars(f"First hits of {name}", told, columns, top, styles[name])
        figures.append(Figure(name, f"median place {count(float(np.median(found[name])))}", drawing))
    return figures


def rivals(evaluation: Evaluation) -> list[str]:
    """The models that compete, in the evaluation's order."""
    return [name for name in evaluation.models if name not in BOUNDS]


def _bin(low: int, high: int) -> str:
    return str(low) if low == high else f"≤{high}"
