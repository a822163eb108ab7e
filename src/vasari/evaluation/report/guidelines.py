"""The section of drawn triples: for each guideline a few (profile, positive, negative) as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vasari.core.seeds import generator
from vasari.evaluation.report.pictures import Work, Works
from vasari.sampling.triples import ARTIFICIAL, Triples

SHOWN = 3  # triples per guideline
PROFILE = 5  # works of a profile that are shown

# Messina et al. 2020, section 4, in words for those who have not read it; keyed by `Triples.rule`.
RULES: Mapping[int, tuple[str, str]] = {
    0: (
        "Uniform sampling",
        "What a collector took should rank above a work drawn at random from all the others.",
    ),
    1: (
        "A missing work of a basket",
        "Hide one work of a basket. Given the rest, it should rank above a work whose look and whose artist "
        "the collector never chose.",
    ),
    2: (
        "The next basket",
        "Given everything up to one visit, a work taken at the next visit should rank above a work whose "
        "look and whose artist the collector never chose.",
    ),
    3: (
        "More of what is favoured",
        "A work the collector does not own, by an artist and with a look chosen before, should rank above "
        "one with neither.",
    ),
    4: (
        "The collector's own works",
        "Given the whole history, a work of that history should rank above any work outside it.",
    ),
    5: (
        "A work for itself",
        "Nobody stands behind this profile: given one work, that same work should rank above any other.",
    ),
    6: (
        "The same hand",
        "Nobody stands behind this profile: given one work, another by the same artist should rank above a "
        "work by a different artist.",
    ),
}


@dataclass(frozen=True)
class Drawn:
    """One triple as it is shown; `more` works of the profile are not."""

    profile: Sequence[Work]
    more: int
    positive: Work
    negative: Work
    artificial: bool


@dataclass(frozen=True)
class Guideline:
    """One guideline, its rule in words and a few triples drawn by it."""

    name: str
    number: int
    heading: str
    rule: str
    drawn: Sequence[Drawn]


def guidelines(triples: Mapping[str, Triples], works: Works, seed: int) -> list[Guideline]:
    """Choose the triples to show, at random among those of different profiles where there are enough."""
    chosen = []
    for place, (name, batch) in enumerate(triples.items()):
        if not len(batch):
            continue
        order = generator(seed, "report triples", place).permutation(len(batch))
        distinct = order[np.sort(np.unique(batch.profile[order], return_index=True)[1])]
        number = int(batch.rule[0])
        heading, rule = RULES.get(number, (name, ""))
        drawn = [_drawn(batch, int(row), works) for row in distinct[:SHOWN]]
        chosen.append(Guideline(name, number, heading, rule, drawn))
    return chosen


def _drawn(batch: Triples, row: int, works: Works) -> Drawn:
    profile = list(dict.fromkeys(batch.profiles[int(batch.profile[row])].tolist()))
    return Drawn(
        works.take(profile[-PROFILE:]),
        max(len(profile) - PROFILE, 0),
        works[int(batch.positive[row])],
        works[int(batch.negative[row])],
        int(batch.user[row]) == ARTIFICIAL,
    )
