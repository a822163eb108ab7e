"""LinearMap: collaborative factors of works, predicted from their pictures by a linear map.

    1  min_{X, Y}  sum_{u, i} c_ui (p_ui - <x_u, y_i>)^2 + lambda (sum ||x_u||^2 + sum ||y_i||^2),
       p_ui = 1 and c_ui = 1 + alpha where u took i, p_ui = 0 and c_ui = 1 elsewhere
    2  min_{W, c}  sum_{i taken} ||y_i - W f_i - c||^2 + mu ||W||^2
    3  v_i = y_i for works taken in training, W f_i + c for all others
    4  x_u = (V^T V + alpha sum_{i in P_u} v_i v_i^T + lambda I)^-1 (1 + alpha) sum_{i in P_u} v_i
       x_ui = <x_u, v_i>

with V the works taken. Step 1 is Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback
Datasets", ICDM 2008, by exact alternating least squares; step 4 is its user step. A linear map from
attributes to factors (steps 2, 3) is Z. Gantner, L. Drumond, C. Freudenthaler, S. Rendle, L. Schmidt-Thieme,
"Learning Attribute-to-Feature Mappings for Cold-Start Recommendations", ICDM 2010, there for BPR's factors.
Features are standardised over the catalogue and brought to unit length: pictures are told apart by their
direction, as in VisRank, and none counts for more than another in step 2. There mu is no single number: some
directions of y can be read off a picture, others hardly. So step 2 is done along each principal axis of the
y_i with the mu of its own that has the least generalised cross-validation error (shrinkage by axis, after
L. Breiman, J. H. Friedman, "Predicting Multivariate Responses in Multiple Linear Regression", JRSS B 1997,
whose axes are the canonical ones).

Step 1 has many minima, and where it ends depends on where it starts. So all steps are taken from several
random starts, and the score is the mean of theirs (as in bagging, Breiman 1996, but without resampling): the
vectors of all starts stand end to end, and x_ui remains one inner product.

A user is a profile: nothing is stored of people, and strangers are answered like everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vasari.core.errors import DataError, UsageError
from vasari.core.seeds import generator
from vasari.data.ragged import Ragged
from vasari.models.bank import BLOCK, FeatureBank
from vasari.models.base import Arrays, FitInputs, FloatArray, IntArray, Recommender
from vasari.models.dots import cosines
from vasari.models.registry import register
from vasari.models.scaling import Scaling, check_scale

Doubles = npt.NDArray[np.float64]

WARM = ("factors", "map")
START = 0.1  # standard deviation of the works' factors at first
PENALTIES = 10.0 ** np.arange(-3, 7.5, 0.5)  # candidates for mu


@dataclass(frozen=True)
class LinearMapSettings:
    """Settings of LinearMap.

    Attributes
    ----------
    factors
        Length of y_i.
    starts
        How often the factors are learnt anew; `item_vectors` have starts x factors columns.
    alpha
        What having taken a work adds to the confidence.
    regularisation
        lambda. Where it exceeds 1 + alpha, users and works with a single interaction may vanish.
    iterations
        Of alternating least squares.
    warm
        ``"factors"``: works taken in training stand by their own factors, as in step 3; what people did says
        more than a picture can. ``"map"``: all works stand by their pictures, so that works taken and new
        ones are judged alike.
    scale
        ``"zscore"`` features per dimension over the catalogue, or ``"none"``.
    unit_length
        Whether scaled features are divided by their length.
    """

    factors: int = 16
    starts: int = 8
    alpha: float = 10.0
    regularisation: float = 1.0
    iterations: int = 10
    warm: str = "factors"
    scale: str = "zscore"
    unit_length: bool = True

    def __post_init__(self) -> None:
        for name in ("factors", "starts", "iterations"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} must be at least 1")
        for name in ("alpha", "regularisation"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name}={getattr(self, name)} must be positive")
        if self.warm not in WARM:
            raise UsageError(f"warm={self.warm!r} must be one of {WARM}")
        check_scale(self.scale)


@register
class LinearMap(Recommender[LinearMapSettings]):
    """Factors from the log, and from the pictures where the log is silent; see the module's page.

    Parameters
    ----------
    **settings
        Fields of `LinearMapSettings`.

    Attributes
    ----------
    item_vectors
        What works are scored by: v_i, or W f_i + c of all works for ``warm="map"``, of all starts end to end;
        shape (items, starts * factors).
    """

    name = "LinearMap"
    Settings = LinearMapSettings
    needs_features = True
    item_vectors: FloatArray

    # ------------------------------------------------------------------ learning

    def _fit(self, inputs: FitInputs) -> None:
        assert inputs.table is not None
        settings = self.settings
        taken = np.flatnonzero(self.popularity > 0)
        log = Ragged(np.searchsorted(taken, self.profiles.values), self.profiles.offsets)
        random = generator(inputs.seed, "weights")
        firsts = random.normal(0, START, (settings.starts, len(taken), settings.factors))
        learnt = [
            alternate(log, first, settings.alpha, settings.regularisation, settings.iterations)
            for first in firsts
        ]
        bank = FeatureBank.fit(inputs.table.matrix, inputs.rows, settings.scale)
        seen = self.scorable[taken]
        if seen.sum() < 2:
            raise DataError(
                f"{inputs.data.name} has {seen.sum()} works that were taken and have a picture; {self.name} "
                "needs two to relate pictures to factors"
            )
        targets = [one[seen] for one in learnt]
        self.weights, self.intercept = ridge(bank, taken[seen], targets, settings.unit_length)
        self.scaling = bank.scaling
        mapped = np.zeros((len(bank), len(self.weights)), np.float32)
        present = np.flatnonzero(bank.present)
        for start in range(0, len(present), BLOCK):
            block = present[start : start + BLOCK]
            mapped[block] = self._map(bank.take(torch.from_numpy(block)))
        self.profile_vectors = mapped.copy()
        self.profile_vectors[taken] = np.concatenate(learnt, axis=1)
        self.gram = np.stack([one.T @ one for one in learnt]).astype(np.float32)
        self.item_vectors = self.profile_vectors if settings.warm == "factors" else mapped

    def _map(self, features: Tensor) -> FloatArray:
        """W f + c of scaled features, shape (n, starts * factors)."""
        return _looks(features, self.settings.unit_length) @ self.weights.T + self.intercept

    # ------------------------------------------------------------------ scoring

    def user_vectors(self, profiles: Ragged, guests: FloatArray | None = None) -> FloatArray:
        """x_u of some profiles (rows of `item_ids`, guests beyond), shape (profiles, starts * factors).

        Divided by the number of starts, so that the inner product with `item_vectors` is the mean score.
        """
        settings, vectors = self.settings, self.profile_vectors
        if guests is not None:
            vectors = np.concatenate([vectors, self._guest_vectors(guests)])
        solved = [
            least_squares(profiles, part, gram, settings.alpha, settings.regularisation)
            for part, gram in zip(np.split(vectors, settings.starts, axis=1), self.gram, strict=True)
        ]
        return (np.concatenate(solved, axis=1) / settings.starts).astype(np.float32)

    def _guest_vectors(self, guests: FloatArray) -> FloatArray:
        return self._map(self.scaling(guests))

    def item_matrix(self) -> FloatArray:
        """Vectors of all items, shape (items, factors); see `vasari.models.dot_product`."""
        return self.item_vectors

    def user_matrix(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None = None
    ) -> FloatArray:
        """Vectors of some visitors, shape (profiles, factors); see `vasari.models.dot_product`."""
        return self.user_vectors(profiles, guests)

    def embed(self, features: FloatArray) -> FloatArray:
        """Vectors of pictures outside the catalogue from their raw features, shape (n, factors)."""
        return self._guest_vectors(features)

    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        return self.user_vectors(profiles, guests) @ self.item_vectors.T

    def _similarity(self, items: IntArray, guests: FloatArray | None) -> FloatArray:
        """Cosine of the item vectors."""
        vectors = self.item_vectors
        if guests is not None:
            vectors = np.concatenate([vectors, self._guest_vectors(guests)])
        return cosines(torch.from_numpy(vectors), items, len(self.item_ids))

    # ------------------------------------------------------------------ files

    def _arrays(self) -> Arrays:
        arrays = {
            "profile_vectors": self.profile_vectors,
            "gram": self.gram,
            "weights": self.weights,
            "intercept": self.intercept,
            **self.scaling.arrays(),
        }
        return arrays if self.settings.warm == "factors" else arrays | {"item_vectors": self.item_vectors}

    def _restore(self, arrays: Arrays) -> None:
        self.profile_vectors, self.gram = arrays["profile_vectors"], arrays["gram"]
        self.weights, self.intercept = arrays["weights"], arrays["intercept"]
        self.scaling = Scaling.from_arrays(arrays)
        self.item_vectors = arrays.get("item_vectors", self.profile_vectors)


def alternate(log: Ragged, items: Doubles, alpha: float, regularisation: float, iterations: int) -> Doubles:
    """Factors of works by exact alternating least squares.

    Parameters
    ----------
    log
        The works of every user, numbered from 0, each at most once a user.
    items
        First values, shape (works, factors).

    Returns
    -------
    y_i, shape (works, factors).
    """
    order = np.argsort(log.values, kind="stable")
    takers = Ragged.from_lengths(log.row_of_value[order], np.bincount(log.values, minlength=len(items)))
    for _ in range(iterations):
        users = least_squares(log, items, items.T @ items, alpha, regularisation)
        items = least_squares(takers, users, users.T @ users, alpha, regularisation)
    return items


def least_squares(
    rows: Ragged,
    others: npt.NDArray[np.floating],
    gram: npt.NDArray[np.floating],
    alpha: float,
    penalty: float,
) -> Doubles:
    """X = (G + alpha sum v v^T + penalty I)^-1 (1 + alpha) sum v for every row (Hu et al. 2008, eq. 4).

    Parameters
    ----------
    rows
        Rows of `others` that each sum runs over.
    others
        v, shape (n, factors).
    gram
        G, the Gram matrix of all of the other side, shape (factors, factors).

    Returns
    -------
    Shape (rows, factors).
    """
    base = gram.astype(np.float64) + penalty * np.eye(len(gram))
    solved = np.zeros((len(rows), len(gram)))
    for row, members in enumerate(rows):
        taken = others[members].astype(np.float64)
        solved[row] = np.linalg.solve(base + alpha * taken.T @ taken, (1 + alpha) * taken.sum(0))
    return solved


def _looks(features: Tensor, unit_length: bool) -> FloatArray:
    """What the map reads of scaled features, shape (n, dim)."""
    return (F.normalize(features, dim=1) if unit_length else features).numpy()


def ridge(
    bank: FeatureBank, items: IntArray, targets: Sequence[Doubles], unit_length: bool
) -> tuple[FloatArray, FloatArray]:
    """W and c of step 2 for several sets of factors, each along its own principal axes.

    An axis takes the mu of `PENALTIES` that has the least generalised cross-validation error,
    GCV(mu) = n RSS(mu) / (n - df(mu))^2 with df = 1 + sum_k e_k / (e_k + mu), e the eigenvalues of the
    scatter matrix of the centred features (Golub, Heath and Wahba 1979). Features are read in blocks; memory
    is dim x dim.

    Parameters
    ----------
    items
        Rows of the bank, shape (n,).
    targets
        One set of factors of these items for every start, each of shape (n, factors).

    Returns
    -------
    W, shape (sets * factors, dim), and c, shape (sets * factors,).
    """
    factors = np.concatenate(targets, axis=1)
    centre = factors.mean(0)
    mean, scatter, cross = moments(bank, items, factors - centre, unit_length)
    values, basis = np.linalg.eigh(scatter)
    values = np.maximum(values, 0.0)
    shrunk = values[:, None] + PENALTIES  # (dim, penalties)
    spare = len(items) - 1 - (values[:, None] / shrunk).sum(0)
    rows = []
    for own, products in zip(targets, np.split(cross, len(targets), axis=1), strict=True):
        axes = np.linalg.svd(own - own.mean(0), full_matrices=False)[2]  # (axes, factors)
        along = basis.T @ products @ axes.T  # (dim, axes)
        spread = np.square((own - own.mean(0)) @ axes.T).sum(0)
        explained = np.square(along).T @ ((shrunk + PENALTIES) / shrunk**2)
        best = PENALTIES[np.argmin((spread[:, None] - explained) / spare**2, axis=1)]
        rows.append(axes.T @ (along / (values[:, None] + best)).T @ basis.T)  # (factors, dim)
    weights = np.concatenate(rows)
    return weights.astype(np.float32), (centre - weights @ mean).astype(np.float32)


def moments(
    bank: FeatureBank, items: IntArray, targets: Doubles, unit_length: bool
) -> tuple[Doubles, Doubles, Doubles]:
    """Mean of the features, their scatter about it, and their products with centred targets.

    Returns
    -------
    Shapes (dim,), (dim, dim) and (dim, targets).
    """
    total, scatter = np.zeros(bank.dim), np.zeros((bank.dim, bank.dim))
    cross = np.zeros((bank.dim, targets.shape[1]))
    for start in range(0, len(items), BLOCK):
        part = slice(start, start + BLOCK)
        looks = _looks(bank.take(torch.from_numpy(items[part])), unit_length)
        features = looks.astype(np.float64)
        total += features.sum(0)
        scatter += features.T @ features
        cross += features.T @ targets[part]
    mean = total / len(items)
    return mean, scatter - len(items) * np.outer(mean, mean), cross
