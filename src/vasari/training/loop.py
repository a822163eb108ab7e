"""The loop that trains any network on triples, chooses the best epoch by held-out ranking, and resumes.

Every batch is a pure function of (seed, epoch, number) and torch's generator is seeded anew for every
epoch, so the epoch number is the position of sampler and generator alike, and a run killed and resumed
draws what an unbroken one would have drawn.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from vasari.core.errors import UsageError, VasariError
from vasari.core.progress import bar
from vasari.core.seeds import generator
from vasari.sampling.triples import Triples
from vasari.training.checkpoint import (
    flatten_optimizer,
    has_checkpoint,
    load_checkpoint,
    restore_optimizer,
    save_checkpoint,
)
from vasari.training.losses import PairLoss, pair_loss


class PairScores(NamedTuple):
    """What a network says about a batch of triples.

    Attributes
    ----------
    positive, negative
        Scores, shape (triples,) each.
    penalty
        What is added to the loss, a scalar: regularisation of the rows that the batch touched. None where
        the optimiser's weight decay is all there is.
    """

    positive: Tensor
    negative: Tensor
    penalty: Tensor | None = None


class TripleNetwork(Protocol):
    """What the loop asks of a network (a `torch.nn.Module`)."""

    def pair_scores(self, batch: Triples) -> PairScores:
        """Scores of the positives and of the negatives of a batch."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    Loss, optimiser, L2 and schedule default to those of Messina et al. 2020. The budget does not: their
    hundred million triples at a learning rate of 1e-4 are `CuratorNet.paper`; these fewer, larger steps fit
    galleries of some thousand works into a minute on two cores (`docs/tuning.md`).

    Attributes
    ----------
    epochs
        At most this many.
    triples_per_epoch, batch_size
        Triples drawn per epoch and per step.
    optimizer
        ``"adam"``, or ``"adagrad"`` (Duchi et al. 2011), which leaves rows alone that a batch does not
        touch: for tables of users and items.
    learning_rate, weight_decay
        The optimiser's. The decay is the L2 term lambda/2 ||W||^2 added to the loss (not AdamW's).
    decay_biases
        Whether biases are decayed too (the PyTorch tutorial does, the TensorFlow original does not).
    loss
        Name of a pair loss, see `vasari.training.losses.LOSSES`.
    lr_factor, lr_patience, lr_threshold, min_learning_rate
        The learning rate is multiplied by `lr_factor` after more than `lr_patience` epochs in which the
        monitored metric rose by less than `lr_threshold` (relative); not below `min_learning_rate`.
    keep
        ``"best"``: the epoch with the best monitored metric. ``"last"``: the end of training, whatever the
        metric says, for short budgets whose few validation users could not tell the epochs apart.
    average
        Judge and keep the mean of the weights at the ends of all epochs so far, not the last ones (Izmailov
        et al. 2018): little data, and with it noisy steps, harm it less.
    average_late
        With `average`: the n-th epoch counts about n^average_late times as much as the first, so that the
        mean soon forgets where training began (polynomial-decay averaging, Shamir and Zhang 2013).
    stop_patience
        Training ends after this many epochs without a better monitored metric.
    monitor
        The validation metric that chooses the epoch and drives the schedule; higher is better.
    """

    epochs: int = 12
    triples_per_epoch: int = 160_000
    batch_size: int = 8192
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    decay_biases: bool = False
    loss: str = "bpr"
    lr_factor: float = 0.6
    lr_patience: int = 2
    lr_threshold: float = 1e-4
    min_learning_rate: float = 1e-6
    keep: str = "best"
    average: bool = False
    average_late: float = 0.0
    stop_patience: int = 12
    monitor: str = "auc"

    def __post_init__(self) -> None:
        for name in ("epochs", "triples_per_epoch", "batch_size", "stop_patience"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} must be at least 1")
        if not self.learning_rate > 0:
            raise UsageError(f"learning_rate={self.learning_rate} must be positive")
        for name in ("weight_decay", "average_late"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name}={getattr(self, name)} must not be negative")
        if self.optimizer not in OPTIMIZERS:
            raise UsageError(f"optimizer={self.optimizer!r} must be one of {sorted(OPTIMIZERS)}")
        if self.keep not in ("best", "last"):
            raise UsageError(f'keep={self.keep!r} must be "best" or "last"')
        pair_loss(self.loss)


@dataclass
class TrainingRun:
    """What training left behind: one record per epoch and which of them was kept."""

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0


Validate = Callable[[], dict[str, float]]
Batches = Callable[[int], Iterable[Triples]]


def train(
    network: nn.Module,
    batches: Batches,
    validate: Validate | None,
    settings: TrainingSettings,
    *,
    seed: int,
    checkpoints: Path | None = None,
    run_key: str = "",
    progress: bool | None = None,
) -> TrainingRun:
    """Train `network` in place and leave it at the epoch with the best monitored metric.

    Parameters
    ----------
    network
        A module that is a `TripleNetwork`.
    batches
        Given the epoch (from 0), the batches of that epoch.
    validate
        Metrics of the network as it stands, on users whose hidden baskets are in no batch. Epoch 0 of
        the history is the untrained network, so training that only harms is seen and undone. None where
        nobody can be held out: then all epochs are run at one learning rate and the last is kept.
    checkpoints
        Folder for one checkpoint an epoch. If it holds checkpoints of the same `run_key`, training goes
        on from the newest whole one and ends bit-identical to an unbroken run; on a graphics card, which
        adds gradients up in an order of its own, to the last digits of one.
    run_key
        Identifies data, settings and seed; a checkpoint of another key is refused.

    Raises
    ------
    UsageError
        `checkpoints` belongs to another run, or the monitored metric does not exist.
    VasariError
        The loss is no longer a finite number.
    """
    state = _State(network, settings)
    if checkpoints is not None and has_checkpoint(checkpoints):
        state.resume(checkpoints, run_key)
    loss_of = pair_loss(settings.loss)
    if not state.run.history:
        state.record(state.judged(validate), loss=None, seconds=0.0)
    devices = range(torch.cuda.device_count())
    with (
        bar("training", settings.epochs, progress) as shown,
        torch.random.fork_rng(devices),
        torch.sparse.check_sparse_tensor_invariants(False),  # type: ignore[no-untyped-call]  # torch warns unless told
        _no_denormals(),
    ):
        shown.advance(state.epoch)
        while state.epoch < settings.epochs and not state.exhausted:
            started = time.perf_counter()
            torch.manual_seed(int(generator(seed, "torch", state.epoch).integers(2**63)))
            loss = _one_epoch(network, state.optimizer, loss_of, batches(state.epoch), state.epoch)
            state.advance()
            metrics = state.judged(validate)
            state.record(metrics, loss=loss, seconds=time.perf_counter() - started)
            if checkpoints is not None:
                state.save(checkpoints, run_key)
            shown.advance(1, state.note())
    network.load_state_dict(state.best)
    return state.run


@contextlib.contextmanager
def _no_denormals() -> Iterator[None]:
    """Flush denormal numbers to zero while training.

    The pair losses saturate: most gradients become too small for a normal float, and a CPU multiplies
    denormals many times slower (measured: a backward pass nine times slower within 60 steps).
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _one_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_of: PairLoss,
    batches: Iterable[Triples],
    epoch: int,
) -> float:
    """One pass; returns the mean loss per batch."""
    network.train()
    losses = []
    for batch in batches:
        scores: PairScores = network.pair_scores(batch)  # type: ignore[operator]  # nn.Module hides the protocol's method
        loss = loss_of(scores.positive, scores.negative)
        if scores.penalty is not None:
            loss = loss + scores.penalty
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.detach())
    mean = float(torch.stack(losses).mean())
    if not math.isfinite(mean):
        raise VasariError(
            f"the loss became {mean} in epoch {epoch + 1}; lower learning_rate or scale the features "
            '(scale="zscore")'
        )
    return mean


