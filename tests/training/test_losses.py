import math

import pytest
import torch

from vasari.core.errors import NotFoundError
from vasari.training.losses import LOSSES, pair_loss

POSITIVE, NEGATIVE = [0.3, -1.2, 4.0], [0.1, 0.8, -2.0]


def sigma(x):
    return 1 / (1 + math.exp(-x))


SCALAR = {
    "bpr": sum(-math.log(sigma(p - n)) for p, n in zip(POSITIVE, NEGATIVE, strict=True)) / 3,
    "bpr-sum": sum(-math.log(sigma(p - n)) for p, n in zip(POSITIVE, NEGATIVE, strict=True)),
    "hinge": sum(max(0, 1 - (p - n)) for p, n in zip(POSITIVE, NEGATIVE, strict=True)) / 3,
    "top1": sum(sigma(n - p) + sigma(n * n) for p, n in zip(POSITIVE, NEGATIVE, strict=True)) / 3,
}


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_loss_equals_its_formula(name):
    value = pair_loss(name)(torch.tensor(POSITIVE), torch.tensor(NEGATIVE))
    assert float(value) == pytest.approx(SCALAR[name], rel=1e-6)


def test_the_tutorials_loss_is_bce_with_logits_summed_with_target_one():
    positive, negative = torch.randn(50), torch.randn(50)
    theirs = torch.nn.BCEWithLogitsLoss(reduction="sum")(positive - negative, torch.ones(50))
    assert float(pair_loss("bpr-sum")(positive, negative)) == pytest.approx(float(theirs), rel=1e-6)


def test_a_function_is_a_loss_and_an_unknown_name_is_refused():
    assert pair_loss(torch.maximum) is torch.maximum
    with pytest.raises(NotFoundError, match="warp"):
        pair_loss("warp")
