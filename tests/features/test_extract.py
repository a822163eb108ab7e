import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hostile_pictures import make_bad, make_good, painting

from vasari.core.errors import DataError, UsageError
from vasari.core.files import sha256_file
from vasari.data.catalogue import Catalogue
from vasari.data.ids import Ids
from vasari.features import extract as module
from vasari.features.extract import NO_IMAGE, extract, extract_pictures
from vasari.features.extractor import Extractor
from vasari.features.table import FeatureTable

TINY = "mobilenetv3_small_050"


class Pictures:
    """What `extract` needs of a dataset."""

    def __init__(self, folder: Path, names: list[str | None]) -> None:
        frame = pl.DataFrame(
            {"item_id": [f"item {row}" for row in range(len(names))], "image": names},
            schema={"item_id": pl.String, "image": pl.String},
        )
        self.catalogue = Catalogue(frame, folder)
        self.fingerprint = "0" * 64


@pytest.fixture
def gallery(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(30):
        painting(64, 48, seed).save(folder / f"{seed}.png")
    return Pictures(folder, [f"{seed}.png" for seed in range(30)])


@pytest.fixture
def counted(monkeypatch):
    """Names of the files that are really decoded."""
    decoded = []
    original = Extractor._decode

    def watch(self, source, expect):
        decoded.append(Path(source).name)
        return original(self, source, expect)

    monkeypatch.setattr(Extractor, "_decode", watch)
    return decoded


def run(tiny, data, out, **options):
    catalogue = data.catalogue
    return extract_pictures(
        tiny, catalogue.ids, catalogue.images(), out, catalogue.frame["image"].to_list(), **options
    )


def contents(folder):
    return {file.name: sha256_file(file) for file in sorted(folder.iterdir())}


def test_hostile_folder(tiny, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    good, bad = make_good(folder), make_bad(folder)
    names = [*good, *bad, None]
    random.Random(0).shuffle(names)
    data = Pictures(folder, names)
    ids = dict(zip(names, data.catalogue.ids, strict=True))
    table = run(tiny, data, tmp_path / "table")

    assert list(table.ids) == [ids[name] for name in names if name in set(good)]
    reasons = {entry.item_id: (entry.image, entry.reason) for entry in table.quarantine}
    assert set(reasons) == {ids[name] for name in [*bad, None]}
    assert all(reason for _, reason in reasons.values())
    assert reasons[ids["empty.jpg"]] == ("empty.jpg", "the file is empty")
    assert reasons[ids[None]] == ("", NO_IMAGE)
    assert {ids[name] for name in good if name.startswith(("animated", "pages", "multi"))} == set(
        table.animated
    )

    # Each as if it were alone, bit by bit; and the same pictures without any bad one among them.
    for name in good:
        alone = tiny.encode([folder / name])[0]
        np.testing.assert_array_equal(table.gather(table.align([ids[name]]))[0], alone, err_msg=name)
    clean = run(tiny, Pictures(folder, good), tmp_path / "clean")
    rows = table.align([ids[name] for name in good])
    np.testing.assert_array_equal(clean.matrix, table.matrix[rows])
    by_name = dict(zip(good, clean.matrix, strict=True))
    for orientation in range(2, 9):
        np.testing.assert_array_equal(by_name[f"exif{orientation}.png"], by_name["plain.png"])

    again = FeatureTable.load(tmp_path / "table")
    assert again.quarantine == table.quarantine


def test_only_new_and_changed_pictures_are_computed(tiny, gallery, tmp_path, counted):
    out = tmp_path / "table"
    first = run(tiny, gallery, out)
    assert len(counted) == 30
    stamp = (out / "matrix.npy").stat().st_mtime_ns
    counted.clear()
    run(tiny, gallery, out)
    assert counted == []
    assert (out / "matrix.npy").stat().st_mtime_ns == stamp  # nothing to do, nothing written

    folder = gallery.catalogue.image_root
    painting(64, 48, 99).save(folder / "4.png")
    painting(64, 48, 98).save(folder / "new.png")
    (folder / "7.png").write_text("broken now")
    names = ["new.png", *(f"{seed}.png" for seed in range(29, -1, -1))]
    second = run(tiny, Pictures(folder, names), out)
    assert sorted(set(counted)) == ["4.png", "7.png", "new.png"]
    assert [entry.image for entry in second.quarantine] == ["7.png"]
    expected = tiny.encode([folder / name for name in names if name != "7.png"])
    np.testing.assert_array_equal(second.matrix, expected)
    np.testing.assert_array_equal(first.matrix[0], second.matrix[-1])


def test_another_fingerprint_computes_all(gallery, tmp_path, counted):
    out = tmp_path / "table"
    settings = {"backbone": TINY, "weights": "random", "out": out, "device": "cpu"}
    extract(gallery, **settings)
    for change in ({"mode": "pad"}, {"dtype": "float32"}, {"seed": 1}, {"spatial": True}):
        counted.clear()
        table = extract(gallery, **{**settings, **change})
        assert len(counted) == 30, change
        assert len(table) == 30
    assert table.positions.shape == (30, 49, 288)
    assert isinstance(table.positions, np.memmap)
    counted.clear()
    again = extract(gallery, **settings, spatial=True)
    assert counted == []
    np.testing.assert_array_equal(again.positions, table.positions)


def test_equal_files_are_computed_once(tiny, gallery, tmp_path, counted):
    names = ["1.png", "2.png", "1.png", "1.png"]
    shutil.copy(gallery.catalogue.image_root / "1.png", gallery.catalogue.image_root / "copy.png")
    table = run(tiny, Pictures(gallery.catalogue.image_root, [*names, "copy.png"]), tmp_path / "t")
    assert sorted(counted) == ["1.png", "2.png"]
    assert len(table) == 5
    np.testing.assert_array_equal(table.matrix[[0, 0, 0]], table.matrix[[2, 3, 4]])


def test_result_does_not_depend_on_workers(tiny, gallery, tmp_path):
    for workers in (1, 2, 4):
        run(tiny, gallery, tmp_path / str(workers), workers=workers)
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "4")


def test_interrupted_anywhere_and_resumed(tiny, gallery, tmp_path, monkeypatch, counted):
    (gallery.catalogue.image_root / "11.png").write_bytes(b"broken")
    monkeypatch.setattr(module, "SHARD", 8)
    whole = tmp_path / "whole"
    run(tiny, gallery, whole)
    counted.clear()
    original = Extractor.stream

    class Killed(BaseException):
        pass

    out = tmp_path / "resumed"
    for stop in (3, 8, 10, 7, 1):

        def stream(self, *args, stop=stop, **kwargs):
            for done, result in enumerate(original(self, *args, **kwargs)):
                if done == stop:
                    raise Killed
                yield result

        with monkeypatch.context() as patch:
            patch.setattr(Extractor, "stream", stream)
            with pytest.raises(Killed):
                run(tiny, gallery, out, workers=1)
        assert not out.exists()
    shards = sorted(tmp_path.glob(".resumed.shards/*/*.npz"))
    assert len(shards) == 2
    shards[0].write_bytes(shards[0].read_bytes()[:-300])  # a torn disk costs a shard, not the run
    counted.clear()
    run(tiny, gallery, out)
    assert 22 <= len(counted) <= 24
    assert contents(out) == contents(whole)
    assert not list(tmp_path.glob(".resumed*"))


KILLER = """
import os, random, signal, sys, time
from pathlib import Path
from vasari.data.ids import Ids
from vasari.features import extract
from vasari.features.extractor import Extractor
import numpy, polars, torch, timm
extract.SHARD = 8
folder, out, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
names = sorted(os.listdir(folder))
extractor = Extractor("mobilenetv3_small_050", weights="random", dtype="float32", device="cpu")
rng, kills = random.Random(seed), 0
while True:
    child = os.fork()
    if child == 0:
        paths = [folder / name for name in names]
        extract.extract_pictures(extractor, Ids(names), paths, out, names, workers=2)
        os._exit(0)
    end = time.monotonic() + rng.uniform(0.02, 0.05 * (kills + 2))  # longer every time, so that it ends
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            sys.exit(0 if status == 0 and kills else 3)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    kills += 1
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    "seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_kill_9_at_random_moments(tiny, tmp_path, seed):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(48):
        painting(200, 200, number).save(folder / f"{number:03d}.png")
    (folder / "030.png").write_bytes(b"broken")
    names = sorted(os.listdir(folder))
    run(tiny, Pictures(folder, names), tmp_path / "unused")
    whole = tmp_path / "whole"
    extract_pictures(tiny, Ids(names), [folder / name for name in names], whole, names)
    out = tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(folder), str(out), str(seed)], check=False, timeout=300
    )
    assert done.returncode == 0
    assert contents(out) == contents(whole)
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".killed")]


def test_a_vector_too_large_for_the_type_is_quarantined(gallery, tmp_path, monkeypatch):
    extractor = Extractor(TINY, weights="random", dtype="float16", device="cpu")
    original = Extractor._encode_batch

    def encode(self, sources, expect):
        results = original(self, sources, expect)
        for source, result in zip(sources, results, strict=True):
            if source.name == "3.png":
                result.vector[0] = 1e6
            if source.name == "5.png":
                result.vector[:] = np.nan
        return results

    monkeypatch.setattr(Extractor, "_encode_batch", encode)
    table = run(extractor, gallery, tmp_path / "t")
    reasons = {entry.image: entry.reason for entry in table.quarantine}
    assert set(reasons) == {"3.png", "5.png"}
    assert "float32" in reasons["3.png"]
    assert np.isfinite(table.matrix).all()


def test_nothing_usable_is_an_error(tiny, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        run(tiny, Pictures(tmp_path, ["a.png", "b.png"]), tmp_path / "t")
    with pytest.raises(DataError, match="empty"):
        run(tiny, Pictures(tmp_path, []), tmp_path / "t")
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_left_alone(tiny, gallery, tmp_path, counted):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"thesis\.txt"):
        run(tiny, gallery, tmp_path / "t")
    assert (tmp_path / "t" / "thesis.txt").read_text() == "mine"
    assert counted == []  # told before the work, not after


def test_one_process_at_a_time(tiny, gallery, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    place = tmp_path / ".t.shards"
    place.mkdir()
    descriptor = os.open(place, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(UsageError, match="another process"):
        run(tiny, gallery, tmp_path / "t")
    os.close(descriptor)
    assert len(run(tiny, gallery, tmp_path / "t")) == 30
    assert not place.exists()


def test_without_a_place_the_table_is_cached(gallery, tmp_path, monkeypatch, counted):
    monkeypatch.setenv("VASARI_CACHE", str(tmp_path / "cache"))
    one = extract(gallery, TINY, weights="random", device="cpu")
    two = extract(gallery, TINY, weights="random", device="cpu")
    assert len(counted) == 30
    np.testing.assert_array_equal(one.matrix, two.matrix)
    with pytest.raises(UsageError, match="workers"):
        extract(gallery, TINY, weights="random", workers=0)


def test_ids_and_pictures_must_fit(tiny, tmp_path):
    with pytest.raises(DataError, match="do not fit"):
        extract_pictures(tiny, Ids(["a", "b"]), [None], tmp_path / "t")


def test_real_drawings(tmp_path):
    root = os.environ.get("VASARI_TEST_DATA")
    if not root or not (Path(root) / "openclipart").is_dir():
        pytest.skip("set VASARI_TEST_DATA to a folder that holds openclipart/")
    items = pl.read_csv(Path(root) / "openclipart" / "items.csv").sort("image")[::12]
    data = Pictures(Path(root) / "openclipart" / "images", items["image"].to_list())
    table = extract(data, out=tmp_path / "t")
    assert len(table) == len(items)
    vectors = table.gather(np.arange(len(table)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -1)
    authors = items["author"].to_numpy()
    chance = float(np.square(np.unique(authors, return_counts=True)[1] / len(authors)).sum())
    assert (authors[alike.argmax(axis=1)] == authors).mean() > 2.5 * chance
