"""BPR-MF: matrix factorisation that learns to rank, from the log alone.

    x_ui = <w_u, h_i> + b_i                        (Rendle et al. 2009, section 4.3.1; the bias is usual)

Loss, sampling, deviations and what is done for strangers and for works never taken stand in
`vasari.models.factors`. Works never taken have a score in common, so BPR cannot order them: for a gallery of
originals take a model that looks at pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vasari.models.base import FitInputs
from vasari.models.factors import FactorModel, FactorNetwork, FactorSettings
from vasari.models.registry import register


@dataclass(frozen=True)
class BPRSettings(FactorSettings):
    """Settings of BPR: those of `FactorSettings`."""


@register
class BPR(FactorModel[BPRSettings]):
    """BPR-MF (Rendle et al. 2009); see the module's page for the equation. Needs no pictures.

    Parameters
    ----------
    **settings
        Fields of `BPRSettings`, for example ``factors=32``.
    """

    name = "BPR"
    Settings = BPRSettings

    def _network(self, inputs: FitInputs, device: torch.device, seed: int) -> FactorNetwork:
        settings = self.settings
        return FactorNetwork(len(self.user_ids), self.scorable, settings.factors, settings, seed)
