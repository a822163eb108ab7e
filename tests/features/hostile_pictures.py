"""Some seventy picture files, sound and broken, as one meets them in folders gathered from the web."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin, features

ORIENTATION = 0x0112
# What a viewer must do to the stored pixels, by EXIF orientation; here its inverse makes the stored ones.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def painting(width: int = 120, height: int = 90, seed: int = 0) -> Image.Image:
    """A smooth picture without symmetry, different for every seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    waves = rng.uniform(2, 9, (3, 4))
    channels = [np.sin(a * x + b * y + c) * np.cos(d * x * y) for a, b, c, d in waves]
    return Image.fromarray(np.uint8(127.5 + 127.5 * np.stack(channels, axis=-1)))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def with_orientation(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def make_good(folder: Path) -> list[str]:
    """Write files that must get a vector; returns their names."""
    image = painting()
    alpha = Image.fromarray(np.uint8(np.linspace(0, 255, 90)[:, None].repeat(120, axis=1)))
    rgba = image.copy()
    rgba.putalpha(alpha)
    grey = image.convert("L")
    grey16 = Image.fromarray(np.asarray(grey, dtype=np.uint16) * 257)
    frames = [painting(seed=seed) for seed in (1, 2, 3)]
    before = set(os.listdir(folder))

    image.save(folder / "plain.png")
    image.save(folder / "plain.jpg", quality=92)
    image.save(folder / "copy.jpg", quality=92)
    image.save(folder / "progressive.jpg", progressive=True)
    image.save(folder / "plain.bmp")
    image.save(folder / "plain.ppm")
    image.save(folder / "plain.webp")
    image.save(folder / "plain.tif")
    image.save(folder / "lzw.tif", compression="tiff_lzw")
    image.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    image.convert("CMYK").save(folder / "cmyk.tif")
    image.convert("YCbCr").save(folder / "ycbcr.jpg")
    grey.save(folder / "grey.png")
    grey.save(folder / "grey.jpg")
    grey16.save(folder / "grey16.png")
    grey16.save(folder / "grey16.tif")
    Image.fromarray(np.asarray(grey16, dtype=np.int32)).save(folder / "grey32.tif")
    Image.fromarray(np.asarray(grey, dtype=np.float32) / 255).save(folder / "float.tif")
    wide = np.asarray(image, dtype=">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in wide)
    (folder / "rgb16.png").write_bytes(png(120, 90, 16, 2, rows))
    image.quantize(64).save(folder / "palette.png")
    image.quantize(64).save(folder / "palette_transparent.png", transparency=3)
    image.quantize(64).save(folder / "transparent.gif", transparency=3)
    image.convert("1").save(folder / "one_bit.png")
    image.convert("1").save(folder / "one_bit.tif", compression="group4")
    rgba.save(folder / "rgba.png")
    rgba.save(folder / "rgba.webp", lossless=True)
    rgba.convert("LA").save(folder / "grey_alpha.png")
    image.save(folder / "colour_key.png", transparency=(0, 0, 0))
    for ending in ("gif", "webp", "png"):
        frames[0].save(folder / f"animated.{ending}", save_all=True, append_images=frames[1:], duration=80)
    frames[0].save(folder / "pages.tif", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "multi_picture.jpg", format="MPO", save_all=True, append_images=frames[1:])
    for orientation, turn in STORED.items():
        stored = image if turn is None else image.transpose(turn)
        stored.save(folder / f"exif{orientation}.png", exif=with_orientation(orientation))
        stored.save(folder / f"exif{orientation}.jpg", exif=with_orientation(orientation), quality=95)
    image.save(folder / "exif_odd.jpg", exif=with_orientation(99))
    jpeg = (folder / "plain.jpg").read_bytes()
    (folder / "exif_damaged.jpg").write_bytes(
        jpeg[:2] + b"\xff\xe1\x00\x20Exif\0\0MM\0\x2a" + b"\xff" * 20 + jpeg[2:]
    )
    (folder / "trailing_garbage.jpg").write_bytes(jpeg + b"<?php evil(); ?>" * 50)
    (folder / "wrong_ending.png").write_bytes(jpeg)
    (folder / "no_ending").write_bytes(jpeg)
    (folder / "pícture 画 🎨 'quoted\", comma.jpg").write_bytes(jpeg)
    (folder / ("x" * 240 + ".jpg")).write_bytes(jpeg)
    (folder / "link.jpg").symlink_to("plain.jpg")
    image.resize((1, 1)).save(folder / "one_pixel.png")
    image.resize((1, 20_000)).save(folder / "strip_high.png")
    image.resize((20_000, 1)).save(folder / "strip_wide.jpg")
    painting(3000, 2000).save(folder / "large.jpg")
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "words " * 1000, zip=True)
    image.save(folder / "with_text.png", pnginfo=text, icc_profile=b"not a profile" * 20)
    image.save(folder / "icon.ico", sizes=[(64, 64)])
    if features.check("avif"):
        image.save(folder / "plain.avif")
    if features.check("jpg_2000"):
        image.save(folder / "plain.jp2")
    return sorted(set(os.listdir(folder)) - before)


def make_bad(folder: Path) -> list[str]:
    """Write files that must end in quarantine; returns their names."""
    image = painting(seed=5)
    before = set(os.listdir(folder))
    samples = {}
    for ending in ("jpg", "png", "gif", "webp", "tif", "bmp"):
        path = folder / f"sample.{ending}"
        image.save(path)
        samples[ending] = path.read_bytes()
        path.unlink()

    (folder / "empty.jpg").write_bytes(b"")
    (folder / "zeros.png").write_bytes(bytes(4096))
    (folder / "noise.jpg").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "noise_with_magic.jpg").write_bytes(b"\xff\xd8\xff\xe0" + np.random.default_rng(1).bytes(5000))
    (folder / "start_only.jpg").write_bytes(b"\xff\xd8")
    for ending, content in samples.items():
        (folder / f"truncated.{ending}").write_bytes(content[: len(content) // 2])
        (folder / f"header_only.{ending}").write_bytes(content[:20])
    (folder / "text.jpg").write_text("this is no picture\n" * 20)
    (folder / "page.jpg").write_text("<!doctype html><title>404</title><p>Not found")
    (folder / "vector.jpg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    (folder / "document.jpg").write_bytes(b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n")
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n%%EndComments\nshowpage\n%%EOF\n"
    (folder / "postscript.jpg").write_bytes(postscript)
    (folder / "postscript.eps").write_bytes(postscript)
    (folder / "archive.jpg").write_bytes(b"PK\x03\x04" + bytes(200))
    (folder / "pickle.jpg").write_bytes(b"\x80\x04\x95\x0b\0\0\0\0\0\0\0\x8c\x02os\x8c\x06system\x93.")
    (folder / "bomb.png").write_bytes(png(60_000, 60_000, 8, 2, bytes(1000)))
    (folder / "bomb_bits.png").write_bytes(png(60_000, 60_000, 1, 0, bytes(1000)))
    (folder / "huge.png").write_bytes(png(2**31 - 1, 2**31 - 1, 8, 2, b""))
    (folder / "no_pixels.png").write_bytes(png(0, 0, 8, 2, b""))
    (folder / "bomb.gif").write_bytes(b"GIF89a" + struct.pack("<HH", 65535, 65535) + samples["gif"][10:])
    (folder / "bomb.bmp").write_bytes(
        samples["bmp"][:18] + struct.pack("<ii", 50_000, 50_000) + samples["bmp"][26:]
    )
    broken = bytearray(samples["png"])
    broken[20] ^= 0xFF  # width, which the checksum of the header no longer fits
    (folder / "checksum.png").write_bytes(broken)
    (folder / "loop.tif").write_bytes(b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + bytes(12) + b"\x08\0\0\0")
    Image.fromarray(np.full((9, 9), np.nan, dtype=np.float32)).save(folder / "nan.tif")
    (folder / "folder.jpg").mkdir()
    (folder / "loop_a.jpg").symlink_to("loop_b.jpg")
    (folder / "loop_b.jpg").symlink_to("loop_a.jpg")
    (folder / "dangling.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(folder / "pipe.jpg")
    with open(folder / "sparse.jpg", "wb") as stream:
        stream.truncate(2**40)
    names = sorted(set(os.listdir(folder)) - before)
    return [*names, "missing.jpg", "y" * 300 + ".jpg", "nul\0.jpg"]
