"""The invented artists: a name, a palette, habits, formats, a main style and one or two they visit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.core.seeds import generator
from vasari.synthetic.canvas import Habits, Size
from vasari.synthetic.colour import FloatArray, Palette, invent_palette
from vasari.synthetic.names import FIRST, LAST
from vasari.synthetic.styles import STYLES

# width over height of the formats canvases are sold in
FORMATS = (0.5, 0.67, 0.75, 0.8, 1.0, 1.25, 1.33, 1.5, 2.0, 2.35)


@dataclass(frozen=True, eq=False)
class Artist:
    """Somebody who paints.

    Attributes
    ----------
    artist_id, name
        How the catalogue calls them.
    styles, shares
        The main style first, then those they visit, and how often they paint in each.
    palette, habits
        What their works have in common.
    formats
        Widths over heights they like.
    skill
        How well liked the works are, standard normal over artists.
    """

    artist_id: str
    name: str
    styles: tuple[str, ...]
    shares: tuple[float, ...]
    palette: Palette
    habits: Habits
    formats: tuple[float, ...]
    skill: float


@dataclass(frozen=True, eq=False)
class Commission:
    """Everything that is settled about a work before the first stroke.

    Attributes
    ----------
    number
        Which work of the gallery; names its stream of random numbers.
    artist
        Row of its artist.
    style, palette, habits, size, title
        What the painter is told.
    """

    number: int
    artist: int
    style: str
    palette: Palette
    habits: Habits
    size: Size
    title: str


def invent_artists(seed: int, count: int) -> list[Artist]:
    """Invent `count` artists; every style finds about equally many who make it their own."""
    rng = generator(seed, "artists")
    pairs = len(FIRST) * len(LAST)
    names = np.concatenate([rng.permutation(pairs) for _ in range(-(-count // pairs))])[:count]
    main = np.concatenate([rng.permutation(len(STYLES)) for _ in range(-(-count // len(STYLES)))])[:count]
    return [_artist(seed, number, int(names[number]), int(main[number])) for number in range(count)]


def _artist(seed: int, number: int, name_number: int, main: int) -> Artist:
    rng = generator(seed, "artist", number)
    first, last = divmod(name_number, len(LAST))
    name = f"{FIRST[first]} {LAST[last]}"
    if generation := number // (len(FIRST) * len(LAST)):  # more artists than names: the younger ones
        name += f" {'I' * min(generation + 1, 3)}" if generation < 3 else f" the {generation + 1}th"
    styles = list(STYLES)
    visits = int(rng.integers(1, 3))
    others = [s for s in rng.permutation(len(styles)).tolist() if s != main][:visits]
    loyalty = rng.uniform(0.68, 0.95)
    low, high = np.sort(rng.choice(len(FORMATS), size=2, replace=False))
    kinds = FORMATS[low : high + 1] if rng.random() < 0.3 else (FORMATS[low], FORMATS[high])
    return Artist(
        artist_id=name.lower().replace(" ", "-"),
        name=name,
        styles=(styles[main], *(styles[s] for s in others)),
        shares=(loyalty, *((1 - loyalty) / visits for _ in others)),
        palette=invent_palette(rng),
        habits=Habits(*rng.beta(1.5, 1.5, 5).tolist()),
        formats=tuple(float(k) for k in kinds),
        skill=float(rng.standard_normal()),
    )


def commission_works(seed: int, artists: list[Artist], works: int, size: int) -> list[Commission]:
    """Settle `works` works, at least one by every artist, a few artists being far more prolific.

    Parameters
    ----------
    size
        The largest side a picture may have, in pixels; the longest sides lie between .8 of it and it.
    """
    rng = generator(seed, "commissions")
    output = np.exp(rng.normal(0, 0.7, len(artists)))
    extra = rng.choice(len(artists), size=works - len(artists), p=output / output.sum())
    makers = rng.permutation(np.concatenate([np.arange(len(artists)), extra]))
    return [
        _commission(seed, number, int(maker), artists[maker], size) for number, maker in enumerate(makers)
    ]


def _commission(seed: int, number: int, row: int, artist: Artist, size: int) -> Commission:
    rng = generator(seed, "commission", number)
    style = artist.styles[int(rng.choice(len(artist.styles), p=artist.shares))]
    drawn = [artist.habits.weight, artist.habits.density, artist.habits.texture]
    drawn += [artist.habits.contrast, artist.habits.wobble]
    habits = Habits(*np.clip(np.array(drawn) + rng.normal(0, 0.10, 5), 0, 1).tolist())
    aspect = artist.formats[int(rng.integers(len(artist.formats)))]
    longest = rng.uniform(0.8, 1.0) * size
    width, height = (longest, longest / aspect) if aspect >= 1 else (longest * aspect, longest)
    noun = STYLES[style].titles[int(rng.integers(len(STYLES[style].titles)))]
    title = f"{noun} No. {int(rng.integers(1, 60))}" if rng.random() < 0.7 else noun
    shape = (max(1, round(width)), max(1, round(height)))
    return Commission(number, row, style, artist.palette.varied(rng), habits, shape, title)


def look_vectors(commissions: list[Commission]) -> FloatArray:
    """What every work looks like by the painter's own account, shape (works, d).

    The blocks are style (its name and its traits), colour (the paints and the ground in OKLab), hand (the
    habits) and format. Each is centred and scaled to a total variance that is its share in telling
    works apart: .40, .38, .18 and .04. No picture and no network enters.
    """
    names = list(STYLES)
    style = np.array([names.index(c.style) for c in commissions])
    traits = np.array([STYLES[name].traits for name in names])[style]
    paints = np.stack([c.palette.colours for c in commissions])  # (works, paints, 3)
    ground = np.stack([c.palette.ground for c in commissions])
    chroma = np.hypot(paints[..., 1], paints[..., 2])
    tones = np.concatenate(
        [paints.mean(axis=1), paints[:, 0], 0.7 * ground, chroma.mean(axis=1, keepdims=True)], axis=1
    )
    tones[:, [0, 3, 6]] *= 0.5  # lightness spans a wider range of numbers than hue does
    hand = np.array(
        [
            [c.habits.weight, c.habits.density, c.habits.texture, c.habits.contrast, c.habits.wobble]
            for c in commissions
        ]
    )
    aspect = np.log([[c.size[0] / c.size[1]] for c in commissions])
    blocks = [(np.eye(len(names))[style], 0.20), (traits, 0.20), (tones, 0.38), (hand, 0.18), (aspect, 0.04)]
    return np.concatenate([scaled_block(values, share) for values, share in blocks], axis=1)


def scaled_block(values: npt.NDArray[np.floating], share: float) -> FloatArray:
    """`values`, shape (works, d), centred and scaled so that their variances sum to `share`."""
    centred = values - values.mean(axis=0)
    total = float(centred.var(axis=0).sum())
    return np.asarray(centred * np.sqrt(share / total) if total > 1e-12 else centred * 0, dtype=np.float32)
