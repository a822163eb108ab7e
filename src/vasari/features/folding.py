"""Batch normalisation made part of the convolution before it: the same vectors with fewer passes over memory.

In evaluation a batch normalisation multiplies and shifts every channel by constants, and so does the
convolution before it. Both at once cost what the convolution costs alone.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import replace

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vasari.core.seeds import generator
from vasari.features.backbones import Backbone

logger = logging.getLogger(__name__)

TOLERANCE = 1e-4  # of the largest value: rounding in another order, and nothing else


def folded(backbone: Backbone) -> Backbone:
    """The same backbone, folded; one that would give other vectors, or has nothing to fold, as it was."""
    if not any(isinstance(module, nn.BatchNorm2d) for module in backbone.network.modules()):
        return backbone
    size, device = backbone.preprocessing.size, next(backbone.network.parameters()).device
    noise = torch.from_numpy(generator(0, "probe").integers(0, 256, (1, size, size, 3), dtype="uint8"))
    try:
        folding = _fold(backbone, noise.to(device))
        return folding if _alike(backbone, folding, noise.to(device)) else backbone
    except Exception as error:  # there are thousands of networks, and some have ways of their own
        logger.info("batch normalisations of %s stay apart: %s", backbone.name, error)
        return backbone


@torch.no_grad()
def _fold(backbone: Backbone, pixels: torch.Tensor) -> Backbone:
    folding = replace(backbone, network=copy.deepcopy(backbone.network))
    names = {module: name for name, module in folding.network.named_modules()}
    for convolution, norm in _pairs(folding, pixels):
        _put(folding.network, names[convolution], fuse_conv_bn_eval(convolution, norm))
        # timm's batch normalisations hold the activation that follows.
        rest = [getattr(norm, step) for step in ("drop", "act") if hasattr(norm, step)]
        _put(folding.network, names[norm], nn.Sequential(*rest))
    folding.network.to(memory_format=torch.channels_last)
    return folding


def _pairs(backbone: Backbone, pixels: torch.Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions and the batch normalisations that take what comes out of them, as one pass shows them."""
    made: dict[int, tuple[nn.Conv2d, torch.Tensor]] = {}  # with the output, so that no other takes its id
    pairs = []

    def look(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            made[id(output)] = module, output
        elif isinstance(module, nn.BatchNorm2d) and id(inputs[0]) in made and module.running_var is not None:
            pairs.append((made.pop(id(inputs[0]))[0], module))

    hooks = [module.register_forward_hook(look) for module in backbone.network.modules()]
    backbone.forward(pixels)
    for hook in hooks:
        hook.remove()
    return pairs


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)


def _alike(backbone: Backbone, other: Backbone, pixels: torch.Tensor) -> bool:
    """Whether two backbones give the same vectors; an output used twice, unseen above, shows here."""
    found, expected = other.forward(pixels)[0], backbone.forward(pixels)[0]
    return bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max())
