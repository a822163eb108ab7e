"""Questions whose right answer is known; which of them a model should solve is its maker's claim."""

from __future__ import annotations

import numpy as np

from vasari.testing.checks import Check
from vasari.testing.fits import Make, fit, fitted
from vasari.testing.galleries import BOARD_USERS, USERS, board_colour, checkerboard, style_of
from vasari.testing.say import require

ENOUGH = 0.9  # share of right answers; by chance 1/6 for styles, 1/2 on the checkerboard


def check_style_neighbours(make: Make) -> None:
    """The five works most like one of each style are of that style."""
    model = fitted(make).model
    asked = [f"w{style * 12 + 8:03d}" for style in range(6)]
    right = [
        style_of(near) == style_of(item)
        for item in asked
        for near in model.similar_items(item, k=5)["item_id"].to_list()
    ]
    require(np.mean(right) >= ENOUGH, f"{np.mean(right):.0%} of the similar works share the style")


def check_style_taste(make: Make) -> None:
    """The five works recommended to a collector are of the only style that collector takes."""
    table = fitted(make).model.recommend(users=[f"u{user:02d}" for user in range(USERS)], k=5)
    pairs = zip(table["user_id"].to_list(), table["item_id"].to_list(), strict=True)
    right = [style_of(item) == int(user[1:]) % 6 for user, item in pairs]
    require(np.mean(right) >= ENOUGH, f"{np.mean(right):.0%} of the recommended works are of the right style")


def check_checkerboard(make: Make) -> None:
    """Works of the right colour stand above those of the other: a mean AUC of at least 0.9."""
    model, data = fit(make(), lambda pictures: checkerboard(pictures=pictures))[:2]
    histories = data.histories
    scores = model.score(histories.items, list(histories.user_ids))
    colours = np.array([board_colour(item) for item in data.catalogue.ids])
    aucs = []
    for row, user in enumerate(histories.user_ids):
        own = int(user[1:]) % 2
        hidden = np.setdiff1d(np.flatnonzero(colours == own), histories.items[row])
        better = scores[row, hidden][:, None] - scores[row, colours != own]  # (hidden, others)
        aucs.append(np.mean(better > 0) + np.mean(better == 0) / 2)
    require(len(aucs) == BOARD_USERS, f"{len(aucs)} collectors instead of {BOARD_USERS}")
    require(np.mean(aucs) >= ENOUGH, f"the AUC on the checkerboard is {np.mean(aucs):.3f}, below {ENOUGH}")


ANSWERS: dict[str, Check] = {
    "style_neighbours": check_style_neighbours,
    "style_taste": check_style_taste,
    "checkerboard": check_checkerboard,
}
