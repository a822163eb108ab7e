"""The page on a comparison: who is best and how surely, and what tuning and seeds did to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from vasari.core.files import write_text
from vasari.evaluation.comparison import Competitor, ModelComparison, best
from vasari.evaluation.report import charts, facts, words
from vasari.evaluation.report.page import page_environment, render_page
from vasari.evaluation.report.scores import FEWEST, Figure, Scores
from vasari.metrics import Interval

ALPHA = 0.05
CHOSEN_HERE = (
    " The best was chosen by the collectors it is tested on, which flatters it slightly; a reference named "
    "in the recipe is not so favoured."
)


def write_comparison(path: str | Path, found: ModelComparison, created: datetime | None = None) -> Path:
    """Write one self-contained HTML file, whole or not at all.

    Parameters
    ----------
    created
        Now by default.
    """
    return write_text(path, render(found, created or datetime.now(timezone.utc)))


def render(found: ModelComparison, created: datetime) -> str:
    """Build the page as text."""
    reference = found.reference
    metrics = tuple(dict.fromkeys((found.metric, "auc")))
    scores = Scores(found, metrics, found.bounds)
    pairs = [against(found, scores, metric) for metric in metrics]
    forests = [pair for pair in pairs if pair is not None]
    standard = reference or "the best model"
    tuned = [one for one in found.competitors if one.trials]
    few = len(scores.style) <= charts.SERIES  # more lines than colours cannot be told apart
    content: dict[str, Any] = {
        "kind": "Comparison",
        "title": found.data_name,
        "date": words.day(created),
        "simulated": found.simulated,
        "findings": findings(found),
        "facts": _facts(found),
        "details": [
            ("Seeds", ", ".join(str(seed) for seed in found.seeds)),
            ("Versions", f"Vasari {found.provenance['vasari']}, Python {found.provenance['python']}"),
            ("Data", found.fingerprints["data"][:16]),
        ],
        "protocol": facts.protocol(found.protocol),
        "command": found.provenance["command"],
        "table": scores.table(scores.first_metrics(), plots=True),
        "full_table": scores.table(found.metrics, plots=False),
        "left_out": [*facts.left_out(found.counts, found.left_out), *map(_sentence, found.notes)],
        "forests": [figure for figure, _ in forests],
        "paired_tables": [table for _, table in forests],
        "differences_name": "Against the best" if reference is None else f"Against {reference}",
        "differences_words": (
            f"Each model minus {standard}, over the same collectors, with its 95% interval. An interval that "
            "holds zero leaves open which of the two is better." + (CHOSEN_HERE if reference is None else "")
        ),
        "size_figures": scores.by_profile_size() if few else [],
        "size_table": None if few else _sizes(found),
        "legend": scores.legend(),
        "beyond_rows": found.beyond().to_dicts(),
        "seeds": found.seeds,
        "seed_rows": _by_seed(found),
        "tuning": [_tuning(tuned, scores.style, found.metric)] if tuned else [],
        "tuning_legend": [entry for entry in scores.legend() if entry[0] in {one.name for one in tuned}],
        "tuning_words": (
            f"Every model with a grid was tried with up to {found.trials} settings. They were judged by "
            f"{words.plural(found.counts['validation_cases'], 'case')} that {found.validation} hides in the "
            "training part; no trial saw what the test asks."
        ),
        "chosen": [
            {
                "model": one.name,
                "trials": len(one.trials),
                "value": best(one.trials).value,
                "settings": json.dumps(best(one.trials).settings, ensure_ascii=False),
            }
            for one in tuned
        ],
        "facts_tables": _tables(found),
    }
    content["contents"] = [
        (key, name)
        for key, name, present in (
            ("models", "The models", True),
            ("differences", content["differences_name"], forests),
            ("sizes", "By size of profile", content["size_figures"] or content["size_table"]),
            ("lists", "What is shown", True),
            ("seeds", "By seed", True),
            ("tuning", "Tuning", tuned),
            ("reproduce", "Reproduce", True),
        )
        if present
    ]
    return render_page(page_environment(), "comparison.html.j2", content)


def findings(found: ModelComparison) -> list[str]:
    """Say in two plain sentences who is ahead, of whom surely, and of whom not."""
    standard = found.standard
    row = found.summary().row(
        by_predicate=(pl.col("model") == standard) & (pl.col("metric") == found.metric), named=True
    )
    what = words.metric_name(found.metric)
    said = (
        "has the highest mean" if standard == found.best else "is what the others are compared with; its mean"
    )
    mean, low, high = (words.decimal(row[name]) for name in ("mean", "low", "high"))
    first = (
        f"{standard} {said} {what}: {mean}, 95% interval {low} to {high}, over "
        f"{words.plural(row['n'], 'collector')} and {words.plural(len(found.seeds), 'seed')}."
    )
    rows = found.compare_with().to_dicts()
    sure = [r for r in rows if max(r["p_holm"], r["p_wilcoxon_holm"]) < ALPHA]
    parts = [
        f"{name}: {', '.join(r['model'] for r in group)}"
        for name, group in (
            ("Worse by both tests", [r for r in sure if r["difference"] < 0]),
            ("Better by both tests", [r for r in sure if r["difference"] > 0]),
            ("Not told apart from it by both", [r for r in rows if r not in sure]),
        )
        if group
    ]
    return [first, ". ".join(parts) + "."] if parts else [first]


def against(found: ModelComparison, scores: Scores, metric: str) -> tuple[Figure, Mapping[str, Any]] | None:
    """The differences to one model by one metric, drawn and as a table; None where nothing is compared."""
    order = scores.ordered(metric)
    standard = found.reference or (order[0] if order else "")
    listed = order if found.reference is None else list(scores.style)  # variants stay in their groups
    others = [name for name in listed if name != standard]
    if not order or not others:
        return None
    by_name = {row["model"]: row for row in found.compare_with(standard, metric).iter_rows(named=True)}
    rows = [by_name[name] for name in others]
    drawn = [
        (row["model"], Interval(row["difference"], row["low"], row["high"], 1), scores.style[row["model"]])
        for row in rows
    ]
    told = "; ".join(f"{name}: {words.decimal(i.mean)}" for name, i, _ in drawn)
    title = f"{words.metric_name(metric)}, difference to {standard}"
    figure = Figure(words.metric_name(metric), f"minus {standard}", charts.forest(title, told, drawn))
    return figure, {"metric": metric, "best": standard, "rows": rows}


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:]}."


def _facts(found: ModelComparison) -> list[tuple[str, str]]:
    counts = found.counts
    return [
        (words.count(counts["items"]), "works"),
        (words.count(counts["users"]), "collectors"),
        (words.count(counts["users_ranked"]), "collectors evaluated"),
        (words.count(len(found.models)), "models"),
        (words.count(len(found.seeds)), "seeds"),
        (words.count(sum(len(one.trials) for one in found.competitors)), "trials"),
    ]


def _sizes(found: ModelComparison) -> dict[str, Any] | None:
    """The metric by class of profile sizes as a table; None where every class is too small."""
    rows = found.by_profile_size().filter(pl.col("n") >= FEWEST).sort("from", maintain_order=True)
    if rows.is_empty():
        return None
    cells = {(row["model"], row["profile_size"]): row for row in rows.iter_rows(named=True)}
    return {
        "metric": found.metric,
        "classes": list(dict.fromkeys(zip(rows["profile_size"], rows["n"], strict=True))),
        "rows": [(model, [row for (m, _), row in cells.items() if m == model]) for model in found.models],
    }


def _by_seed(found: ModelComparison) -> list[dict[str, Any]]:
    table = found.by_seed().filter(pl.col("metric") == found.metric)
    means = {name: table.filter(pl.col("model") == name)["mean"] for name in found.models}
    return [{"model": name, "means": values.to_list(), "sd": values.std()} for name, values in means.items()]


def _tuning(tuned: Sequence[Competitor], style: Mapping[str, int], metric: str) -> Figure:
    """The best validation value so far against the number of trials."""
    series = []
    for one in tuned:
        so_far = accumulate((trial.value for trial in one.trials), max)
        points = [charts.Point(float(n), value) for n, value in enumerate(so_far, start=1)]
        series.append(charts.Series(one.name, points, style.get(one.name, 0)))
    longest = max(len(one.trials) for one in tuned)
    labels = [(float(n), str(n), "") for n in range(1, longest + 1, max(1, -(-longest // 8)))]
    told = "; ".join(f"{one.name}: {best(list(one.trials)).value:.4f}" for one in tuned)
    name = words.metric_name(metric)
    drawing: Markup = charts.lines(f"Best validation {name} so far", told, series, labels)
    return Figure(f"Best validation {name} so far", "by number of trials", drawing)


def _tables(found: ModelComparison) -> list[tuple[str, list[tuple[str, str]]]]:
    """Everything that decides the numbers, as tables of names and values."""
    tables: dict[str, Mapping[str, Any]] = {
        "Versions and machine": found.provenance,
        "Fingerprints": found.fingerprints,
        "Counts": found.counts,
    }
    tables |= {f"Settings of {one.name}": one.config for one in found.competitors}
    return [(name, list(facts.flat(pairs))) for name, pairs in tables.items() if pairs]
