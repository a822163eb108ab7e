"""The galleries have the right answers that they claim."""

import numpy as np
import pytest
from PIL import Image

from vasari.testing.galleries import (
    BOARD_ITEMS,
    ITEMS,
    board_colour,
    checkerboard,
    style_gallery,
    style_of,
)


def test_nearest_neighbours_are_of_the_style():
    _, table = style_gallery()
    matrix = np.asarray(table.matrix)
    for row, item in enumerate(table.ids):
        distances = np.linalg.norm(matrix - matrix[row], axis=1)
        near = [table.ids.take([other])[0] for other in np.argsort(distances)[:12]]
        assert {style_of(other) for other in near} == {style_of(item)}


def test_collectors_keep_to_their_style_and_its_variants_are_what_they_say():
    data, table = style_gallery(["w005"], never_taken=["w000"], originals=["w001"], removed=["w002"])
    log = data.interactions.frame
    assert all(style_of(i) == int(u[1:]) % 6 for u, i in log.select("user_id", "item_id").iter_rows())
    assert "w000" not in set(log["item_id"])
    assert "w005" not in table.ids
    assert np.flatnonzero(data.catalogue.originals).tolist() == [1]
    assert (data.stock.leaves < data.histories.times.min()).nonzero()[0].tolist() == [2]


def test_neither_style_nor_artist_tells_the_colour_of_a_square():
    data, _ = checkerboard()
    colours = np.array([board_colour(item) for item in data.catalogue.ids])
    for trait in (np.arange(BOARD_ITEMS) // 16, data.catalogue.artists):
        for value in range(4):
            assert colours[trait == value].mean() == 0.5
    histories = data.histories
    for user, row in zip(histories.user_ids, histories.items, strict=True):
        assert len(set(row.tolist())) == 16
        assert set(colours[row].tolist()) == {int(user[1:]) % 2}
        assert np.bincount(row // 4, minlength=16).max() == 2  # half of every square is left to be found


@pytest.mark.parametrize("make", [style_gallery, checkerboard])
def test_pictures_look_as_their_vectors_say(make, tmp_path):
    data, table = make(pictures=tmp_path)
    for row, path in enumerate(data.catalogue.images()):
        pixels = np.asarray(Image.open(path), dtype=np.float32)
        assert pixels.shape == (48, 24, 3)
        means = pixels.reshape(4, 12, 2, 12, 3).mean(axis=(1, 3)).reshape(-1)
        np.testing.assert_allclose(means, np.clip(128 + 16 * table.matrix[row], 0, 255), atol=0.51)


def test_works_without_a_picture_have_no_file(tmp_path):
    data, _ = style_gallery(["w005"], pictures=tmp_path)
    assert [row for row, path in enumerate(data.catalogue.images()) if path is None] == [5]
    assert len(list(tmp_path.iterdir())) == ITEMS - 1
