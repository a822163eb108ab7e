"""From the pictures of a catalogue to a feature table, however often the run is killed on the way.

1. Every file is hashed. Pictures with the same content are computed once; those that an earlier table
   or an interrupted run has already computed are not computed again.
2. The others are encoded in the order of the catalogue, in batches of one fixed shape, and kept in
   shards of some hundred pictures. A resumed run therefore meets the same batches as an unbroken one.
3. The table is put together from the shards and takes its place in one step.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vasari.core.errors import CorruptFileError, DataError, NotFoundError, UsageError
from vasari.core.files import recover_folder, refuse_foreign
from vasari.core.machine import usable_cores
from vasari.core.progress import bar
from vasari.data.ids import Ids
from vasari.features.backbones import DEFAULT
from vasari.features.decode import BadImageError, content_hash, quiet_pillow
from vasari.features.extractor import Encoded, Extractor
from vasari.features.fingerprint import DEEP
from vasari.features.shards import Shards, reserved
from vasari.features.table import FeatureTable, Quarantined, writing

if TYPE_CHECKING:
    from vasari.data.dataset import Dataset

SHARD = 512  # pictures; what a kill can cost
NO_IMAGE = "the catalogue names no picture"


def extract(
    data: Dataset,
    backbone: str = DEFAULT,
    out: str | Path | None = None,
    weights: str | Path | None = None,
    mode: str = "crop",
    dtype: str = "float16",
    device: str = "auto",
    batch_size: int | None = None,
    workers: int | None = None,
    spatial: bool = False,
    progress: bool | None = None,
    seed: int = 0,
    features: str | Sequence[str] = DEEP,
) -> FeatureTable:
    """Compute, or complete, the feature table of a dataset's pictures.

    Calling it again computes only pictures that are new or changed; another backbone, weights or
    preprocessing, or other families, compute all. A picture that cannot be used is named in
    `FeatureTable.quarantine`.

    Parameters
    ----------
    out
        Folder of the table; None: one for this catalogue and these settings under `cache_folder`.
    backbone, weights, mode, dtype, spatial, device, batch_size, seed, features
        As `Extractor`.
    workers
        Threads that decode and compute; None: one per core. The result does not depend on it.
    progress
        Whether to show a bar; None: on a terminal.

    Raises
    ------
    DataError
        Not one picture could be used.
    UsageError
        An argument is out of range, or `out` holds other files.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"workers {workers} is too small; use at least 1")
    extractor = Extractor(backbone, weights, mode, dtype, spatial, device, batch_size, seed, features)
    catalogue = data.catalogue
    if out is None:
        root = str(None if catalogue.image_root is None else catalogue.image_root.resolve())
        name = "-".join(part[:16] for part in (data.fingerprint, extractor.fingerprint.digest, _short(root)))
        out = cache_folder() / name
    frame = catalogue.frame
    names = frame["image"].to_list() if "image" in frame.columns else [None] * len(catalogue)
    return extract_pictures(extractor, catalogue.ids, catalogue.images(), Path(out), names, workers, progress)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def cache_folder() -> Path:
    """Where tables go that were given no place: $VASARI_CACHE, else the user's cache folder."""
    if chosen := os.environ.get("VASARI_CACHE"):
        return Path(chosen) / "features"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vasari" / "features"


def extract_pictures(
    extractor: Extractor,
    ids: Ids,
    paths: Sequence[Path | None],
    out: Path,
    names: Sequence[str | None] | None = None,
    workers: int | None = None,
    progress: bool | None = None,
) -> FeatureTable:
    """Compute, or complete, the table of some pictures in the folder `out`; see `extract`.

    Parameters
    ----------
    ids, paths
        One item each; None where there is no picture.
    names
        What the quarantine calls the pictures; None: their paths.
    """
    if len(paths) != len(ids):
        raise DataError(f"{len(ids)} ids do not fit {len(paths)} pictures")
    out = Path(os.path.realpath(out))
    refuse_foreign(recover_folder(out))
    with reserved(out):
        _complete(extractor, ids, paths, out, names, workers, progress)
    return FeatureTable.load(out, verify=False)


