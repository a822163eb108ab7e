"""DVBPR: how a picture is seen and what a collector likes, learnt together from pixels.

    x_ui = theta_u . Phi(X_i)

Phi is a convolutional network on the pixels X_i, trained end to end on triples (u, i, j), both pictures
passing the same network. Minimised is, per triple,

    -ln sigma(x_ui - x_uj) + lambda_u/2 ||theta_u||^2 + lambda/2 ||W||^2,        W: Phi's weights, no biases.

There are no latent factors of works and no biases, so works that nobody took are scored like any others.

Source: W.-C. Kang, C. Fang, Z. Wang, J. McAuley, "Visually-Aware Fashion Recommendation and Design with
Generative Image Models", ICDM 2017 (the recommender; not its generative half), and the code published
with it, whose settings are the defaults: CNN-F (`vasari.models.cnnf`) on 224 x 224 pixels scaled to
[-1, 1], 100 factors, theta from U(0, 1)/100, Adam at 1e-4, batches of 128 triples with uniform negatives,
20 epochs. That code sums over the batch what is a mean here; lambda is its .001 divided by the 128, and
Adam does not notice the common factor. How many triples make an epoch is ours.

Not taken over from the later port: its mistaken first stride, ReLU and dropout after the last layer,
pixels in [0, 1], the un-squared norm of all users as penalty, and the latent factors it adds.

A visitor whom training did not know gets the theta that the same objective gives for the profile, with
Phi frozen (`vasari.models.foldin`). Pictures from outside the catalogue pass the network itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vasari.core.devices import choose_device
from vasari.core.errors import UsageError
from vasari.core.seeds import generator
from vasari.features.decode import Pixels
from vasari.features.fingerprint import Preprocessing
from vasari.features.pixels import PixelTable, decode_all
from vasari.models.base import Arrays, BoolArray, FitInputs, FloatArray
from vasari.models.cnnf import CNN_F, image_network
from vasari.models.drawing import Taught, uniform_sampler
from vasari.models.factors import VectorModel, VectorSettings
from vasari.models.learning import learn
from vasari.models.registry import register
from vasari.models.validation import hold_out
from vasari.models.weights import restore_weights, weight_arrays
from vasari.sampling.triples import Triples
from vasari.training.loop import PairScores

START = 0.01  # theta begins uniform in [0, START)
BLOCK = 64  # pictures that pass the network at once where nothing is learnt


@dataclass(frozen=True)
class DVBPRSettings(VectorSettings):
    """Settings of DVBPR; those of training and of users are inherited.

    A step holds the network's activations for up to two pictures a triple: `batch_size` bounds the memory.

    Attributes
    ----------
    backbone
        ``"cnn-f"``, or any that `vasari.extract` knows, with a linear layer on top.
    pretrained
        Begin with the backbone's own weights; there are none for CNN-F.
    image_size
        Side of the pictures in pixels, cut out of the middle.
    weight_decay
        lambda, of the network's weights.
    """

    epochs: int = 20
    triples_per_epoch: int = 20_000
    batch_size: int = 128
    learning_rate: float = 1e-4
    weight_decay: float = 0.001 / 128
    backbone: str = CNN_F
    pretrained: bool = False
    image_size: int = 224
    factors: int = 100
    lambda_user: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size < 8:
            raise UsageError(f"image_size={self.image_size} must be at least 8")
        if self.pretrained and self.backbone == CNN_F:
            raise UsageError(f"pretrained=True needs a backbone that has weights; {CNN_F} has none")


class TripleScorer(nn.Module):
    """Phi and theta with the pictures they are trained on: each distinct picture of a batch is seen once."""

    def __init__(
        self,
        network: nn.Module,
        users: int,
        pictures: PixelTable,
        steps: Preprocessing,
        settings: DVBPRSettings,
    ) -> None:
        super().__init__()
        self.network, self.pictures, self.steps, self.settings = network, pictures, steps, settings
        self.theta = nn.Parameter(torch.empty(users, settings.factors))
        self._seen: Tensor | None = None

    def train(self, mode: bool = True) -> TripleScorer:
        """Switch to training, after which no vector is what it was, or to evaluation."""
        if mode:
            self._seen = None
        super().train(mode)
        return self

    def pair_scores(self, batch: Triples) -> PairScores:
        """Scores of the positives and of the negatives, and lambda_u/2 ||theta_u||^2 + lambda/2 ||W||^2."""
        items, places = np.unique(np.concatenate([batch.positive, batch.negative]), return_inverse=True)
        if self.training:
            pixels = self.pictures.pixels[self.pictures.rows[items]]
            vectors = look(self.network, pixels, self.steps)  # (distinct items, factors)
        else:
            vectors = self.vectors()[torch.from_numpy(items)].to(self.theta.device)
        at = torch.from_numpy(places).to(self.theta.device)
        mine = F.embedding(torch.from_numpy(batch.user).to(at.device), self.theta)  # (triples, factors)
        positive, negative = ((mine * F.embedding(half, vectors)).sum(1) for half in at.chunk(2))
        weights = [w.square().sum() for name, w in self.network.named_parameters() if "bias" not in name]
        users = self.settings.lambda_user * mine.square().sum(1).mean()
        penalty = (users + self.settings.weight_decay * torch.stack(weights).sum()) / 2
        return PairScores(positive, negative, penalty)

    @torch.inference_mode()
    def vectors(self) -> Tensor:
        """Phi of every item as the network stands, on the CPU, zeros without a picture: (items, factors)."""
        if self._seen is None:
            self.eval()
            rows = self.pictures.rows
            seen = torch.zeros(len(rows), self.settings.factors)
            for block in torch.split(torch.from_numpy(np.flatnonzero(rows >= 0)), BLOCK):
                seen[block] = look(self.network, self.pictures.pixels[rows[block.numpy()]], self.steps).cpu()
            self._seen = seen
        return self._seen


def look(network: nn.Module, pixels: Pixels, steps: Preprocessing) -> Tensor:
    """Phi of pictures, uint8 of shape (n, size, size, 3), as float32 of shape (n, factors)."""
    device = next(network.parameters()).device
    mean, std = (torch.tensor(values, device=device) for values in (steps.mean, steps.std))
    images = (torch.from_numpy(pixels).to(device).float() / 255.0 - mean) / std
    # (n, height, width, 3) seen as (n, 3, height, width): in memory this is channels_last.
    vectors: Tensor = network(images.permute(0, 3, 1, 2))
    return vectors


@register
class DVBPR(VectorModel[DVBPRSettings]):
    """Deep visual BPR (Kang et al. 2017); see the module's page for the equations.

    Learns from the picture files themselves, so it needs no feature table and ignores one. Training a
    network on 224 x 224 pixels takes an accelerator; ``image_size=64`` is bearable without.

    Parameters
    ----------
    **settings
        Fields of `DVBPRSettings`.

    Examples
    --------
    >>> model = DVBPR(image_size=64, epochs=5).fit(data)  # doctest: +SKIP
    >>> DVBPR(backbone="efficientnet_lite0", pretrained=True).fit(data)  # doctest: +SKIP
    """

    name = "DVBPR"
    Settings = DVBPRSettings
    needs_pictures = True

    # ------------------------------------------------------------------ learning

    def _fit(self, inputs: FitInputs) -> None:
        settings, data, seed = self.settings, inputs.data, inputs.seed
        device = choose_device(inputs.device)
        first = int(generator(seed, "weights").integers(2**63))
        self._build(settings.pretrained, first)
        pictures = PixelTable.read(data.catalogue.images(), self.steps, progress=inputs.progress)
        self.scorable = pictures.rows >= 0
        histories, cases = hold_out(data, self.scorable, settings.validation_share, seed)
        sampler = uniform_sampler(data, histories, cases, self.scorable)
        scorer = TripleScorer(self.network, len(self.user_ids), pictures, self.steps, settings)
        nn.init.uniform_(scorer.theta, 0, START, generator=torch.Generator().manual_seed(first))
        scorer.to(device)
        taught = Taught.by("uniform", sampler.context, len(self.item_ids)).users

        # The penalty decays the network's weights; Adam would decay users that a batch does not touch.
        plain = replace(settings, weight_decay=0.0)
        self.history = learn(
            self, inputs, plain, scorer, sampler, cases, lambda: self._remember(scorer, taught)
        )
        scorer.train()  # the best epoch's weights are back: look anew
        self._remember(scorer, taught)
        self.network.cpu()

    def _build(self, pretrained: bool, seed: int = 0) -> None:
        settings = self.settings
        self.network, self.steps = image_network(
            settings.backbone, pretrained, settings.image_size, settings.factors, seed
        )

    def _remember(self, scorer: TripleScorer, taught: BoolArray) -> None:
        """Keep the vectors of all works, and of the people who were `taught`, shape (users,)."""
        self.item_vectors = F.pad(scorer.vectors(), (0, 1)).numpy()  # no bias
        self.trained_users = F.pad(scorer.theta.detach().cpu(), (0, 1), value=1.0).numpy()
        self.trained_users[~taught] = 0.0

    # ------------------------------------------------------------------ scoring

    def _encode(self, images: Sequence[Any]) -> FloatArray | None:
        """Phi of pictures that no catalogue need know: the network is the encoder."""
        if not len(images):
            return None
        self.network.eval()
        with torch.inference_mode():
            blocks = [images[start : start + BLOCK] for start in range(0, len(images), BLOCK)]
            parts = [look(self.network, decode_all(block, self.steps), self.steps) for block in blocks]
            return torch.cat(parts).numpy()

    def _guest_vectors(self, guests: FloatArray) -> FloatArray:
        return np.pad(guests, ((0, 0), (0, 1)))

    # ------------------------------------------------------------------ files

    def _arrays(self) -> Arrays:
        return super()._arrays() | weight_arrays(self.network)

    def _restore(self, arrays: Arrays) -> None:
        super()._restore(arrays)
        self._build(pretrained=False)
        restore_weights(self.network, arrays)
