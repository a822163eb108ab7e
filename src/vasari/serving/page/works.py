"""What templates say of a work: its picture in several sizes, its label, and why it hangs where it hangs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from vasari.serving.asks import HeatMap, Reason, Work
from vasari.serving.page.heat import Heat
from vasari.serving.page.thumbnails import SIDES, Format, Size, Thumbnails

CARD = 0.8  # width over height of the card that stands for a missing picture
SPEAKERS = 3  # works named as the reason for another
ARTIST, PRICE = "artist", "price"  # columns with a meaning of their own, where a catalogue has them
PHOTOGRAPH = "image:0"  # what reasons call the visitor's own picture


@dataclass(frozen=True)
class Picture:
    """A picture's addresses at all sizes; `size` is that of the original."""

    item_id: str
    version: str
    size: Size

    def address(self, side: int, format_: Format) -> str:
        """Where one copy is."""
        asked = {"id": self.item_id, "side": side, "as": format_, "v": self.version}
        return "/picture?" + urlencode(asked)

    @property
    def src(self) -> str:
        """The copy for browsers that choose none."""
        return self.address(SIDES[1], "webp")

    def srcset(self, format_: Format) -> str:
        """All copies with their widths, without those that would be no larger than the one before."""
        needed = [side for place, side in enumerate(SIDES) if not place or SIDES[place - 1] < max(self.size)]
        return ", ".join(f"{self.address(side, format_)} {self.size.within(side).width}w" for side in needed)

    def sizes(self, tall: str) -> str:
        """How wide it is where it is `tall`, a CSS length, or as wide as a telephone if that is less."""
        return f"min(calc({tall} * {self.size.ratio:.3f}), 92vw)"


@dataclass(frozen=True)
class Speaker:
    """A work of the profile that speaks for another, and its share of all that is said for it."""

    item_id: str
    title: str
    percent: int


@dataclass(frozen=True)
class Shown:
    """One work, as pages show it."""

    work: Work
    picture: Picture | None
    liked: bool = False
    speakers: Sequence[Speaker] = ()
    otherwise: str = ""
    heat: Heat | None = None

    @property
    def item_id(self) -> str:
        """Its id."""
        return self.work.item_id

    @property
    def title(self) -> str:
        """Its title, or its id where it has none."""
        return (self.work.title or "").strip() or self.work.item_id

    @property
    def artist(self) -> str | None:
        """The artist's name, or id where there is no name."""
        name = self.work.columns.get(ARTIST)
        return str(name) if name else self.work.artist_id

    @property
    def label(self) -> str:
        """Title and artist in one line."""
        return f"{self.title}, by {self.artist}" if self.artist else self.title

    @property
    def href(self) -> str:
        """Its own page."""
        return "/work?" + urlencode({"id": self.item_id})

    @property
    def artist_href(self) -> str | None:
        """Its artist's page."""
        return "/artist?" + urlencode({"id": self.work.artist_id}) if self.work.artist_id else None

    @property
    def ratio(self) -> str:
        """Width over height, for a style."""
        return f"{self.picture.size.ratio if self.picture else CARD:.4f}"

    @property
    def speaking(self) -> list[tuple[str, str, int]]:
        """Ids, titles and shares of those that speak for it, for the script that draws the threads."""
        return [(one.item_id, one.title, one.percent) for one in self.speakers]

    @property
    def why(self) -> str:
        """Why it is here, in a sentence."""
        if not self.speakers:
            return self.otherwise
        named = [f"{one.title} ({one.percent} %)" for one in self.speakers]
        return "Because of " + (", ".join(named[:-1]) + " and " if named[1:] else "") + named[-1]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Name and value of all further columns that are filled."""
        told = {ARTIST, PRICE}
        return [
            (column.removesuffix("_id").replace("_", " ").capitalize(), _written(value))
            for column, value in self.work.columns.items()
            if column not in told and value is not None and value != ""
        ]

    @property
    def price(self) -> str | None:
        """What it costs, as the catalogue's number with thin spaces between thousands."""
        value = self.work.columns.get(PRICE)
        return None if value is None else _written(value)


@dataclass(frozen=True)
class Shower:
    """Makes works into what pages show of them.

    Attributes
    ----------
    liked
        Works that the visitor likes.
    heat_maps
        Where the model looked in some of these.
    """

    thumbnails: Thumbnails
    liked: frozenset[str] = field(default_factory=frozenset)
    heat_maps: Mapping[str, HeatMap] = field(default_factory=dict)

    def one(self, work: Work, speakers: Sequence[Speaker] = (), otherwise: str = "") -> Shown:
        """Show one work."""
        size = self.thumbnails.size(work.picture)
        version = self.thumbnails.version(work.picture)
        picture = Picture(work.item_id, version, size) if size and version else None
        seen = self.heat_maps.get(work.item_id)
        heat = Heat.of(seen, size) if seen and size else None
        return Shown(work, picture, work.item_id in self.liked, speakers, otherwise, heat)

    def all(self, works: Iterable[Work]) -> list[Shown]:
        """Show several works."""
        return [self.one(work) for work in works]


def speakers(reasons: Iterable[Reason], titles: Mapping[str, str]) -> list[Speaker]:
    """Name the strongest of those that speak for a work, with their shares of all that is said for it."""
    for_it = [one for one in reasons if one.contribution > 0 and one.item_id in titles]
    total = sum(one.contribution for one in for_it)
    strongest = sorted(for_it, key=lambda one: -one.contribution)[:SPEAKERS]
    return [
        Speaker(one.item_id, titles[one.item_id], max(1, round(100 * one.contribution / total)))
        for one in strongest
    ]


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,.10g}".replace(",", "\u202f") if abs(value) >= 10_000 else f"{value:.10g}"
    return value.strftime("%-d %B %Y") if hasattr(value, "strftime") else str(value)
