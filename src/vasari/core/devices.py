"""Where to compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vasari.core.errors import UsageError

if TYPE_CHECKING:
    import torch


def choose_device(device: str = "auto") -> torch.device:
    """``"auto"`` is CUDA, else MPS, else the CPU; any other name is taken as torch reads it.

    Raises
    ------
    UsageError
        The device does not exist here.
    """
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f'device={device!r} cannot be used here: {reason}; pass device="auto"') from None
    return chosen
