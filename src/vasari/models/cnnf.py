"""CNN-F, the network that DVBPR trains on pixels, and timm's networks in its place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vasari.core.errors import UsageError
from vasari.features.backbones import load_backbone
from vasari.features.fingerprint import Preprocessing

CNN_F = "cnn-f"
DROPOUT = 0.5
DENSE = 4096


class CNNF(nn.Module):
    """The CNN-F of DVBPR's published code, whose layers TensorFlow pads to "SAME".

    ========  ==============================================  ==============
    layer     what                                            output at 224
    ========  ==============================================  ==============
    conv1     11 x 11, 64 channels, stride 4; 2 x 2 maximum   28 x 28 x 64
    conv2     5 x 5, 256 channels; 2 x 2 maximum              14 x 14 x 256
    conv3-5   3 x 3, 256 channels, three times; 2 x 2 maximum 7 x 7 x 256
    fc6, fc7  4096 units each, dropout .5                     4096
    fc8       linear                                          `out`
    ========  ==============================================  ==============

    All but the last are followed by ReLU. For 224 pixels and 100 outputs there are 70,778,724 parameters,
    51 million of them in fc6; for 64 pixels 23,592,804.

    (A later port mistook the stride of conv1 for (1, 4) and has ReLU and dropout after fc8 too.)

    Parameters
    ----------
    size
        Side of the square pictures in pixels, of any number.
    out
        Length of the output.
    seed
        Of the initial weights: Glorot uniform, zero biases.
    """

    def __init__(self, size: int, out: int, seed: int = 0) -> None:
        super().__init__()
        side = -(-size // 4)
        total = (side - 1) * 4 + 11 - size  # what TensorFlow pads for conv1: the odd pixel goes last
        self.pad = [total // 2, total - total // 2] * 2
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(3, 64, 11, stride=4),
                nn.Conv2d(64, 256, 5, padding="same"),
                *(nn.Conv2d(256, 256, 3, padding="same") for _ in range(3)),
            ]
        )
        for _ in range(3):
            side = -(-side // 2)
        self.dense = nn.ModuleList(
            [nn.Linear(256 * side * side, DENSE), nn.Linear(DENSE, DENSE), nn.Linear(DENSE, out)]
        )
        random = torch.Generator().manual_seed(seed)
        for layer in [*self.convolutions, *self.dense]:
            nn.init.xavier_uniform_(layer.weight, generator=random)
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures, shape (batch, 3, size, size), to vectors, shape (batch, out)."""
        hidden = F.pad(images, self.pad)
        for number, convolution in enumerate(self.convolutions):
            hidden = F.relu(convolution(hidden))
            if number in (0, 1, 4):
                hidden = F.max_pool2d(hidden, 2, ceil_mode=True)
        hidden = hidden.flatten(1)  # (batch, 256 * side * side)
        for layer in self.dense[:-1]:
            hidden = F.dropout(F.relu(layer(hidden)), DROPOUT, training=self.training)
        vectors: Tensor = self.dense[-1](hidden)
        return vectors


class _Headed(nn.Module):
    """A network without classifier, and a linear layer in its place."""

    def __init__(self, body: nn.Module, dim: int, out: int, seed: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(dim, out)
        nn.init.xavier_uniform_(self.head.weight, generator=torch.Generator().manual_seed(seed))
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures, shape (batch, 3, size, size), to vectors, shape (batch, out)."""
        features = self.body.forward_features(images)  # type: ignore[operator]  # every backbone has it
        vectors: Tensor = self.head(self.body.forward_head(features, pre_logits=True))  # type: ignore[operator]  # as above
        return vectors


def image_network(
    backbone: str, pretrained: bool, size: int, out: int, seed: int
) -> tuple[nn.Module, Preprocessing]:
    """Build a network from pictures to vectors, all of it trainable, and say what pixels must go through.

    Parameters
    ----------
    backbone
        ``"cnn-f"``, or a name that `vasari.features.backbones.load_backbone` knows; the latter ends in a
        linear layer of its own.
    pretrained
        Begin with the weights that belong to the name (there are none for CNN-F) instead of random ones.
    size
        Side of the pictures. Convolutional networks take any, transformers their own.
    out
        Length of the vectors.

    Raises
    ------
    NotFoundError
        No backbone of that name, or its weights cannot be had.
    UsageError
        The backbone does not take pictures of that size.
    """
    if backbone == CNN_F:
        # (x - 127.5) / 127.5 on the scale 0 to 255
        return CNNF(size, out, seed), Preprocessing(size, size, "bilinear", (0.5,) * 3, (0.5,) * 3)
    loaded = load_backbone(backbone, None if pretrained else "random", seed)
    steps = Preprocessing(
        size, size, loaded.preprocessing.interpolation, loaded.preprocessing.mean, loaded.preprocessing.std
    )
    network = _Headed(loaded.network.requires_grad_(True), loaded.dim, out, seed).eval()
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, size, size))
    except (AssertionError, RuntimeError) as error:
        raise UsageError(
            f"backbone {backbone!r} does not take pictures of {size} x {size} pixels "
            f"({' '.join(str(error).split())[:150]}); set image_size={loaded.preprocessing.size}"
        ) from None
    return network, steps
