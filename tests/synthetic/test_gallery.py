"""A whole gallery: on disk, again, half done, elsewhere."""

import hashlib
import os
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
from PIL import Image

from vasari.core.errors import UsageError, VasariError
from vasari.data.dataset import Dataset
from vasari.synthetic import gallery

SMALL = {"works": 40, "artists": 5, "collectors": 15, "size": 64, "workers": 1, "progress": False}


def contents(folder):
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_a_gallery_is_a_dataset_with_pictures(tmp_path):
    data = gallery(tmp_path / "g", **SMALL)
    assert len(data.catalogue) == 40
    assert len(data.catalogue.artist_ids) == 5
    assert "simulated" in data.simulated
    assert "painted by the program" in data.simulated
    assert data.preference.scores.shape == (15, 40)
    for path, width, height in zip(
        data.catalogue.images(), data.catalogue.frame["width"], data.catalogue.frame["height"], strict=True
    ):
        with Image.open(path) as picture:
            assert picture.size == (width, height)
            assert max(picture.size) <= 64
    assert Dataset.load(tmp_path / "g").fingerprint == data.fingerprint


def test_same_arguments_same_files_with_any_number_of_workers(tmp_path):
    gallery(tmp_path / "one", **SMALL)
    gallery(tmp_path / "two", **SMALL | {"workers": 2})
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_the_seed_changes_everything(tmp_path):
    first, second = gallery(tmp_path / "a", **SMALL), gallery(tmp_path / "b", seed=1, **SMALL)
    assert first.fingerprint != second.fingerprint
    assert first.catalogue.artist_ids != second.catalogue.artist_ids


def test_other_collectors_keep_the_pictures(tmp_path):
    gallery(tmp_path / "g", **SMALL)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "g/images").iterdir()}
    data = gallery(tmp_path / "g", **SMALL | {"collectors": 30})
    assert len(data.preference.user_ids) == 30
    assert before == {file: file.stat().st_mtime_ns for file in (tmp_path / "g/images").iterdir()}


def test_other_pictures_replace_the_gallery(tmp_path):
    gallery(tmp_path / "g", **SMALL)
    gallery(tmp_path / "g", **SMALL | {"works": 30}, seed=5)
    gallery(tmp_path / "h", **SMALL | {"works": 30}, seed=5)
    assert contents(tmp_path / "g") == contents(tmp_path / "h")


def test_a_killed_run_does_not_load_and_goes_on(tmp_path):
    folder, whole = tmp_path / "g", tmp_path / "whole"
    arguments = SMALL | {"works": 60, "size": 256}
    code = f"from vasari.synthetic import gallery; gallery({str(folder)!r}, **{arguments!r})"
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while len(list(folder.glob("images/w*.jpg"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {file.name: file.stat().st_mtime_ns for file in folder.glob("images/w*.jpg")}
    assert 5 <= len(done) < 60
    with pytest.raises(VasariError):
        Dataset.load(folder)
    gallery(folder, **arguments)
    assert done.items() <= {file.name: file.stat().st_mtime_ns for file in folder.glob("images/*")}.items()
    gallery(whole, **arguments)
    assert contents(folder) == contents(whole)


def test_a_script_without_a_main_guard_may_paint(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from vasari.synthetic import gallery\n"
        f"print(len(gallery({str(tmp_path / 'g')!r}, **{SMALL | {'workers': 2}!r}).catalogue))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == ["40"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"works": 0},
        {"works": 3},  # by five artists
        {"artists": 0},
        {"collectors": 0},
        {"size": 8},
        {"size": 100_000},
        {"works": -5},
        {"workers": 0},
        {"seed": -1},
    ],
)
def test_nonsense_is_refused_before_anything_is_written(tmp_path, wrong):
    with pytest.raises(UsageError):
        gallery(tmp_path / "g", **SMALL | wrong)
    assert not (tmp_path / "g").exists()


def test_folders_of_others_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="other things"):
        gallery(tmp_path, **SMALL)
    with pytest.raises(UsageError, match="is a file"):
        gallery(tmp_path / "thesis.txt", **SMALL)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_one_of_everything(tmp_path):
    data = gallery(tmp_path / "g", works=1, artists=1, collectors=1, size=32, workers=1, progress=False)
    assert len(data.catalogue) == 1


def test_collectors_can_be_simulated_on_any_folder_of_pictures(openclipart):
    from vasari.data.catalogue import Catalogue
    from vasari.synthetic import simulate_collectors

    frame = pl.read_csv(openclipart / "items.csv").head(300)
    frame = frame.with_columns(item_id=pl.col("image"), artist_id=pl.col("author"))
    catalogue = Catalogue(frame, openclipart / "images")
    data = simulate_collectors(catalogue, collectors=60, taste_columns=("subcategory",), progress=False)
    assert data.catalogue.frame["added_at"].null_count() == 0
    assert len(data.histories.user_ids) > 50


@pytest.fixture
def openclipart():
    from pathlib import Path

    root = os.environ.get("VASARI_TEST_DATA")
    if not root:
        pytest.skip("VASARI_TEST_DATA is unset: no folder with openclipart/ to test on")
    return Path(root) / "openclipart"
