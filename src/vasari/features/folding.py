"""Batch normalisation made part of the convolution before it: the same vectors with fewer passes over memory.

In evaluation a batch normalisation multiplies and shifts every channel by constants, and so does the
convolution before it. Both at once cost what the convolution costs alone.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vasari.core.seeds import generator
from vasari.features.backbones import Backbone

TOLERANCE = 1e-4  # of the largest value: rounding in another order, and nothing else


@torch.inference_mode()
def folded(backbone: Backbone) -> Backbone:
    """The same backbone, folded; one that would give other vectors, or has nothing to fold, as it was."""
    folding = replace(backbone, network=copy.deepcopy(backbone.network))
    size = backbone.preprocessing.size
    noise = torch.from_numpy(generator(0, "probe").integers(0, 256, (1, size, size, 3), dtype="uint8"))
    pairs = _pairs(folding, noise)
    names = {module: name for name, module in folding.network.named_modules()}
    for convolution, norm in pairs:
        _put(folding.network, names[convolution], fuse_conv_bn_eval(convolution, norm))
        # timm's batch normalisations hold the activation that follows.
        rest = [getattr(norm, step) for step in ("drop", "act") if hasattr(norm, step)]
        _put(folding.network, names[norm], nn.Sequential(*rest))
    folding.network.to(memory_format=torch.channels_last)
    return folding if pairs and _alike(backbone, folding, noise) else backbone


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
    try:
        found, expected = other.forward(pixels)[0], backbone.forward(pixels)[0]
    except (AttributeError, TypeError, RuntimeError):  # a network that reads its normalisations otherwise
        return False
    return bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max())
