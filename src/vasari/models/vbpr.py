"""VBPR: matrix factorisation that also looks at the pictures.

    x_ui = b_i + <gamma_u, gamma_i> + <theta_u, E f_i> + <beta', f_i>                        (eq. 4 without
                                                                the terms of u alone, which cancel in x_uij)

Source: R. He, J. McAuley, "VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback", AAAI 2016.
With w_u = [gamma_u, theta_u], v_i = [gamma_i, E f_i] and <beta', f_i> added to the bias this is a model of
`vasari.models.factors`: loss, sampling, deviations and what is done for strangers and for works never taken
stand there. To its penalty come lambda_E ||E||^2 / 2 and lambda_beta ||beta'||^2 / 2. Works never taken keep
their visual terms, so new works are ranked by look.

Three more deviations: features are standardised over the catalogue, and divided by the root of their
number so that ||f_i|| is about 1 and one learning rate suits factors and E alike. And while training, E f_i
and its gradient are products of bfloat16, of two to three digits, where the processor has instructions for
them, which halves the time of a step; parameters, sums and the vectors that answers are made of are float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vasari.core.errors import UsageError
from vasari.core.machine import multiplies_bfloat16
from vasari.models.bank import FeatureBank
from vasari.models.base import Arrays, FitInputs, FloatArray
from vasari.models.drawing import Taught
from vasari.models.factors import START, FactorModel, FactorNetwork, FactorSettings
from vasari.models.registry import register
from vasari.models.scaling import Scaling, check_scale


@dataclass(frozen=True)
class VBPRSettings(FactorSettings):
    """Settings of VBPR; those of `FactorSettings` are inherited.

    The authors' code divides by ten what it takes for gamma_j, Cornac for b_j: `lambda_negative` and
    `lambda_negative_bias` say either. The paper's equations, and the defaults, treat i and j alike.

    Attributes
    ----------
    visual_factors
        Length of theta_u and E f_i.
    lambda_looks, lambda_visual_bias
        lambda_E and lambda_beta.
    scale
        ``"zscore"`` features per dimension over the catalogue, or ``"none"``.
    """

    epochs: int = 60
    learning_rate: float = 0.2
    lambda_user: float = 0.06
    visual_factors: int = 20
    lambda_looks: float = 1e-4
    lambda_visual_bias: float = 0.01
    scale: str = "zscore"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.visual_factors < 1:
            raise UsageError(f"visual_factors={self.visual_factors} must be at least 1")
        check_scale(self.scale)


class VBPRNetwork(FactorNetwork):
    """The parameters; `looks` holds the rows of E and, last, beta', shape (visual_factors + 1, dim).

    In training mode the features of a batch are multiplied in bfloat16 if `rough`.
    """

    def __init__(self, users: int, bank: FeatureBank, settings: VBPRSettings, seed: int = 0) -> None:
        super().__init__(users, bank.present, settings.factors + settings.visual_factors, settings, seed)
        self.bank, self.rough = bank, multiplies_bfloat16()
        self.lambdas = settings.lambda_looks, settings.lambda_visual_bias
        self.looks = nn.Linear(bank.dim, settings.visual_factors + 1, bias=False)
        nn.init.normal_(self.looks.weight, 0, START, generator=self.random)
        nn.init.zeros_(self.looks.weight[-1])

    def item_terms(self, rows: Tensor, items: Tensor) -> Tensor:
        """[gamma_i, E f_i, b_i + <beta', f_i>]."""
        features = self.bank.take_rough(items) if self.rough and self.training else self.bank.take(items)
        # Scaling the few products costs less than scaling the features: (n, visual_factors + 1).
        seen = F.linear(features, self.looks.weight.to(features)).to(rows) * self.bank.dim**-0.5
        return torch.cat([rows[:, :-1], seen[:, :-1], rows[:, -1:] + seen[:, -1:]], dim=1)

    def matrix_penalty(self) -> Tensor:
        """lambda_E ||E||^2 + lambda_beta ||beta'||^2."""
        squares = self.looks.weight.square().sum(1)
        return self.lambdas[0] * squares[:-1].sum() + self.lambdas[1] * squares[-1]


@register
class VBPR(FactorModel[VBPRSettings]):
    """VBPR (He and McAuley 2016); see the module's page for the equation.

    Parameters
    ----------
    **settings
        Fields of `VBPRSettings`, for example ``visual_factors=10``.
    """

    name = "VBPR"
    Settings = VBPRSettings
    needs_features = True

    # ------------------------------------------------------------------ learning

    def _network(self, inputs: FitInputs, device: torch.device, seed: int) -> VBPRNetwork:
        assert inputs.table is not None
        bank = FeatureBank.fit(inputs.table.matrix, inputs.rows, self.settings.scale).to(device)
        return VBPRNetwork(len(self.user_ids), bank, self.settings, seed)

    def _remember(self, network: FactorNetwork, taught: Taught) -> None:
        network.eval()
        super()._remember(network, taught)
        assert isinstance(network, VBPRNetwork)
        bank = network.bank
        self.looks = network.looks.weight.detach().cpu().numpy() * bank.dim**-0.5
        self.scaling = bank.scaling

    # ------------------------------------------------------------------ scoring

    def _guest_vectors(self, guests: FloatArray) -> FloatArray:
        """[0, E f, <beta', f>]: a picture that nobody could take."""
        scaled = self.scaling(guests).numpy()
        unknown = np.zeros((len(guests), self.settings.factors), np.float32)
        return np.column_stack([unknown, scaled @ self.looks.T])

    # ------------------------------------------------------------------ files

    def _arrays(self) -> Arrays:
        return super()._arrays() | {"looks": self.looks} | self.scaling.arrays()

    def _restore(self, arrays: Arrays) -> None:
        super()._restore(arrays)
        self.looks, self.scaling = arrays["looks"], Scaling.from_arrays(arrays)
