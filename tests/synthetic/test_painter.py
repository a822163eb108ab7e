"""The painter: the same bytes from any number of processes, and styles one can tell apart."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vasari.core.seeds import generator
from vasari.synthetic.artists import commission_works, invent_artists, look_vectors
from vasari.synthetic.canvas import Habits, finish
from vasari.synthetic.colour import fit_gamut, from_bytes, invent_palette, to_bytes
from vasari.synthetic.looks import describe_pixels
from vasari.synthetic.painter import is_whole, paint, paint_all
from vasari.synthetic.styles import STYLES


def commissions(seed=0, artists=6, works=26, size=64):
    return commission_works(seed, invent_artists(seed, artists), works, size)


def painted(folder, seed=0, workers=1, **kwargs):
    works = {f"w{work.number}.jpg": work for work in commissions(seed, **kwargs)}
    count = paint_all(seed, works, folder, workers, progress=False)
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    assert set(hashes) == set(works)
    return count, hashes


def test_same_seed_same_bytes_for_any_number_of_processes(tmp_path):
    _, alone = painted(tmp_path / "one", workers=1)
    _, shared = painted(tmp_path / "two", workers=2)
    assert alone == shared
    assert len(set(alone.values())) == len(alone)


def test_another_seed_paints_other_pictures(tmp_path):
    _, first = painted(tmp_path / "a", seed=1, works=8)
    _, second = painted(tmp_path / "b", seed=2, works=8)
    assert not set(first.values()) & set(second.values())


def test_pictures_that_stand_are_kept_and_broken_ones_painted_again(tmp_path):
    count, before = painted(tmp_path, works=8)
    assert count == 8
    (tmp_path / "w3.jpg").unlink()
    (tmp_path / "w5.jpg").write_bytes((tmp_path / "w5.jpg").read_bytes()[:100])
    (tmp_path / "w6.jpg").write_bytes(b"")
    (tmp_path / ".w3.jpg.1.tmp").write_bytes(b"what a kill left")
    count, after = painted(tmp_path, works=8)
    assert count == 3
    assert before == after


def test_is_whole_knows_a_whole_jpeg(tmp_path):
    assert not is_whole(tmp_path / "absent.jpg")
    (tmp_path / "text.jpg").write_text("no picture")
    assert not is_whole(tmp_path / "text.jpg")


unit = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(STYLES)),
    st.integers(0, 2**32),
    st.builds(Habits, unit, unit, unit, unit, unit),
    st.tuples(st.integers(1, 110), st.integers(1, 110)),
)
def test_every_style_paints_any_size_with_any_habits(style, seed, habits, size):
    rng = generator(seed, "test")
    picture = finish(
        STYLES[style].paint(rng, invent_palette(rng), habits, size), rng, habits, STYLES[style].surface
    )
    assert picture.size == size
    assert picture.mode == "RGB"


@pytest.mark.parametrize("style", sorted(STYLES))
def test_every_style_paints_extreme_formats(style):
    for habits in (Habits(0, 0, 0, 0, 0), Habits(1, 1, 1, 1, 1)):
        for size in ((320, 32), (32, 320), (400, 390)):
            rng = generator(0, "test")
            surface = STYLES[style].surface
            picture = STYLES[style].paint(rng, invent_palette(rng), habits, size)
            assert finish(picture, rng, habits, surface).size == size


def test_styles_look_different_even_to_simple_descriptors():
    names = sorted(STYLES)
    rows, labels = [], []
    for number, style in enumerate(np.repeat(names, 6)):
        rng = generator(5, "test", number)
        habits = Habits(*rng.beta(1.5, 1.5, 5))
        size = (84, 70) if number % 2 else (70, 84)
        picture = STYLES[style].paint(rng, invent_palette(rng), habits, size)
        rows.append(np.concatenate(describe_pixels(np.asarray(picture))))
        labels.append(style)
    rows = (np.stack(rows) - np.mean(rows, axis=0)) / (np.std(rows, axis=0) + 1e-6)
    labels = np.array(labels)
    known = np.arange(len(rows)) % 2 == 0  # half of the pictures make the centres, the others are asked
    centres = np.stack([rows[known & (labels == name)].mean(axis=0) for name in names])
    nearest = np.linalg.norm(rows[~known][:, None] - centres[None], axis=2).argmin(axis=1)
    accuracy = np.mean(np.array(names)[nearest] == labels[~known])
    assert accuracy > 0.5, accuracy  # chance is 1 in 21


def test_works_of_one_artist_look_alike():
    works = commissions(artists=10, works=120)
    looks = look_vectors(works)
    makers = np.array([work.artist for work in works])
    distances = np.linalg.norm(looks[:, None] - looks[None], axis=2)
    same = makers[:, None] == makers[None]
    apart = ~np.eye(len(works), dtype=bool)
    assert distances[same & apart].mean() < 0.7 * distances[~same].mean()
    assert looks.var(axis=0).sum() == pytest.approx(1, abs=1e-3)


def test_everybody_paints_and_nobody_shares_a_name():
    artists = invent_artists(3, 200)
    assert len({artist.artist_id for artist in artists}) == 200
    works = commission_works(3, artists, 210, 128)
    assert {work.artist for work in works} == set(range(200))
    assert {artist.styles[0] for artist in artists} == set(STYLES)
    for work in works:
        assert work.style in artists[work.artist].styles
        assert max(work.size) <= 128


def test_more_artists_than_names(monkeypatch):
    monkeypatch.setattr("vasari.synthetic.artists.FIRST", ("Ada", "Bo"))
    monkeypatch.setattr("vasari.synthetic.artists.LAST", ("Lind", "Roy", "Sy"))
    artists = invent_artists(0, 40)
    assert len({artist.artist_id for artist in artists}) == 40


def test_titles_are_reasonable():
    assert all(work.title.strip() for work in commissions())


def test_colours_survive_the_way_to_oklab_and_back():
    rgb = generator(0, "test").integers(0, 256, (50, 40, 3)).astype(np.uint8)
    assert np.abs(to_bytes(from_bytes(rgb)).astype(int) - rgb).max() <= 1


def test_white_and_black_are_the_ends_of_lightness():
    ends = from_bytes(np.array([[0, 0, 0], [255, 255, 255]], dtype=np.uint8))
    assert np.allclose(ends, [[0, 0, 0], [1, 0, 0]], atol=1e-3)


@given(
    st.lists(
        st.tuples(st.floats(0.2, 0.98), st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)), min_size=1, max_size=5
    )
)
def test_fitted_colours_can_be_shown(colours):
    fitted = fit_gamut(colours)
    shown = from_bytes(to_bytes(fitted))
    assert np.abs(shown - fitted).max() < 0.015  # a byte's rounding
    hue = np.array(colours)[:, 1:] * fitted[:, 2:0:-1] * [1, -1]
    assert np.abs(hue.sum(axis=1)).max() < 1e-4  # chroma shrinks, hue stays


def test_paint_is_a_function_of_seed_and_commission():
    work = commissions()[0]
    assert paint(0, work).tobytes() == paint(0, work).tobytes()
    assert paint(0, work).tobytes() != paint(1, work).tobytes()
