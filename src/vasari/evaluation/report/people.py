"""A few collectors, drawn at random: what they had, what they were shown by each model, what they took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import numpy as np
import polars as pl
from markupsafe import Markup

from vasari.core.seeds import generator
from vasari.data.stock import ALWAYS, NEVER
from vasari.evaluation.report import charts
from vasari.evaluation.report.pictures import Work, Works
from vasari.evaluation.report.scores import rivals
from vasari.evaluation.report.words import day
from vasari.evaluation.result import Evaluation, ModelResult

PEOPLE = 8
LIST = 10  # recommendations shown per model
PROFILE = 24  # works of a profile shown
TAKEN = 12  # works taken that are shown
REASONS = 3  # works of the profile named for one recommendation, and at most half of the profile

Explanations = Mapping[tuple[str, int, int], Sequence[tuple[int, float]]]


@dataclass(frozen=True)
class Recommended:
    """One recommendation: its rank, whether it was taken, and the works of the profile that spoke for it."""

    work: Work
    rank: int
    hit: bool
    because: Sequence[Work]


@dataclass(frozen=True)
class Strip:
    """The recommendations of one model to one collector; `first_hit` is the rank of the first work taken."""

    model: str
    key: Markup
    works: Sequence[Recommended]
    first_hit: int | None


@dataclass(frozen=True)
class Person:
    """One sampled collector; `had` and `took` are what is shown of `n_had` and `n_took` works."""

    user: str
    case: int
    when: str
    n_had: int
    n_took: int
    candidates: int
    had: Sequence[Work]
    took: Sequence[Work]
    strips: Sequence[Strip]


def sampled_cases(evaluation: Evaluation, seed: int) -> list[int]:
    """Draw cases of different users at random, as many from each quarter of profile size.

    Nothing about the recommendations enters, so hits and misses appear as they come.

    Returns
    -------
    Rows of the chosen cases, smallest profile first.
    """
    cases = evaluation.cases
    ranked = evaluation.results[0].per_case["case"].to_numpy()
    random = generator(seed, "report collectors")
    one_each = {cases.user_ids[row]: row for row in random.permutation(ranked).tolist()}
    order = np.fromiter(one_each.values(), dtype=np.int64)
    sizes = cases.profiles.lengths
    by_size = order[np.argsort(sizes[order], kind="stable")]
    quarters = np.array_split(by_size, min(4, max(len(by_size), 1)))
    chosen: list[int] = []
    while len(chosen) < min(PEOPLE, len(order)):
        for quarter in quarters:
            left = np.setdiff1d(quarter, chosen)
            if len(left) and len(chosen) < PEOPLE:
                chosen.append(int(random.choice(left)))
    return sorted(chosen, key=lambda row: (int(sizes[row]), row))


def shown_recommendations(evaluation: Evaluation, seed: int) -> Iterator[tuple[str, int, int]]:
    """(model, case, item) of every recommendation that the report will show, for whoever explains them."""
    for case in sampled_cases(evaluation, seed):
        for name in rivals(evaluation):
            for item in evaluation[name].top_items[case, :LIST].tolist():
                if item >= 0:
                    yield name, case, item


def person(
    case: int,
    evaluation: Evaluation,
    works: Works,
    explanations: Explanations,
    style: Mapping[str, int],
) -> Person:
    """Gather everything that is shown of one case."""
    cases = evaluation.cases
    history = list(dict.fromkeys(cases.profiles[case].tolist()))
    taken = cases.relevant[case].tolist()
    reasons = min(REASONS, (len(history) + 1) // 2) if len(history) > 1 else 0
    strips = [
        _strip(case, evaluation[name], set(taken), works, explanations, style[name], reasons)
        for name in style
    ]
    cited = {reason.row for strip in strips for one in strip.works for reason in one.because}
    latest = history[::-1]
    shown = set(
        sorted(latest, key=lambda row: row not in cited)[:PROFILE]
    )  # cited works first, then the latest
    return Person(
        cases.user_ids[case],
        case,
        _day(int(cases.times[case])),
        len(history),
        len(taken),
        int(cases.candidates(case, case + 1).sum()),
        works.take(row for row in latest if row in shown),
        works.take(taken[:TAKEN]),
        strips,
    )


def _strip(
    case: int,
    result: ModelResult,
    taken: set[int],
    works: Works,
    explanations: Explanations,
    style: int,
    reasons: int,
) -> Strip:
    shown = []
    for rank, row in enumerate(result.top_items[case, :LIST].tolist(), start=1):
        if row < 0:
            break
        speaking = sorted(explanations.get((result.name, case, row), ()), key=lambda pair: -pair[1])
        because = works.take(item for item, contribution in speaking[:reasons] if contribution > 0)
        shown.append(Recommended(works[row], rank, row in taken, because))
    first = result.per_case.filter(pl.col("case") == case)["first_hit_rank"].to_list()
    return Strip(result.name, charts.key(style), shown, round(first[0]) if first else None)


def _day(moment: int) -> str:
    if moment in (ALWAYS, NEVER):
        return ""
    return day(datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=moment))
