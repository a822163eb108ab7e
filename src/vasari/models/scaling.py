"""How raw features are scaled before a model looks at them, and the same for pictures that come later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from typing_extensions import Self

from vasari.core.errors import UsageError

SCALES = ("zscore", "none")


def check_scale(scale: str) -> None:
    """Refuse what is neither ``"zscore"`` (per dimension, over the catalogue) nor ``"none"``.

    Raises
    ------
    UsageError
        It is neither.
    """
    if scale not in SCALES:
        raise UsageError(f"scale={scale!r} must be one of {SCALES}")


@dataclass(frozen=True, eq=False)
class Scaling:
    """What a model keeps of its catalogue's features, to scale those of guests alike.

    Attributes
    ----------
    mean, std
        What is subtracted and divided by, float32, shape (dim,) each.
    """

    mean: Tensor
    std: Tensor

    @property
    def dim(self) -> int:
        """Length of a feature vector."""
        return len(self.mean)

    def __call__(self, raw: npt.NDArray[np.floating]) -> Tensor:
        """Raw features, shape (n, dim), to scaled ones."""
        return (torch.from_numpy(np.asarray(raw, np.float32)) - self.mean) / self.std

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """For a model's file."""
        return {"feature_mean": self.mean.numpy(), "feature_std": self.std.numpy()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[np.generic]]) -> Self:
        """Undo `arrays`."""
        return cls(torch.from_numpy(arrays["feature_mean"]), torch.from_numpy(arrays["feature_std"]))
