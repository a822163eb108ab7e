"""YouTubeDNN: the next work as one class among all, for candidate generation.

    P(i | P_u) = exp(v_i^T u) / sum_j exp(v_j^T u),
    u = relu(W_n ... relu(W_1 [mean_{l in P_u} x_l ; age] + b_1) ... + b_n)

x_l is what a work is in a history and v_i what it is as an answer; both are made of a linear map of its
picture, of a vector of its own, or of both (concatenated in x_l, added in v_i). Every example asks for one
work of a basket, given the baskets before it and nothing later. Users get equal shares of the examples.

The sum over all works j is estimated from m works drawn from a background distribution q, shared by the
batch and weighted by their importance:

    sum_{j != i} exp(v_j^T u)  ~  sum_{k=1..m} [j_k != i] exp(v_{j_k}^T u - log(m q(j_k)))

The estimate is unbiased, and -log(e^p / (e^p + e^n)) = softplus(n - p), so with n its logarithm the loss
``"bpr"`` on (p, n) is exactly the cross entropy of the sampled softmax.

Source: P. Covington, J. Adams, E. Sargin, "Deep Neural Networks for YouTube Recommendations", RecSys 2016,
section on candidate generation. Here there are neither search tokens nor geography, gender or other facts
about users, and the pictures' map is added, since a work sold once has no id worth learning. Works never
taken in training share one vector of their own; works added after the end of the log and pictures outside
the catalogue have none. q is proportional to (1 + times taken)^power; the paper does not name its own. It
reports no public data, so no figure of it can be reproduced.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vasari.core.devices import choose_device
from vasari.core.errors import UsageError
from vasari.core.seeds import generator
from vasari.data.histories import Histories
from vasari.data.ragged import Ragged
from vasari.models.bank import BLOCK, FeatureBank
from vasari.models.base import Arrays, BoolArray, FitInputs, FloatArray, IntArray, Recommender
from vasari.models.dots import cosines
from vasari.models.drawing import triple_sampler
from vasari.models.learning import LearningSettings, learn
from vasari.models.registry import register
from vasari.models.scaling import Scaling, check_scale
from vasari.models.validation import hold_out
from vasari.models.weights import restore_weights, weight_arrays
from vasari.sampling.triples import Triples
from vasari.training.loop import PairScores

INPUTS = ("visual", "id")
LOSSES = ("bpr", "bpr-sum")
NEVER = -1e9  # a logarithm whose exponential is zero, without the undefined gradient of -inf
START = 0.1  # standard deviation of all vectors at first: the softmax starts nearly even, not loud and wrong


@dataclass(frozen=True)
class YouTubeDNNSettings(LearningSettings):
    """Settings of YouTubeDNN; those of training are inherited.

    Attributes
    ----------
    inputs
        What works are made of: ``("visual",)``, ``("id",)`` or ``("visual", "id")``. A feature table is
        asked for in any case: it says which works can be shown and which show the same image.
    embedding
        Length of each part of x_l.
    layers
        Widths of the tower; the last is the length of u and v_i.
    negatives
        m, the works drawn for every batch.
    background
        Power of q; 0 is uniform.
    example_age
        Whether the tower is told how long before the end of the log the positive was taken, as a share of
        the log's length. At serving it is 0, the present. Off by default: it serves a taste for what is
        new, which works that leave with their sale cannot gain.
    profile_cap
        Only the last so many works of a profile, in training and in answers; None for all.
    loss
        ``"bpr"`` or ``"bpr-sum"``: mean or sum of the cross entropy.
    scale
        ``"zscore"`` features per dimension over the catalogue, or ``"none"``.
    """

    triples_per_epoch: int = 80_000
    batch_size: int = 2048
    inputs: tuple[str, ...] = ("visual",)
    embedding: int = 64
    layers: tuple[int, ...] = (256, 128)
    negatives: int = 1024
    background: float = 0.75
    example_age: bool = False
    profile_cap: int | None = 50
    scale: str = "zscore"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.inputs or not set(self.inputs) <= set(INPUTS) or len(set(self.inputs)) < len(self.inputs):
            raise UsageError(f"inputs={self.inputs!r} must be made of {INPUTS}, each at most once")
        if not self.layers or min(self.layers) < 1:
            raise UsageError(f"layers={self.layers!r} must be one or more widths of at least 1")
        for name in ("embedding", "negatives"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} must be at least 1")
        if not self.background >= 0:
            raise UsageError(f"background={self.background} must not be negative")
        if self.profile_cap is not None and self.profile_cap < 1:
            raise UsageError(f"profile_cap={self.profile_cap} must be at least 1, or None")
        if self.loss not in LOSSES:
            raise UsageError(f"loss={self.loss!r} must be one of {LOSSES}: only those make a softmax")
        check_scale(self.scale)


class _Parts(nn.Module):
    """The parts that works are made of: a linear map of features, rows of a table, or both."""

    def __init__(
        self, dim: int, words: int, width: int, inputs: Sequence[str], random: torch.Generator
    ) -> None:
        super().__init__()
        self.of = nn.ModuleDict()
        if "visual" in inputs:
            visual = nn.Linear(dim, width, bias=False)
            nn.init.normal_(visual.weight, 0, START * dim**-0.5, generator=random)
            self.of["visual"] = visual
        if "id" in inputs:
            ids = nn.Embedding(words, width)
            nn.init.normal_(ids.weight, 0, START, generator=random)
            nn.init.zeros_(ids.weight[:2])  # so they stay in x: no history of training holds such a work
            self.of["id"] = ids

    def forward(self, features: Tensor, words: Tensor) -> list[Tensor]:
        given = {"visual": features, "id": words}
        return [part(given[name]) for name, part in self.of.items()]


class YouTubeNetwork(nn.Module):
    """What works are in histories and as answers, and the tower between.

    Parameters
    ----------
    dim
        Length of a feature vector.
    words
        Number of id vectors. Word 0 is every work unknown to training and stays zero; word 1 is every work
        that could be taken and never was.
    settings
        Sizes are read from here.
    seed
        Of the initial weights: He uniform in the tower with zero biases, Gaussian for what makes x and v.
    """

    def __init__(self, dim: int, words: int, settings: YouTubeDNNSettings, seed: int = 0) -> None:
        super().__init__()
        inputs, sizes = settings.inputs, settings.layers
        random = torch.Generator().manual_seed(seed)
        self.seen = _Parts(dim, words, settings.embedding, inputs, random)  # x
        self.answer = _Parts(dim, words, sizes[-1], inputs, random)  # v
        self.aged = settings.example_age
        width = settings.embedding * len(inputs) + self.aged
        layers = [nn.Linear(a, b) for a, b in pairwise([width, *sizes])]
        for layer in layers:
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=random)
            nn.init.zeros_(layer.bias)
        self.layers = nn.ModuleList(layers)

    def history_vectors(self, features: Tensor, words: Tensor) -> Tensor:
        """Vectors x of works, from features (n, dim) and words (n,); shape (n, parts * embedding)."""
        return torch.cat(self.seen(features, words), dim=1)

    def item_vectors(self, features: Tensor, words: Tensor) -> Tensor:
        """Vectors v of the same, shape (n, layers[-1])."""
        return torch.stack(self.answer(features, words)).sum(0)

    def tower(self, means: Tensor, ages: Tensor) -> Tensor:
        """Vectors u from mean history vectors, shape (n, parts * embedding), and ages, shape (n,)."""
        hidden = torch.cat([means, ages.unsqueeze(1)], dim=1) if self.aged else means
        for layer in self.layers:
            hidden = F.relu(layer(hidden))
        return hidden


class Background:
    """The distribution q that the shared negatives are drawn from.

    Parameters
    ----------
    taken
        How often each work was taken in training, shape (items,).
    possible
        Which works can be drawn, shape (items,); all of them can be answers, so q is positive on them.
    power
        q(i) is proportional to (1 + taken(i))^power.

    Attributes
    ----------
    log_q
        Shape (items,), -inf for works that cannot be drawn.
    """

    def __init__(self, taken: IntArray, possible: BoolArray, power: float) -> None:
        cumulative = np.cumsum(np.where(possible, (1.0 + taken) ** power, 0.0))
        self._cumulative: npt.NDArray[np.float64] = cumulative / cumulative[-1]
        with np.errstate(divide="ignore"):
            self.log_q: FloatArray = np.log(np.diff(self._cumulative, prepend=0.0)).astype(np.float32)

    def draw(self, count: int) -> IntArray:
        """Independent draws from q, with torch's generator, which the loop seeds for every epoch."""
        points = torch.rand(count, dtype=torch.float64).numpy()
        drawn: IntArray = np.searchsorted(self._cumulative, points, side="right")
        return drawn


