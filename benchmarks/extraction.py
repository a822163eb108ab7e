"""Pictures to vectors: one picture at a time as the tutorial's loader does, against `vasari.extract`.

    python -m benchmarks.extraction [--pictures 400] [--large 60] [--json]

The pictures are painted here: JPEGs of 256 to 800 pixels, and large ones of 2000 x 1500. The reference opens
a picture, decodes it in full, resizes, and passes a batch of one through the same network. The network's own
speed is that of batches that are decoded already, on as many threads as `extract` uses: as timm gives it, and
as `extract` runs it, with batch normalisations folded into the convolutions. The floor is the network's
operations at the speed of a large product. On a processor decoding and network share the cores, so the sum of
decoding and the folded network is what there is to reach.

Large JPEGs: decoding with Pillow's reduced scale against a full one, by one thread. Explicit features:
planes of floating point numbers with a window for every pixel, against whole numbers.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from benchmarks.timing import bar, compared, medians, peak_operations, report
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from vasari.core.machine import usable_cores
from vasari.data.ids import Ids
from vasari.features.backbones import Backbone, load_backbone
from vasari.features.decode import Pixels, decode, quiet_pillow
from vasari.features.explicit import explicit_features, luminance
from vasari.features.extract import extract_pictures
from vasari.features.extractor import Extractor

SIDES = (256, 320, 480, 640, 800)
LARGE = (2000, 1500)


def paint(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Smooth shapes under brush strokes and grain: about as many bytes as a photograph of a painting."""
    shapes = Image.fromarray(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8))
    strokes = Image.fromarray(rng.integers(0, 256, (height // 16, width // 16, 3)).astype(np.uint8))
    blend = Image.blend(
        *(one.resize((width, height), Image.Resampling.BICUBIC) for one in (shapes, strokes)), 0.3
    )
    grain = rng.normal(0, 4, (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(blend) + grain, 0, 255).astype(np.uint8))


def paint_folder(folder: Path, pictures: int, large: int) -> tuple[list[Path], list[Path]]:
    rng = np.random.default_rng(0)
    sizes = [(int(rng.choice(SIDES)), int(rng.choice(SIDES))) for _ in range(pictures)] + [LARGE] * large
    paths = [folder / f"{number}.jpg" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        paint(rng, *size).save(path, quality=88)
    return paths[:pictures], paths[pictures:]


def full_decode(path: Path, extractor: Extractor) -> Pixels:
    """Resize the shorter side, cut out the centre: torchvision's transforms, which call the same Pillow."""
    steps = extractor.backbone.preprocessing
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    scale = steps.resize / min(picture.size)
    inner = (round(picture.width * scale), round(picture.height * scale))
    picture = picture.resize(inner, Image.Resampling[steps.interpolation.upper()])
    left, top = (inner[0] - steps.size) // 2, (inner[1] - steps.size) // 2
    return np.array(picture.crop((left, top, left + steps.size, top + steps.size)))


def one_at_a_time(paths: list[Path], extractor: Extractor, plain: Backbone) -> np.ndarray:
    vectors = [
        plain.forward(torch.from_numpy(full_decode(path, extractor))[None].to(extractor.device))[0]
        for path in paths
    ]
    return torch.cat(vectors).cpu().numpy()


def network_alone(batches: list[torch.Tensor], backbone: Backbone) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with ThreadPoolExecutor(usable_cores()) as pool:
        for pooled, _ in pool.map(backbone.forward, batches):
            pooled.cpu()
    torch.set_num_threads(threads)


def plain_explicit(pixels: Pixels) -> tuple[float, ...]:
    """The costliest of the eight formulas as one would write them down first, in floating point."""
    rgb = pixels.reshape(-1, 3) / 255.0
    intensity = luminance(pixels) / 255_000.0
    around = np.lib.stride_tricks.sliding_window_view(np.pad(intensity, 1, mode="edge"), (3, 3))
    mean = around.mean(axis=(2, 3))
    cross = around[..., 0, 1] + around[..., 1, 0] + around[..., 1, 2] + around[..., 2, 1]
    sharpness = np.divide(np.abs(4 * intensity - cross), mean, out=np.zeros_like(mean), where=mean > 0).mean()
    return (
        intensity.mean(),
        np.ptp(rgb, axis=1).mean(),
        sharpness,
        intensity.var(ddof=1),
        rgb.var(axis=0).sum(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--large", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    extractor = Extractor()
    plain = load_backbone()
    plain.network.to(extractor.device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = paint_folder(folder, options.pictures, options.large)
        ids = Ids([path.stem for path in small])

        def ours() -> np.ndarray:
            shutil.rmtree(folder / "table", ignore_errors=True)
            return extract_pictures(extractor, ids, list(small), folder / "table", progress=False).matrix

        # Full and reduced decoding differ by a grey value here and there.
        apart = np.abs(ours().astype(np.float32) - one_at_a_time(small, extractor, plain)).mean()
        if apart > 0.02:
            raise SystemExit(f"the two sides differ by {apart:.3f} on average")
        size = extractor.batch_size
        pixels = np.stack([full_decode(path, extractor) for path in small])
        batches = list(torch.from_numpy(pixels).to(extractor.device).split(size))
        counter = FlopCounterMode(display=False)
        with counter:
            plain.forward(batches[0])
        seconds = medians(
            {
                "reference": lambda: one_at_a_time(small, extractor, plain),
                "ours": ours,
                "network": lambda: network_alone(batches, plain),
                "folded": lambda: network_alone(batches, extractor.backbone),
            },
            options.repeats,
        )

        def all_reduced(paths: list[Path]) -> None:
            with quiet_pillow():
                for path in paths:
                    decode(path, extractor._views)

        decoding = medians(
            {
                "full": lambda: [full_decode(path, extractor) for path in large],
                "reduced": lambda: all_reduced(large),
                "small": lambda: all_reduced(small),
            },
            options.repeats,
        )
    look = np.asarray(paint(np.random.default_rng(1), 256, 192))
    formulas = medians({"plain": lambda: plain_explicit(look), "ours": lambda: explicit_features(look)}, 15)
    operations = counter.get_total_flops() / len(batches[0]) * len(small)
    alone = len(small) / seconds["network"]
    together = seconds["folded"] + decoding["small"] / usable_cores()
    report(
        "extraction",
        [
            compared(
                f"{len(small)} pictures",
                seconds["reference"],
                seconds["ours"],
                operations / peak_operations(),
            ),
            compared(f"decode {len(large)} large JPEGs", decoding["full"], decoding["reduced"]),
            compared("explicit features of 256 x 192 pixels", formulas["plain"], formulas["ours"]),
        ],
        [
            bar(
                "images/s against the network's own",
                seconds["network"] / seconds["ours"],
                f"of {alone:.1f} images/s on {extractor.device}",
                ">=",
                0.9,
            ),
            bar("reduced against full decoding", decoding["full"] / decoding["reduced"], "times", ">=", 2.5),
        ],
        options.json,
        images_per_second={
            "one at a time": len(small) / seconds["reference"],
            "extract": len(small) / seconds["ours"],
            "network alone": alone,
            "folded network alone": len(small) / seconds["folded"],
            "folded network and decoding, nothing else": len(small) / together,
        },
    )


if __name__ == "__main__":
    main()
