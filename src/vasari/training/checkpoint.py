"""Checkpoints: the whole state of a run in one folder a generation, checksummed, the last two kept.

A generation appears under its name only when every byte of it is on disk, and is never written to
again. Tensors go to safetensors, everything else to JSON: nothing in it can run code.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vasari.core.errors import CorruptFileError, DataError, NotFoundError
from vasari.core.files import atomic_folder, read_json, verify_checksums, write_json

KEEP = 2
_PREFIX = "epoch-"


def save_checkpoint(folder: Path, epoch: int, tensors: dict[str, Tensor], state: dict[str, Any]) -> Path:
    """Write generation `epoch` below `folder`, then drop all but the last two."""
    target = folder / f"{_PREFIX}{epoch:05d}"
    with atomic_folder(target) as temporary:
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()}, temporary / "state.safetensors"
        )
        write_json(temporary / "state.json", state)
    for old in _generations(folder)[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The newest generation below `folder` that passes its checksums.

    Raises
    ------
    NotFoundError
        There is no generation.
    CorruptFileError
        None of them is whole.
    """
    found = _generations(folder)
    if not found:
        raise NotFoundError(f"{folder} holds no checkpoint to resume from; start without resume")
    failures = []
    for generation in reversed(found):
        try:
            verify_checksums(generation)
            return load_file(generation / "state.safetensors"), read_json(generation / "state.json")
        except (CorruptFileError, DataError, NotFoundError) as error:
            failures.append(str(error))
    raise CorruptFileError(f"no checkpoint below {folder} is whole: " + "; ".join(failures))


def has_checkpoint(folder: Path) -> bool:
    """Whether `folder` holds at least one generation."""
    return bool(_generations(folder))


def _generations(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_PREFIX}[0-9]*"))


def flatten_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's per-parameter tensors under flat names ``optimizer.<parameter>.<key>``."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{number}.{key}": torch.as_tensor(value)
        for number, entries in state.items()
        for key, value in entries.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Undo `flatten_optimizer`; learning rates are set apart, by the schedule."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".", 2)
            state.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