class ExampleAges:
    """How long before the end of the training log a user took a work, as a share of the log's length."""

    def __init__(self, histories: Histories) -> None:
        self._width = len(histories.item_ids)
        keys = histories.users * self._width + histories.items.values
        self._keys, first = np.unique(keys, return_index=True)  # histories are in time order: the first time
        end = histories.times.max()
        span = max(end - histories.times.min(), 1)
        self._ages = ((end - histories.times[first]) / span).astype(np.float32)

    def of(self, users: IntArray, items: IntArray) -> FloatArray:
        """Ages of interactions of the log, shape (len(users),)."""
        ages: FloatArray = self._ages[np.searchsorted(self._keys, users * self._width + items)]
        return ages


def log_of_others(scores: Tensor, log_expected: Tensor, hits: Tensor) -> Tensor:
    """Logarithm of the estimate of sum_j exp(score_j) over all works j but the positive.

    Parameters
    ----------
    scores
        Of the drawn works, shape (examples, m).
    log_expected
        log(m q) of each drawn work: how often it is expected in the draw; shape (m,).
    hits
        Where the drawn work is the positive itself, shape (examples, m): accidental hits do not count.

    Returns
    -------
    Shape (examples,); about -1e9, the logarithm of nothing, where all were hits.
    """
    return torch.logsumexp((scores - log_expected).masked_fill(hits, NEVER), dim=1)


