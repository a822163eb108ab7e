import colorsys
import math
from collections import Counter

import numpy as np
import pytest

from vasari.features.explicit import NAMES, explicit_features
from vasari.features.lbp import lbp_histogram


def features(pixels):
    return dict(zip(NAMES, explicit_features(np.asarray(pixels, dtype=np.uint8)).tolist(), strict=True))


def plain(colour, height=6, width=9):
    return np.full((height, width, 3), colour, dtype=np.uint8)


def grey(values):
    return np.repeat(np.asarray(values, dtype=np.uint8)[:, :, None], 3, axis=2)


def random_picture(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 9, 2)
    top = [256, 40, 3][seed % 3]  # the last has many equal neighbours and black areas
    return rng.integers(0, top, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("level", [0, 51, 128, 255])
def test_uniform_grey(level):
    found = features(plain([level] * 3))
    assert found.pop("brightness") == pytest.approx(level / 255)
    assert list(found.values()) == pytest.approx([0] * 7, abs=1e-12)


@pytest.mark.parametrize(
    ("colour", "brightness", "colourfulness", "naturalness"),
    [
        ((255, 0, 0), 0.299, 0.3 * math.hypot(1, 0.5), 0),
        ((0, 255, 0), 0.587, 0.3 * math.hypot(-1, 0.5), math.exp(-0.5 * ((1 - 0.81) / 0.53) ** 2)),
        ((0, 0, 255), 0.114, 0.3, math.exp(-0.5 * ((1 - 0.43) / 0.22) ** 2)),
    ],
)
def test_pure_colours(colour, brightness, colourfulness, naturalness):
    found = features(plain(colour))
    assert found["brightness"] == pytest.approx(brightness)
    assert found["saturation"] == 1
    assert found["colourfulness"] == pytest.approx(colourfulness)
    assert found["naturalness"] == pytest.approx(naturalness)
    for name in ("sharpness", "contrast", "rgb_contrast", "entropy"):
        assert found[name] == pytest.approx(0, abs=1e-12), name


def test_half_black_half_white():
    picture = plain([0, 0, 0], 8, 8)
    picture[:, 4:] = 255
    found = features(picture)
    assert found["brightness"] == 0.5
    assert found["saturation"] == 0
    assert found["contrast"] == pytest.approx(64 * 0.25 / 63)
    assert found["rgb_contrast"] == pytest.approx(0.75)
    assert found["colourfulness"] == 0
    assert found["entropy"] == 1
    # Either side of the edge: |L| = 1 over a mean of 1/3 and of 2/3, for 8 pixels each.
    assert found["sharpness"] == pytest.approx((8 * 3 + 8 * 1.5) / 64)


def test_checkerboard():
    found = features(grey(np.indices((8, 8)).sum(axis=0) % 2 * 255))
    assert found["brightness"] == 0.5
    assert found["entropy"] == 1
    # Inside, a white pixel has |L| = 4 over 5/9 and a black one 4 over 4/9; both alike at the border.
    inner = 18 * 4 / (5 / 9) + 18 * 4 / (4 / 9)
    assert found["sharpness"] * 64 > inner
    assert found["sharpness"] > features(grey(np.indices((8, 8)).sum(axis=0) // 4 % 2 * 255))["sharpness"]


def test_gradient():
    found = features(grey(np.tile(np.arange(256), (4, 1))))
    assert found["entropy"] == pytest.approx(8)
    assert found["brightness"] == pytest.approx(0.5)
    levels = np.arange(256) / 255
    assert found["contrast"] == pytest.approx(np.tile(levels, 4).var(ddof=1), rel=1e-5)
    # A slope has no curvature but where it ends: one step of 1/255 at either end.
    ends = [1 / (1 / 3), 1 / (255 - 1 / 3)]
    assert found["sharpness"] == pytest.approx(sum(ends) / 256, rel=1e-4)


@pytest.mark.parametrize(
    ("hue", "typical", "deviation"), [(40, 0.76, 0.52), (115, 0.81, 0.53), (220, 0.43, 0.22), (300, None, 1)]
)
def test_naturalness_of_one_hue(hue, typical, deviation):
    colour = [round(255 * v) for v in colorsys.hls_to_rgb(hue / 360, 0.5, 0.6)]
    wanted = 0 if typical is None else math.exp(-0.5 * ((0.6 - typical) / deviation) ** 2)
    picture = plain(colour, 10, 10)
    assert features(picture)["naturalness"] == pytest.approx(wanted, abs=5e-3)
    picture[:3] = 255  # too light to count, but in the number of pixels
    assert features(picture)["naturalness"] == pytest.approx(0.7 * wanted, abs=5e-3)


@pytest.mark.parametrize(
    ("colour", "saturation", "typical", "deviation"),
    [
        ((160, 125, 100), 60 / 250, 0.76, 0.52),  # hue 25, the first of skin
        ((150, 160, 100), 60 / 250, 0.76, 0.52),  # hue 70, the last of skin
        ((125, 160, 100), 60 / 250, 0.81, 0.53),  # hue 95, the first of grass
        ((100, 160, 115), 60 / 250, 0.81, 0.53),  # hue 135, the last of grass
        ((100, 155, 160), 60 / 250, 0.43, 0.22),  # hue 185, the first of sky
        ((120, 100, 160), 60 / 250, 0.43, 0.22),  # hue 260, the last of sky
        ((61, 51, 41), 20 / 102, 0.76, 0.52),  # lightness .2 counts
        ((88, 80, 72), None, None, 1),  # saturation .1 does not
    ],
)
def test_the_ends_of_a_band_belong_to_it(colour, saturation, typical, deviation):
    wanted = 0 if typical is None else math.exp(-0.5 * ((saturation - typical) / deviation) ** 2)
    assert features(plain(colour))["naturalness"] == pytest.approx(wanted, rel=1e-6)


def slow_features(pixels):
    height, width, _ = pixels.shape
    n = height * width
    rgb = [[[int(v) / 255 for v in pixel] for pixel in row] for row in pixels]
    flat = [pixel for row in rgb for pixel in row]
    light = [[0.299 * r + 0.587 * g + 0.114 * b for r, g, b in row] for row in rgb]
    values = [v for row in light for v in row]
    mean = sum(values) / n

    def at(y, x):
        return light[min(max(y, 0), height - 1)][min(max(x, 0), width - 1)]

    sharp = 0.0
    for y in range(height):
        for x in range(width):
            around = sum(at(y + j, x + i) for j in (-1, 0, 1) for i in (-1, 0, 1)) / 9
            edge = 4 * at(y, x) - at(y - 1, x) - at(y + 1, x) - at(y, x - 1) - at(y, x + 1)
            sharp += abs(edge / around) if around else 0.0
    centre = [sum(pixel[c] for pixel in flat) / n for c in range(3)]
    rg, yb = [r - g for r, g, b in flat], [(r + g) / 2 - b for r, g, b in flat]
    bands = {(25, 70, 0.76, 0.52): [], (95, 135, 0.81, 0.53): [], (185, 260, 0.43, 0.22): []}
    for pixel in flat:
        hue, lightness, saturation = colorsys.rgb_to_hls(*pixel)
        for band, members in bands.items():
            inside = band[0] - 1e-9 <= 360 * hue <= band[1] + 1e-9
            if inside and 0.2 <= lightness <= 0.8 and saturation > 0.1:
                members.append(saturation)
    natural = sum(
        len(m) / n * math.exp(-0.5 * ((sum(m) / len(m) - typical) / deviation) ** 2)
        for (_, _, typical, deviation), m in bands.items()
        if m
    )
    shades = Counter(
        (299 * int(r) + 587 * int(g) + 114 * int(b) + 500) // 1000 for row in pixels for r, g, b in row
    )

    def moments(values):
        average = sum(values) / n
        return average, sum((v - average) ** 2 for v in values) / n

    (mean_rg, var_rg), (mean_yb, var_yb) = moments(rg), moments(yb)
    return [
        mean,
        sum(max(p) - min(p) for p in flat) / n,
        sharp / n,
        sum((v - mean) ** 2 for v in values) / (n - 1) if n > 1 else 0.0,
        sum((p[c] - centre[c]) ** 2 for p in flat for c in range(3)) / n,
        math.sqrt(var_rg + var_yb) + 0.3 * math.sqrt(mean_rg**2 + mean_yb**2),
        natural,
        -sum(k / n * math.log2(k / n) for k in shades.values()),
    ]


@pytest.mark.parametrize("seed", range(40))
def test_features_equal_the_formulas(seed):
    picture = random_picture(seed)
    np.testing.assert_allclose(explicit_features(picture), slow_features(picture), rtol=1e-5, atol=1e-6)


def slow_lbp(pixels):
    light = [[299 * int(r) + 587 * int(g) + 114 * int(b) for r, g, b in row] for row in pixels]
    height, width = len(light), len(light[0])

    def bits(code):
        return [code >> bit & 1 for bit in range(8)]

    uniform = [c for c in range(256) if sum(bits(c)[n] != bits(c)[n - 1] for n in range(8)) <= 2]
    assert len(uniform) == 58
    counts = [0] * 59
    circle = [(0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1)]
    for y in range(height):
        for x in range(width):
            code = 0
            for bit, (j, i) in enumerate(circle):
                there = light[min(max(y + j, 0), height - 1)][min(max(x + i, 0), width - 1)]
                code += (there >= light[y][x]) * 2**bit
            counts[uniform.index(code) if code in uniform else 58] += 1
    return [count / (height * width) for count in counts]


@pytest.mark.parametrize("seed", range(40))
def test_lbp_equals_a_count_pixel_by_pixel(seed):
    picture = random_picture(seed)
    histogram = lbp_histogram(picture)
    assert histogram.sum() == pytest.approx(1)
    np.testing.assert_allclose(histogram, slow_lbp(picture), rtol=1e-6)


def test_lbp_of_known_pictures():
    flat = lbp_histogram(plain([90, 120, 30]))
    assert flat[57] == 1  # all neighbours as bright as the centre: code 255, the last of the uniform ones
    np.testing.assert_array_equal(flat, lbp_histogram(plain([3, 3, 3])))
    board = lbp_histogram(grey(np.indices((12, 12)).sum(axis=0) % 2 * 255))
    # Inside, black sees only brighter or equal; white sees its like on the diagonals alone.
    assert board[57] >= 50 / 144
    assert board[58] >= 50 / 144
    dots = grey(np.zeros((9, 9)))
    dots[4, 4] = 255
    assert lbp_histogram(dots)[0] == pytest.approx(1 / 81)  # the bright spot sees only darker: code 0
