"""The check that nothing hidden for evaluation is trained on."""

from __future__ import annotations

import numpy as np

from vasari.core.errors import DataError
from vasari.data.cases import Cases
from vasari.data.histories import Histories


def verify_disjoint(histories: Histories, cases: Cases) -> None:
    """Refuse training histories that hold what a case asks for, at that time or later.

    A work bought before and again in the hidden basket is no leak; the same work by the same user at
    or after the moment of the case is.

    Raises
    ------
    DataError
        Names the first such interaction and counts the others.
    """
    case_user = histories.user_ids.find(cases.user_ids)
    asked = np.repeat(case_user, cases.relevant.lengths)
    times = np.repeat(cases.times, cases.relevant.lengths)
    items = histories.item_ids.find(cases.item_ids.take(cases.relevant.values))
    here = (asked >= 0) & (items >= 0)
    asked, times, items = asked[here], times[here], items[here]

    # The earliest hidden time of every (user, item), then each training interaction against it.
    n_items = len(histories.item_ids)
    order = np.lexsort((times, asked * n_items + items))
    keys, first = np.unique((asked * n_items + items)[order], return_index=True)
    if not len(keys):
        return
    earliest = times[order][first]
    trained = histories.users * n_items + histories.items.values
    at = np.minimum(np.searchsorted(keys, trained), len(keys) - 1)
    leaks = np.flatnonzero((keys[at] == trained) & (histories.times >= earliest[at]))
    if leaks.size:
        user = histories.user_ids[int(histories.users[leaks[0]])]
        item = histories.item_ids[int(histories.items.values[leaks[0]])]
        raise DataError(
            f"the training histories hold item {item!r} of user {user!r}, which is hidden for evaluation, "
            f"and {leaks.size - 1} more such interactions; take the hidden interactions out before training"
        )
