"""Families of features, their preprocessing and the rules of decoding as one: from pictures to vectors."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from typing_extensions import Self

from vasari.core.devices import choose_device
from vasari.core.errors import DataError, UsageError
from vasari.core.machine import usable_cores
from vasari.features.backbones import DEFAULT, Backbone, load_backbone
from vasari.features.decode import BACKGROUND, BadImageError, Decoded, Source, View, decode, quiet_pillow
from vasari.features.families import FORMULAS, WHOLE, families, formula_fingerprint
from vasari.features.fingerprint import DEEP, VERSION, Fingerprint, Part
from vasari.features.folding import folded

FloatArray = npt.NDArray[np.floating]
MODES = ("crop", "pad")
DTYPES = ("float16", "float32")


@dataclass(frozen=True)
class Encoded:
    """What one picture gave.

    Attributes
    ----------
    vector
        float32, shape (dim,).
    positions
        float32, shape (positions, channels), or None.
    animated
        Whether there were more frames than the one used.
    """

    vector: FloatArray
    positions: FloatArray | None
    animated: bool


class Extractor:
    """Turns pictures into vectors.

    A picture's vector depends on nothing but the picture and the fingerprint: every forward pass has the
    same shape (missing and broken pictures leave a blank in their place), and on the CPU every worker
    decodes and computes with one thread of its own, so that the number of cores changes no bit.

    Parameters
    ----------
    backbone, weights, seed
        Of the family "deep", as `load_backbone`.
    mode
        What "deep" sees; "crop": the central square, "pad": the whole picture, padded with white.
    dtype
        How a table stores the vectors: "float16" or "float32".
    spatial
        Also give the vectors per position of "deep".
    device
        As `choose_device`.
    batch_size
        Pictures per forward pass; None: 4 on the CPU (what fits its caches is fastest), else 64.
    features
        The families that stand side by side in a vector, a list or one text with commas: "deep" (the
        network), "explicit" (`vasari.features.explicit`), "lbp" (`vasari.features.lbp`). The network is
        loaded only for "deep"; the others always see the whole picture. Each picture is decoded once.

    Raises
    ------
    UsageError
        An argument is none of those named.
    """

    def __init__(
        self,
        backbone: str = DEFAULT,
        weights: str | Path | None = None,
        mode: str = "crop",
        dtype: str = "float16",
        spatial: bool = False,
        device: str = "auto",
        batch_size: int | None = None,
        seed: int = 0,
        features: str | Sequence[str] = DEEP,
    ) -> None:
        names = families(features)
        if mode not in MODES:
            raise UsageError(f"mode {mode!r} is unknown; use one of {', '.join(MODES)}")
        if dtype not in DTYPES:
            raise UsageError(f"dtype {dtype!r} is unknown; use one of {', '.join(DTYPES)}")
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"batch_size {batch_size} is too small; use at least 1")
        if spatial and DEEP not in names:
            raise UsageError(f"spatial maps belong to the feature family {DEEP!r}; ask for it, too")
        self.device = choose_device(device)
        self.batch_size = batch_size or (4 if self.device.type == "cpu" else 64)
        self.backbone: Backbone | None = None
        self._views: list[View] = []
        if DEEP in names:
            self.backbone = folded(load_backbone(backbone, weights, seed))
            self.backbone.network.to(self.device)
            self._views.append(View(self.backbone.preprocessing, mode))
        if len(names) > len(self._views):  # the formulas share one view, behind the network's
            self._views.append(WHOLE)
        self.parts = [self._part(name, mode, dtype, spatial) for name in names]
        self.fingerprint = (
            self.parts[0].fingerprint if len(self.parts) == 1 else Fingerprint.of_parts(self.parts)
        )
        self._accelerator = contextlib.nullcontext() if self.device.type == "cpu" else threading.Lock()

    def _part(self, name: str, mode: str, dtype: str, spatial: bool) -> Part:
        if name != DEEP or self.backbone is None:
            return Part(name, FORMULAS[name].dim, formula_fingerprint(name, dtype))
        fingerprint = Fingerprint(
            extractor=self.backbone.name,
            weights=self.backbone.weights,
            preprocessing=self.backbone.preprocessing,
            mode=mode,
            dtype=dtype,
            spatial=spatial,
            path=self.backbone.path,
        )
        return Part(name, self.backbone.dim, fingerprint)

    def __repr__(self) -> str:
        return f"Extractor({self.fingerprint.extractor}, {self.dim} features, {self.device})"

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return sum(part.width for part in self.parts)

    @classmethod
    def from_fingerprint(
        cls, fingerprint: Fingerprint, weights: str | Path | None = None, device: str = "auto"
    ) -> Self:
        """Build the extractor that made a table, so that new pictures get comparable vectors.

        Parameters
        ----------
        weights
            Where the checkpoint is now, if it was moved.

        Raises
        ------
        UsageError
            The vectors came from elsewhere, or another version of this package's decoding made them.
        DataError
            The weights are not those that made the table.
        NotFoundError
            The weights cannot be had.
        """
        parts = [part.fingerprint for part in fingerprint.parts] or [fingerprint]
        for part in parts:
            if part.preprocessing is None:
                raise UsageError(
                    f"these vectors came ready-made from {part.extractor!r}, so new pictures cannot be "
                    f"encoded alike; extract the pictures with a backbone of your own"
                )
        if fingerprint.version != VERSION:
            raise UsageError(
                f"the table was made by version {fingerprint.version} of the preprocessing, "
                f"this is {VERSION}; extract again"
            )
        names = [part.family for part in parts]
        deep = next((part for part in parts if part.family == DEEP), None)
        if deep is None:
            extractor = cls(dtype=fingerprint.dtype, device=device, features=names)
        else:
            seed = 0
            if weights is None and deep.weights.startswith("random-"):
                weights, seed = "random", int(deep.weights.removeprefix("random-"))
            extractor = cls(
                backbone=deep.extractor,
                weights=weights or deep.path,
                mode=deep.mode,
                dtype=deep.dtype,
                spatial=deep.spatial,
                device=device,
                seed=seed,
                features=names,
            )
        if extractor.fingerprint != fingerprint:
            raise DataError(
                f"the weights of {fingerprint.extractor!r} found here "
                f"({extractor.fingerprint.weights[:12]}...) are not those that made the table "
                f"({fingerprint.weights[:12]}...); pass weights=PATH to them, or extract again"
            )
        return extractor

    def encode(self, images: Sequence[Source]) -> npt.NDArray[np.float32]:
        """Vectors of pictures that no catalogue need know, shape (len(images), dim).

        Parameters
        ----------
        images
            Paths, bytes of files, or Pillow images.

        Raises
        ------
        BadImageError
            A picture cannot be used; the message names it.
        """
        vectors = np.empty((len(images), self.dim), dtype=np.float32)
        with quiet_pillow():
            for row, result in enumerate(self.stream(images)):
                if isinstance(result, BadImageError):
                    source = images[row]
                    name = str(source) if isinstance(source, str | Path) else f"number {row}"
                    raise BadImageError(f"picture {name}: {result.reason}")
                vectors[row] = result.vector
        return vectors

    def stream(
        self, sources: Sequence[Source], expect: Sequence[str] | None = None, workers: int | None = None
    ) -> Iterator[Encoded | BadImageError]:
        """Encode many pictures, in order; a bad one gives its error in its place.

        Whoever iterates wraps the loop in `quiet_pillow`: warning filters belong to the process, and a
        generator that changed them would leave them changed between two results.

        Parameters
        ----------
        expect
            Content hashes that the files must still have, one per source.
        workers
            How many batches are worked on at a time; None: one per core. While one worker decodes,
            another computes; Pillow and PyTorch both let go of Python's lock.
        """
        workers = min(workers or usable_cores(), -(-len(sources) // self.batch_size))
        if workers < 1:
            return
        starts = range(0, len(sources), self.batch_size)
        pending: deque[Future[list[Encoded | BadImageError]]] = deque()
        with _single_threaded(self.device), ThreadPoolExecutor(workers) as pool:
            try:
                for start in starts:
                    stop = start + self.batch_size
                    hashes = None if expect is None else expect[start:stop]
                    pending.append(pool.submit(self._encode_batch, sources[start:stop], hashes))
                    if len(pending) > 2 * workers:
                        yield from pending.popleft().result()
                while pending:
                    yield from pending.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _encode_batch(
        self, sources: Sequence[Source], expect: Sequence[str] | None
    ) -> list[Encoded | BadImageError]:
        pictures = [
            self._decode(source, None if expect is None else expect[place])
            for place, source in enumerate(sources)
        ]
        bad: list[Encoded | BadImageError] = [one for one in pictures if isinstance(one, BadImageError)]
        if len(bad) == len(pictures):
            return bad
        deep, maps = self._forward(pictures) if self.backbone else (None, None)
        results: list[Encoded | BadImageError] = []
        for place, picture in enumerate(pictures):
            if isinstance(picture, BadImageError):
                results.append(picture)
                continue
            vectors = [
                deep[place]
                if part.name == DEEP and deep is not None
                else FORMULAS[part.name].compute(picture.pixels[-1])
                for part in self.parts
            ]
            results.append(
                Encoded(np.concatenate(vectors), None if maps is None else maps[place], picture.animated)
            )
        return results

    def _forward(self, pictures: Sequence[Decoded | BadImageError]) -> tuple[FloatArray, FloatArray | None]:
        """The network's vectors and maps of one batch, in a pass of the one fixed shape."""
        assert self.backbone is not None
        size = self.backbone.preprocessing.size
        pixels = np.full((self.batch_size, size, size, 3), BACKGROUND, dtype=np.uint8)
        for place, picture in enumerate(pictures):
            if isinstance(picture, Decoded):
                pixels[place] = picture.pixels[0]
        with self._accelerator:
            pooled, maps = self.backbone.forward(
                torch.from_numpy(pixels).to(self.device), self.fingerprint.spatial
            )
            return pooled.cpu().numpy(), None if maps is None else maps.cpu().numpy()

    def _decode(self, source: Source, expect: str | None) -> Decoded | BadImageError:
        try:
            return decode(source, self._views, expect)
        except BadImageError as error:
            return error


_threads_lock = threading.Lock()
_threads_users = 0
_threads_before = 1


@contextlib.contextmanager
def _single_threaded(device: torch.device) -> Iterator[None]:
    """Let every thread that computes on the CPU use one core while the block runs.

    Workers that each start a team of threads get in each other's way, and the rounding of a product
    depends on the size of the team. PyTorch's setting belongs to the process, hence the count of users.
    """
    global _threads_users, _threads_before  # noqa: PLW0603  # the setting is the process's
    if device.type != "cpu":
        yield
        return
    with _threads_lock:
        if _threads_users == 0:
            _threads_before = torch.get_num_threads()
            torch.set_num_threads(1)
        _threads_users += 1
    try:
        yield
    finally:
        with _threads_lock:
            _threads_users -= 1
            if _threads_users == 0:
                torch.set_num_threads(_threads_before)
