import contextlib
import io
import time
import warnings

import numpy as np
import pytest
from hostile_pictures import STORED, make_bad, make_good, painting, with_orientation
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from vasari.features import decode as module
from vasari.features.decode import BadImageError, Decoded, View, decode, quiet_pillow
from vasari.features.fingerprint import Preprocessing

STEPS = Preprocessing(64, 73, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def pixels(source, mode="crop", steps=STEPS):
    return decode(source, [View(steps, mode)]).pixels[0].astype(int)


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    return folder, make_good(folder)


def test_crop_is_resize_then_centre():
    steps = Preprocessing(64, 72, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    image = painting(288, 144)
    scaled = image.resize((144, 72), Image.Resampling.BICUBIC)
    expected = np.asarray(scaled.crop((40, 4, 104, 68)), dtype=int)
    assert np.abs(pixels(image, steps=steps) - expected).max() <= 1


def test_pad_shows_everything_on_white():
    shown = pixels(Image.new("RGB", (200, 100), (10, 20, 30)), "pad")
    assert (shown[:16] == 255).all()
    assert (shown[48:] == 255).all()
    assert (shown[16:48] == (10, 20, 30)).all()


@pytest.mark.parametrize("mode", ["crop", "pad"])
@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_orientation_is_applied(kind, orientation, mode):
    upright = painting(130, 90)
    turn = STORED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    shown = pixels(saved(stored, kind, exif=with_orientation(orientation), **options), mode)
    difference = np.abs(shown - pixels(upright, mode))
    assert difference.max() <= (6 if kind == "JPEG" else 0)


def test_orientation_with_reduced_decoding():
    upright = painting(1600, 1200)
    stored = saved(upright.transpose(STORED[6]), "JPEG", quality=95, subsampling=0, exif=with_orientation(6))
    assert np.abs(pixels(stored) - pixels(upright)).mean() < 1.5


def test_sixteen_bits_are_scaled_not_clipped(good):
    folder, _ = good
    expected = pixels(folder / "grey.png")
    for name in ("grey16.png", "grey16.tif", "grey32.tif", "float.tif"):
        assert np.abs(pixels(folder / name) - expected).max() <= 1, name
    assert np.abs(pixels(folder / "rgb16.png") - pixels(folder / "plain.png")).max() <= 1


def test_dark_sixteen_bit_picture_stays_dark():
    dark = Image.fromarray(np.full((50, 50), 2570, dtype=np.uint16))
    assert (pixels(saved(dark, "PNG")) == 10).all()


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
@pytest.mark.parametrize("highlight", [1.001, 1.5, 40.0, 1e30])
def test_float_pictures_keep_their_brightness_under_highlights(white, highlight):
    grey = np.asarray(painting(200, 200).convert("L"))
    values = (grey / 255.0 * white).astype(np.float32)
    values[0, :20] = white * highlight
    shown = pixels(saved(Image.fromarray(values), "TIFF"))
    assert np.abs(shown - pixels(Image.fromarray(grey))).mean() < 3


def test_a_float_picture_that_is_bright_as_a_whole_is_not_black():
    glowing = Image.fromarray(np.linspace(0, 3, 40_000, dtype=np.float32).reshape(200, 200))
    assert 110 < pixels(saved(glowing, "TIFF")).mean() < 145


def test_cmyk_keeps_its_colours(good):
    folder, _ = good
    for name in ("cmyk.jpg", "cmyk.tif"):
        assert np.abs(pixels(folder / name) - pixels(folder / "plain.png")).mean() < 4, name


def test_transparency_lies_on_white():
    colour, alpha = np.array([40, 90, 200]), 51
    expected = np.round(colour * 0.2 + 255 * 0.8)
    shown = pixels(saved(Image.new("RGBA", (30, 30), (*colour, alpha)), "PNG"))
    assert np.abs(shown - expected).max() <= 1
    shown = pixels(saved(Image.new("LA", (30, 30), (100, 0)), "PNG"))
    assert (shown == 255).all()
    palette = Image.new("P", (30, 30), 1)
    palette.putpalette([0, 0, 0, 200, 10, 10])
    assert (pixels(saved(palette, "PNG", transparency=1)) == 255).all()
    assert (pixels(saved(palette, "PNG", transparency=bytes([255, 0]))) == 255).all()
    assert (pixels(saved(palette, "PNG", transparency=0)) == (200, 10, 10)).all()
    assert (pixels(saved(palette, "GIF", transparency=1)) == 255).all()


def test_first_frame_counts_and_is_noted(good):
    folder, _ = good
    first = pixels(painting(seed=1))
    for name in ("animated.gif", "animated.webp", "animated.png", "pages.tif", "multi_picture.jpg"):
        result = decode(folder / name, [View(STEPS, "crop")])
        assert result.animated, name
        assert np.abs(result.pixels[0] - first).mean() < 8, name
    assert not decode(folder / "plain.png", [View(STEPS, "crop")]).animated


def test_every_good_file_is_read_in_both_modes(good):
    folder, names = good
    with quiet_pillow():
        for name in names:
            for mode in ("crop", "pad"):
                assert decode(folder / name, [View(STEPS, mode)]).pixels[0].shape == (64, 64, 3), name


def test_every_bad_file_gives_a_reason(tmp_path):
    names = make_bad(tmp_path)
    started = time.perf_counter()
    with quiet_pillow():
        for name in names:
            with pytest.raises(BadImageError) as caught:
                decode(tmp_path / name, [View(STEPS, "crop")])
            assert caught.value.reason, name
    assert time.perf_counter() - started < 20


def test_a_folder_is_called_a_folder(tmp_path):
    for read in (lambda path: decode(path, [View(STEPS, "crop")]), module.content_hash):
        with pytest.raises(BadImageError) as caught:
            read(tmp_path)
        assert caught.value.reason == "is a folder"


def test_pixel_limit_is_checked_before_decoding(monkeypatch):
    content = saved(Image.new("RGB", (300, 200)), "PNG")
    monkeypatch.setattr(module, "MAX_PIXELS", 59_999)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(BadImageError, match="300 x 200"):
        decode(content, [View(STEPS, "crop")])
    assert Image.MAX_IMAGE_PIXELS == 89_478_485


def test_no_warning_is_needed_to_refuse_a_bomb(tmp_path):
    make_bad(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet_pillow(), pytest.raises(BadImageError):
            decode(tmp_path / "bomb.png", [View(STEPS, "crop")])


def test_a_file_that_changed_since_it_was_hashed_is_refused(tmp_path):
    painting().save(tmp_path / "a.png")
    digest = module.content_hash(tmp_path / "a.png")
    decode(tmp_path / "a.png", [View(STEPS, "crop")], digest)
    painting(seed=1).save(tmp_path / "a.png")
    with pytest.raises(BadImageError, match="changed"):
        decode(tmp_path / "a.png", [View(STEPS, "crop")], digest)


FUZZED = (
    "plain.jpg plain.png animated.gif plain.webp lzw.tif exif6.png "
    "palette_transparent.png plain.bmp multi_picture.jpg grey16.tif"
)


@pytest.mark.parametrize("name", FUZZED.split())
def test_damaged_bytes_raise_nothing_else(good, name):
    folder, _ = good
    content = (folder / name).read_bytes()
    rng = np.random.default_rng(len(name))
    with quiet_pillow():
        for _ in range(60):
            damaged = bytearray(content)
            for place in rng.integers(0, min(len(damaged), 400), rng.integers(1, 5)):
                damaged[place] = rng.integers(256)
            if rng.random() < 0.3:
                damaged = damaged[: rng.integers(1, len(damaged))]
            with contextlib.suppress(BadImageError):
                assert isinstance(decode(bytes(damaged), [View(STEPS, "crop")]), Decoded)


def test_large_jpegs_are_decoded_at_reduced_size_and_come_out_near_the_same(monkeypatch):
    steps = Preprocessing(224, 256, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    # As detailed as a photograph: noise on top of smooth shapes.
    noise = np.random.default_rng(0).normal(0, 12, (1500, 2000, 3))
    image = Image.fromarray(np.clip(np.asarray(painting(2000, 1500)) + noise, 0, 255).astype(np.uint8))
    content = saved(image, "JPEG", quality=90)

    def full():
        with Image.open(io.BytesIO(content)) as picture:
            return picture.convert("RGB").resize((341, 256), Image.Resampling.BICUBIC)

    sizes = []
    load = JpegImageFile.load
    monkeypatch.setattr(JpegImageFile, "load", lambda self: sizes.append(self.size) or load(self))
    decode(content, [View(steps, "crop")])
    assert sizes
    assert all(width <= 1000 and height <= 750 for width, height in sizes)  # a quarter of the pixels at most
    monkeypatch.undo()
    exact = np.asarray(full().crop((58, 16, 282, 240)), dtype=int)
    assert np.abs(pixels(content, steps=steps) - exact).mean() < 3