def _complete(
    extractor: Extractor,
    ids: Ids,
    paths: Sequence[Path | None],
    out: Path,
    names: Sequence[str | None] | None,
    workers: int | None,
    progress: bool | None,
) -> None:
    names = names or [None if path is None else str(path) for path in paths]
    earlier = _earlier(out, extractor)
    shards = Shards.beside(out, extractor.fingerprint)
    if earlier is not None:
        shards.adopt(earlier)

    contents = _hash_all(paths, workers, progress)
    wanted: dict[str, Path] = {}  # the first of all pictures with the same content
    for content, path in zip(contents, paths, strict=True):
        if isinstance(content, str) and path is not None:
            wanted.setdefault(content, path)
    missing = [content for content in wanted if content not in shards.found and content not in shards.bad]
    _encode_missing(extractor, shards, missing, [wanted[content] for content in missing], workers, progress)

    kept: list[int] = []
    quarantine: list[Quarantined] = []
    for row, content in enumerate(contents):
        if isinstance(content, str) and content in shards.found:
            kept.append(row)
        else:
            reason = shards.bad[content] if isinstance(content, str) else content.reason
            quarantine.append(Quarantined(ids[row], names[row] or "", reason))
    if not kept:
        raise DataError(_nothing(quarantine))
    hashes = [str(contents[row]) for row in kept]
    table_ids = Ids(ids.take(kept), what=ids.what)
    if (
        earlier is None
        or earlier.ids != table_ids
        or earlier.hashes != hashes
        or earlier.quarantine != quarantine
    ):
        _assemble(extractor, shards, earlier, table_ids, hashes, quarantine, out)


def _earlier(out: Path, extractor: Extractor) -> FeatureTable | None:
    """The finished table in `out`, if its vectors can be used."""
    try:
        table = FeatureTable.load(out)
    except (NotFoundError, CorruptFileError):
        return None
    return table if table.fingerprint == extractor.fingerprint and table.hashes is not None else None


def _hash_all(
    paths: Sequence[Path | None], workers: int | None, progress: bool | None
) -> list[str | BadImageError]:
    def one(path: Path | None) -> str | BadImageError:
        if path is None:
            return BadImageError(NO_IMAGE)
        try:
            return content_hash(path)
        except BadImageError as error:
            return error

    contents: list[str | BadImageError] = []
    with (
        bar("reading pictures", len(paths), progress) as steps,
        ThreadPoolExecutor(workers or usable_cores()) as pool,
    ):
        for start in range(0, len(paths), 4096):
            contents.extend(pool.map(one, paths[start : start + 4096]))
            steps.advance(len(contents) - start)
    return contents


def _encode_missing(
    extractor: Extractor,
    shards: Shards,
    hashes: Sequence[str],
    paths: Sequence[Path],
    workers: int | None,
    progress: bool | None,
) -> None:
    # Whole batches, so that a resumed run, which begins at a shard's edge, forms the same ones.
    size = max(1, SHARD // extractor.batch_size) * extractor.batch_size
    start = time.perf_counter()
    results: list[Encoded | BadImageError] = []
    with quiet_pillow(), bar("extracting", len(hashes), progress) as steps:
        for done, result in enumerate(extractor.stream(paths, hashes, workers), 1):
            results.append(result)
            steps.advance(note=f"{done / (time.perf_counter() - start):.0f} images/s")
            if len(results) == size or done == len(hashes):
                shards.write(hashes[done - len(results) : done], results)
                results = []


def _assemble(
    extractor: Extractor,
    shards: Shards,
    earlier: FeatureTable | None,
    ids: Ids,
    hashes: list[str],
    quarantine: list[Quarantined],
    out: Path,
) -> None:
    places = [shards.found[content] for content in hashes]
    sources = np.array([place.source for place in places])
    rows = np.array([place.row for place in places])
    animated = [item for item, place in zip(ids, places, strict=True) if place.animated]

    def read(source: int) -> tuple[np.ndarray, np.ndarray | None]:
        return (earlier.matrix, earlier.positions) if source < 0 and earlier else shards.read(source)

    positions = read(int(sources[0]))[1]
    maps = None if positions is None else (positions.shape[1], positions.shape[2])
    with writing(out, ids, extractor.fingerprint, extractor.dim, maps, hashes, quarantine, animated) as (
        matrix,
        places_out,
    ):
        for source in np.unique(sources).tolist():
            vectors, positions = read(source)
            for block in _blocks(np.flatnonzero(sources == source)):
                matrix[block] = vectors[rows[block]]
                if places_out is not None and positions is not None:
                    places_out[block] = positions[rows[block]]


def _blocks(rows: np.ndarray, size: int = 4096) -> Iterable[np.ndarray]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _nothing(quarantine: Sequence[Quarantined]) -> str:
    if not quarantine:
        return "the catalogue is empty; there is nothing to extract"
    reason, count = Counter(entry.reason for entry in quarantine).most_common(1)[0]
    first = next(entry for entry in quarantine if entry.reason == reason)
    return (
        f"none of {len(quarantine)} pictures could be used; {count} times: {reason} "
        f"(for example {first.image or first.item_id!r}); check the image folder"
    )