class _State:
    """Everything that must survive a kill: weights now and best, optimiser, schedule, history."""

    def __init__(self, network: nn.Module, settings: TrainingSettings) -> None:
        self.network, self.settings = network, settings
        self.optimizer = OPTIMIZERS[settings.optimizer](network, settings)
        self.schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer,
            mode="max",
            factor=settings.lr_factor,
            patience=settings.lr_patience,
            threshold=settings.lr_threshold,
            min_lr=settings.min_learning_rate,
        )
        self.run = TrainingRun()
        self.epoch = 0
        self.best = _copy(network)
        self.mean: dict[str, Tensor] = {}

    def advance(self) -> None:
        """Count an epoch that was trained."""
        self.epoch += 1
        if self.settings.average:
            now, late = self.network.state_dict(), self.settings.average_late
            mean = self.mean or {name: torch.zeros_like(tensor) for name, tensor in now.items()}
            self.mean = {  # counters, such as batch normalisation's, have no mean: the newest is kept
                name: mean[name].lerp(tensor, (1 + late) / (self.epoch + late))
                if tensor.is_floating_point()
                else tensor.clone()
                for name, tensor in now.items()
            }

    def judged(self, validate: Validate | None) -> dict[str, float]:
        """Metrics of the weights that are kept, lent to the network; training goes on from its own."""
        if validate is None:
            return {}
        if not self.mean:
            return validate()
        own = _copy(self.network)
        self.network.load_state_dict(self.mean)
        metrics = validate()
        self.network.load_state_dict(own)
        return metrics

    def record(self, metrics: dict[str, float], loss: float | None, seconds: float) -> None:
        monitor = self.settings.monitor
        if metrics and monitor not in metrics:
            raise UsageError(f"monitor={monitor!r} is not measured; choose one of {sorted(metrics)}")
        if metrics and loss is not None:
            self.schedule.step(metrics[monitor])
        rate = self.optimizer.param_groups[0]["lr"]
        entry = {"epoch": self.epoch, "learning_rate": rate, "seconds": seconds, **metrics}
        if loss is not None:
            entry["loss"] = loss
            entry["triples_per_second"] = self.settings.triples_per_epoch / max(seconds, 1e-9)
        self.run.history.append(entry)
        best = self.run.history[self.run.best_epoch]
        last = not metrics or self.settings.keep == "last"
        if last or self.epoch == 0 or metrics[monitor] > best[monitor]:
            self.run.best_epoch = self.epoch
            self.best = dict(self.mean) or _copy(self.network)  # no mean is ever changed in place

    @property
    def exhausted(self) -> bool:
        return self.epoch - self.run.best_epoch >= self.settings.stop_patience

    def note(self) -> str:
        last, monitor = self.run.history[-1], self.settings.monitor
        ranking = f"{monitor} {last[monitor]:.4f}, " if monitor in last else ""
        return f"loss {last['loss']:.4f}, {ranking}{last['triples_per_second']:,.0f} triples/s"

    def save(self, folder: Path, run_key: str) -> None:
        tensors = {f"now.{name}": tensor for name, tensor in self.network.state_dict().items()}
        # Cloned, since the best may be the mean, and safetensors takes no memory twice.
        tensors |= {f"best.{name}": tensor.clone() for name, tensor in self.best.items()}
        tensors |= {f"mean.{name}": tensor for name, tensor in self.mean.items()}
        tensors |= flatten_optimizer(self.optimizer)
        # Floats in JSON come back bit for bit: Python prints them in full.
        state = {
            "run_key": run_key,
            "epoch": self.epoch,
            "best_epoch": self.run.best_epoch,
            "history": self.run.history,
            "schedule": _jsonable(self.schedule.state_dict()),
            "learning_rates": [group["lr"] for group in self.optimizer.param_groups],
        }
        save_checkpoint(folder, self.epoch, tensors, state)

    def resume(self, folder: Path, run_key: str) -> None:
        tensors, state = load_checkpoint(folder)
        if state["run_key"] != run_key:
            raise UsageError(
                f"{folder} holds checkpoints of another run (other data, settings or seed); "
                "resume with the same ones, or name another folder"
            )
        self.network.load_state_dict(_named(tensors, "now."))
        there = {name: tensor.device for name, tensor in self.network.state_dict().items()}
        self.best, self.mean = (
            {name: tensor.to(there[name]) for name, tensor in _named(tensors, kept).items()}
            for kept in ("best.", "mean.")
        )
        restore_optimizer(self.optimizer, tensors)
        self.schedule.load_state_dict(state["schedule"])
        for group, rate in zip(self.optimizer.param_groups, state["learning_rates"], strict=True):
            group["lr"] = rate
        self.epoch = state["epoch"]
        self.run = TrainingRun(state["history"], state["best_epoch"])


