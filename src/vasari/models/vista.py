"""Vista-style: a long-term taste, and what the last few works call for next.

    x_uj = <theta_u, E f_j> + <gamma_u, phi_{o_j}>                                          long term
         + sum_{k=1..K} w^u_k ( <M f_{i_k}, N f_j> + <psi_{o_{i_k}}, phi'_{o_j}> )          short term
         + beta_j,                                                          w^u = w + w_u

for a work j by the artist o_j, after the works i_1 (the most recent) to i_K. Trained by sequential BPR:
the profile of a triple holds only what came before its positive.

This is a RECONSTRUCTION of R. He, C. Fang, Z. Wang, J. McAuley, "Vista: A Visually, Socially, and
Temporally-aware Model for Artistic Recommendation", RecSys 2016. Its structure follows the abstract; the
body of the paper was not at hand, so formulas, sizes and settings may differ from the authors', and no
number of theirs is claimed.

What the formula leaves open. Steps that a short history lacks and works of unknown artists add zero. A
visitor who was not in training, or only with a first basket, has w_u = 0; theta_u and gamma_u are folded in
from the profile, by the same objective with all else frozen (`vasari.models.foldin`), and are zero after a
single work. Works that nobody took next in training share one bias, the mean of theirs, since what tells
them apart is only how often each was drawn as a negative; works added after the end of the log were not
drawn and have none. Pictures and artists rank both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vasari.core.devices import choose_device
from vasari.core.errors import UsageError
from vasari.core.seeds import generator
from vasari.data.ragged import Ragged
from vasari.models.bank import BLOCK, FeatureBank
from vasari.models.base import Arrays, FitInputs, FloatArray, IntArray, Recommender
from vasari.models.dots import cosines
from vasari.models.drawing import Taught, triple_sampler
from vasari.models.foldin import background, fold_in
from vasari.models.learning import LearningSettings, learn
from vasari.models.registry import register
from vasari.models.scaling import Scaling, check_scale
from vasari.models.validation import hold_out
from vasari.models.weights import restore_weights, weight_arrays
from vasari.sampling.triples import Triples
from vasari.training.loop import PairScores

START = 0.1  # standard deviation of all vectors at first; a matrix is scaled so that its products have it


@dataclass(frozen=True)
class VistaSettings(LearningSettings):
    """Settings of Vista; those of training are inherited.

    Attributes
    ----------
    recent
        K, the number of recent works in the short term; 0 leaves the long term alone.
    visual_dim, artist_dim
        Lengths of theta_u, E f, M f, N f, and of gamma_u, phi, psi, phi'.
    weight_decay
        L2 term lambda/2 ||W||^2 of the matrices E, M and N.
    regularisation
        lambda in lambda/2 ||row||^2, summed over the rows of users, artists and biases that a triple
        touches, mean over triples. Biases are among them, whatever `decay_biases` says.
    scale
        ``"zscore"`` features per dimension over the catalogue, or ``"none"``.
    """

    batch_size: int = 2048
    recent: int = 3
    visual_dim: int = 32
    artist_dim: int = 16
    regularisation: float = 1e-2
    scale: str = "zscore"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("recent", 0), ("visual_dim", 1), ("artist_dim", 1), ("regularisation", 0)):
            if not getattr(self, name) >= least:
                raise UsageError(f"{name}={getattr(self, name)} must be at least {least}")
        check_scale(self.scale)


class VistaNetwork(nn.Module):
    """The parameters. A score is one inner product of a user and an item vector, and the item's bias.

    Parameters
    ----------
    dim
        Length of a feature vector.
    users, items, artists
        How many there are.
    seed
        Of the initial values.

    Attributes
    ----------
    users
        Rows [theta_u, gamma_u, w_u]; a last row of zeros is everybody unknown.
    artists
        Rows [phi_o, phi'_o, psi_o]; a last row of zeros is the unknown artist.
    looks
        The matrices E, N, M, one above the other, shape (3 visual_dim, dim).
    steps
        w, shape (K,), from the most recent step on.
    item_bias
        beta, shape (items,).
    """

    def __init__(
        self, dim: int, users: int, items: int, artists: int, settings: VistaSettings, seed: int = 0
    ) -> None:
        super().__init__()
        visual, artist, recent = settings.visual_dim, settings.artist_dim, settings.recent
        self.long = visual + artist
        self.users = nn.Embedding(users + 1, self.long + recent, padding_idx=users)
        self.artists = nn.Embedding(artists + 1, 3 * artist, padding_idx=artists)
        self.looks = nn.Linear(dim, 3 * visual, bias=False)
        self.steps = nn.Parameter(torch.full((recent,), 1 / max(recent, 1)))
        self.item_bias = nn.Parameter(torch.zeros(items))
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.users.weight[:-1, : self.long].normal_(0, START, generator=random)
            self.users.weight[:-1, self.long :] = 0  # nobody deviates at first
            self.artists.weight[:-1].normal_(0, START, generator=random)
            self.looks.weight.normal_(0, START * dim**-0.5, generator=random)

    def item_terms(self, features: Tensor, artists: Tensor) -> tuple[Tensor, Tensor]:
        """What a work is as the next one, and what it calls for as a recent one.

        Parameters
        ----------
        features, artists
            Shape (n, dim); artist of each work, -1 where unknown, shape (n,).

        Returns
        -------
        [E f, phi, N f, phi'], shape (n, 2 (visual_dim + artist_dim)), and [M f, psi], half as wide.
        """
        taste, after, before = self.looks(features).chunk(3, dim=1)
        phi, phi_after, psi = _rows(self.artists, artists).chunk(3, dim=1)
        return torch.cat([taste, phi, after, phi_after], dim=1), torch.cat([before, psi], dim=1)

    def user_vectors(self, users: Tensor, recent: Tensor) -> Tensor:
        """[theta_u, gamma_u, sum_k w^u_k [M f_{i_k}, psi_{o_{i_k}}]], as wide as an item's.

        Parameters
        ----------
        users
            -1 where unknown, shape (n,).
        recent
            [M f, psi] of the recent works, most recent first, zeros where there is none;
            shape (n, K, visual_dim + artist_dim).
        """
        long, personal = torch.split(_rows(self.users, users), [self.long, len(self.steps)], dim=1)
        weights = self.steps + personal  # (n, K)
        return torch.cat([long, (weights.unsqueeze(2) * recent).sum(1)], dim=1)


class TripleScorer(nn.Module):
    """The network with features and artists of the catalogue."""

    def __init__(
        self, network: VistaNetwork, bank: FeatureBank, artists: Tensor, settings: VistaSettings
    ) -> None:
        super().__init__()
        self.network, self.bank, self.artists, self.settings = network, bank, artists, settings

    def pair_scores(self, batch: Triples) -> PairScores:
        """Scores of the positives and of the negatives, and the regularisation of what they touch."""
        network, device, count = self.network, self.artists.device, self.settings.recent
        recent = recent_first(batch.profiles, count)[batch.profile]  # (triples, K)
        touched = np.concatenate([recent.ravel(), batch.positive, batch.negative])
        distinct, places = np.unique(touched, return_inverse=True)
        items, at = torch.from_numpy(distinct).to(device), torch.from_numpy(places).to(device)
        recent_at, positive_at, negative_at = torch.split(at, [recent.size, len(batch), len(batch)])
        here = (items >= 0).unsqueeze(1)  # item -1 is a step that is not there
        features, bias = self.bank.take(items.clamp(min=0)), network.item_bias[items.clamp(min=0)]
        artists = torch.where(items >= 0, self.artists[items.clamp(min=0)], -1)
        targets, antecedents = network.item_terms(features * here, artists)
        before = F.embedding(recent_at, antecedents).view(len(batch), count, network.long)
        users = torch.from_numpy(batch.user).to(device)
        mine = network.user_vectors(users, before)
        pair = torch.stack([positive_at, negative_at])  # (2, triples)
        positive, negative = (mine * F.embedding(pair, targets)).sum(2) + bias[pair]
        return PairScores(
            positive, negative, self._penalty(users, artists[recent_at], artists[pair], bias[pair])
        )

    def _penalty(self, users: Tensor, before: Tensor, pair: Tensor, bias: Tensor) -> Tensor:
        """L2 of the rows a triple touches, mean over triples, and of the matrices."""
        network, artist = self.network, self.settings.artist_dim
        rows = (
            _rows(network.users, users).square().sum()
            + _rows(network.artists, pair)[..., : 2 * artist].square().sum()  # phi, phi'
            + _rows(network.artists, before)[..., 2 * artist :].square().sum()  # psi
            + bias.square().sum()
        )
        matrices = network.looks.weight.square().sum()
        settings = self.settings
        return (settings.regularisation * rows / len(users) + settings.weight_decay * matrices) / 2


@register
class Vista(Recommender[VistaSettings]):
    """Vista-style long-term taste and short-term transitions; see the module's page for the equations.

    The order of a profile matters: the last works of `Ragged` rows are the most recent.

    Parameters
    ----------
    **settings
        Fields of `VistaSettings`, for example ``recent=5``.
    """

    name = "Vista"
    Settings = VistaSettings
    needs_features = True

    # ------------------------------------------------------------------ learning

    def _fit(self, inputs: FitInputs) -> None:
        assert inputs.table is not None
        settings, data = self.settings, inputs.data
        device = choose_device(inputs.device)
        bank = FeatureBank.fit(inputs.table.matrix, inputs.rows, settings.scale).to(device)
        histories, cases = hold_out(data, self.scorable, settings.validation_share, inputs.seed)
        sampler = triple_sampler(
            data,
            histories,
            cases,
            inputs.table,
            inputs.rows,
            "sequential",
            profile_cap=max(settings.recent, 1),
            seed=inputs.seed,
        )
        first = int(generator(inputs.seed, "weights").integers(2**63))
        artists = torch.from_numpy(data.catalogue.artists).to(device)
        sizes = (len(self.user_ids), len(self.item_ids), len(data.catalogue.artist_ids))
        self.network = VistaNetwork(bank.dim, *sizes, settings, first).to(device)
        scorer = TripleScorer(self.network, bank, artists, settings)
        taught = Taught.by("sequential", sampler.context, len(self.item_ids))
        self.taught, refused = taught.users, torch.from_numpy(taught.refused)

        # The network's penalty decays the matrices; Adam would decay rows that a batch does not touch.
        self.history = learn(
            self,
            inputs,
            replace(settings, weight_decay=0.0),
            scorer,
            sampler,
            cases,
            lambda: self._remember(bank, artists, refused),
        )
        self._remember(bank, artists, refused)
        self.network.cpu()
        self.scaling = bank.scaling

    @torch.inference_mode()
    def _remember(self, bank: FeatureBank, artists: Tensor, refused: Tensor) -> None:
        """Keep every work's two vectors and its bias: all that answers need of the catalogue."""
        network, count = self.network, len(bank)
        self.item_vectors, self.antecedents = (
            torch.zeros(count, 2 * network.long),
            torch.zeros(count, network.long),
        )
        for block in torch.split(torch.from_numpy(np.flatnonzero(bank.present)), BLOCK):
            at = block.to(artists.device)
            terms = network.item_terms(bank.take(at), artists[at])
            self.item_vectors[block], self.antecedents[block] = terms[0].cpu(), terms[1].cpu()
        self.item_bias = network.item_bias.detach().cpu().clone()
        if refused.any():
            self.item_bias[refused] = self.item_bias[refused].mean()

    # ------------------------------------------------------------------ scoring

    @torch.inference_mode()
    def user_vectors(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None = None
    ) -> FloatArray:
        """User vectors of some profiles (rows of `item_ids`, guests beyond) and the people behind them.

        Shape (profiles, 2 (visual_dim + artist_dim)); a score is the product with `item_vectors` plus
        `item_bias`.
        """
        users = self.user_ids.find([user or "" for user in user_ids])
        users = np.where(self.taught[users], users, -1)
        vectors = self._known_vectors(profiles, users, guests)
        works = background(self.scorable)
        for row in np.flatnonzero(users < 0).tolist():
            vectors[row, : self.network.long] = self._fold_in(profiles[row], works, guests)
        return vectors

    def _known_vectors(self, profiles: Ragged, users: IntArray, guests: FloatArray | None) -> FloatArray:
        """User vectors with rows of `user_ids`; -1 has no long term."""
        count, device = len(self.item_ids), self.network.steps.device
        recent = recent_first(profiles, self.settings.recent)
        before = torch.zeros(*recent.shape, self.network.long)
        inside, outside = (recent >= 0) & (recent < count), recent >= count
        before[torch.from_numpy(inside)] = self.antecedents[torch.from_numpy(recent[inside])]
        if guests is not None:
            _, vectors = self._guest_terms(guests)
            before[torch.from_numpy(outside)] = vectors[torch.from_numpy(recent[outside] - count)]
        return self.network.user_vectors(torch.from_numpy(users).to(device), before.to(device)).cpu().numpy()

    def _fold_in(
        self, profile: IntArray, works: IntArray, guests: FloatArray | None
    ) -> npt.NDArray[np.float64]:
        """[theta, gamma] of a stranger: the optimum of the training objective with all else frozen.

        As in training, every work of the catalogue with others before it is a positive.
        """
        long, first = self.network.long, max(self.settings.recent, 1)
        places = [place for place in range(1, len(profile)) if profile[place] < len(self.item_ids)]
        befores = Ragged.from_rows([profile[max(place - first, 0) : place] for place in places])
        contexts = self._known_vectors(befores, np.full(len(places), -1), guests)[:, long:]
        liked, others = profile[places], np.setdiff1d(works, profile)
        vectors, bias = self.item_vectors.numpy(), self.item_bias.numpy()
        short = (contexts * vectors[liked, long:]).sum(1)[:, None] - contexts @ vectors[others, long:].T
        positives, negatives = (
            np.column_stack([vectors[side, :long], bias[side]]) for side in (liked, others)
        )
        return fold_in(positives, negatives, self.settings.regularisation, short)

    def _guest_terms(self, guests: FloatArray) -> tuple[Tensor, Tensor]:
        return self.network.item_terms(self.scaling(guests), torch.full((len(guests),), -1))

    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        users = self.user_vectors(profiles, user_ids, guests)
        scores: FloatArray = users @ self.item_vectors.numpy().T + self.item_bias.numpy()
        return scores

    @torch.inference_mode()
    def _similarity(self, items: IntArray, guests: FloatArray | None) -> FloatArray:
        """Cosine of E f: works that appeal to the same taste."""
        vectors = self.item_vectors
        if guests is not None:
            vectors = torch.cat([vectors, self._guest_terms(guests)[0]])
        return cosines(vectors[:, : self.settings.visual_dim], items, len(self.item_ids))

    # ------------------------------------------------------------------ files

    def _arrays(self) -> Arrays:
        return {
            **weight_arrays(self.network),
            "item_vectors": self.item_vectors.numpy(),
            "antecedents": self.antecedents.numpy(),
            "item_bias": self.item_bias.numpy(),
            "taught": self.taught,
            **self.scaling.arrays(),
        }

    def _restore(self, arrays: Arrays) -> None:
        self.scaling = Scaling.from_arrays(arrays)
        self.taught = arrays["taught"]
        for name in ("item_vectors", "antecedents", "item_bias"):
            setattr(self, name, torch.from_numpy(arrays[name]))
        sizes = (len(self.user_ids), len(self.item_ids), len(arrays["network.artists.weight"]) - 1)
        self.network = VistaNetwork(self.scaling.dim, *sizes, self.settings)
        restore_weights(self.network, arrays)


def recent_first(profiles: Ragged, count: int) -> IntArray:
    """The last `count` works of every profile, most recent first, -1 where there is none.

    Shape (profiles, count).
    """
    place = profiles.offsets[1:, None] - 1 - np.arange(count)
    place = np.where(place >= profiles.offsets[:-1, None], place, -1)
    recent: IntArray = np.append(profiles.values, -1)[place]
    return recent


def _rows(table: nn.Embedding, rows: Tensor) -> Tensor:
    """Rows of a table whose last one stands for -1."""
    vectors: Tensor = table(rows % table.num_embeddings)
    return vectors
