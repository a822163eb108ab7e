"""CuratorNet: visitors are the works they chose, and nothing else.

    x_ui = Phi_user(P_u)^T Phi_item(f_i)                                     (Messina et al. 2020, eq. 1)

    Phi_item(f) = selu(W2 selu(W1 f + b1) + b2)                     item tower, dim -> 200 -> 200, shared
    p           = [mean_{l in P} Phi_item(f_l) ; max_{l in P} Phi_item(f_l)]                          400
    Phi_user(P) = selu(U3 selu(U2 selu(U1 p + c1) + c2) + c3)            user tower, 400 -> 300 -> 300 -> 200

Trained on triples drawn by the six guidelines (`vasari.sampling.guidelines`) with the BPR log loss.
There are no parameters of users or items, so unseen visitors and works are scored like any others.

Source: P. Messina, M. Cartagena, P. Cerda, F. del Rio, D. Parra, "CuratorNet: Visually-aware
Recommendation of Art Images", ComplexRec 2020, arXiv:2009.04426, and the code published with it. Where
the paper's TensorFlow code and the later PyTorch tutorial differ, the defaults follow the paper's;
`CuratorNet.tutorial` gives the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import Self

from vasari.core.devices import choose_device
from vasari.core.errors import UsageError
from vasari.core.seeds import generator
from vasari.data.dataset import Dataset
from vasari.data.ragged import Ragged
from vasari.features.table import FeatureTable
from vasari.models.bank import BLOCK, FeatureBank
from vasari.models.base import Arrays, FitInputs, FloatArray, IntArray, Recommender
from vasari.models.components import Components
from vasari.models.dots import cosines, pair_dots
from vasari.models.drawing import triple_sampler
from vasari.models.layers import drop_, selu, selu_array
from vasari.models.learning import LearningSettings, learn
from vasari.models.registry import register
from vasari.models.scaling import Scaling, check_scale
from vasari.models.validation import hold_out
from vasari.models.weights import restore_weights, weight_arrays
from vasari.sampling.guidelines import Rules
from vasari.sampling.triples import Triples
from vasari.training.loop import PairScores

ITEM_LAYERS = (200, 200)
USER_LAYERS = (300, 300, 200)
POOLS = ("mean", "max")
STARTS = ("glorot", "looks")
PRECISIONS = ("float32", "bfloat16")
MEMBERS = 1 << 16  # of profiles whose vectors are in memory at once
SAMPLE = 20_000  # items whose covariance gives the principal components of a start from looks


@dataclass(frozen=True)
class CuratorNetSettings(LearningSettings):
    """Settings of CuratorNet; those of training are inherited.

    Attributes
    ----------
    sampling
        ``"guidelines"`` (all six, equal shares), ``"artists"``, ``"uniform"``, ``"tutorial"``, or
        shares by name, for
        example ``{"G4": 1, "G5": 1, "uniform": 2}``.
    fine_grained, positive_in_profile
        Constants of the guidelines, see `vasari.sampling.guidelines.Rules`.
    scale
        ``"zscore"`` features per dimension over the catalogue (the paper's code) or ``"none"`` (tutorial).
    components
        Train on so many principal components of the features instead of on the features, see
        `vasari.models.components`; the network that comes out is one of features all the same. Not in the
        paper. None trains on the features.
    pooling
        What of the profile's item vectors is concatenated, in this order.
    profile_cap
        Only the last so many works of a profile, in training and in answers; None for all.
    dropout
        Share of the scaled features set to zero in training, anew for every work and batch. Not in the
        paper; it keeps a small catalogue from being learnt by heart.
    precision
        Of the products in training: ``"float32"``, or ``"bfloat16"``, which graphics cards and recent
        processors multiply several times as fast. Weights, sums and all answers are float32 either way.
    start
        The first weights: ``"glorot"`` (the paper's code), or ``"looks"``, from which training starts at
        visual similarity, see `CuratorNetwork.start_from_looks`. Not in the paper.
    zero_biases
        Biases start at zero (the paper's code) or as torch makes them (tutorial).
    """

    sampling: str | dict[str, float] = "guidelines"
    fine_grained: float = 0.6
    positive_in_profile: bool = True
    scale: str = "zscore"
    components: int | None = None
    pooling: tuple[str, ...] = ("mean", "max")
    profile_cap: int | None = None
    dropout: float = 0.0
    precision: str = "float32"
    start: str = "glorot"
    zero_biases: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale(self.scale)
        if not self.pooling or not set(self.pooling) <= set(POOLS):
            raise UsageError(f"pooling={self.pooling!r} must be made of {POOLS}")
        for name in ("profile_cap", "components"):
            if (count := getattr(self, name)) is not None and count < 1:
                raise UsageError(f"{name}={count} must be at least 1, or None")
        for name, allowed in (("start", STARTS), ("precision", PRECISIONS)):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name}={getattr(self, name)!r} must be one of {allowed}")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout={self.dropout} must lie in [0, 1)")


class CuratorNetwork(nn.Module):
    """The two towers.

    Parameters
    ----------
    dim
        Length of a feature vector. For 2048 there are 720,800 parameters.
    pooling
        Order of the pooled parts.
    seed
        Of the initial weights: Glorot uniform.
    """

    def __init__(
        self, dim: int, pooling: Sequence[str] = POOLS, *, zero_biases: bool = True, seed: int = 0
    ) -> None:
        super().__init__()
        self.pooling = tuple(pooling)
        self.item = nn.ModuleList(_dense(dim, ITEM_LAYERS))
        self.user = nn.ModuleList(_dense(len(self.pooling) * ITEM_LAYERS[-1], USER_LAYERS))
        random = torch.Generator().manual_seed(seed)
        for layer in [*self.item, *self.user]:
            nn.init.xavier_uniform_(layer.weight, generator=random)
            bound = 0.0 if zero_biases else layer.in_features**-0.5
            nn.init.uniform_(layer.bias, -bound, bound, generator=random)

    @torch.no_grad()
    def start_from_looks(self, features: Tensor, seed: int) -> None:
        """Set the weights such that the score is about the inner product of what is seen: VisRank's mean.

        The first layer projects onto the principal components of the pictures, turned at random so that
        all hidden units vary alike, with unit variance; every other layer hands its input on, plus a tenth of
        its Glorot weights so that no two units are bound to learn the same. Item vectors are a tenth as long
        as their input: scores then begin around 1, where the log loss is not yet flat. A thousand purchases
        are too few to find visual similarity from nothing; from here they have to correct it only.

        Parameters
        ----------
        features
            Scaled features of some items, shape (n, dim).
        seed
            Of the turn.
        """
        centred = features - features.mean(0)
        variances, axes = torch.linalg.eigh(centred.T @ centred / len(centred))  # ascending
        width = min(ITEM_LAYERS[0], len(variances))
        random = torch.Generator().manual_seed(seed)
        turn = torch.linalg.qr(torch.randn(ITEM_LAYERS[0], ITEM_LAYERS[0], generator=random)).Q
        project = turn[:, :width].to(axes) @ axes[:, -width:].T  # (200, dim)
        scale = (variances[-width:].sum() / ITEM_LAYERS[0]).clamp_min(1e-12).sqrt()
        first, *others = [p for name, p in self.named_parameters() if name.endswith("weight")]
        first.copy_(project / scale)
        for weight in others:
            weight.mul_(0.1)
            weight.diagonal()[: ITEM_LAYERS[-1]] += 1
        others[0].mul_(0.1)

    def item_tower(self, features: Tensor) -> Tensor:
        """Feature vectors, shape (items, dim), to item vectors, shape (items, 200)."""
        for layer in self.item:
            features = selu(layer(features))
        return features

    def user_tower(self, item_vectors: Tensor, members: Tensor, offsets: Tensor) -> Tensor:
        """Profiles of any lengths to user vectors, shape (profiles, 200).

        Parameters
        ----------
        item_vectors
            Shape (items, 200).
        members
            Rows of `item_vectors`, all profiles end to end, shape (total,).
        offsets
            Where each profile begins in `members`, shape (profiles,).
        """
        # Pooling by segments needs neither padding nor mask, so lengths cannot leak into the result.
        pooled = [F.embedding_bag(members, item_vectors, offsets, mode=mode) for mode in self.pooling]
        hidden = torch.cat(pooled, dim=1)  # (profiles, 200 * parts)
        for layer in self.user:
            hidden = selu(layer(hidden))
        return hidden

    def user_vectors(self, pooled: FloatArray) -> FloatArray:
        """What `user_tower` makes of pooled profiles, shape (profiles, 200 * parts), outside of training.

        In NumPy, since torch takes longer to be called than to compute the vector of one visitor.
        """
        hidden = pooled
        for layer in self.user:
            assert isinstance(layer, nn.Linear)
            weight, bias = (p.detach().cpu().numpy() for p in (layer.weight, layer.bias))
            hidden = selu_array(hidden @ weight.T + bias)
        return hidden


class TripleScorer(nn.Module):
    """The network with the features it is trained on: the towers run once per distinct item and profile.

    Parameters
    ----------
    network, bank, device
        All on that device.
    dropout, precision
        As in `CuratorNetSettings`.
    """

    def __init__(
        self,
        network: CuratorNetwork,
        bank: FeatureBank,
        device: torch.device,
        dropout: float = 0.0,
        precision: str = "float32",
    ) -> None:
        super().__init__()
        self.network = network
        self.bank, self.device, self.dropout = bank, device, dropout
        self.rough = precision == "bfloat16"
        self._room = torch.empty(0, bank.dim, device=device)

    def _room_for(self, items: int) -> Tensor:
        """Memory for the features of one step, which are done with when the next one asks for them."""
        if len(self._room) < items:
            self._room = torch.empty(items + items // 8, self.bank.dim, device=self.device)
        return self._room

    def pair_scores(self, batch: Triples) -> PairScores:
        """Scores of the positives and of the negatives."""
        members = batch.profiles.values
        items, at = _distinct(np.concatenate([members, batch.positive, batch.negative]), self.device)
        members_at, pairs_at = torch.split(at, [len(members), 2 * len(batch)])
        room = self._room_for(len(items)) if self.training else None
        features = self.bank.take(items, room)
        if self.network.training:
            drop_(features, self.dropout)
        offsets = torch.from_numpy(batch.profiles.offsets[:-1].copy()).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.rough):
            vectors = self.network.item_tower(features)
            users = self.network.user_tower(vectors, members_at, offsets)  # (distinct profiles, 200)
        profile = torch.from_numpy(batch.profile).to(self.device)
        positive, negative = pair_dots(users, vectors, profile.repeat(2), pairs_at).chunk(2)
        return PairScores(positive, negative)


@register
class CuratorNet(Recommender[CuratorNetSettings]):
    """CuratorNet (Messina et al. 2020); see the module's page for the equations.

    Parameters
    ----------
    **settings
        Fields of `CuratorNetSettings`, for example ``epochs=5`` or ``sampling="uniform"``.

    Examples
    --------
    >>> model = CuratorNet(epochs=5).fit(data, features)  # doctest: +SKIP
    >>> model.recommend(profile=["a17", "a23"], k=20)  # doctest: +SKIP
    """

    name = "CuratorNet"
    Settings = CuratorNetSettings
    needs_features = True

    @classmethod
    def paper(cls, **changes: Any) -> Self:
        """The settings released with the paper: 10 million triples, lr 1e-4 with ten steps of 0.6, L2 1e-4.

        The TensorFlow code fills batches up to 100,000 profile slots; here a batch has a fixed number of
        triples, 10,000, which holds about as many slots at UGallery's profile lengths.
        """
        settings: dict[str, Any] = {
            "epochs": 10,
            "triples_per_epoch": 10_000_002,
            "batch_size": 10_000,
            "learning_rate": 1e-4,
            "weight_decay": 1e-4,
            "monitor": "accuracy",
        }
        return cls(**(settings | changes))

    @classmethod
    def tuned(cls, **changes: Any) -> Self:
        """The paper's network, started from looks and trained shortly, its weights averaged over the epochs.

        Two triples of guideline 6 for every uniform one, whose positive leaves the profile, as in a test;
        dropout of half the features; batches so large that one training is much like another. Chosen on
        painted galleries (seeds 10 to 13) and on new works among film posters; `docs/tuning.md` tells what
        was tried and measured.
        """
        settings: dict[str, Any] = {
            "start": "looks",
            "sampling": "artists",
            "fine_grained": 0.3,
            "dropout": 0.5,
            "learning_rate": 3e-4,
            "average": True,
            "keep": "last",
            "epochs": 6,
            "batch_size": 32_768,
            "triples_per_epoch": 655_360,
        }
        return cls(**(settings | changes))

    @classmethod
    def tutorial(cls, **changes: Any) -> Self:
        """The PyTorch tutorial's settings: raw features, [max, mean], summed loss, Adam decaying biases too.

        Training profiles are the last ten works up to and including the positive (uniform triples); the
        schedule follows the accuracy on triples, factor .6, patience 2, threshold 1e-4; batch 128.
        """
        settings: dict[str, Any] = {
            "sampling": "tutorial",
            "scale": "none",
            "pooling": ("max", "mean"),
            "profile_cap": 10,
            "zero_biases": False,
            "epochs": 10,
            "triples_per_epoch": 5_000_000,
            "batch_size": 128,
            "learning_rate": 1e-4,
            "weight_decay": 1e-4,
            "decay_biases": True,
            "loss": "bpr-sum",
            "lr_factor": 0.6,
            "lr_patience": 2,
            "lr_threshold": 1e-4,
            "monitor": "accuracy",
        }
        return cls(**(settings | changes))

    # ------------------------------------------------------------------ learning

    def _fit(self, inputs: FitInputs) -> None:
        assert inputs.table is not None
        settings, data = self.settings, inputs.data
        device = choose_device(inputs.device)
        features = FeatureBank.fit(inputs.table.matrix, inputs.rows, settings.scale).to(device)
        components = (
            Components.fit(features, settings.components, inputs.seed) if settings.components else None
        )
        bank = components.of(features) if components else features
        histories, cases = hold_out(data, self.scorable, settings.validation_share, inputs.seed)
        sampler = triple_sampler(
            data,
            histories,
            cases,
            inputs.table,
            inputs.rows,
            settings.sampling,
            settings.profile_cap,
            inputs.seed,
            Rules(fine_grained=settings.fine_grained, positive_in_profile=settings.positive_in_profile),
        )
        first = int(generator(inputs.seed, "weights").integers(2**63))
        self.network = CuratorNetwork(
            bank.dim, settings.pooling, zero_biases=settings.zero_biases, seed=first
        ).to(device)
        if settings.start == "looks":
            with_picture = np.flatnonzero(bank.present)
            some = generator(inputs.seed, "looks").permutation(with_picture)[:SAMPLE]
            self.network.start_from_looks(bank.take(torch.from_numpy(np.sort(some)).to(device)), first)
        scorer = TripleScorer(self.network, bank, device, settings.dropout, settings.precision)

        self.history = learn(self, inputs, settings, scorer, sampler, cases, lambda: self._remember(bank))
        if components:
            first_layer = self.network.item[0]
            assert isinstance(first_layer, nn.Linear)
            self.network.item[0] = components.unfold(first_layer)
        self._finish(features)

    def adopt(self, network: CuratorNetwork, data: Dataset, features: FeatureTable) -> Self:
        """Answer for a catalogue and its log with towers trained elsewhere.

        Raises
        ------
        DataError
            No item of the catalogue has a feature vector.
        """
        rows = self._settle(data, features)
        self.network = network
        self._finish(FeatureBank.fit(features.matrix, rows, self.settings.scale))
        self.trained_on = "elsewhere"
        return self

    def _finish(self, bank: FeatureBank) -> None:
        self._remember(bank)
        self.network.cpu()
        self.scaling = bank.scaling

    @torch.inference_mode()
    def _remember(self, bank: FeatureBank) -> None:
        """Keep every item's vector: with pooling after the item tower nothing else is needed to answer."""
        self.network.eval()
        vectors = torch.zeros(len(bank), ITEM_LAYERS[-1])
        present = torch.from_numpy(np.flatnonzero(bank.present))
        for block in torch.split(present, BLOCK):
            vectors[block] = self.network.item_tower(bank.take(block.to(bank.mean.device))).cpu()
        self.item_vectors = vectors

    # ------------------------------------------------------------------ scoring

    def user_vectors(self, profiles: Ragged, guests: FloatArray | None = None) -> FloatArray:
        """User vectors of some profiles (rows of `item_ids`, guests beyond), shape (profiles, 200)."""
        if self.settings.profile_cap is not None:
            profiles = profiles.last(self.settings.profile_cap)
        pooled = np.zeros((len(profiles), len(self.settings.pooling) * ITEM_LAYERS[-1]), np.float32)
        for start, stop in profiles.tiles(MEMBERS):
            few = profiles.slice(start, stop)
            pooled[start:stop] = _pooled(self._members(few.values, guests), few, self.settings.pooling)
        return self.network.user_vectors(pooled)

    def _members(self, items: IntArray, guests: FloatArray | None) -> FloatArray:
        """Vectors of the members of some profiles, shape (len(items), 200)."""
        count = len(self.item_vectors)
        vectors: FloatArray = np.take(self.item_vectors.numpy(), np.minimum(items, count - 1), axis=0)
        if guests is not None and (strange := items >= count).any():
            used, places = np.unique(items[strange] - count, return_inverse=True)
            vectors[strange] = self.embed(guests[used])[places]
        return vectors

    def item_matrix(self) -> FloatArray:
        """Vectors of all items, shape (items, 200); see `vasari.models.dot_product`."""
        return self.item_vectors.numpy()

    def user_matrix(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None = None
    ) -> FloatArray:
        """User vectors, shape (profiles, 200); see `vasari.models.dot_product`."""
        return self.user_vectors(profiles, guests)

    @torch.inference_mode()
    def embed(self, features: FloatArray) -> FloatArray:
        """Vectors of pictures outside the catalogue from their raw features, shape (n, 200)."""
        device = next(self.network.parameters()).device
        return self.network.item_tower(self.scaling(features).to(device)).cpu().numpy()

    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        return self.user_vectors(profiles, guests) @ self.item_vectors.numpy().T

    @torch.inference_mode()
    def _similarity(self, items: IntArray, guests: FloatArray | None) -> FloatArray:
        vectors = self.item_vectors
        if guests is not None:
            vectors = torch.cat([vectors, self.network.item_tower(self.scaling(guests))])
        return cosines(vectors, items, len(self.item_ids))

    # ------------------------------------------------------------------ files

    def _arrays(self) -> Arrays:
        return {
            **weight_arrays(self.network),
            "item_vectors": self.item_vectors.numpy(),
            **self.scaling.arrays(),
        }

    def _restore(self, arrays: Arrays) -> None:
        self.scaling = Scaling.from_arrays(arrays)
        self.network = CuratorNetwork(self.scaling.dim, self.settings.pooling)
        restore_weights(self.network, arrays)
        self.item_vectors = torch.from_numpy(arrays["item_vectors"])


def _distinct(items: IntArray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Distinct items, ascending, and where each of `items` stands among them, on the device."""
    if device.type == "cuda":  # sorts a batch in a fraction of the time that one core takes
        return torch.unique(torch.from_numpy(items).to(device), return_inverse=True)
    distinct, places = np.unique(items, return_inverse=True)
    return torch.from_numpy(distinct).to(device), torch.from_numpy(places).to(device)


def _pooled(vectors: FloatArray, profiles: Ragged, pooling: Sequence[str]) -> FloatArray:
    """What `CuratorNetwork.user_tower` pools, shape (profiles, dim * parts); zeros of an empty profile.

    Parameters
    ----------
    vectors
        One for every member of the profiles, in their order, shape (members, dim).
    """
    held = np.flatnonzero(profiles.lengths)
    pooled = np.zeros((len(profiles), len(pooling) * vectors.shape[1]), np.float32)
    if len(held):
        starts, lengths = profiles.offsets[held], profiles.lengths[held].astype(np.float32)
        mean, greatest = (
            np.add.reduceat(vectors, starts) / lengths[:, None],
            np.maximum.reduceat(vectors, starts),
        )
        parts = {"mean": mean, "max": greatest}
        pooled[held] = np.concatenate([parts[name] for name in pooling], axis=1)
    return pooled


def _dense(dim: int, sizes: Sequence[int]) -> list[nn.Linear]:
    return [nn.Linear(a, b) for a, b in pairwise([dim, *sizes])]