class _Examples(nn.Module):
    """The network with all that a batch of examples needs."""

    def __init__(
        self,
        network: YouTubeNetwork,
        bank: FeatureBank,
        words: IntArray,
        background: Background,
        ages: ExampleAges,
        negatives: int,
    ) -> None:
        super().__init__()
        self.network, self.bank, self.words = network, bank, words
        self.background, self.ages, self.negatives = background, ages, negatives

    def pair_scores(self, batch: Triples) -> PairScores:
        """Scores of the positives, and in training the logarithm of the sum over all others.

        Otherwise the scores of the triples' own negatives at age 0, so that the accuracy on triples means
        what it means for every model.
        """
        network, device = self.network, self.bank.mean.device
        members, positives = batch.profiles.values, batch.positive
        drawn = self.background.draw(self.negatives) if self.training else batch.negative
        items, places = np.unique(np.concatenate([members, positives, drawn]), return_inverse=True)
        at = torch.from_numpy(places).to(device)
        members_at, positive_at, drawn_at = torch.split(at, [len(members), len(positives), len(drawn)])
        features = self.bank.take(torch.from_numpy(items).to(device))
        words = torch.from_numpy(self.words[items]).to(device)
        offsets = torch.from_numpy(batch.profiles.offsets[:-1].copy()).to(device)
        seen = network.history_vectors(features, words)
        means = F.embedding_bag(members_at, seen, offsets, mode="mean")  # (distinct profiles, width)
        ages = self.ages.of(batch.user, positives) if self.training else np.zeros(len(batch), np.float32)
        profile = torch.from_numpy(batch.profile).to(device)
        users = network.tower(F.embedding(profile, means), torch.from_numpy(ages).to(device))
        answers = network.item_vectors(features, words)
        positive = (users * F.embedding(positive_at, answers)).sum(1)
        others = F.embedding(drawn_at, answers)  # (drawn, width)
        if not self.training:
            return PairScores(positive, (users * others).sum(1))
        expected = self.background.log_q[drawn] + math.log(self.negatives)
        hits = drawn_at == positive_at.unsqueeze(1)  # (triples, drawn)
        return PairScores(
            positive, log_of_others(users @ others.T, torch.from_numpy(expected).to(device), hits)
        )


