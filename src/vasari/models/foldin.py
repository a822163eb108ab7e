"""The vector of a visitor whom a factor model never met, from the works they took.

    w* = argmin_w  mean_{i in P, j in B - P} -ln sigma(x_i - x_j) + lambda/2 ||w||^2,   x_i = <w, v_i> + b_i

is the BPR objective of one user (Rendle et al. 2009) with the items frozen and B, a sample of the
catalogue, in place of all of it. It is strictly convex, so w* depends on the profile alone: not on its
order, nor on who else is asked about.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from vasari.core.seeds import generator

FloatArray = npt.NDArray[np.float64]

BACKGROUND = 1000  # works that stand for all others when a visitor is folded in
STEPS = 50  # Newton steps at most; a dozen are usual
FLOOR = 1e-4  # of lambda: without it, works that a plane separates have no finite optimum
DECREMENT = 1e-12  # twice the distance to the optimum, in units of the objective, at which steps end


def fold_in(
    positives: npt.ArrayLike,
    negatives: npt.ArrayLike,
    regularisation: float,
    offsets: npt.ArrayLike = 0.0,
) -> FloatArray:
    """Minimise the objective of the module's page by Newton's method with halved steps.

    Parameters
    ----------
    positives, negatives
        Rows [v_i, b_i] of the profile and of the background, shape (n, d + 1) and (m, d + 1).
    regularisation
        lambda; at least 1e-4 is used.
    offsets
        What else is known of x_i - x_j, for example from the works taken just before; shape (n, m).

    Returns
    -------
    w*, shape (d,); zeros where either side is empty.
    """
    liked, others = np.asarray(positives, np.float64), np.asarray(negatives, np.float64)
    penalty, known = max(regularisation, FLOOR), np.asarray(offsets, np.float64)
    taste = np.zeros(liked.shape[1] - 1)
    if not (len(liked) and len(others)):
        return taste
    value, difference = _value(taste, liked, others, penalty, known)
    for _ in range(STEPS):
        gradient, hessian = _slopes(taste, difference, liked[:, :-1], others[:, :-1], penalty)
        step = np.linalg.solve(hessian, gradient)
        decrement = float(gradient @ step)
        if decrement < DECREMENT:
            break
        length = 1.0
        while True:
            moved, difference = _value(taste - length * step, liked, others, penalty, known)
            if moved <= value - 0.25 * length * decrement or length < 1e-6:
                break
            length /= 2
        taste, value = taste - length * step, moved
    return taste


def _value(
    taste: FloatArray, liked: FloatArray, others: FloatArray, penalty: float, known: FloatArray
) -> tuple[float, FloatArray]:
    """The objective, and x_i - x_j of all pairs, shape (n, m)."""
    folded = np.append(taste, 1.0)
    difference = (liked @ folded)[:, None] - others @ folded + known
    return float(np.logaddexp(0, -difference).mean() + penalty / 2 * taste @ taste), difference


def _slopes(
    taste: FloatArray, difference: FloatArray, liked: FloatArray, others: FloatArray, penalty: float
) -> tuple[FloatArray, FloatArray]:
    """Gradient, shape (d,), and Hessian, shape (d, d), without an array of pairs x d."""
    wrong = expit(-difference)  # sigma(x_j - x_i), shape (n, m)
    curved = wrong * (1 - wrong)
    gradient = others.T @ wrong.sum(0) - liked.T @ wrong.sum(1)
    cross = liked.T @ curved @ others
    hessian = (liked.T * curved.sum(1)) @ liked + (others.T * curved.sum(0)) @ others - cross - cross.T
    return (
        gradient / wrong.size + penalty * taste,
        hessian / wrong.size + penalty * np.eye(len(taste)),
    )


def background(scorable: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The works that stand for all others, the same in every call."""
    return generator(0, "background").permutation(np.flatnonzero(scorable))[:BACKGROUND]
