"""Painting: commissions to pictures on disk, in as many processes as there are processors."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from vasari.core.progress import bar
from vasari.core.seeds import generator
from vasari.synthetic.artists import Commission
from vasari.synthetic.canvas import finish
from vasari.synthetic.styles import STYLES

REVISION = 1  # raise it when the same seed paints other pictures
_CHUNK = 20


def paint(seed: int, commission: Commission) -> Image.Image:
    """Paint one work; the same seed and commission give the same pixels in any process."""
    rng = generator(seed, "paint", commission.number)
    style = STYLES[commission.style]
    picture = style.paint(rng, commission.palette, commission.habits, commission.size)
    return finish(picture, rng, commission.habits, style.surface)


def is_whole(path: Path) -> bool:
    """Whether `path` is a JPEG from its first byte to its last."""
    try:
        with open(path, "rb") as stream:
            if stream.read(2) != b"\xff\xd8":
                return False
            stream.seek(-2, os.SEEK_END)
            return stream.read() == b"\xff\xd9"
    except OSError:
        return False


def _paint_files(seed: int, folder: Path, chunk: list[tuple[str, Commission]]) -> int:
    for name, commission in chunk:
        # renamed when whole, so that a kill leaves no half picture under a picture's name
        unfinished = folder / f".{name}.{os.getpid()}.tmp"
        paint(seed, commission).save(unfinished, format="JPEG", quality=90)
        os.replace(unfinished, folder / name)
    return len(chunk)


def paint_all(
    seed: int,
    commissions: dict[str, Commission],
    folder: Path,
    workers: int | None = None,
    progress: bool | None = None,
) -> int:
    """Paint every work whose picture does not stand in `folder` yet; return how many were painted.

    Parameters
    ----------
    commissions
        File name to work.
    workers
        Processes; all processors by default. The pictures do not depend on it.
    progress
        As in `vasari.core.progress.bar`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)
    missing = [(name, work) for name, work in commissions.items() if not is_whole(folder / name)]
    chunks = [missing[start : start + _CHUNK] for start in range(0, len(missing), _CHUNK)]
    processes = min(workers or os.cpu_count() or 1, len(chunks))
    with bar("Painting", len(missing), show=progress) as steps:
        if processes <= 1:
            for chunk in chunks:
                steps.advance(_paint_files(seed, folder, chunk))
            return len(missing)
        # joblib's processes, unlike those of multiprocessing, do not run the caller's main module
        # again: a script that paints at its top level works as it stands
        from joblib import Parallel, delayed  # type: ignore[import-untyped]  # joblib ships no types

        pool = Parallel(n_jobs=processes, return_as="generator", batch_size=1)
        for done in pool(delayed(_paint_files)(seed, folder, chunk) for chunk in chunks):
            steps.advance(done)
    return len(missing)