@register
class YouTubeDNN(Recommender[YouTubeDNNSettings]):
    """YouTube's candidate generation (Covington et al. 2016); see the module's page for the equations.

    There are no parameters of users: whoever has a profile is scored.

    Parameters
    ----------
    **settings
        Fields of `YouTubeDNNSettings`, for example ``inputs=("visual", "id")`` or ``layers=(512, 256)``.
    """

    name = "YouTubeDNN"
    Settings = YouTubeDNNSettings
    needs_features = True

    # ------------------------------------------------------------------ learning

    def _fit(self, inputs: FitInputs) -> None:
        assert inputs.table is not None
        settings, data, seed = self.settings, inputs.data, inputs.seed
        bank = FeatureBank.fit(inputs.table.matrix, inputs.rows, settings.scale)
        bank = bank.to(choose_device(inputs.device))
        histories, cases = hold_out(data, self.scorable, settings.validation_share, seed)
        sampler = triple_sampler(
            data,
            histories,
            cases,
            inputs.table,
            inputs.rows,
            "sequential-users",
            settings.profile_cap,
            seed,
        )
        taken = np.bincount(histories.items.values, minlength=len(self.item_ids))
        drawn = np.zeros(len(self.item_ids), dtype=bool)
        drawn[sampler.context.works] = True
        words = np.where(taken > 0, 1 + np.cumsum(taken > 0), drawn)
        first = int(generator(seed, "weights").integers(2**63))
        self.network = YouTubeNetwork(bank.dim, int(words.max()) + 1, settings, first).to(bank.mean.device)
        background = Background(taken, drawn, settings.background)
        ages = ExampleAges(histories)
        examples = _Examples(self.network, bank, words, background, ages, settings.negatives)

        self.history = learn(
            self, inputs, settings, examples, sampler, cases, lambda: self._remember(bank, words)
        )
        self._remember(bank, words)
        self.network.cpu()
        self.scaling = bank.scaling

    @torch.inference_mode()
    def _remember(self, bank: FeatureBank, words: IntArray) -> None:
        """Keep x and v of every work: all that answers need of the catalogue."""
        network, device = self.network, bank.mean.device
        self.item_vectors = torch.zeros(len(bank), self.settings.layers[-1])
        self.history_vectors = torch.zeros(len(bank), self.settings.embedding * len(self.settings.inputs))
        for block in torch.split(torch.from_numpy(np.flatnonzero(bank.present)), BLOCK):
            given = bank.take(block.to(device)), torch.from_numpy(words[block.numpy()]).to(device)
            self.item_vectors[block] = network.item_vectors(*given).cpu()
            self.history_vectors[block] = network.history_vectors(*given).cpu()

    # ------------------------------------------------------------------ scoring

    @torch.inference_mode()
    def user_vectors(self, profiles: Ragged, guests: FloatArray | None = None) -> FloatArray:
        """User vectors of some profiles (rows of `item_ids`, guests beyond), shape (profiles, layers[-1])."""
        if self.settings.profile_cap is not None:
            profiles = profiles.last(self.settings.profile_cap)
        vectors = self.history_vectors
        if guests is not None:
            vectors = torch.cat([vectors, self.network.history_vectors(*self._strangers(guests))])
        members, places = np.unique(profiles.values, return_inverse=True)
        means = F.embedding_bag(
            torch.from_numpy(places),
            vectors[torch.from_numpy(members)],
            torch.from_numpy(profiles.offsets[:-1].copy()),
            mode="mean",
        )
        means = means.to(self.network.layers[0].weight.device)  # type: ignore[arg-type]  # a module's attribute may be anything
        return self.network.tower(means, means.new_zeros(len(means))).cpu().numpy()

    def _strangers(self, guests: FloatArray) -> tuple[Tensor, Tensor]:
        """Features and words of pictures outside the catalogue."""
        return self.scaling(guests), torch.zeros(len(guests), dtype=torch.int64)

    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        return self.user_vectors(profiles, guests) @ self.item_vectors.numpy().T

    @torch.inference_mode()
    def _similarity(self, items: IntArray, guests: FloatArray | None) -> FloatArray:
        """Cosine of v: works that answer the same histories."""
        vectors = self.item_vectors
        if guests is not None:
            vectors = torch.cat([vectors, self.network.item_vectors(*self._strangers(guests))])
        return cosines(vectors, items, len(self.item_ids))

    # ------------------------------------------------------------------ files

    def _arrays(self) -> Arrays:
        return {
            **weight_arrays(self.network),
            "item_vectors": self.item_vectors.numpy(),
            "history_vectors": self.history_vectors.numpy(),
            **self.scaling.arrays(),
        }

    def _restore(self, arrays: Arrays) -> None:
        self.scaling = Scaling.from_arrays(arrays)
        self.item_vectors = torch.from_numpy(arrays["item_vectors"])
        self.history_vectors = torch.from_numpy(arrays["history_vectors"])
        words = len(arrays.get("network.seen.of.id.weight", ()))
        self.network = YouTubeNetwork(self.scaling.dim, words, self.settings)
        restore_weights(self.network, arrays)
