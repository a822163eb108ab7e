"""What the owner of a gallery sees: sales, works shown and never shown, models, the map of the collection."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from fastapi import Request
from markupsafe import Markup

from vasari.evaluation.report.charts import frame, line, nice_ticks, number, text
from vasari.serving.api.access import is_local
from vasari.serving.asks import ModelInfo, Overview
from vasari.serving.exposures import Contest, Variant
from vasari.serving.page.thumbnails import SIDES, Thumbnails
from vasari.serving.page.works import Shower, Shown

if TYPE_CHECKING:
    from vasari.serving.gallery import Gallery

SHELF = 24  # works never shown that are pictured, and visitors listed
_BY_DAY = 62  # days up to which sales are drawn by day, and by month beyond
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 720, 220, 40, 26, 14


def admit(request: Request, gallery: Gallery) -> bool:
    """Whether the owner is asking.

    With an API key as the password of HTTP Basic; where there are no keys, from this machine.
    """
    if not gallery.has_keys:
        return is_local(request)
    scheme, _, told = request.headers.get("authorization", "").partition(" ")
    try:
        _, colon, key = base64.b64decode(told, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return False
    return scheme.lower() == "basic" and bool(colon) and gallery.is_owner(key)


@dataclass(frozen=True)
class OwnerView:
    """The owner's page.

    Attributes
    ----------
    facts
        Number and what it counts.
    chart
        Sales over time, as SVG; None if nothing was ever sold.
    sales
        The same as (period, sales), latest first.
    models
        Those that answer, and how many answers each gave.
    metrics
        Names of those metrics of their evaluations that a table has room for.
    evaluation
        What was evaluated, None if nothing was.
    never_shown
        Some of the works that were in no answer, and how many there are.
    cold
        Some of the visitors of whom nothing was known, and how many there are.
    points
        How many works the map has.
    """

    facts: Sequence[tuple[str, str]]
    chart: Markup | None
    sales: Sequence[tuple[str, int]]
    models: Sequence[tuple[ModelInfo, int]]
    metrics: Sequence[str]
    evaluation: str | None
    never_shown: Sequence[Shown]
    never: int
    cold: Sequence[str]
    colds: int
    points: int


def owner_view(gallery: Gallery, thumbnails: Thumbnails) -> OwnerView:
    """Look at the whole gallery."""
    seen = gallery.overview()
    periods = by_period(seen.sales)
    return OwnerView(
        _facts(seen),
        sales_chart(periods) if periods else None,
        periods[::-1],
        [(model, seen.answers.get(model.name, 0)) for model in seen.models],
        _few_metrics(dict.fromkeys(metric for model in seen.models for metric in model.evaluation)),
        seen.evaluation,
        Shower(thumbnails).all(gallery.works(seen.never_shown[:SHELF])),
        seen.available - seen.shown,
        seen.cold_visitors[:SHELF],
        len(seen.cold_visitors),
        len(seen.map),
    )


@dataclass(frozen=True)
class ExperimentView:
    """The models compared by what visitors took; those of which nobody was shown anything are missing."""

    variants: Sequence[Variant]
    contests: Sequence[Contest]
    models: int


def experiment_view(gallery: Gallery) -> ExperimentView:
    """Compare the models, which reads all that was ever shown."""
    return ExperimentView(*gallery.experiment(), len(gallery.models()))


def _few_metrics(metrics: Iterable[str]) -> list[str]:
    """AUC, and the others at the shortest list they were measured at."""
    found = list(metrics)
    shortest = min((int(one.partition("@")[2]) for one in found if "@" in one), default=0)
    return [one for one in found if "@" not in one or one.endswith(f"@{shortest}")]


def map_points(gallery: Gallery, thumbnails: Thumbnails) -> list[dict[str, Any]]:
    """Every work of the map: where it lies, what it is called, and where its picture is."""
    places = gallery.overview().map
    shown = Shower(thumbnails).all(gallery.works(item_id for item_id, _, _ in places))
    return [
        {
            "x": round(x, 5),
            "y": round(y, 5),
            "label": work.label,
            "href": work.href,
            "src": work.picture.address(SIDES[0], "webp") if work.picture else None,
            "ratio": float(work.ratio),
        }
        for (_, x, y), work in zip(places, shown, strict=True)
    ]


def by_period(sales: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Sales by day where they span weeks, by month where they span more, without gaps."""
    if not sales:
        return []
    days = Counter({date.fromisoformat(day): count for day, count in sales})
    first, last = min(days), max(days)
    if (last - first).days <= _BY_DAY:
        span = (date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1))
        return [(day.isoformat(), days[day]) for day in span]
    months: Counter[int] = Counter()
    for day, count in days.items():
        months[day.year * 12 + day.month - 1] += count
    return [
        (f"{month // 12}-{month % 12 + 1:02d}", months[month])
        for month in range(min(months), max(months) + 1)
    ]


def sales_chart(periods: Sequence[tuple[str, int]]) -> Markup:
    """Sales of every period as columns."""
    ticks = [tick for tick in nice_ticks(0, max(count for _, count in periods)) if tick == int(tick)]
    top = max(ticks[-1], 1)
    floor, step = _HEIGHT - _BOTTOM, (_WIDTH - _LEFT) / len(periods)

    def y_of(value: float) -> float:
        return floor - (floor - _TOP) * value / top

    body = [line(_LEFT, y_of(tick), _WIDTH, y_of(tick), "grid") for tick in ticks]
    body += [text(_LEFT - 8, y_of(tick) + 4, number(tick), anchor="end") for tick in ticks]
    bar = Markup('<rect class="s1 bar" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>')
    body += [
        bar.format(_LEFT + step * place + step * 0.14, y_of(count), step * 0.72, floor - y_of(count))
        for place, (_, count) in enumerate(periods)
    ]
    body.append(line(_LEFT, floor, _WIDTH, floor, "base"))
    every = max(1, -(-len(periods) // 8))
    body += [
        text(_LEFT + step * (place + 0.5), _HEIGHT - 8, name)
        for place, (name, _) in enumerate(periods)
        if place % every == 0
    ]
    total = sum(count for _, count in periods)
    said = f"{total} sales from {periods[0][0]} to {periods[-1][0]}"
    return frame("wide", "Sales over time", said, body, (_WIDTH, _HEIGHT))


def _facts(seen: Overview) -> list[tuple[str, str]]:
    def said(count: int) -> str:
        return f"{count:,}".replace(",", "\u202f")

    return [
        (said(seen.works), "works"),
        (said(seen.available), "can be had"),
        (said(sum(count for _, count in seen.sales)), "sales"),
        (said(seen.users), "visitors known"),
        (said(sum(seen.answers.values())), "walls hung"),
        (f"{100 * seen.coverage:.0f} %", "of the works were shown"),
    ]
