import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from vasari.core.errors import CorruptFileError, UsageError, VasariError
from vasari.core.seeds import generator
from vasari.data.ragged import Ragged
from vasari.sampling.triples import Triples
from vasari.training.checkpoint import load_checkpoint
from vasari.training.loop import PairScores, TrainingSettings, train

ITEMS, DIM = 30, 4


class Toy(nn.Module):
    """Scores by one matrix; dropout makes the result depend on torch's generator."""

    def __init__(self):
        super().__init__()
        features = generator(0, "toy").standard_normal((ITEMS, DIM)).astype(np.float32)
        self.register_buffer("features", torch.from_numpy(features))
        self.layer = nn.Linear(DIM, DIM)
        self.drop = nn.Dropout(0.3)
        nn.init.eye_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def score(self, items):
        return self.drop(self.layer(self.features[torch.from_numpy(items)])).sum(1)

    def pair_scores(self, batch):
        return PairScores(self.score(batch.positive), self.score(batch.negative))


def batches(epoch):
    for number in range(5):
        rng = generator(3, "toy batches", epoch, number)
        positive, negative = rng.integers(0, ITEMS, (2, 16))
        none = np.zeros(16, np.int64)
        yield Triples(Ragged.from_rows([[0]]), none, positive, negative, none, none)


def by_epoch(values, stop_at=None):
    """A validation that returns given values in turn, and can fail like a kill would."""
    calls = iter(range(len(values)))

    def validate():
        call = next(calls)
        if call == stop_at:
            raise KeyboardInterrupt
        return {"auc": values[call]}

    return validate


SETTINGS = TrainingSettings(epochs=6, learning_rate=0.05, lr_patience=0, monitor="auc")
VALUES = [0.5, 0.6, 0.7, 0.65, 0.66, 0.71, 0.70]


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_the_best_epoch_by_held_out_ranking_is_kept():
    network = Toy()
    run = train(network, batches, by_epoch(VALUES), SETTINGS, seed=1)
    assert run.best_epoch == 5
    assert [entry["auc"] for entry in run.history] == VALUES
    early = Toy()
    train(
        early,
        batches,
        by_epoch(VALUES[:6]),
        TrainingSettings(epochs=5, learning_rate=0.05, lr_patience=0),
        seed=1,
    )
    assert all(
        torch.equal(a, b)
        for a, b in zip(network.state_dict().values(), early.state_dict().values(), strict=True)
    )


def test_the_end_is_kept_where_that_is_asked():
    settings = replace(SETTINGS, keep="last", lr_patience=9)
    network, unwatched = Toy(), Toy()
    run = train(network, batches, by_epoch(VALUES), settings, seed=1)
    assert run.best_epoch == settings.epochs
    assert [entry["auc"] for entry in run.history] == VALUES
    train(unwatched, batches, None, settings, seed=1)
    for name, value in unwatched.state_dict().items():
        assert torch.equal(value, network.state_dict()[name]), name


def test_training_that_only_harms_is_undone():
    network = Toy()
    before = weights(network)
    run = train(network, batches, by_epoch([0.9, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]), SETTINGS, seed=1)
    assert run.best_epoch == 0
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_learning_rate_falls_on_plateaus_and_training_stops():
    settings = TrainingSettings(epochs=50, learning_rate=1e-3, lr_patience=2, stop_patience=7)
    run = train(Toy(), batches, by_epoch([0.5] * 51), settings, seed=1)
    rates = [entry["learning_rate"] for entry in run.history]
    assert len(run.history) == 1 + 7
    # The first epoch sets the plateau's level, three more without a rise are one too many.
    assert rates == pytest.approx([1e-3] * 4 + [6e-4] * 3 + [3.6e-4])


def test_the_mean_of_the_epochs_weights_is_judged_and_kept():
    settings = replace(SETTINGS, epochs=3, average=True)
    seen = []
    network = Toy()

    def validate():
        seen.append(weights(network))
        return {"auc": len(seen) / 10}

    train(network, batches, validate, settings, seed=1)
    ends = []
    for epochs in (1, 2, 3):
        end = Toy()
        train(end, batches, None, replace(SETTINGS, epochs=epochs), seed=1)
        ends.append(weights(end))
    for name, kept in network.state_dict().items():
        means = [torch.stack([end[name] for end in ends[:count]]).mean(0) for count in (1, 2, 3)]
        for judged, mean in zip(seen[1:], means, strict=True):
            torch.testing.assert_close(judged[name], mean)
        torch.testing.assert_close(kept, means[-1])


