"""Triples with uniform negatives: Rendle's BPR sampling, the IUI tutorial's, and what comes next."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.sampling.context import SamplingContext
from vasari.sampling.draws import Draws, Rows, first_accepted, pick
from vasari.sampling.guidelines import Guideline, Rules

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def uniform(c: SamplingContext, rng: np.random.Generator, place: IntArray, rules: Rules) -> Draws:
    """Draw (u, i) uniformly over the interactions, j uniformly over the works that u has not taken.

    Source: Rendle et al. 2009, algorithm LearnBPR. The profile is the user's training history without i
    (leave one out), with i where there is nothing else or `Rules.exclude_positive` is off.
    """
    user = c.owner[place]
    whole = c.profiles.up_to(c.history.offsets[user + 1] - 1)
    profile = c.profiles.left_out(place) if rules.exclude_positive else whole
    return Draws(user, profile, c.history.values[place], _never_taken(c, rng, user, place))


def tutorial(c: SamplingContext, rng: np.random.Generator, user: IntArray, _: Rules) -> Draws:
    """Draw as the IUI 2021 tutorial does: users get equal shares, i uniform over the history.

    The profile is the last `Rules.window` works up to and INCLUDING i; j is uniform over the works that u
    has not taken.
    """
    place = pick(rng, c.places, user)
    return Draws(user, c.profiles.window(place), c.history.values[place], _never_taken(c, rng, user, place))


def sequential(c: SamplingContext, rng: np.random.Generator, place: IntArray, _: Rules) -> Draws:
    """Draw (u, i) uniformly over the interactions that have a basket before them, j as in `uniform`.

    Source: the sequential BPR of Rendle et al. 2010 (FPMC). The profile is every basket
    before that of i. What else is in the basket of i has the same time, so it is no past.
    """
    user = c.owner[place]
    profile = c.profiles.up_to(c.basket_start[place] - 1)
    return Draws(user, profile, c.history.values[place], _never_taken(c, rng, user, place))


def sequential_users(c: SamplingContext, rng: np.random.Generator, user: IntArray, rules: Rules) -> Draws:
    """As `sequential`, but users get equal shares, so that no heavy user dominates the loss.

    Source: Covington et al. 2016, who give every user the same number of examples.
    """
    return sequential(c, rng, pick(rng, c.later_places, user), rules)


def _never_taken(c: SamplingContext, rng: np.random.Generator, user: IntArray, place: IntArray) -> IntArray:
    positive = c.history.values[place]

    def propose(rows: Rows) -> tuple[IntArray, BoolArray]:
        work = c.consumed.draw_absent(rng, user[rows])
        return work, ~c.same_image(positive[rows], work)

    return first_accepted(len(user), propose)


_NEEDS = "a user who has a work and lacks one that shows another image"
_NEEDS_PAST = "a user with two or more baskets who lacks a work that shows another image"

UNIFORM = {
    "uniform": Guideline(0, uniform, lambda c: np.flatnonzero(c.can_be_ranked[c.owner]), _NEEDS),
    "tutorial": Guideline(0, tutorial, lambda c: np.flatnonzero(c.can_be_ranked), _NEEDS),
    "sequential": Guideline(
        0,
        sequential,
        lambda c: c.later_places.values[c.can_be_ranked[c.owner[c.later_places.values]]],
        _NEEDS_PAST,
    ),
    "sequential-users": Guideline(
        0,
        sequential_users,
        lambda c: np.flatnonzero((c.later_places.lengths > 0) & c.can_be_ranked),
        _NEEDS_PAST,
    ),
}
