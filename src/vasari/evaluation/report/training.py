"""The training curve: loss and validation metrics per epoch, with the epoch that was kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vasari.evaluation.report import charts
from vasari.evaluation.report.words import metric_name
from vasari.evaluation.result import ModelResult

# What a record of `TrainingRun.history` holds besides the loss and the validation metrics.
BOOKKEEPING = frozenset({"epoch", "loss", "learning_rate", "seconds", "triples_per_second"})


@dataclass(frozen=True)
class Curve:
    """Everything the section shows for one trained model; each panel with its caption."""

    name: str
    panels: Sequence[tuple[Markup, str]]
    epochs: int
    chosen: int
    monitor: str | None
    seconds: float


def curve(result: ModelResult, style: int) -> Curve | None:
    """Draw the loss, the monitored metric and nDCG; None for models that learn nothing in epochs."""
    history = [
        {k: float(v) for k, v in record.items() if v is not None and math.isfinite(v)}
        for record in result.history
    ]
    if len(history) < 2:
        return None
    metrics = [key for key in history[-1] if key not in BOOKKEEPING]
    monitor = result.config.get("monitor", "auc")
    others = [key for key in metrics if key != monitor]
    chosen = int(history[-1]["epoch"])
    if monitor in metrics:  # the rule of the training loop: the first epoch with the highest value
        chosen = int(max(history, key=lambda record: record.get(monitor, -math.inf))["epoch"])
    wanted = [
        "loss",
        *([monitor] if monitor in metrics else []),
        *sorted(others, key=lambda k: k != "ndcg@20"),
    ]
    panels = [panel for key in wanted[:3] if (panel := _panel(result.name, key, history, chosen, style))]
    return Curve(
        result.name,
        panels,
        int(history[-1]["epoch"]),
        chosen,
        metric_name(monitor) if monitor in metrics else None,
        sum(record.get("seconds", 0.0) for record in history),
    )


def _finite(record: Mapping[str, float | None]) -> dict[str, float]:
    return {key: float(v) for key, v in record.items() if v is not None and math.isfinite(v)}


def _panel(
    name: str, key: str, history: Sequence[dict[str, float]], chosen: int, style: int
) -> tuple[Markup, str] | None:
    points = [charts.Point(record["epoch"], record[key]) for record in history if key in record]
    if not points:
        return None
    what = "Training loss" if key == "loss" else f"Validation {metric_name(key)}"
    first, last = points[0], points[-1]
    description = (
        f"{what} of {name} per epoch: {first.y:.4f} at epoch {first.x:.0f}, {last.y:.4f} at "
        f"epoch {last.x:.0f}; epoch {chosen} was kept."
    )
    start, end = int(history[0]["epoch"]), int(history[-1]["epoch"])
    labels = [(float(e), str(e), "") for e in range(start, end + 1, max(1, -(-(end - start) // 8)))]
    line = charts.Series(name, points, style)
    return charts.lines(what, description, [line], labels, (float(chosen), f"kept: {chosen}")), what
