"""Folded networks give the vectors of unfolded ones, and whatever cannot be folded stays as it was."""

import numpy as np
import pytest
import torch
from torch import nn

from vasari.features.backbones import Backbone, load_backbone
from vasari.features.extractor import Extractor
from vasari.features.fingerprint import Preprocessing
from vasari.features.folding import folded

SMALL = Preprocessing(16, 16, "bilinear", (0.5,) * 3, (0.5,) * 3)


def norms(backbone):
    return [module for module in backbone.network.modules() if isinstance(module, nn.BatchNorm2d)]


def lived(backbone):
    """As if trained: running statistics and weights that are not those of the first day."""
    generator = torch.Generator().manual_seed(0)
    for norm in norms(backbone):
        for values, low in (
            (norm.running_mean, -0.5),
            (norm.running_var, 0.5),
            (norm.weight, 0.5),
            (norm.bias, -0.5),
        ):
            values.copy_(low + torch.rand(values.shape, generator=generator))
    return backbone


def pixels(size):
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (3, size, size, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("torchvision/resnet18", 0),
        ("efficientnet_lite0", 0),
        ("mobilenetv3_small_050", 0),
        ("resnetv2_50", 17),  # some of its normalisations come before the convolution
    ],
)
def test_a_folded_network_gives_the_same_vectors_and_maps(name, left):
    plain = lived(load_backbone(name, "random"))
    before = norms(plain)
    fast = folded(plain)
    assert len(norms(fast)) == left < len(before)
    assert norms(plain) == before  # the one that was given is not changed
    look = pixels(plain.preprocessing.size)
    for found, expected in zip(fast.forward(look, True), plain.forward(look, True), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


def test_a_network_without_normalisations_stays_as_it_was():
    plain = load_backbone("vit_tiny_patch16_224", "random")
    assert folded(plain) is plain


class Twice(nn.Module):
    """What the convolution gives goes through the normalisation and around it."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

    def forward_features(self, images):
        raw = self.convolution(images)
        return raw + self.norm(raw)

    def forward_head(self, features, pre_logits):
        return features.mean((2, 3))


class Curious(Twice):
    """A network that looks into its normalisation."""

    def forward_features(self, images):
        return self.norm(self.convolution(images)) * self.norm.eps


class Normed(Twice):
    """A convolution that makes its weights anew for every pass."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.utils.parametrizations.weight_norm(self.convolution)

    def forward_features(self, images):
        return self.norm(self.convolution(images))


class ByName(Twice):
    """A network that names what it hands on."""

    def forward_features(self, images):
        return self.norm(input=self.convolution(images))


@pytest.mark.parametrize("kind", [Twice, Curious, Normed, ByName])
def test_a_network_that_folding_would_change_stays_as_it_was(kind):
    plain = lived(Backbone("own", kind().eval().requires_grad_(False), 8, SMALL, "random-0"))
    assert folded(plain) is plain


def test_extraction_folds_and_its_fingerprint_does_not_say_so():
    extractor = Extractor()
    assert not norms(extractor.backbone)
    assert extractor.fingerprint.weights == load_backbone().weights
