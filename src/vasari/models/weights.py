"""A network's weights among a model's arrays."""

from __future__ import annotations

import torch
from torch import nn

from vasari.models.base import Arrays

PREFIX = "network."


def weight_arrays(network: nn.Module) -> Arrays:
    """Every parameter and buffer of a network on the CPU, under ``"network."`` and its name."""
    return {PREFIX + name: value.numpy() for name, value in network.state_dict().items()}


def restore_weights(network: nn.Module, arrays: Arrays) -> None:
    """Undo `weight_arrays` in a network of the same shapes; the network is left in eval mode."""
    weights = {
        name.removeprefix(PREFIX): torch.from_numpy(value)
        for name, value in arrays.items()
        if name.startswith(PREFIX)
    }
    network.load_state_dict(weights)
    network.eval()
