import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from vasari.models.layers import BLOCK, drop_, selu, selu_array


@given(st.lists(st.floats(-200, 200, width=32), min_size=1, max_size=50))
def test_selu_and_its_gradient_are_torchs(values):
    sides = []
    for function in (selu, F.selu):
        inputs = torch.tensor(values, requires_grad=True)
        outputs = function(inputs)
        (outputs * torch.linspace(0.1, 1, len(values))).sum().backward()
        sides.append((outputs.detach(), inputs.grad))
    for ours, torchs in zip(*sides, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-5, atol=3e-7)


@given(st.lists(st.floats(-200, 200, width=32), min_size=1, max_size=50))
def test_selu_of_an_array_is_that_of_a_tensor(values):
    array = np.array(values, dtype=np.float32)
    ours = selu_array(array)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, selu(torch.from_numpy(array)).numpy(), rtol=1e-6, atol=3e-7)


def test_selu_leaves_its_input_alone():
    inputs = torch.linspace(-3, 3, 50)
    before = inputs.clone()
    selu(inputs)
    assert torch.equal(inputs, before)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.75])
def test_a_share_of_the_numbers_is_dropped_and_the_mean_stays(share):
    torch.manual_seed(0)
    features = drop_(torch.ones(1000, 613), share)
    kept = features[features != 0]
    assert (features == 0).float().mean() == pytest.approx(round(256 * share) / 256, abs=0.003)
    assert features.mean() == pytest.approx(1, abs=0.005)
    assert len(kept.unique()) == 1
    for way in (0, 1):  # no row and no column is dropped together
        assert (features == 0).float().mean(way).std() < 0.05


def test_nothing_is_dropped_of_nothing():
    features = torch.randn(20, 30)
    assert torch.equal(drop_(features.clone(), 0.0), features)


def test_the_same_seed_drops_the_same_numbers_and_blocks_differ():
    dropped = []
    for _ in range(2):
        torch.manual_seed(3)
        dropped.append(drop_(torch.ones(3, BLOCK), 0.5))
    assert torch.equal(*dropped)
    assert not torch.equal(dropped[0][0], dropped[0][1])


def test_every_byte_of_the_random_words_is_random():
    torch.manual_seed(1)
    features = drop_(torch.ones(4000, 8), 0.5)
    assert ((features == 0).float().mean(0) - 0.5).abs().max() < 0.04