def test_late_epochs_can_count_more_in_the_mean():
    """After two epochs 1/3 and 2/3, after three 1/6, 2/6 and 3/6."""
    mean, ends = Toy(), []
    train(mean, batches, None, replace(SETTINGS, epochs=3, average=True, average_late=1.0), seed=1)
    for epochs in (1, 2, 3):
        end = Toy()
        train(end, batches, None, replace(SETTINGS, epochs=epochs), seed=1)
        ends.append(weights(end))
    for name, kept in mean.state_dict().items():
        torch.testing.assert_close(kept, sum(end[name] * (n + 1) / 6 for n, end in enumerate(ends)))


@pytest.mark.parametrize("optimizer", ["adam", "adagrad"])
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("killed_at", [2, 4, 6])
def test_a_run_killed_and_resumed_ends_bit_identical(tmp_path, killed_at, average, optimizer):
    settings = replace(SETTINGS, average=average, optimizer=optimizer, weight_decay=0.0)
    unbroken = Toy()
    whole = train(unbroken, batches, by_epoch(VALUES), settings, seed=1)

    with pytest.raises(KeyboardInterrupt):
        train(
            Toy(), batches, by_epoch(VALUES, killed_at), settings, seed=1, checkpoints=tmp_path, run_key="a"
        )
    torch.rand(17)  # whatever else happened to the generator does not matter
    resumed = Toy()
    run = train(
        resumed, batches, by_epoch(VALUES[killed_at:]), settings, seed=1, checkpoints=tmp_path, run_key="a"
    )

    def strip(history):
        clocks = ("seconds", "triples_per_second")
        return [{name: value for name, value in entry.items() if name not in clocks} for entry in history]

    assert strip(run.history) == strip(whole.history)
    assert run.best_epoch == whole.best_epoch
    for name, value in unbroken.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_two_checkpoints_are_kept_and_a_damaged_one_falls_back_to_the_one_before(tmp_path):
    train(Toy(), batches, by_epoch(VALUES), SETTINGS, seed=1, checkpoints=tmp_path, run_key="a")
    kept = sorted(folder.name for folder in tmp_path.iterdir())
    assert len(kept) == 2
    file = tmp_path / kept[-1] / "state.safetensors"
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    assert load_checkpoint(tmp_path)[1]["epoch"] == 5
    shutil.rmtree(tmp_path / kept[0])
    with pytest.raises(CorruptFileError, match="safetensors"):
        load_checkpoint(tmp_path)


def test_another_runs_checkpoints_are_refused(tmp_path):
    train(Toy(), batches, by_epoch(VALUES), SETTINGS, seed=1, checkpoints=tmp_path, run_key="a")
    with pytest.raises(UsageError, match="another run"):
        train(Toy(), batches, by_epoch(VALUES), SETTINGS, seed=1, checkpoints=tmp_path, run_key="b")


def test_adagrad_refuses_a_decay_of_every_row():
    with pytest.raises(UsageError, match="weight_decay"):
        train(Toy(), batches, None, replace(SETTINGS, optimizer="adagrad"), seed=1)
    train(Toy(), batches, None, replace(SETTINGS, optimizer="adagrad", weight_decay=0.0), seed=1)


def test_without_validation_users_the_last_epoch_is_kept():
    run = train(Toy(), batches, None, SETTINGS, seed=1)
    assert run.best_epoch == SETTINGS.epochs


def test_a_diverged_loss_is_an_error_with_a_cure():
    network = Toy()
    with torch.no_grad():
        network.layer.weight.fill_(float("inf"))
    with pytest.raises(VasariError, match="learning_rate"):
        train(network, batches, None, SETTINGS, seed=1)


def test_an_unmeasured_monitor_is_refused():
    with pytest.raises(UsageError, match="ndcg"):
        train(Toy(), batches, by_epoch(VALUES), TrainingSettings(monitor="ndcg"), seed=1)


def test_the_l2_term_leaves_biases_alone_unless_told_otherwise():
    class Still(Toy):
        def pair_scores(self, batch):
            scores = self.layer.weight.sum() * 0 + self.layer.bias.sum() * 0 + torch.zeros(len(batch))
            return PairScores(scores, scores)

    for decay_biases in (False, True):
        network = Still()
        with torch.no_grad():
            network.layer.bias.fill_(1.0)
        settings = TrainingSettings(epochs=1, weight_decay=0.1, learning_rate=0.01, decay_biases=decay_biases)
        train(network, batches, None, settings, seed=0)
        assert bool((network.layer.bias < 1).all()) is decay_biases
        assert bool((network.layer.weight.diagonal() < 1).all())


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"learning_rate": 0},
        {"weight_decay": -1},
        {"batch_size": 0},
        {"optimizer": "sgd"},
        {"average_late": -1},
    ],
)
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(UsageError, match=next(iter(bad))):
        TrainingSettings(**bad)
