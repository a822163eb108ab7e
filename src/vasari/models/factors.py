"""Models whose score is the product of a user vector and an item vector, learnt by BPR.

    x_ui = <w_u, v_i> + b_i  =  <[w_u, 1], [v_i, b_i]>

    minimise over triples (u, i, j), i taken by u and j not:
        -ln sigma(x_ui - x_uj) + (lambda_u ||w_u||^2 + lambda_+ ||h_i||^2 + lambda_- ||h_j||^2
                                  + lambda_b b_i^2 + lambda_b- b_j^2) / 2

Source: S. Rendle, C. Freudenthaler, Z. Gantner, L. Schmidt-Thieme, "BPR: Bayesian Personalized Ranking from
Implicit Feedback", UAI 2009. Triples are drawn as by LearnBPR: (u, i) uniformly over the interactions,
with replacement. Two deviations: the mean gradient of a batch goes to Adagrad instead of each triple's
to plain gradient descent; and what is kept is the mean of the parameters at the ends of all epochs, the last
counting most, which ranks better than any of them. The budget is fixed and nobody is held out, so that every
interaction is learnt from; `keep="best"` with a `validation_share` chooses the epoch by hidden works instead.

What a step costs depends on the batch: the distinct users and works of it are looked up once, and the
gradient of all its scores is one sparse product a side (`vasari.models.dots`). Adagrad changes nothing in a
row that has no gradient, so updating the rows of the batch is updating all of them.

Who is answered how. A person of the training log has the vector learnt then, whatever profile is passed
along: what they took since is learnt by the next `fit`. Anybody else is folded in from the profile
(`vasari.models.foldin`), also people of the log whom no triple is about, as they took nothing that can be
scored, or everything. Works never taken in training were only ever drawn as negatives: h_i is set to 0
for them, and all share the mean of their biases. Works added after the end of the log were not drawn at
all; for them both are 0, where the L2 terms alone leave them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vasari.core.devices import choose_device
from vasari.core.errors import UsageError
from vasari.core.seeds import generator
from vasari.data.ragged import Ragged
from vasari.models.bank import BLOCK
from vasari.models.base import Arrays, BoolArray, FitInputs, FloatArray, IntArray, Recommender
from vasari.models.distinct import Distinct
from vasari.models.dots import cosines, pair_dots
from vasari.models.drawing import Taught, uniform_sampler
from vasari.models.foldin import background, fold_in
from vasari.models.learning import LearningSettings, learn
from vasari.models.validation import hold_out
from vasari.sampling.triples import Triples
from vasari.training.loop import PairScores

START = 0.1  # standard deviation of the factors at first
MANY = 8  # rows of a table for each triple of a batch: from here on only those are updated that it touches


@dataclass(frozen=True)
class VectorSettings(LearningSettings):
    """Settings of models that learn a vector for every user; those of training are inherited.

    Attributes
    ----------
    factors
        Length of what is learnt for each.
    lambda_user
        lambda in lambda/2 ||w_u||^2, mean over the users of triples; also of visitors who are folded in.
    """

    factors: int = 64
    lambda_user: float = 0.03

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.factors < 1:
            raise UsageError(f"factors={self.factors} must be at least 1")
        for name in (name for name in self.__dataclass_fields__ if name.startswith("lambda_")):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name}={getattr(self, name)} must not be negative")


@dataclass(frozen=True)
class FactorSettings(VectorSettings):
    """Settings of models with factors of users and items; those of training and of users are inherited.

    Attributes
    ----------
    triples_per_epoch
        At least so many; a log with more interactions has one triple for each of them.
    lambda_positive, lambda_negative, lambda_bias, lambda_negative_bias
        Of the equation in `vasari.models.factors`, in order.
    weight_decay
        Adagrad takes nothing but 0: it would touch every row in every step. The terms above regularise.
    """

    epochs: int = 80
    triples_per_epoch: int = 20_000
    batch_size: int = 65_536
    optimizer: str = "adagrad"
    learning_rate: float = 0.4
    weight_decay: float = 0.0
    keep: str = "last"
    average: bool = True
    average_late: float = 4.0
    validation_share: float = 0.0
    lambda_positive: float = 0.03
    lambda_negative: float = 0.03
    lambda_bias: float = 0.03
    lambda_negative_bias: float = 0.03


class FactorNetwork(nn.Module):
    """The parameters of the equation on the module's page, with v_i = h_i.

    Parameters
    ----------
    users
        How many there are.
    drawn
        Which items may be in a triple, shape (items,).
    width
        Length of w_u and v_i.
    settings
        Lengths and regularisation.
    seed
        Of the initial values.

    Attributes
    ----------
    users, items
        Rows w_u, shape (users, width), and [h_i, b_i], shape (items, factors + 1).
    """

    def __init__(
        self, users: int, drawn: BoolArray, width: int, settings: FactorSettings, seed: int = 0
    ) -> None:
        super().__init__()
        self.settings = settings
        self.users, self.items = (
            nn.Embedding(count, size, sparse=count > MANY * settings.batch_size)
            for count, size in ((users, width), (len(drawn), settings.factors + 1))
        )
        self.distinct_users, self.distinct_items = Distinct(np.ones(users, bool)), Distinct(drawn)
        self.random = torch.Generator().manual_seed(seed)
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, 0, START, generator=self.random)
        with torch.no_grad():
            self.items.weight[:, -1] = 0

    def item_terms(self, rows: Tensor, items: Tensor) -> Tensor:
        """[v_i, b_i], shape (n, width + 1), from rows of `items`, shape (n, factors + 1).

        Models that know more of a work than its number add to either.
        """
        return rows

    def matrix_penalty(self) -> Tensor | float:
        """Regularisation of what every triple touches, to be halved."""
        return 0.0

    def pair_scores(self, batch: Triples) -> PairScores:
        """Scores of the positives and of the negatives, and the regularisation of what they touch."""
        settings, device = self.settings, self.items.weight.device
        people, user = self.distinct_users(batch.user)
        works, pair = self.distinct_items(np.concatenate([batch.positive, batch.negative]))
        numbers = torch.from_numpy(works).to(device)
        users, items = (
            _look_up(self.users, torch.from_numpy(people).to(device)),
            _look_up(self.items, numbers),
        )
        scores = pair_dots(
            F.pad(users, (0, 1), value=1.0),
            self.item_terms(items, numbers),
            *(torch.from_numpy(rows).to(device) for rows in (np.tile(user, 2), pair)),
        )
        taken, refused = (np.bincount(side, minlength=len(works)) for side in np.split(pair, 2))
        of_factors = settings.lambda_positive * taken + settings.lambda_negative * refused
        of_biases = settings.lambda_bias * taken + settings.lambda_negative_bias * refused
        of_users = settings.lambda_user * np.bincount(user, minlength=len(people))
        penalty = (
            _WeightedSquares.apply(users, *_floats(device, of_users, of_users))
            + _WeightedSquares.apply(items, *_floats(device, of_factors, of_biases))
        ) / len(batch) + self.matrix_penalty()
        return PairScores(scores[: len(batch)], scores[len(batch) :], penalty / 2)


S = TypeVar("S", bound=VectorSettings)
T = TypeVar("T", bound=FactorSettings)


class VectorModel(Recommender[S]):
    """Folds in and scores; a subclass learns the vectors.

    Attributes
    ----------
    item_vectors
        [v_i, b_i], shape (items, width + 1); whatever else is added to the product is in the bias.
    trained_users
        [w_u, 1] for the rows of `user_ids`, shape (users, width + 1); zeros for people
        whom no triple is about.
    """

    Settings = VectorSettings
    item_vectors: FloatArray
    trained_users: FloatArray

    # ------------------------------------------------------------------ scoring

    def user_vectors(
        self,
        profiles: Ragged,
        user_ids: Sequence[str | None] | None = None,
        guests: FloatArray | None = None,
    ) -> FloatArray:
        """[w_u, 1] of some visitors, shape (profiles, width + 1): a score is the product with `item_vectors`.

        Parameters
        ----------
        profiles
            Rows of `item_ids`, guests beyond.
        user_ids
            People of the training log get the vector learnt there; None and strangers are folded in.
        guests
            Raw features of pictures outside the catalogue.
        """
        known = self.user_ids.find([user or "" for user in user_ids or [None] * len(profiles)])
        vectors = self.trained_users[known]
        if (strangers := np.flatnonzero((known < 0) | (vectors[:, -1] == 0))).size:
            rows = self.item_vectors
            if guests is not None:
                rows = np.concatenate([rows, self._guest_vectors(guests)])
            works = background(self.scorable)
            for row in strangers.tolist():
                profile = profiles[row]
                others = np.setdiff1d(works, profile, assume_unique=True)
                taste = fold_in(rows[profile], rows[others], self.settings.lambda_user)
                vectors[row] = np.append(taste, 1.0)
        return vectors

    def item_matrix(self) -> FloatArray:
        """Vectors of all items, shape (items, width + 1); see `vasari.models.dot_product`."""
        return self.item_vectors

    def user_matrix(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None = None
    ) -> FloatArray:
        """Vectors of some visitors, shape (profiles, width + 1); see `vasari.models.dot_product`."""
        return self.user_vectors(profiles, user_ids, guests)

    def embed(self, features: FloatArray) -> FloatArray:
        """[v, b] of pictures outside the catalogue from their raw features, shape (n, width + 1)."""
        return self._guest_vectors(features)

    def _guest_vectors(self, guests: FloatArray) -> FloatArray:
        """[v, b] of pictures outside the catalogue, shape (guests, width + 1)."""
        raise UsageError(f"{self.name} does not look at pictures; pass item ids instead of images")

    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        return self.user_vectors(profiles, user_ids, guests) @ self.item_vectors.T

    def _similarity(self, items: IntArray, guests: FloatArray | None) -> FloatArray:
        """Cosine of the item vectors without biases."""
        vectors = self.item_vectors
        if guests is not None:
            vectors = np.concatenate([vectors, self._guest_vectors(guests)])
        return cosines(torch.from_numpy(vectors[:, :-1]), items, len(self.item_ids))

    # ------------------------------------------------------------------ files

    def _arrays(self) -> Arrays:
        return {"item_vectors": self.item_vectors, "user_vectors": self.trained_users}

    def _restore(self, arrays: Arrays) -> None:
        self.item_vectors, self.trained_users = arrays["item_vectors"], arrays["user_vectors"]


class FactorModel(VectorModel[T]):
    """Learns factors of users and items by BPR; a subclass gives the network."""

    Settings = FactorSettings

    @abstractmethod
    def _network(self, inputs: FitInputs, device: torch.device, seed: int) -> FactorNetwork:
        """A fresh network for the log and the features at hand."""

    def _fit(self, inputs: FitInputs) -> None:
        device = choose_device(inputs.device)
        histories, cases = hold_out(inputs.data, self.scorable, self.settings.validation_share, inputs.seed)
        assert histories.user_ids == self.user_ids  # everybody keeps a basket, so rows agree
        sampler = uniform_sampler(inputs.data, histories, cases, self.scorable)
        first = int(generator(inputs.seed, "weights").integers(2**63))
        network = self._network(inputs, device, first).to(device)
        taught = Taught.by("uniform", sampler.context, len(self.item_ids))
        triples = max(self.settings.triples_per_epoch, len(histories.items.values))
        settings = replace(self.settings, triples_per_epoch=triples)
        self.history = learn(
            self, inputs, settings, network, sampler, cases, lambda: self._remember(network, taught)
        )
        self._remember(network, taught)

    @torch.inference_mode()
    def _remember(self, network: FactorNetwork, taught: Taught) -> None:
        """Keep the vectors: all that answers need."""
        device = network.items.weight.device
        users, items = (table.weight.detach().cpu().clone() for table in (network.users, network.items))
        self.trained_users = F.pad(users, (0, 1), value=1.0).numpy()
        self.trained_users[~taught.users] = 0.0
        refused = torch.from_numpy(taught.refused)
        items[torch.from_numpy(~taught.taken), :-1] = 0.0
        items[refused, -1] = items[refused, -1].mean()
        self.item_vectors = np.zeros((len(items), users.shape[1] + 1), np.float32)
        for block in torch.split(torch.from_numpy(np.flatnonzero(self.scorable)), BLOCK):
            terms = network.item_terms(items[block].to(device), block.to(device))
            self.item_vectors[block] = terms.cpu().numpy()


def _look_up(table: nn.Embedding, rows: Tensor) -> Tensor:
    """Some rows, each once; the gradient of a small table is cheaper as a whole, and then by index."""
    found: Tensor = table(rows) if table.sparse else table.weight.index_select(0, rows)
    return found


class _WeightedSquares(torch.autograd.Function):
    """Sum of w_n ||row_n||^2, the last number of each row having a weight of its own.

    Autograd would go over the rows several times more, at every step.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weights: Tensor, last: Tensor) -> Tensor:
        """A scalar, from shapes (n, width), (n,) and (n,)."""
        weighted = rows * weights[:, None]
        torch.mul(rows[:, -1], last, out=weighted[:, -1])
        ctx.save_for_backward(weighted)
        return torch.dot(weighted.view(-1), rows.view(-1))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Gradient of `rows`."""
        (weighted,), (outer,) = ctx.saved_tensors, gradients
        return weighted * (2 * outer), None, None


def _floats(device: torch.device, *arrays: npt.NDArray[np.floating]) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(array.astype(np.float32)).to(device) for array in arrays)
