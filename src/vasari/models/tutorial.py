"""Checkpoints of the VisRec tutorial's PyTorch CuratorNet (Wikimedia / UGallery, session 4).

The tutorial saves a dictionary with ``torch.save``: its entry ``model`` is the state dict of layers
``selu_common1``, ``selu_common2`` (item tower) and ``selu_pu1`` to ``selu_pu3`` (user tower), with the
profile pooled as [max, mean] and the features not scaled.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor

from vasari.core.errors import DataError, NotFoundError
from vasari.data.dataset import Dataset
from vasari.features.table import FeatureTable
from vasari.models.curatornet import CuratorNet, CuratorNetwork

LAYERS = {
    "selu_common1": "item.0",
    "selu_common2": "item.1",
    "selu_pu1": "user.0",
    "selu_pu2": "user.1",
    "selu_pu3": "user.2",
}


def load_tutorial_checkpoint(path: str | Path, data: Dataset, features: FeatureTable) -> CuratorNet:
    """Read a tutorial checkpoint into a `CuratorNet.tutorial()` that answers for `data`.

    Parameters
    ----------
    path
        The ``.tar`` file. Read with ``weights_only=True``: a file that carries anything but tensors and
        plain values (the tutorial's first checkpoint of a run carries the live model object) is refused.
    data, features
        Catalogue, log and vectors to answer with; the vectors must come from the tutorial's extractor
        (raw ResNet-50, 2048 values) for the answers to mean anything.

    Raises
    ------
    NotFoundError
        No such file.
    DataError
        The file is not such a checkpoint, or its input size is not that of the features.
    """
    path = Path(path)
    state = _state_dict(path)
    weights: dict[str, Tensor] = {}
    for theirs, ours in LAYERS.items():
        for part in ("weight", "bias"):
            if not isinstance(state.get(f"{theirs}.{part}"), Tensor):
                raise DataError(f"{path}: no tensor {theirs}.{part}; this is no CuratorNet of the tutorial")
            weights[f"{ours}.{part}"] = state[f"{theirs}.{part}"].float()
    dim = weights["item.0.weight"].shape[1]
    if dim != features.dim:
        raise DataError(f"{path} was trained on {dim} features, the table has {features.dim}")
    model = CuratorNet.tutorial()
    network = CuratorNetwork(dim, model.settings.pooling)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise DataError(f"{path}: {str(error).splitlines()[-1].strip()}") from None
    model.adopt(network, data, features)
    return model


def _state_dict(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} carries more than tensors and plain values and is not read, because that could run "
            f"code ({str(error).splitlines()[0]}); save its state_dict() instead"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} is not a torch checkpoint: {str(error).splitlines()[0]}") from None
    state = content.get("model") if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise DataError(f"{path}: no entry 'model' with a state dict; it holds {_held(content)}")
    return state


def _held(content: object) -> str:
    return ", ".join(sorted(map(str, content))) if isinstance(content, dict) else type(content).__name__
