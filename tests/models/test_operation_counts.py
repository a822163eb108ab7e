"""What work may depend on: distinct works and profiles of a batch, never the size of the catalogue."""

import tracemalloc

import numpy as np
import pytest
import torch
from galleries import style_gallery
from torch.utils._python_dispatch import TorchDispatchMode

from vasari.data.cases import hidden_cases, last_baskets
from vasari.data.histories import Histories
from vasari.data.ids import Ids
from vasari.metrics import rank_cases
from vasari.models import CuratorNet
from vasari.models.bank import FeatureBank
from vasari.models.curatornet import CuratorNetwork, TripleScorer
from vasari.sampling import Sampler, SamplingContext
from vasari.training import loop
from vasari.training.loop import TrainingSettings, train

DIM, SIZE = 16, 256
GATHERS = {torch.ops.aten.index.Tensor, torch.ops.aten.index_select.default, torch.ops.aten.index_select.out}


def sampler_over(n_items, mixture="guidelines"):
    """The same forty collectors of the first 120 works, whatever the catalogue holds beside them."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(40), 6)
    items = np.concatenate([rng.choice(120, 6, replace=False) for _ in range(40)])
    ids = Ids([f"u{u}" for u in range(40)], what="user_id"), Ids([f"i{i}" for i in range(n_items)])
    histories = Histories.from_sorted(*ids, users, items, np.arange(len(users)) // 2)
    numbers = np.arange(n_items)
    space = rng.normal(size=(n_items, 4)).astype(np.float32)
    return Sampler(SamplingContext(histories, numbers % 30, numbers // 2 % 6, space), mixture)


def scorer_over(n_items, held=True):
    features = np.random.default_rng(1).normal(size=(n_items, DIM)).astype(np.float32)
    bank = FeatureBank.fit(features, np.arange(n_items), "zscore")
    if held:
        bank.take(torch.arange(1))  # scales the whole matrix once, before anything is counted
    return TripleScorer(CuratorNetwork(DIM), bank, torch.device("cpu"))


class Elements(TorchDispatchMode):
    """Counts the elements that operations write, and the rows they gather from a watched tensor."""

    def __init__(self, watched=None):
        super().__init__()
        self.total, self.watched, self.rows = 0, watched, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if self.watched is not None and func in GATHERS and args[0].data_ptr() == self.watched.data_ptr():
            self.rows.append(len(result))
        outputs = result if isinstance(result, (tuple, list)) else [result]
        self.total += sum(out.numel() for out in outputs if isinstance(out, torch.Tensor))
        return result


def one_step(scorer, batch):
    settings = TrainingSettings(epochs=1, triples_per_epoch=len(batch), batch_size=len(batch))
    train(scorer, lambda _: [batch], None, settings, seed=0, progress=False)


@pytest.mark.parametrize("mixture", ["guidelines", "uniform", "tutorial"])
def test_towers_and_gathering_touch_each_distinct_work_and_profile_of_a_batch_once(mixture, monkeypatch):
    batch = sampler_over(400, mixture).batch(0, 0, 0, SIZE)
    scorer = scorer_over(400)
    rows = {"item": 0, "user": 0}
    for name in rows:
        tower = getattr(scorer.network, f"{name}_tower")

        def counted(first, *rest, tower=tower, name=name):
            result = tower(first, *rest)
            rows[name] += len(result)
            return result

        monkeypatch.setattr(scorer.network, f"{name}_tower", counted)
    with Elements(watched=scorer.bank._held[torch.float32]) as counted_elements:
        one_step(scorer, batch)
    works = set(batch.positive) | set(batch.negative) | set(batch.profiles.values)
    stretches = {(u, *batch.profiles[row]) for u, row in zip(batch.user, batch.profile.tolist(), strict=True)}
    assert rows == {"item": len(works), "user": len(batch.profiles)}
    assert counted_elements.rows == [len(works)]
    assert len(batch.profiles) == len(stretches) < SIZE


def test_features_that_lie_on_disk_are_read_for_the_works_of_the_batch_alone(monkeypatch):
    from vasari.models import bank

    monkeypatch.setattr(bank, "HELD", 0)
    batch, scorer = sampler_over(400).batch(0, 0, 0, SIZE), scorer_over(400, held=False)
    with Elements(watched=scorer.bank.matrix) as counted:
        one_step(scorer, batch)
    assert counted.rows == [len(set(batch.positive) | set(batch.negative) | set(batch.profiles.values))]


def test_a_training_step_costs_the_same_in_a_larger_catalogue():
    batch = sampler_over(400).batch(0, 0, 0, SIZE)
    costs = []
    for n_items in (400, 40_000):
        scorer = scorer_over(n_items)
        optimizer = loop._adam(scorer, TrainingSettings())
        with Elements() as counted:
            loop._one_epoch(scorer, optimizer, loop.pair_loss("bpr"), [batch], 0)
        costs.append(counted.total)
    assert costs[0] == costs[1] > SIZE * 200


@pytest.mark.parametrize("mixture", ["guidelines", "uniform", "tutorial"])
def test_drawing_a_batch_takes_no_memory_for_the_rest_of_the_catalogue(mixture):
    peaks = []
    for n_items in (400, 100_000):
        sampler = sampler_over(n_items, mixture)
        sampler.batch(0, 0, 0, SIZE)  # what is worked out once
        tracemalloc.start()
        sampler.batch(0, 0, 1, SIZE)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000  # half a byte a work


def test_ranking_makes_one_user_vector_a_case_and_no_item_vector(monkeypatch):
    data, table = style_gallery()
    model = CuratorNet(epochs=1, triples_per_epoch=100).fit(data, table)
    cases = hidden_cases(data.histories, last_baskets(data.histories), data.stock)
    made = []
    tower = model.network.user_vectors

    def counted(pooled):
        made.append(len(pooled))
        return tower(pooled)

    monkeypatch.setattr(model.network, "user_vectors", counted)
    monkeypatch.setattr(model.network, "item_tower", None)
    rank_cases(model.score, cases, tile=10)
    assert made == [min(10, len(cases) - start) for start in range(0, len(cases), 10)]
