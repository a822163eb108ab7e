"""Contract checks for recommenders, ours and others'.

import vasari.testing

vasari.testing.check_recommender(lambda: MyModel(epochs=2), solves=["style_taste"])

or one test a check:

@pytest.mark.parametrize("check", vasari.testing.CHECKS)
def test_contract(check):
    vasari.testing.CHECKS[check](MyModel)
"""

from vasari.testing.answers import ANSWERS
from vasari.testing.checks import CHECKS, Check
from vasari.testing.fits import Make
from vasari.testing.galleries import checkerboard, style_gallery
from vasari.testing.run import check_recommender, failures

__all__ = [
    "ANSWERS",
    "CHECKS",
    "Check",
    "Make",
    "check_recommender",
    "checkerboard",
    "failures",
    "style_gallery",
]
