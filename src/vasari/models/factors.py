"""Models whose score is the product of a user vector and an item vector, learnt by BPR.

    x_ui = <w_u, v_i> + b_i  =  <[w_u, 1], [v_i, b_i]>

    minimise over triples (u, i, j), i taken by u and j not:
        -ln sigma(x_ui - x_uj) + (lambda_u ||w_u||^2 + lambda_+ ||h_i||^2 + lambda_- ||h_j||^2
                                  + lambda_b b_i^2 + lambda_b- b_j^2) / 2

Source: S. Rendle, C. Freudenthaler, Z. Gantner, L. Schmidt-Thieme, "BPR: Bayesian Personalized Ranking from
Implicit Feedback", UAI 2009. Triples are drawn as by LearnBPR: (u, i) uniformly over the interactions,
with replacement. Two deviations: the mean gradient of a batch goes to Adam instead of each triple's
to plain gradient descent, and the epoch is chosen by ranking hidden works.

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
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vasari.core.devices import choose_device
from vasari.core.errors import UsageError
from vasari.core.seeds import generator
from vasari.data.ragged import Ragged
from vasari.models.bank import BLOCK
from vasari.models.base import Arrays, FitInputs, FloatArray, IntArray, Recommender
from vasari.models.dots import cosines
from vasari.models.drawing import Taught, uniform_sampler
from vasari.models.foldin import background, fold_in
from vasari.models.learning import LearningSettings, learn
from vasari.models.validation import hold_out
from vasari.sampling.triples import Triples
from vasari.training.loop import PairScores

START = 0.1  # standard deviation of the factors at first


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
    lambda_positive, lambda_negative, lambda_bias, lambda_negative_bias
        Of the equation in `vasari.models.factors`, in order.
    weight_decay
        As inherited: Adam's L2 of every parameter in every step, on top of the terms above.
    """

    epochs: int = 20
    batch_size: int = 2048
    learning_rate: float = 5e-3
    weight_decay: float = 0.0
    lambda_positive: float = 0.03
    lambda_negative: float = 0.03
    lambda_bias: float = 0.03
    lambda_negative_bias: float = 0.03


class FactorNetwork(nn.Module):
    """The parameters of the equation on the module's page, with v_i = h_i.

    Parameters
    ----------
    users, items
        How many there are.
    width
        Length of w_u and v_i.
    settings
        Lengths and regularisation.
    seed
        Of the initial values.

    Attributes
    ----------
    users, items
        Rows w_u, shape (users, width), and h_i, shape (items, factors).
    item_bias
        b, shape (items,).
    """

    def __init__(self, users: int, items: int, width: int, settings: FactorSettings, seed: int = 0) -> None:
        super().__init__()
        self.settings = settings
        self.users, self.items = nn.Embedding(users, width), nn.Embedding(items, settings.factors)
        self.item_bias = nn.Parameter(torch.zeros(items))
        self.random = torch.Generator().manual_seed(seed)
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, 0, START, generator=self.random)

    def item_terms(self, factors: Tensor, biases: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """v_i, shape (n, width), and what is added to the product, shape (n,), from h_i and b_i.

        Models that know more of a work than its number add to either.
        """
        return factors, biases

    def matrix_penalty(self) -> Tensor | float:
        """Regularisation of what every triple touches, to be halved."""
        return 0.0

    def pair_scores(self, batch: Triples) -> PairScores:
        """Scores of the positives and of the negatives, and the regularisation of what they touch."""
        settings, device = self.settings, self.item_bias.device
        distinct, places = np.unique(np.stack([batch.positive, batch.negative]), return_inverse=True)
        items = torch.from_numpy(distinct).to(device)
        pair = torch.from_numpy(places.reshape(2, len(batch))).to(device)  # (2, triples)
        factors, biases = self.items(items), self.item_bias[items]
        vectors, added = self.item_terms(factors, biases, items)
        mine = self.users(torch.from_numpy(batch.user).to(device))  # (triples, width)
        positive, negative = (mine * F.embedding(pair, vectors)).sum(2) + added[pair]
        of_items = factors.square().sum(1)[pair].mean(1) @ _pair(
            factors, settings.lambda_positive, settings.lambda_negative
        )
        of_biases = biases.square()[pair].mean(1) @ _pair(
            biases, settings.lambda_bias, settings.lambda_negative_bias
        )
        of_users = settings.lambda_user * mine.square().sum(1).mean()
        return PairScores(positive, negative, (of_users + of_items + of_biases + self.matrix_penalty()) / 2)


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
        self.history = learn(
            self, inputs, self.settings, network, sampler, cases, lambda: self._remember(network, taught)
        )
        self._remember(network, taught)

    @torch.inference_mode()
    def _remember(self, network: FactorNetwork, taught: Taught) -> None:
        """Keep the vectors: all that answers need."""
        device = network.item_bias.device
        users, factors, biases = (
            values.detach().cpu().clone()
            for values in (network.users.weight, network.items.weight, network.item_bias)
        )
        self.trained_users = F.pad(users, (0, 1), value=1.0).numpy()
        self.trained_users[~taught.users] = 0.0
        refused = torch.from_numpy(taught.refused)
        factors[torch.from_numpy(~taught.taken)] = 0.0
        biases[refused] = biases[refused].mean()
        self.item_vectors = np.zeros((len(factors), users.shape[1] + 1), np.float32)
        for block in torch.split(torch.from_numpy(np.flatnonzero(self.scorable)), BLOCK):
            terms = network.item_terms(factors[block].to(device), biases[block].to(device), block.to(device))
            self.item_vectors[block] = torch.column_stack(terms).cpu().numpy()


def _pair(like: Tensor, positive: float, negative: float) -> Tensor:
    return torch.tensor([positive, negative], dtype=like.dtype, device=like.device)
