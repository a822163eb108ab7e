"""Smaller copies of pictures: right side up, whole or absent, made once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from vasari.core.errors import NotFoundError
from vasari.serving.page.thumbnails import SIDES, Size, Thumbnails


@pytest.fixture
def thumbnails(tmp_path):
    return Thumbnails(tmp_path / "copies")


def paint(path, size=(900, 600), **options):
    image = Image.new("RGB", size, (220, 30, 30))
    image.paste((30, 30, 220), (0, 0, size[0] // 2, size[1] // 2))
    image.save(path, **options)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "avif"])
def test_the_size_that_is_told_is_the_size_that_comes(thumbnails, tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = paint(tmp_path / f"a.{suffix}", exif=exif)
    size = thumbnails.size(path)
    for side in SIDES[:2]:
        for kind in ("avif", "webp"):
            with Image.open(thumbnails.copy(path, side, kind).result()) as made:
                assert made.size == size.within(side)
                assert made.format == kind.upper()


def test_small_pictures_are_not_enlarged(thumbnails, tmp_path):
    path = paint(tmp_path / "a.png", (100, 40))
    with Image.open(thumbnails.copy(path, 960, "webp").result()) as made:
        assert made.size == (100, 40)
    assert Size(4000, 1).within(240) == (240, 1)


def test_a_changed_picture_gets_new_copies(thumbnails, tmp_path):
    path = paint(tmp_path / "a.png")
    first = thumbnails.copy(path, 240, "webp").result()
    assert thumbnails.copy(path, 240, "webp").result() == first
    paint(path, (300, 900))
    os.utime(path, ns=(1, 1))
    second = thumbnails.copy(path, 240, "webp").result()
    assert second != first
    assert thumbnails.size(path) == (300, 900)
    with Image.open(second) as made:
        assert made.size == (80, 240)


def test_many_at_once_make_one_file(thumbnails, tmp_path):
    path = paint(tmp_path / "a.jpg")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: thumbnails.copy(path, 480, "webp").result(), range(24)))
    assert len(set(made)) == 1
    assert [one for one in thumbnails.folder.rglob("*") if one.is_file()] == [made[0]]


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0" + b"\0" * 50])
def test_what_is_no_picture(thumbnails, tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert thumbnails.size(path) is None
    with pytest.raises(NotFoundError):
        thumbnails.copy(path, 240, "webp").result()
    assert not [one for one in thumbnails.folder.rglob("*") if one.is_file()]


def test_a_picture_cut_short_leaves_nothing(thumbnails, tmp_path):
    path = paint(tmp_path / "a.png")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(NotFoundError):
        thumbnails.copy(path, 240, "webp").result()
    assert not [one for one in thumbnails.folder.rglob("*") if one.is_file()]


def test_what_there_is_not(thumbnails, tmp_path):
    assert thumbnails.size(None) is None
    assert thumbnails.size(tmp_path / "none.jpg") is None
    path = paint(tmp_path / "a.png")
    for side, kind in ((241, "webp"), (240, "png")):
        with pytest.raises(NotFoundError):
            thumbnails.copy(path, side, kind)
    with pytest.raises(NotFoundError):
        thumbnails.copy(tmp_path / "none.jpg", 240, "webp")
