"""What stands on the visitor's wall, and beside it: the works chosen, the slider, the filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vasari.serving.page.photographs import Photograph
from vasari.serving.page.thumbnails import Thumbnails
from vasari.serving.page.wishes import Panel, Wish
from vasari.serving.page.works import PHOTOGRAPH, Shower, Shown, speakers

if TYPE_CHECKING:
    from vasari.serving.gallery import Gallery

NOTHING_KNOWN = "Hung as unlike its neighbours as could be, for nothing is known of you yet."
NO_SPEAKER = "None of your works speaks for it: it is here as a surprise."
NO_REASONS = "The model that hung it cannot say which of your works speak for it."


@dataclass(frozen=True)
class WallView:
    """A wall and all that is needed to change it.

    Attributes
    ----------
    wish
        How it is hung.
    works
        What hangs on it.
    chosen
        The works it follows, latest first.
    photograph
        The visitor's own picture, if the wall follows one.
    panel
        The filters one can set.
    more
        How many works a longer wall would show; None if there are no more.
    refused
        Works that the visitor does not want to see, latest first.
    just_refused
        The one of them that the visitor has just said so of.
    """

    wish: Wish
    works: Sequence[Shown]
    chosen: Sequence[Shown]
    photograph: Photograph | None
    panel: Panel
    more: int | None
    refused: Sequence[Shown]
    just_refused: Shown | None

    @property
    def said(self) -> str:
        """What has happened, for those who do not see it."""
        count = len(self.chosen) + (self.photograph is not None)
        hung = f"{len(self.works)} works hang on the wall"
        return f"{hung}, because of the {count} you chose." if count else f"{hung}. Choose one you like."


def wall(
    gallery: Gallery,
    thumbnails: Thumbnails,
    wish: Wish,
    user_id: str,
    photograph: Photograph | None,
    just_refused: str | None,
) -> WallView:
    """Hang the wall of a visitor, who may just have refused a work.

    Raises
    ------
    UsageError
        The wish cannot be put to this gallery.
    """
    liked = gallery.profile(user_id)
    known = bool(liked) or photograph is not None
    ask = wish.ask(user_id, known, (photograph.image,) if photograph else ())
    answer = gallery.recommend(ask)
    ids = [hung.item_id for hung in answer.works]
    reasons = gallery.explain_all(ask, ids) if known else {}
    shower = Shower(thumbnails, frozenset(liked))
    looking = replace(shower, heat_maps=gallery.heat_maps(ask)) if liked else shower
    chosen = looking.all(gallery.works(reversed(liked)))
    titles = {work.item_id: work.title for work in chosen} | {PHOTOGRAPH: "your photograph"}
    works = [
        shower.one(
            work,
            speakers(reasons[work.item_id], titles) if known else (),
            (NO_SPEAKER if reasons[work.item_id] else NO_REASONS) if known else NOTHING_KNOWN,
        )
        for work in gallery.works(ids)
    ]
    longer = wish.more() if len(works) == wish.show < gallery.browse(0, 1, ask.filters).total else None
    refused = shower.all(gallery.works(reversed(gallery.dislikes(user_id))))
    return WallView(
        wish,
        works,
        chosen,
        photograph,
        Panel.of(gallery.columns(), wish),
        longer.show if longer else None,
        refused,
        next((one for one in refused if one.item_id == just_refused), None),
    )
