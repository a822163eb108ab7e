from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vasari.core import scratch
from vasari.core.errors import DataError
from vasari.features import pixels as module
from vasari.features.decode import BadImageError, View, decode
from vasari.features.fingerprint import Preprocessing
from vasari.features.pixels import PixelTable, decode_all

STEPS = Preprocessing(12, 12, "bilinear", (0.5,) * 3, (0.5,) * 3)


@pytest.fixture
def paths(tmp_path):
    """Pictures of all shapes; number 2 is broken, 4 is missing, 5 is not named."""
    rng = np.random.default_rng(0)
    for number, size in enumerate([(12, 12), (40, 20), (9, 9), (7, 30), (0, 0), (0, 0), (64, 64)]):
        if size[0]:
            noise = rng.integers(0, 256, (*size[::-1], 3), np.uint8)
            Image.fromarray(noise).save(tmp_path / f"{number}.png")
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:60])
    return [None if number == 5 else tmp_path / f"{number}.png" for number in range(7)]


@pytest.mark.parametrize("held", [1 << 29, 100])
def test_rows_point_to_what_the_decoder_gives_and_broken_pictures_have_none(paths, held, monkeypatch):
    monkeypatch.setattr(scratch, "HELD", held)
    monkeypatch.setattr(module, "BLOCK", 2)
    table = PixelTable.read(paths, STEPS)
    assert table.rows.tolist() == [0, 1, -1, 2, -1, -1, 3]
    assert table.pixels.shape == (4, 12, 12, 3)
    for path, row in zip(paths, table.rows, strict=True):
        if row >= 0:
            np.testing.assert_array_equal(table.pixels[row], decode(path, [View(STEPS, "crop")]).pixels[0])


@pytest.mark.parametrize("wanted", [[2], [4, 2], [5], []])
def test_not_one_picture_is_refused_with_the_reason(paths, wanted):
    with pytest.raises(DataError, match="none of"):
        PixelTable.read([paths[n] for n in wanted], STEPS)


def test_a_visitors_pictures_are_decoded_or_named(paths):
    good = decode_all([paths[0], Image.open(paths[1])], STEPS)
    np.testing.assert_array_equal(good[1], decode(paths[1], [View(STEPS, "crop")]).pixels[0])
    with pytest.raises(BadImageError, match=Path(paths[2]).name):
        decode_all([paths[0], paths[2]], STEPS)
