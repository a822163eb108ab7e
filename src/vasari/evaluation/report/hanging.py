"""Hangs pictures in rows that they fill exactly, each in its own proportions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vasari.evaluation.report.pictures import Thumbnail, Work

CARD = 0.8  # width over height of the card that stands for a missing picture


@dataclass(frozen=True)
class HungRow:
    """Works side by side at one height.

    Attributes
    ----------
    works
        From left to right.
    ratios
        Width over height of each.
    width
        Width over height that the row was to have. What the works lack stays empty if it is much, and is
        made up by height if it is little.
    """

    works: Sequence[Work]
    ratios: Sequence[float]
    width: float

    def ratio(self, work: Work) -> float:
        """Width over height of one of the works."""
        return self.ratios[self.works.index(work)]

    @property
    def total(self) -> float:
        """Width over height of the row."""
        return sum(self.ratios) + self.rest

    @property
    def rest(self) -> float:
        """Empty width at the end of the row, over its height."""
        lacking = self.width - sum(self.ratios)
        return lacking if lacking > self.width / 4 else 0.0


Hang = Callable[[Sequence[Work], float, int], list[HungRow]]


def hanger(pictures: Mapping[int, Thumbnail]) -> Hang:
    """Give the function that hangs works: up to `count` rows, each filled until it is `width` wide.

    A row ends with the work that brings it nearest to `width`; works that find no room are left out.
    """

    def hang(works: Sequence[Work], width: float, count: int) -> list[HungRow]:
        rows: list[HungRow] = []
        here: list[Work] = []
        ratios: list[float] = []
        for work in works:
            made = pictures.get(work.row)
            ratio = made.ratio if made else CARD
            if here and abs(sum(ratios) - width) <= abs(sum(ratios) + ratio - width):
                rows.append(HungRow(here, ratios, width))
                here, ratios = [], []
            here, ratios = [*here, work], [*ratios, ratio]
        rows = [*rows, HungRow(here, ratios, width)] if here else rows
        return rows[:count]

    return hang
