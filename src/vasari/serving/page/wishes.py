"""What a visitor wants to see, as the fields of a form, as an address, and as an ask."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from vasari.core.errors import UsageError
from vasari.serving.asks import Ask
from vasari.serving.filters import AVAILABLE, MOST_LETTERS, Condition, Filters

if TYPE_CHECKING:
    from PIL import Image

FEWEST, MOST = 30, 240  # works on a wall
STEP = 30  # works that "show more" adds
FAMILIAR = 20  # where the slider stands at first, of 100
FIRST = 0.7  # diversity for whom nobody knows: works so unlike that anybody finds a way in
IS, FROM, TO = "is.", "from.", "to."  # prefixes of fields that are conditions on a column


class Fields(Protocol):
    """A query string or the body of a form."""

    def get(self, key: str) -> Any:
        """The last value of a field, None if it is absent."""

    def getlist(self, key: str) -> Sequence[Any]:
        """All values of a field."""

    def __iter__(self) -> Iterator[str]:
        """Walk through the names of the fields."""


@dataclass(frozen=True)
class Wish:
    """How a visitor wants the wall hung.

    Attributes
    ----------
    surprise
        0: familiar, 100: surprising.
    conditions
        On columns of the catalogue.
    sold
        Whether works that can no longer be had are shown, too.
    show
        How many works.
    """

    surprise: int = FAMILIAR
    conditions: tuple[Condition, ...] = ()
    sold: bool = False
    show: int = FEWEST

    @classmethod
    def read(cls, fields: Fields) -> Wish:
        """Read a wish from fields; what is left empty in a form is not wished for.

        Raises
        ------
        UsageError
            A field holds no number where one is needed, or a condition cannot be.
        """
        columns = dict.fromkeys(key.partition(".")[2] for key in fields if key.startswith((IS, FROM, TO)))
        conditions = (_condition(fields, column) for column in columns)
        surprise = _whole(fields.get("surprise"), "surprise", 0, 100)
        show = _whole(fields.get("more") or fields.get("show"), "show", 1, MOST)
        return cls(
            FAMILIAR if surprise is None else surprise,
            tuple(condition for condition in conditions if condition is not None),
            bool(fields.get("sold")),
            show or FEWEST,
        )

    def ask(self, user_id: str | None, known: bool, images: tuple[Image.Image, ...] = ()) -> Ask:
        """Put the wish to the gallery, for a visitor of whom something is known or nothing."""
        surprising = self.surprise / 100
        available = () if not self.sold else (Condition(AVAILABLE, ("any",)),)
        return Ask(
            user_id,
            images=images,
            k=self.show,
            filters=Filters((*self.conditions, *available)),
            diversity=surprising if known else max(surprising, FIRST),
            novelty=surprising if known else 0.0,
        )

    def of(self, column: str) -> Condition:
        """What is wished of a column; an empty condition if nothing is."""
        return next((one for one in self.conditions if one.column == column), Condition(column))

    @property
    def filtered(self) -> int:
        """How many conditions there are."""
        return len(self.conditions) + self.sold

    @property
    def address(self) -> str:
        """The address of this wall."""
        pairs: list[tuple[str, str]] = []
        if self.surprise != FAMILIAR:
            pairs.append(("surprise", str(self.surprise)))
        for one in self.conditions:
            pairs += [(IS + one.column, value) for value in one.values]
            pairs += [
                (prefix + one.column, f"{end:g}")
                for prefix, end in ((FROM, one.low), (TO, one.high))
                if end is not None
            ]
        if self.sold:
            pairs.append(("sold", "1"))
        if self.show != FEWEST:
            pairs.append(("show", str(self.show)))
        return "/?" + urlencode(pairs) if pairs else "/"

    @property
    def unfiltered(self) -> Wish:
        """The same wall without conditions."""
        return replace(self, conditions=(), sold=False)

    def more(self) -> Wish | None:
        """The same wall with more works, None if it shows the most it can."""
        return replace(self, show=min(self.show + STEP, MOST)) if self.show < MOST else None


@dataclass(frozen=True)
class Choice:
    """A column of which one value may be wished, and those it has, each with what it is called."""

    column: str
    name: str
    values: tuple[tuple[str, str], ...]
    chosen: str


@dataclass(frozen=True)
class Range:
    """A column of numbers, from its least to its largest, and what is wished of it."""

    column: str
    name: str
    low: float
    high: float
    chosen: tuple[float | None, float | None]


@dataclass(frozen=True)
class Panel:
    """The filters one can set: every column by which there is something to choose."""

    choices: tuple[Choice, ...] = field(default=())
    ranges: tuple[Range, ...] = field(default=())

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[Any]], wish: Wish) -> Panel:
        """Lay out the filters for the columns of a catalogue."""
        choices, ranges = [], []
        for column, values in columns.items():
            name = column.removesuffix("_id").replace("_", " ").capitalize()
            found = wish.of(column)
            if isinstance(values, tuple):
                if values[0] < values[1]:
                    ranges.append(Range(column, name, values[0], values[1], (found.low, found.high)))
            elif len(values) > 1 and not (column == "artist_id" and "artist" in columns):
                texts = tuple((_text(value), _word(value)) for value in values)
                choices.append(Choice(column, name, texts, found.values[0] if found.values else ""))
        return cls(tuple(choices), tuple(ranges))


def _condition(fields: Fields, column: str) -> Condition | None:
    values = tuple(str(value) for value in fields.getlist(IS + column) if value != "")
    low, high = (_number(fields.get(prefix + column), column) for prefix in (FROM, TO))
    if not values and low is None and high is None:
        return None
    return Condition(column, values, low, high)


def _number(value: Any, column: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{str(value)[:MOST_LETTERS]!r} is no number for {column[:MOST_LETTERS]!r}")
    return number


def _whole(value: Any, name: str, low: int, high: int) -> int | None:
    if value is None or value == "":
        return None
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and low <= int(text) <= high):
        raise UsageError(f"{name}={text[:MOST_LETTERS]!r} must be a whole number from {low} to {high}")
    return int(text)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _word(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else _text(value)
