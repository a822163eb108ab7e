"""Training CuratorNet: the PyTorch tutorial's loop, against Vasari's.

    python -m benchmarks.training [--full] [--batch 131072] [--json]

Random data of UGallery's size (`benchmarks.support.gallery`), triples of the tutorial's sampler for both.
The tutorial runs the item tower for every work of every profile and for every positive and negative, in
batches of 128 (`benchmarks.support.tutorial_curatornet`); Vasari once per distinct work and profile of a
batch. The floor is the arithmetic of those distinct rows at the speed of a large product. Vasari's time
holds the drawing of the triples; the tutorial's are drawn before.

Then a race: the tutorial trains on 100,000 triples, with `--full` on a million, and it is measured how soon
Vasari is as good in accuracy on fresh triples of the tutorial's kind and in AUC of the users' hidden last
baskets. Vasari runs with settings of its own: larger batches and steps, `COMPONENTS` principal components of
the features, triples a third of which keep the positive out of the profile, and the mean of the weights.
Judging is not timed; scaling the features and finding their components is. The bar of the race is for the
million.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from benchmarks.support.gallery import DIM, ITEMS, USERS, Gallery, gallery
from benchmarks.support.tutorial_curatornet import TutorialNetwork
from benchmarks.support.tutorial_curatornet import train as tutorial_train
from benchmarks.timing import bar, clock, compared, medians, peak_operations, report

from vasari.data.ragged import Ragged
from vasari.metrics import measure, rank_cases
from vasari.models.bank import FeatureBank
from vasari.models.components import Components
from vasari.models.curatornet import ITEM_LAYERS, USER_LAYERS, CuratorNetwork, TripleScorer
from vasari.sampling import Sampler, SamplingContext, Triples
from vasari.training.loop import TrainingSettings, train

REFERENCE_TRIPLES = 12_800  # of one round of the reference
BATCHES = 2  # of one round of Vasari
JUDGED = 10_000  # fresh triples for the accuracy
LAPS, LAP = 12, 3  # judged so often in the race, after so many steps each
COMPONENTS, RACE_MIXTURE = 128, {"tutorial": 2, "uniform": 1}
MILLION = 1_000_000

Point = dict[str, float]
Judge = Callable[[Callable[[Ragged], np.ndarray]], Point]


def operations(dim: int, batch: Triples) -> float:
    """Multiplications and additions of a step: products once forwards, twice backwards but for the first."""
    works = len(np.unique(np.concatenate([batch.profiles.values, batch.positive, batch.negative])))
    (wide, item), (first, second, user) = ITEM_LAYERS, USER_LAYERS
    item_tower = 2 * dim * wide + 3 * wide * item
    user_tower = 3 * (2 * item * first + first * second + second * user)
    return 2 * (works * item_tower + len(batch.profiles) * user_tower)


def judge_by(shown: Gallery, fresh: Triples) -> Judge:
    """Accuracy on fresh triples, and AUC of the hidden baskets among all works."""

    def judge(scores: Callable[[Ragged], np.ndarray]) -> Point:
        matrix = scores(fresh.profiles)
        right = matrix[fresh.profile, fresh.positive] > matrix[fresh.profile, fresh.negative]
        ranks = rank_cases(lambda profiles, _: scores(profiles), shown.hidden)
        return {"accuracy": float(right.mean()), "auc": float(measure(ranks, ks=(20,))["auc"].mean())}

    return judge


def vasari_curve(shown: Gallery, sampler: Sampler, settings: TrainingSettings, judge: Judge) -> list[Point]:
    """Train as CuratorNet does, judging after every epoch."""
    started = clock()
    features = FeatureBank.fit(shown.features, np.arange(len(shown.features)), "zscore")
    bank = Components.fit(features, COMPONENTS, seed=0).of(features)
    network = CuratorNetwork(bank.dim)
    everything = bank.take(torch.arange(len(bank)))
    spent, seen, points = clock() - started, 0, []

    def batches(epoch: int) -> Iterator[Triples]:
        nonlocal started
        started = clock()
        for number in range(settings.triples_per_epoch // settings.batch_size):
            yield sampler.batch(1, epoch, number, settings.batch_size)

    @torch.inference_mode()
    def validate() -> Point:
        nonlocal spent, seen
        if points:
            spent, seen = spent + clock() - started, seen + settings.triples_per_epoch
        vectors = network.item_tower(everything)

        def scores(profiles: Ragged) -> np.ndarray:
            members, offsets = torch.from_numpy(profiles.values), torch.from_numpy(profiles.offsets[:-1])
            return (network.user_tower(vectors, members, offsets) @ vectors.T).numpy()

        points.append({"triples": seen, "seconds": spent, **judge(scores)})
        return points[-1]

    train(
        TripleScorer(network, bank, torch.device("cpu")), batches, validate, settings, seed=0, progress=False
    )
    return points


def tutorial_curve(shown: Gallery, triples: Triples, judge: Judge, every: int) -> list[Point]:
    """Train as the tutorial does, judging after every so many triples and at the end."""
    network = TutorialNetwork(shown.features)
    points = [{"triples": 0, "seconds": 0.0, **judge(network.scores)}]
    spent, started = 0.0, clock()
    for seen in tutorial_train(network, triples):
        if seen - points[-1]["triples"] >= every or seen == len(triples):
            spent += clock() - started
            points.append({"triples": seen, "seconds": spent, **judge(network.scores)})
            started = clock()
    return points


def first_as_good(points: list[Point], wanted: Point) -> float | None:
    """Seconds until accuracy and AUC are both those wanted, None if they never are."""
    good = [p["seconds"] for p in points if p["accuracy"] >= wanted["accuracy"] and p["auc"] >= wanted["auc"]]
    return min(good, default=None)


def race(shown: Gallery, sampler: Sampler, options: argparse.Namespace) -> dict[str, Any]:
    """Both learning curves; Vasari's is taken before and after the tutorial's, and the slower counts."""
    judge = judge_by(shown, sampler.batch(2, 0, 0, JUDGED))
    mixed = Sampler(sampler.context, RACE_MIXTURE)
    settings = TrainingSettings(
        epochs=LAPS,
        triples_per_epoch=LAP * options.race_batch,
        batch_size=options.race_batch,
        learning_rate=options.learning_rate,
        stop_patience=LAPS,
        average=True,
        average_late=4,
    )
    before = vasari_curve(shown, mixed, settings, judge)
    reference = tutorial_curve(shown, sampler.batch(0, 0, 0, options.race), judge, options.race // 10)
    after = vasari_curve(shown, mixed, settings, judge)
    reached = [first_as_good(points, reference[-1]) for points in (before, after)]
    slower = None if None in reached else max(reached)
    return {"reference": reference, "vasari": after, "vasari_seconds": slower}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--dim", type=int, default=DIM)
    parser.add_argument("--batch", type=int, default=131_072)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--full", dest="race", action="store_const", const=MILLION, default=100_000)
    parser.add_argument("--race-batch", type=int, default=8192)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    shown = gallery(options.items, options.users, options.dim)
    sampler = Sampler(SamplingContext(shown.train), "tutorial")
    torch.manual_seed(0)

    written, tutorial = sampler.batch(0, 0, 0, REFERENCE_TRIPLES), TutorialNetwork(shown.features)
    bank = FeatureBank.fit(shown.features, np.arange(options.items), "zscore")
    scorer = TripleScorer(CuratorNetwork(bank.dim), bank, torch.device("cpu"))
    settings = TrainingSettings(epochs=1, triples_per_epoch=options.batch * BATCHES, batch_size=options.batch)

    def batches(epoch: int) -> Iterator[Triples]:
        return (sampler.batch(1, epoch, number, options.batch) for number in range(BATCHES))

    taken = medians(
        {
            "reference": lambda: list(tutorial_train(tutorial, written)),
            "vasari": lambda: train(scorer, batches, None, settings, seed=0, progress=False),
        },
        options.repeats,
    )
    reference = taken["reference"] / REFERENCE_TRIPLES * MILLION
    ours = taken["vasari"] / settings.triples_per_epoch * MILLION
    work = operations(options.dim, next(batches(0))) / options.batch * MILLION
    curves = race(shown, sampler, options)
    until, ours_until = curves["reference"][-1]["seconds"], curves["vasari_seconds"]
    what = f"time to the reference's accuracy and AUC after {options.race:,} triples"
    comparisons = [compared("1,000,000 triples", reference, ours, work / peak_operations())]
    comparisons += [compared(what, until, ours_until)] if ours_until else []
    bars = [bar("triples a second", reference / ours, "times the reference", ">=", 40)]
    if options.race == MILLION:
        bars.append(bar(what, until / ours_until if ours_until else 0.0, "times as fast", ">=", 30))
    report(
        "training",
        comparisons,
        bars,
        options.json,
        batch=options.batch,
        triples_per_second={"reference": MILLION / reference, "vasari": MILLION / ours},
        curves=curves,
    )


if __name__ == "__main__":
    main()
