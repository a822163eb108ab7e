"""Batches ahead of their use."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from vasari.sampling.sampler import Sampler
from vasari.sampling.triples import Triples


def stream(
    sampler: Sampler, seed: int, epoch: int, n_batches: int, size: int, workers: int = 1, first: int = 0
) -> Iterator[Triples]:
    """Yield the batches `first` to `n_batches` - 1 of an epoch, in order.

    Content and order do not depend on `workers`.

    Parameters
    ----------
    workers
        Threads that draw ahead while the caller computes, two batches each; 0 draws on demand.
    first
        Number of the first batch wanted, for a run that goes on in the middle of an epoch.
    """
    if workers == 0:
        for index in range(first, n_batches):
            yield sampler.batch(seed, epoch, index, size)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="triples") as pool:
        ahead: deque[Future[Triples]] = deque()
        try:
            for index in range(first, n_batches):
                ahead.append(pool.submit(sampler.batch, seed, epoch, index, size))
                if len(ahead) > 2 * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for waiting in ahead:
                waiting.cancel()
