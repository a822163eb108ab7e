"""What the report says in words: the finding, who was counted, how it was done, with what."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from vasari._version import __version__
from vasari.evaluation.report import words
from vasari.evaluation.report.clusters import Wall
from vasari.evaluation.report.inputs import ReportInput
from vasari.evaluation.report.people import Person
from vasari.evaluation.report.scores import Scores
from vasari.evaluation.result import BIASED

PROTOCOLS = {
    "replay": (
        "Replay: the log is walked in time. At each collector's last visit, every model ranks what could be "
        "had at that moment, knowing only what the collector had taken before."
    ),
    "last-basket": (
        "Last basket: each collector's last visit is hidden from training, and every model ranks the "
        "catalogue to find it again."
    ),
    "evaluation-column": (
        "The interactions that the publisher of the log marked for evaluation are hidden from training, and "
        "every model ranks the catalogue to find them again."
    ),
    "global-time": (
        "Everything after one moment is hidden from training. For each collector known by then, every model "
        "ranks what could be had directly after it, to find what the collector took later."
    ),
    "leave-one-out": (
        "One work of each collector with two or more interactions is hidden from training, and every model "
        "ranks the catalogue to find it again."
    ),
    "last-share": (
        "The last part of each collector's interactions is hidden from training, and every model ranks the "
        "catalogue to find them again."
    ),
    "cold-items": (
        "Some works are hidden from training with all their interactions, and every model ranks them among "
        "themselves, as if they were new, to find those that the collector took."
    ),
    "user-disjoint": (
        "Some collectors are absent from training. Every model is shown all but their last visit and ranks "
        "the catalogue to find what they took then."
    ),
}


def findings(scores: Scores) -> list[str]:
    """Say in one or two plain sentences what came out."""
    if not (order := scores.ordered("auc")):
        return []
    best, *others = order
    mean = scores.mean(best, "auc")
    text = (
        f"{best} puts a work that the collector went on to take above one left behind in "
        f"{100 * mean.mean:.0f} of 100 comparisons (AUC {words.decimal(mean.mean)}, 95% interval "
        f"{words.decimal(mean.low)} to {words.decimal(mean.high)})."
    )
    rest = [f"{name} in {100 * scores.mean(name, 'auc').mean:.0f}" for name in others]
    return [text, f"By the same measure: {', '.join(rest)}. Chance is 50."] if rest else [text]


def left_out(counts: Mapping[str, int], reasons: Mapping[str, int], legacy: bool = False) -> list[str]:
    """Who enters the means, who does not and why."""
    said = [f"Means are over {words.plural(counts['users_ranked'], 'collector')}, each weighing the same."]
    said += [
        f"{words.plural(number, 'collector')} left out: {reason}."
        for reason, number in reasons.items()
        if number
    ]
    if lost := counts.get("relevant_lost", 0):
        said.append(
            f"{words.plural(lost, 'hidden work')} of {words.count(counts['relevant'])} could not be had then."
        )
    if legacy:
        said.append("AUC and nDCG are computed with the errors of the reference code, for comparison only.")
    return said


def protocol(named: str) -> str:
    """How it was measured, in one plain sentence, by the name of the protocol."""
    base, _, settings = named.split(" ", maxsplit=1)[0].partition(":")
    said = PROTOCOLS.get(base, named)
    if base in PROTOCOLS and settings:
        said += f" Settings: {settings}."
    return said + (f" {BIASED.capitalize()}." if named.endswith("(biased)") else "")


def numbers(report: ReportInput) -> list[tuple[str, str]]:
    """The sizes under the title."""
    catalogue, log = report.data.catalogue, report.data.interactions
    artists = len(catalogue.artist_ids)
    return [
        (words.count(len(catalogue)), "works"),
        (words.count(artists) if artists else "–", "artists" if artists else "artists not known"),
        (words.count(log.frame["user_id"].n_unique()), "collectors"),
        (words.count(len(log)), "interactions"),
        (words.count(report.evaluation.counts["users_ranked"]), "collectors evaluated"),
        (words.count(len(report.evaluation.models)), "models"),
    ]


def details(report: ReportInput) -> list[tuple[str, str]]:
    """Time span, seed, versions and date."""
    result = [
        ("Seed", str(report.evaluation.seed)),
        ("Versions", f"Vasari {__version__}, Python {platform.python_version()}"),
        ("Made", f"{report.created.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"),
    ]
    times = report.data.interactions.frame["timestamp"]
    first, last = times.min(), times.max()
    if isinstance(first, datetime) and isinstance(last, datetime):
        result.insert(0, ("Interactions", f"{words.day(first)} to {words.day(last)}"))
    return result


def of_wall(found: Wall) -> str:
    """Introduce the clusters."""
    said = (
        f"{words.plural(found.works, 'work')} in {words.plural(found.total, 'group')} of similar look, "
        "largest first. Those shown are drawn from each at random; below them the artists it holds most of."
    )
    if found.silhouette is not None:
        said += f" Silhouette {words.decimal(found.silhouette)}: near zero is usual for art."
    return said


def of_people(people: Sequence[Person], seed: int) -> str:
    """Introduce the collectors."""
    said = (
        f"Drawn at random (seed {seed}), equally from small and large profiles; nothing was selected for "
        "success. A framed work is one the collector really took."
    )
    if any(one.because for p in people for strip in p.strips for one in strip.works):
        said += " Below a recommendation stands what in the profile speaks for it most."
    return said


def tables(report: ReportInput) -> list[tuple[str, list[tuple[str, str]]]]:
    """Everything that decides the numbers, as tables of names and values."""
    evaluation = report.evaluation
    found: dict[str, Mapping[str, Any]] = {
        "Versions and machine": {"vasari": __version__, **evaluation.provenance},
        "Fingerprints": evaluation.fingerprints,
        "Counts": evaluation.counts,
    }
    found |= {f"Settings of {result.name}": result.config for result in evaluation.results}
    found |= {f"Settings of {name}": pairs for name, pairs in report.settings.items()}
    return [(name, list(flat(pairs))) for name, pairs in found.items() if pairs]


def flat(pairs: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as rows, the path of names before each value."""
    for key, value in pairs.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{above}{key}, ")
        elif value is not None:
            yield f"{above}{key}", str(value)
