"""Distinct rows of a batch, what a step of factors costs, and what it may depend on."""

import numpy as np
import pytest
import torch
from test_operation_counts import SIZE, Elements, sampler_over
from torch.utils._python_dispatch import TorchDispatchMode

from vasari.models import factors
from vasari.models.bank import FeatureBank
from vasari.models.bpr import BPRSettings
from vasari.models.distinct import Distinct
from vasari.models.dots import pair_dots
from vasari.models.factors import FactorNetwork
from vasari.models.vbpr import VBPRNetwork, VBPRSettings
from vasari.training import loop

DIM = 16


@pytest.mark.parametrize("size", [0, 1, 7, 500])
def test_each_row_of_a_batch_is_found_once_whatever_was_asked_before(size):
    rng = np.random.default_rng(size)
    possible = rng.random(400) < 0.5
    distinct = Distinct(possible)
    for _ in range(3):
        rows = rng.choice(np.flatnonzero(possible), size)
        found, place = distinct(rows)
        np.testing.assert_array_equal(found[place], rows)
        wanted = np.flatnonzero(possible) if size == 500 else np.unique(rows)
        np.testing.assert_array_equal(np.sort(found), wanted)


def network_over(n_items, batch_size=SIZE, visual=False):
    if not visual:
        return FactorNetwork(40, np.ones(n_items, bool), 8, BPRSettings(factors=8, batch_size=batch_size))
    matrix = np.random.default_rng(1).normal(size=(n_items, DIM)).astype(np.float32)
    bank = FeatureBank.fit(matrix, np.arange(n_items), "zscore")
    bank.take(torch.arange(1)), bank.take_rough(torch.arange(1))  # scaled before anything is counted
    settings = VBPRSettings(factors=8, visual_factors=4, batch_size=batch_size)
    return VBPRNetwork(40, bank, settings)


def steps(network, batches):
    settings = network.settings
    optimizer = loop.OPTIMIZERS[settings.optimizer](network, settings)
    loop._one_epoch(network, optimizer, loop.pair_loss("bpr"), batches, 0)


class Touched(TorchDispatchMode):
    """Counts the elements that operations write; of a table that takes up a sparse tensor its entries."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tensors = [t for t in (*args, result) if isinstance(t, torch.Tensor)]
        sparse = [t._values() for t in tensors if t.is_sparse]
        outputs = result if isinstance(result, (tuple, list)) else [result]
        dense = [t for t in outputs if isinstance(t, torch.Tensor) and not t.is_sparse]
        in_place = any(t is args[0] for t in dense) if args else False
        self.total += sum(t.numel() for t in (sparse if in_place and sparse else dense))
        return result


@pytest.mark.parametrize("visual", [False, True])
def test_a_step_of_factors_costs_the_same_in_a_larger_catalogue(visual):
    batch, costs = sampler_over(4000, "uniform").batch(0, 0, 0, SIZE), []
    pair_dots(*torch.ones(2, 3, 4), *torch.zeros(2, 3, dtype=torch.int64))  # what torch sets up once
    for n_items in (4_000, 40_000):
        network = network_over(n_items, visual=visual)
        assert network.items.sparse
        optimizer = loop.OPTIMIZERS["adagrad"](network, network.settings)
        with Touched() as counted:
            loop._one_epoch(network, optimizer, loop.pair_loss("bpr"), [batch], 0)
        costs.append(counted.total)
    assert costs[0] == costs[1] > 0


@pytest.mark.parametrize("visual", [False, True])
def test_updating_the_rows_of_the_batch_is_updating_all(visual, monkeypatch):
    sampler = sampler_over(400, "uniform")
    batches = [sampler.batch(0, 0, number, SIZE) for number in range(4)]
    whole = network_over(400, visual=visual)
    monkeypatch.setattr(factors, "MANY", 0)
    rows = network_over(400, visual=visual)
    assert rows.items.sparse
    assert not whole.items.sparse
    start = rows.items.weight.detach().clone()
    for network in (whole, rows):
        steps(network, batches)
    for (name, one), other in zip(whole.named_parameters(), rows.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-3, msg=name)
    touched = np.unique([*(b.positive for b in batches), *(b.negative for b in batches)])
    moved = np.flatnonzero((rows.items.weight != start).any(1).numpy())
    np.testing.assert_array_equal(moved, touched)


def test_the_gradient_of_weighted_squares_is_the_derivative():
    random = torch.Generator().manual_seed(0)
    rows, weights, last = (
        torch.randn(*shape, dtype=torch.float64, generator=random) for shape in ((7, 5), (7,), (7,))
    )
    value = factors._WeightedSquares.apply(rows, weights, last)
    by_hand = (weights[:, None] * rows[:, :-1].square()).sum() + (last * rows[:, -1].square()).sum()
    torch.testing.assert_close(value, by_hand)
    assert torch.autograd.gradcheck(factors._WeightedSquares.apply, (rows.requires_grad_(), weights, last))


def test_a_batch_of_everything_copies_no_features_and_others_get_their_rows():
    bank = network_over(50, visual=True).bank
    held = bank.take_rough(torch.arange(50))
    assert held.data_ptr() == bank._held[torch.bfloat16].data_ptr()
    turned = torch.arange(50).flip(0)
    assert torch.equal(bank.take_rough(turned), held[turned])


def test_looks_are_projected_once_for_each_distinct_work_of_a_batch():
    batch, network = sampler_over(400, "uniform").batch(0, 0, 0, SIZE), network_over(400, visual=True)
    for rough, take in ((True, torch.bfloat16), (False, torch.float32)):
        network.rough = rough
        with Elements(watched=network.bank._held[take]) as counted:
            steps(network, [batch])
        assert counted.rows == [len(set(batch.positive) | set(batch.negative))]


def test_rough_products_are_close_and_used_in_training_alone():
    batch, network = sampler_over(400, "uniform").batch(0, 0, 0, SIZE), network_over(400, visual=True)
    network.rough = True
    exact, rough = (network.train(training).pair_scores(batch).positive for training in (False, True))
    assert not torch.equal(exact, rough)
    torch.testing.assert_close(exact, rough, atol=0.02, rtol=0.02)
    network.rough = False
    assert torch.equal(network.pair_scores(batch).positive, exact)
