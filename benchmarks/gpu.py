"""Training CuratorNet on a graphics card: triples a second, and the share of what its products could do.

    python -m benchmarks.gpu [--device cuda] [--precision bfloat16] [--batch 524288] [--no-compile] [--json]

Random data of UGallery's size as in `benchmarks.training`, towers compiled, products in bfloat16. The
reference is the same training in float32 without compilation. The floor is the arithmetic of the distinct
works and profiles of a batch at the speed of a large product of that precision on that device. Triples are
drawn before; how many are drawn a second, by one core, is printed beside. Where there is no card nothing is
measured, which is said; `--device cpu` runs the same code to see that it runs.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator

import numpy as np
import torch
from benchmarks.support.gallery import DIM, ITEMS, USERS, gallery
from benchmarks.timing import compared, medians, report, seconds
from benchmarks.training import operations

from vasari.models.bank import FeatureBank
from vasari.models.curatornet import PRECISIONS, CuratorNetwork, TripleScorer
from vasari.sampling import Sampler, SamplingContext, Triples
from vasari.training.loop import TrainingSettings, train

STEPS = 8  # of one round


def peak_operations(device: torch.device, dtype: torch.dtype, size: int = 8192, repeats: int = 5) -> float:
    """Operations a second of a large product."""
    size = size if device.type == "cuda" else size // 4
    a, b = torch.randn(2, size, size, device=device, dtype=dtype)

    def multiply() -> None:
        torch.mm(a, b)
        finish(device)

    multiply()
    return 2 * size**3 / min(seconds(multiply) for _ in range(repeats))


def finish(device: torch.device) -> None:
    """Wait for what a card was given to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", choices=PRECISIONS, default="bfloat16")
    parser.add_argument("--batch", type=int, default=524_288)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--dim", type=int, default=DIM)
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no graphics card here, so its speed is not measured")
        report("gpu", [], [], options.json)
        return
    device = torch.device(options.device)
    shown = gallery(options.items, options.users, options.dim)
    sampler = Sampler(SamplingContext(shown.train), "tutorial")
    drawn: list[Triples] = []
    drawing = seconds(lambda: drawn.extend(sampler.batch(0, 0, n, options.batch) for n in range(STEPS)))
    settings = TrainingSettings(epochs=1, triples_per_epoch=STEPS * options.batch, batch_size=options.batch)

    def side(precision: str, compiled: bool):
        bank = FeatureBank.fit(shown.features, np.arange(options.items), "zscore").to(device)
        network = CuratorNetwork(bank.dim).to(device)
        if compiled:
            network.item_tower = torch.compile(network.item_tower, dynamic=True)
            network.user_tower = torch.compile(network.user_tower, dynamic=True)
        scorer = TripleScorer(network, bank, device, precision=precision)

        def batches(_: int) -> Iterator[Triples]:
            return itertools.chain(drawn)

        def run() -> None:
            train(scorer, batches, None, settings, seed=0, progress=False)
            finish(device)

        return run

    taken = medians(
        {"plain": side("float32", False), "ours": side(options.precision, options.compile)}, options.repeats
    )
    speed = peak_operations(device, getattr(torch, options.precision))
    floor = STEPS * operations(options.dim, drawn[0]) / speed
    triples = settings.triples_per_epoch
    report(
        "gpu",
        [compared(f"{triples:,} triples on {device}", taken["plain"], taken["ours"], floor)],
        [],
        options.json,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        peak_operations_per_second=speed,
        triples_per_second={"trained": triples / taken["ours"], "drawn": triples / drawing},
    )


if __name__ == "__main__":
    main()