def _adam(network: nn.Module, settings: TrainingSettings) -> torch.optim.Adam:
    """Adam whose L2 term leaves biases alone unless told otherwise (papers differ, see `decay_biases`)."""
    decayed: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in network.named_parameters():
        decayed[settings.decay_biases or "bias" not in name].append(parameter)
    groups = [
        {"params": decayed[True], "weight_decay": settings.weight_decay},
        {"params": decayed[False], "weight_decay": 0.0},
    ]
    return torch.optim.Adam([group for group in groups if group["params"]], lr=settings.learning_rate)


def _adagrad(network: nn.Module, settings: TrainingSettings) -> torch.optim.Adagrad:
    """Adagrad: of tables with sparse gradients the rows that were looked up, of all else everything.

    A row without a gradient keeps its value and its sum of squares, so the two are the same.
    """
    if settings.weight_decay:
        raise UsageError(
            f"weight_decay={settings.weight_decay} would touch every row in every step; with "
            'optimizer="adagrad" use the L2 terms of the model'
        )
    tables = {
        id(module.weight)
        for module in network.modules()
        if isinstance(module, nn.Embedding) and module.sparse
    }
    whole = [p for p in network.parameters() if id(p) not in tables]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in network.parameters() if id(p) in tables]},
        {"params": [p for p in whole if p.device.type != "cpu"]},
        {"params": [p for p in whole if p.device.type == "cpu"], "fused": True},  # several times faster
    ]
    return torch.optim.Adagrad([group for group in groups if group["params"]], lr=settings.learning_rate)


OPTIMIZERS: dict[str, Callable[[nn.Module, TrainingSettings], torch.optim.Optimizer]] = {
    "adam": _adam,
    "adagrad": _adagrad,
}


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _jsonable(state: dict[str, Any]) -> dict[str, Any]:
    kept = (int, float, str, bool, list, type(None))
    return {k: v for k, v in state.items() if isinstance(v, kept) and v not in (float("inf"), float("-inf"))}
