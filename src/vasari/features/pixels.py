"""Decoded pictures of a catalogue, for networks that learn from pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.core.errors import DataError
from vasari.core.machine import usable_cores
from vasari.core.progress import bar
from vasari.core.scratch import scratch
from vasari.features.decode import BadImageError, Pixels, Source, View, decode, quiet_pillow
from vasari.features.fingerprint import Preprocessing

BLOCK = 512  # pictures decoded before they are put in their place


@dataclass(frozen=True, eq=False)
class PixelTable:
    """Every picture once, as the network sees it.

    Attributes
    ----------
    pixels
        uint8, shape (pictures, size, size, 3), RGB; in memory, or in a temporary file if large.
    rows
        Row of `pixels` for every item, -1 where no picture could be decoded; shape (items,).
    """

    pixels: Pixels
    rows: npt.NDArray[np.int64]

    @classmethod
    def read(
        cls,
        paths: Sequence[Path | None],
        steps: Preprocessing,
        mode: str = "crop",
        progress: bool | None = None,
    ) -> PixelTable:
        """Decode the pictures of all items.

        Parameters
        ----------
        paths
            One an item, None without a picture. A picture that cannot be used counts as none.
        steps, mode
            As `vasari.features.decode.View`.

        Raises
        ------
        DataError
            Not one picture could be used.
        """

        def one(path: Path) -> Pixels | BadImageError:
            try:
                return decode(path, [View(steps, mode)]).pixels[0]
            except BadImageError as error:
                return error

        named = [(row, path) for row, path in enumerate(paths) if path is not None]
        pixels = scratch((len(named), steps.size, steps.size, 3), np.uint8)
        rows = np.full(len(paths), -1, dtype=np.int64)
        reasons: Counter[str] = Counter()
        done = 0
        with (
            quiet_pillow(),
            bar("decoding pictures", len(named), progress) as shown,
            ThreadPoolExecutor(usable_cores()) as pool,
        ):
            for start in range(0, len(named), BLOCK):
                block = named[start : start + BLOCK]
                for (row, _), result in zip(block, pool.map(one, [path for _, path in block]), strict=True):
                    if isinstance(result, BadImageError):
                        reasons[result.reason] += 1
                    else:
                        pixels[done], rows[row] = result, done
                        done += 1
                shown.advance(len(block))
        if not done:
            reason, count = (reasons.most_common(1) or [("the catalogue names no picture", len(paths))])[0]
            raise DataError(
                f"none of {len(paths)} pictures could be used; {count} times: {reason}; "
                "check the image folder"
            )
        return cls(pixels[:done], rows)


def decode_all(sources: Sequence[Source], steps: Preprocessing, mode: str = "crop") -> Pixels:
    """Decode pictures that no catalogue need know, shape (len(sources), size, size, 3).

    Raises
    ------
    BadImageError
        A picture cannot be used; the message names it.
    """
    pixels = np.empty((len(sources), steps.size, steps.size, 3), dtype=np.uint8)
    with quiet_pillow():
        for number, source in enumerate(sources):
            try:
                pixels[number] = decode(source, [View(steps, mode)]).pixels[0]
            except BadImageError as error:
                name = str(source) if isinstance(source, str | Path) else f"number {number}"
                raise BadImageError(f"picture {name}: {error.reason}") from error
    return pixels
