"""ACF: attentive collaborative filtering, which asks which works of a collector matter, and what in them.

    R_ij = (u_i + sum_{l in R(i)} alpha(i,l) p_l)^T v_j

    alpha(i,l)  = softmax over R(i) of  w1^T relu(W1u u_i + W1v v_l + W1p p_l + W1x xbar_l + b1)
    beta(i,l,m) = softmax over m of     w2^T relu(W2u u_i + W2x x_lm + b2)
    xbar_l      = sum_m beta(i,l,m) x_lm

x_lm is what a backbone sees at position m of the picture of l (`extract(data, spatial=True)`); u, v and p
are learnt, one vector for every user and two for every work. Minimised is the mean over triples (i, j, k)
of -ln sigma(R_ij - R_ik), with L2 on all weights but the biases.

Source: J. Chen, H. Zhang, X. He, L. Nie, W. Liu, T.-S. Chua, "Attentive Collaborative Filtering:
Multimedia Recommendation with Item- and Component-Level Attention", SIGIR 2017.

As in the paper and unlike published code: the loss is the logarithmic one (the tutorial's is
sigma(R_ik - R_ij), weighted by a constant of the batch), the user's part is u_i itself (the tutorial
overwrites it by W_u u_i and divides the score by the dimension), and p_l is a vector of its own (the
tutorial ties it to v_l, the authors' code has none and starts U and V at zero).

Unlike the paper: Adam instead of stochastic gradient descent; the biases c1 and c2 of the two scores are
left out, since a softmax does not see them; x_lm is reduced to `channels` principal components, as maps of
2048 channels do not fit into memory (the tutorial learns a linear map to 128); the positive is taken out of
the profile that should predict it; and only the last `profile_cap` works of a profile are attended to. The
paper does not say how wide its Gaussians are; here sigma is .1.

A work stands for a candidate by v_j alone, so works that nobody took in training cannot be told apart. They
share the mean of their v, which being passed over has taught; works added after the end of the log were not
drawn, and theirs is 0. A visitor whom training did not know gets the mean of all u_i; the attention
over the profile makes the answer personal. A profile may hold only works of the catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vasari.core.devices import choose_device
from vasari.core.errors import UsageError
from vasari.core.seeds import generator
from vasari.data.ragged import Ragged
from vasari.models.base import Arrays, FitInputs, FloatArray, IntArray, Recommender
from vasari.models.drawing import Taught, triple_sampler
from vasari.models.learning import LearningSettings, learn
from vasari.models.maps import SpatialMaps
from vasari.models.registry import register
from vasari.models.validation import hold_out
from vasari.models.weights import restore_weights, weight_arrays
from vasari.sampling.triples import Triples
from vasari.training.loop import PairScores

GAUSSIAN = 0.1  # standard deviation of the initial u, v and p
TILE = 1 << 22  # values of the hidden layer over positions that answers hold at once


@dataclass(frozen=True)
class ACFSettings(LearningSettings):
    """Settings of ACF; those of training are inherited.

    A batch holds triples x profile works x positions x `attention_dim` values several times over: 512
    triples, 20 works and 49 positions take about 1 GB while training.

    Attributes
    ----------
    dim
        Length of u, v and p; 128 in the authors' code.
    attention_dim
        Width of the hidden layer of both attentions.
    channels
        Principal components kept of every position. Memory, and the saved model, hold pictures x
        positions x channels float16.
    profile_cap
        Only the last so many works of a profile, in training and in answers; None for all.
    """

    dim: int = 128
    attention_dim: int = 128
    channels: int = 128
    profile_cap: int | None = 20
    epochs: int = 20
    triples_per_epoch: int = 50_000
    batch_size: int = 512
    weight_decay: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("dim", "attention_dim", "channels"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} must be at least 1")
        if self.profile_cap is not None and self.profile_cap < 1:
            raise UsageError(f"profile_cap={self.profile_cap} must be at least 1, or None")


class Attention(NamedTuple):
    """Where a network looked.

    Attributes
    ----------
    taste
        u_i + sum_l alpha(i,l) p_l, shape (profiles, dim).
    works
        alpha of every member of every profile, end to end, shape (members,); sums to 1 over a profile.
    positions
        beta of every member, shape (members, positions); rows sum to 1.
    """

    taste: Tensor
    works: Tensor
    positions: Tensor


class ACFNetwork(nn.Module):
    """The vectors of users and works, and the two attentions.

    Parameters
    ----------
    users, items
        How many there are.
    channels
        Length of x_lm.
    dim, hidden
        Length of u, v and p; width of both hidden layers.
    seed
        Of the initial weights: Gaussian vectors, Glorot uniform attention, zero biases.
    """

    def __init__(self, users: int, items: int, channels: int, dim: int, hidden: int, seed: int = 0) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        self.user = nn.Parameter(torch.randn(users, dim, generator=random) * GAUSSIAN)
        self.item = nn.Parameter(torch.randn(items, dim, generator=random) * GAUSSIAN)
        self.profile = nn.Parameter(torch.randn(items, dim, generator=random) * GAUSSIAN)
        self.works = nn.ModuleDict(
            {
                "user": nn.Linear(dim, hidden, bias=False),  # W1u
                "item": nn.Linear(dim, hidden, bias=False),  # W1v
                "profile": nn.Linear(dim, hidden, bias=False),  # W1p
                "content": nn.Linear(channels, hidden),  # W1x, b1
                "out": nn.Linear(hidden, 1, bias=False),  # w1
            }
        )
        self.positions = nn.ModuleDict(
            {
                "user": nn.Linear(dim, hidden, bias=False),  # W2u
                "content": nn.Linear(channels, hidden),  # W2x, b2
                "out": nn.Linear(hidden, 1, bias=False),  # w2
            }
        )
        for layer in [*self.works.values(), *self.positions.values()]:
            nn.init.xavier_uniform_(layer.weight, generator=random)  # type: ignore[arg-type]  # all are linear
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # as above

    def attend(
        self, users: Tensor, items: Tensor, maps: Tensor, members: Tensor, offsets: Tensor
    ) -> Attention:
        """Look at profiles of any lengths.

        Parameters
        ----------
        users
            u of every profile, shape (profiles, dim).
        items, maps
            Distinct item numbers, shape (n,), and their x_lm, shape (n, positions, channels).
        members
            Rows of `items`, all profiles end to end, shape (members,).
        offsets
            Where each profile begins in `members`, shape (profiles,).
        """
        ends = torch.cat([offsets[1:], offsets.new_tensor([len(members)])])
        owner = torch.repeat_interleave(torch.arange(len(offsets), device=members.device), ends - offsets)
        beta, seen = self._look(users, maps, members, owner)
        item, profile = F.embedding(items, self.item), F.embedding(items, self.profile)  # (n, dim)
        known = self.works["item"](item) + self.works["profile"](profile)  # (n, hidden)
        hidden = F.embedding(members, known) + F.embedding(owner, self.works["user"](users))
        hidden = F.relu(hidden + self.works["content"](seen))  # (members, hidden)
        alpha = _softmax_within(self.works["out"](hidden), owner, offsets)
        pooled = F.embedding_bag(members, profile, offsets, mode="sum", per_sample_weights=alpha)
        return Attention(users + pooled, alpha, beta)

    def _look(self, users: Tensor, maps: Tensor, members: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
        """beta, shape (members, positions), and xbar, shape (members, channels)."""
        theirs = F.embedding(owner, self.positions["user"](users)).unsqueeze(1)  # (members, 1, hidden)
        hidden = F.relu(self.positions["content"](maps)[members] + theirs)  # (members, positions, hidden)
        beta = torch.softmax(self.positions["out"](hidden).squeeze(2), dim=1)
        return beta, torch.bmm(beta.unsqueeze(1), maps[members]).squeeze(1)


def _softmax_within(scores: Tensor, owner: Tensor, offsets: Tensor) -> Tensor:
    """Softmax of scores, shape (members, 1), over the members of each profile; shape (members,).

    By segments, without padding that could leak into the result.
    """
    order = torch.arange(len(scores), device=scores.device)
    largest = F.embedding_bag(order, scores.detach(), offsets, mode="max")  # (profiles, 1)
    powers = torch.exp(scores - F.embedding(owner, largest))
    totals = F.embedding_bag(order, powers, offsets, mode="sum")
    return (powers / F.embedding(owner, totals)).squeeze(1)


class TripleScorer(nn.Module):
    """The network with the maps it is trained on."""

    def __init__(self, network: ACFNetwork, maps: SpatialMaps, device: torch.device) -> None:
        super().__init__()
        self.network, self.maps, self.device = network, maps, device

    def pair_scores(self, batch: Triples) -> PairScores:
        """Scores of the positives and of the negatives."""
        owner = np.empty(len(batch.profiles), dtype=np.int64)
        owner[batch.profile] = batch.user  # a profile is a stretch of one user's history
        users = F.embedding(self._tensor(owner), self.network.user)
        taste = self.attend(batch.profiles, users).taste
        mine = F.embedding(self._tensor(batch.profile), taste)  # (triples, dim)
        positive, negative = (
            F.embedding(self._tensor(items), self.network.item) for items in (batch.positive, batch.negative)
        )
        return PairScores((mine * positive).sum(1), (mine * negative).sum(1))

    def attend(self, profiles: Ragged, users: Tensor) -> Attention:
        """Attention of users, shape (profiles, dim), over their profiles; each distinct map is read once."""
        items, members = np.unique(profiles.values, return_inverse=True)
        maps = self.maps.take(items).to(self.device)
        offsets = self._tensor(profiles.offsets[:-1].copy())
        return self.network.attend(users, self._tensor(items), maps, self._tensor(members), offsets)

    def _tensor(self, numbers: IntArray) -> Tensor:
        return torch.from_numpy(numbers).to(self.device)


@register
class ACF(Recommender[ACFSettings]):
    """Attentive collaborative filtering (Chen et al. 2017); see the module's page for the equations.

    Works on the spatial maps of a feature table. A table without them gives every picture one position,
    its pooled vector: the attention over works stays, the one over positions is then trivially 1.

    Parameters
    ----------
    **settings
        Fields of `ACFSettings`.

    Examples
    --------
    >>> features = vasari.extract(data, spatial=True)  # doctest: +SKIP
    >>> model = ACF().fit(data, features)  # doctest: +SKIP
    >>> model.attention(["a17", "a23"], user="u4")  # doctest: +SKIP
    """

    name = "ACF"
    Settings = ACFSettings
    needs_features = True

    # ------------------------------------------------------------------ learning

    def _fit(self, inputs: FitInputs) -> None:
        assert inputs.table is not None
        settings, data, seed = self.settings, inputs.data, inputs.seed
        device = choose_device(inputs.device)
        maps = SpatialMaps.fit(inputs.table, inputs.rows, settings.channels, seed)
        histories, cases = hold_out(data, self.scorable, settings.validation_share, seed)
        sampler = triple_sampler(
            data, histories, cases, inputs.table, inputs.rows, "uniform", settings.profile_cap, seed
        )
        self.taught = Taught.by("uniform", sampler.context, len(self.item_ids))
        first = int(generator(seed, "weights").integers(2**63))
        network = ACFNetwork(
            len(self.user_ids), len(self.item_ids), maps.channels, settings.dim, settings.attention_dim, first
        )
        self._scorer = TripleScorer(network.to(device), maps, device)
        self.history = learn(self, inputs, settings, self._scorer, sampler, cases, network.eval)
        self._scorer = TripleScorer(network.cpu(), maps, torch.device("cpu"))

    # ------------------------------------------------------------------ scoring

    @torch.inference_mode()
    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        if guests is not None:
            raise _stranger()
        profiles = self._capped(profiles)
        maps = self._scorer.maps
        most = TILE // (maps.positions * max(maps.channels, self.settings.attention_dim))
        tastes = [
            self._scorer.attend(profiles.slice(first, last), self._users(user_ids[first:last])).taste
            for first, last in profiles.tiles(most)
        ]
        scores = torch.cat([self._scorer.network.user[:0], *tastes]) @ self._item_vectors().T
        return scores.cpu().numpy()

    def _item_vectors(self) -> Tensor:
        """V of every work; what works that nobody took have in its place; shape (items, dim)."""
        vectors = self._scorer.network.item.detach()
        taken, refused = (
            torch.from_numpy(flags).to(vectors.device) for flags in (self.taught.taken, self.taught.refused)
        )
        vectors = torch.where((taken | refused)[:, None], vectors, 0.0)
        if refused.any():
            vectors[refused] = vectors[refused].mean(0)
        return vectors

    def _users(self, user_ids: Sequence[str | None]) -> Tensor:
        """Vector u of every user, the mean of all for those not trained; shape (len(user_ids), dim)."""
        vectors = self._scorer.network.user
        rows = self.user_ids.find([user or "" for user in user_ids])
        known = torch.from_numpy((rows >= 0) & self.taught.users[rows]).to(vectors.device)
        mean = vectors[torch.from_numpy(self.taught.users).to(vectors.device)].mean(0)
        return torch.where(known[:, None], vectors[torch.from_numpy(rows).to(vectors.device)], mean)

    def _capped(self, profiles: Ragged) -> Ragged:
        cap = self.settings.profile_cap
        return profiles if cap is None else profiles.last(cap)

    def _similarity(self, items: IntArray, guests: FloatArray | None) -> FloatArray:
        """Cosine of v: works are alike if the same collectors take them. 0 for works nobody took."""
        if guests is not None:
            raise _stranger()
        unit = (
            F.normalize(self._scorer.network.item.detach(), dim=1)
            * torch.from_numpy(self.taught.taken)[:, None]
        )
        return (unit[torch.from_numpy(items)] @ unit.T).numpy()

    def _encode(self, images: Sequence[Any]) -> FloatArray | None:
        if len(images):
            raise _stranger()
        return None

    # ------------------------------------------------------------------ explaining

    def attention(self, profile: Sequence[str], user: str | None = None) -> pl.DataFrame:
        """Which works of a profile the model looks at, and where in them.

        Parameters
        ----------
        profile
            Item ids, oldest first.
        user
            Who looks; None, or a user unknown to training: the mean of all users.

        Returns
        -------
        Table of item_id, weight (alpha; sums to 1) and positions (beta, in the order of the feature
        table's positions, row by row of the picture; sums to 1), strongest first. Works without a
        picture and works before the last `profile_cap` are not looked at and left out.

        Raises
        ------
        NotFoundError
            An item is unknown.
        UsageError
            No work of the profile has a picture.
        """
        self._require_fit()
        rows = self.item_ids.rows(dict.fromkeys(profile))
        members, seen = self._attend(rows, user)
        if not len(members):
            raise UsageError(f"no work of the profile {list(profile)!r} has a picture to look at")
        places = pl.Series(seen.positions.numpy(), dtype=pl.Array(pl.Float32, seen.positions.shape[1]))
        table = pl.DataFrame(
            {
                "item_id": self.item_ids.take(rows[members]),
                "weight": seen.works.numpy(),
                "positions": places,
            }
        )
        return table.sort("weight", descending=True, maintain_order=True)

    @torch.inference_mode()
    def contributions(self, profile: IntArray, items: IntArray) -> FloatArray:
        """Exact: alpha(i,l) p_l^T v_j for every work of the profile, shape (items, profile).

        The score is their sum and u_i^T v_j, the part of the user (here the mean of all users).
        """
        members, seen = self._attend(profile, None)
        network = self._scorer.network
        parts = network.profile[torch.from_numpy(profile[members])] * seen.works[:, None]  # (members, dim)
        terms: FloatArray = np.zeros((len(items), len(profile)), dtype=np.float32)
        terms[:, members] = (self._item_vectors()[torch.from_numpy(items)] @ parts.T).numpy()
        return terms

    @torch.inference_mode()
    def _attend(self, profile: IntArray, user: str | None) -> tuple[IntArray, Attention]:
        """Places in a profile that are looked at, and the attention to them."""
        places = np.flatnonzero(self.scorable[profile])
        members = self._capped(Ragged.from_rows([places])).values
        return members, self._scorer.attend(Ragged.from_rows([profile[members]]), self._users([user]))

    # ------------------------------------------------------------------ files

    def _arrays(self) -> Arrays:
        maps = self._scorer.maps
        taught = {f"taught.{name}": flags for name, flags in vars(self.taught).items()}
        return {
            **weight_arrays(self._scorer.network),
            **taught,
            "maps": maps.maps,
            "map_rows": maps.rows,
        }

    def _restore(self, arrays: Arrays) -> None:
        maps = SpatialMaps(arrays["maps"], arrays["map_rows"])
        (users, dim), items = arrays["network.user"].shape, len(arrays["network.item"])
        hidden = len(arrays["network.works.content.bias"])
        network = ACFNetwork(users, items, maps.channels, dim, hidden)
        restore_weights(network, arrays)
        self.taught = Taught(*(arrays[f"taught.{field.name}"] for field in fields(Taught)))
        self._scorer = TripleScorer(network, maps, torch.device("cpu"))


def _stranger() -> UsageError:
    return UsageError(
        "ACF learns two vectors for every work of its catalogue and has none for other pictures; "
        "pass item ids, or use CuratorNet or VisRank"
    )
