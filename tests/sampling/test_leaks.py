"""Nothing hidden for evaluation may be trained on."""

import numpy as np
import pytest

from vasari.core.errors import DataError
from vasari.data.cases import hidden_cases, last_baskets
from vasari.data.histories import Histories
from vasari.data.ids import Ids
from vasari.data.stock import Stock
from vasari.sampling import verify_disjoint


@pytest.fixture
def histories() -> Histories:
    users = np.array([0, 0, 0, 0, 1, 1, 2])
    items = np.array([3, 1, 3, 2, 0, 1, 1])  # user 0 buys item 3 twice, the second time in the hidden basket
    times = np.array([10, 10, 20, 20, 5, 8, 9])
    return Histories.from_sorted(Ids("abc", what="user_id"), Ids("wxyz"), users, items, times)


@pytest.fixture
def cases(histories):
    always = Stock.everything(4)
    return hidden_cases(histories, last_baskets(histories), always)


def test_training_histories_without_the_hidden_baskets_pass(histories, cases):
    verify_disjoint(histories.where(~last_baskets(histories)), cases)
    verify_disjoint(histories, cases.take([]))


def test_one_hidden_interaction_is_named(histories, cases):
    hidden = last_baskets(histories)
    hidden[np.flatnonzero(hidden)[1]] = False  # item 2 of user 0 slips through
    with pytest.raises(DataError, match=r"'y'.*'a'.*0 more"):
        verify_disjoint(histories.where(~hidden), cases)
    with pytest.raises(DataError, match="2 more"):
        verify_disjoint(histories, cases)
