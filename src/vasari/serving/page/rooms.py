"""The rooms beside the wall: one work, one artist, a walk, and two models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vasari.serving.asks import Ask, ModelInfo, NotFound
from vasari.serving.page.thumbnails import Thumbnails
from vasari.serving.page.wishes import FAMILIAR
from vasari.serving.page.works import Shower, Shown, Speaker, speakers

if TYPE_CHECKING:
    from vasari.serving.gallery import Gallery

BESIDE = 12  # works in a row beside a work, and on each of two walls
STEPS = 24  # works of a walk


@dataclass(frozen=True)
class WorkView:
    """A work with those around it.

    Attributes
    ----------
    work
        The work itself; its speakers are works of the visitor's.
    disliked
        Whether the visitor does not want to see it.
    speakers
        Those of the visitor's works that speak for it, with their shares.
    latest
        The work that the visitor chose last, this one aside; None if there is none.
    similar, by_artist, cluster
        Works that can be had: like it, by its artist, and the nearest of its visual cluster, those that are
        not among the similar ones first.
    """

    work: Shown
    disliked: bool
    speakers: Sequence[tuple[Shown, Speaker]]
    latest: Shown | None
    similar: Sequence[Shown]
    by_artist: Sequence[Shown]
    cluster: Sequence[Shown]

    @property
    def said(self) -> str:
        """How the visitor stands to it, for those who do not see it."""
        if self.disliked:
            return f"{self.work.title} is hidden from your walls."
        return f"{self.work.title} is {'on' if self.work.liked else 'not on'} your wall."


def work_view(gallery: Gallery, thumbnails: Thumbnails, item_id: str, user_id: str | None) -> WorkView:
    """Show one work.

    Raises
    ------
    NotFound
        There is no such work.
    """
    work = gallery.work(item_id)
    liked = gallery.profile(user_id) if user_id else []
    shower = Shower(thumbnails, frozenset(liked))
    spoken: list[tuple[Shown, Speaker]] = []
    others = [one for one in liked if one != item_id]
    shown: dict[str, Shown] = {}
    if others:
        ask = Ask(likes=tuple(others), model=gallery.variant_of(user_id))
        looking = replace(shower, heat_maps=gallery.heat_maps(ask))
        shown = {one.item_id: one for one in looking.all(gallery.works(others))}
        titles = {item: one.title for item, one in shown.items()}
        reasons = gallery.explain(ask, item_id)
        spoken = [(shown[one.item_id], one) for one in speakers(reasons, titles)]
    similar = [hung.item_id for hung in gallery.similar(item_id, BESIDE).works]
    # Where a cluster is small, its nearest works are just those that are alike: they come last.
    cluster = sorted(gallery.cluster_neighbours(item_id, 2 * BESIDE), key=lambda one: one.item_id in similar)
    by_artist = [one for one in gallery.of_artist(work.artist_id) if one.available] if work.artist_id else []
    return WorkView(
        shower.one(work),
        bool(user_id) and item_id in gallery.dislikes(user_id or ""),
        spoken,
        shown[others[-1]] if others else None,
        shower.all(gallery.works(similar)),
        shower.all([one for one in by_artist if one.item_id != item_id][:BESIDE]),
        shower.all(cluster[:BESIDE]),
    )


@dataclass(frozen=True)
class ArtistView:
    """An artist's works, those that can be had first."""

    name: str
    works: Sequence[Shown]
    available: int


def artist_view(gallery: Gallery, thumbnails: Thumbnails, artist_id: str, user_id: str | None) -> ArtistView:
    """Show one artist.

    Raises
    ------
    NotFound
        There is no such artist.
    """
    works = sorted(gallery.of_artist(artist_id), key=lambda work: not work.available)
    shower = Shower(thumbnails, frozenset(gallery.profile(user_id) if user_id else ()))
    shown = shower.all(works)
    name = next((one.artist for one in shown if one.artist), artist_id)
    return ArtistView(name, shown, sum(work.available for work in works))


def walk_view(
    gallery: Gallery, thumbnails: Thumbnails, start: str | None, seed: int | None, user_id: str | None
) -> Sequence[Shown]:
    """Works along a random walk through the collection."""
    walked = gallery.surprise(start, STEPS, seed)
    shower = Shower(thumbnails, frozenset(gallery.profile(user_id) if user_id else ()))
    return shower.all(gallery.works(hung.item_id for hung in walked.works))


@dataclass(frozen=True)
class BetweenView:
    """What is like both of two works.

    Attributes
    ----------
    pair
        The two works.
    works
        What is like both, the most alike first.
    chosen
        Works of the visitor's, latest first, that could take the place of either.
    """

    pair: tuple[Shown, Shown]
    works: Sequence[Shown]
    chosen: Sequence[Shown]


def between_view(
    gallery: Gallery, thumbnails: Thumbnails, first: str, second: str, user_id: str | None
) -> BetweenView:
    """Show what lies between two works.

    Raises
    ------
    NotFound
        There is no such work.
    """
    liked = gallery.profile(user_id) if user_id else []
    shower = Shower(thumbnails, frozenset(liked))
    one, other = gallery.works([first, second])
    found = gallery.between(first, second, STEPS)
    return BetweenView(
        (shower.one(one), shower.one(other)),
        shower.all(gallery.works(hung.item_id for hung in found.works)),
        shower.all(gallery.works(item for item in reversed(liked) if item not in (first, second)))[:BESIDE],
    )


@dataclass(frozen=True)
class Side:
    """One of two walls, hung by `model`."""

    model: ModelInfo
    works: Sequence[Shown]
    version: str


@dataclass(frozen=True)
class BesideView:
    """Two models' walls for the same visitor.

    Attributes
    ----------
    models
        Those that one can choose from.
    sides
        Two walls.
    common
        Ids of works that hang on both.
    known
        Whether the walls follow works that the visitor chose.
    """

    models: Sequence[ModelInfo]
    sides: Sequence[Side]
    common: frozenset[str]
    known: bool


def beside_view(
    gallery: Gallery, thumbnails: Thumbnails, left: str | None, right: str | None, user_id: str | None
) -> BesideView:
    """Hang two models' walls side by side.

    Raises
    ------
    NotFound
        There is no such model.
    """
    models = {model.name: model for model in gallery.models()}
    names = list(models)
    left = left or gallery.variant_of(user_id)
    right = right or next((name for name in names if name != left), left)
    for name in (left, right):
        if name not in models:
            raise NotFound(f"no model {name[:80]!r} answers here; there are {', '.join(names)}")
    liked = gallery.profile(user_id) if user_id else []
    shower = Shower(thumbnails, frozenset(liked))
    sides = []
    for name in (left, right):
        ask = Ask(user_id, k=BESIDE, model=name, diversity=0.0 if liked else FAMILIAR / 100)
        answer = gallery.recommend(ask)
        works = shower.all(gallery.works(hung.item_id for hung in answer.works))
        sides.append(Side(models[name], works, answer.version))
    first, second = ({work.item_id for work in side.works} for side in sides)
    return BesideView(list(models.values()), sides, frozenset(first & second), bool(liked))
