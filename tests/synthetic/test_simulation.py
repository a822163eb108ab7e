"""The simulator: people buy what hangs there, originals once, and by their preference."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vasari.core.errors import DataError, UsageError
from vasari.core.seeds import generator
from vasari.data.catalogue import TIME, Catalogue
from vasari.data.stock import ALWAYS, NEVER
from vasari.synthetic import Market, Taste, simulate_collectors
from vasari.synthetic.looks import describe_pixels, pixel_looks
from vasari.synthetic.market import Sessions, hang, log_normal_sizes, trade, visit
from vasari.synthetic.taste import affinities, invent_collectors, qualities, utilities


def a_catalogue(works=400, artists=20, **columns):
    rng = generator(9, "test")
    frame = pl.DataFrame({"item_id": [f"i{n}" for n in range(works)]})
    if artists:
        frame = frame.with_columns(artist_id=pl.Series([f"a{k}" for k in rng.integers(0, artists, works)]))
    return Catalogue(frame.with_columns(**{name: pl.Series(values) for name, values in columns.items()}))


def some_looks(works=400, d=6):
    return generator(8, "test").normal(size=(works, d)).astype(np.float32)


def simulated(collectors=120, seed=0, works=400, **kwargs):
    return simulate_collectors(
        a_catalogue(works), some_looks(works), collectors, seed, progress=False, **kwargs
    )


def slow_affinity(looks, anchor, breadth):
    distance = [float(((x - looks[anchor]).astype(float) ** 2).sum()) for x in looks]
    nearer = [sum(other < mine for other in distance) for mine in distance]
    return np.exp(-np.array(nearer) / len(looks) / breadth)


def test_utility_is_what_the_equation_says():
    looks, artists = some_looks(60), np.array([n % 7 - 1 for n in range(60)])
    taste = Taste(look=3.0, artist=2.0, quality=0.5, breadth=0.1)
    people = invent_collectors(artists, 300, 4)
    quality = qualities(artists, None, 4)
    scores = utilities(people, looks, artists, quality, taste)
    assert scores.dtype == np.float32
    for c in (0, 17, 255, 256, 299):  # both sides of a tile's edge
        affinity = np.max(
            [
                strength * slow_affinity(looks, anchor, 0.1)
                for anchor, strength in zip(people.anchors[c], people.strengths[c], strict=True)
            ],
            axis=0,
        )
        liked = [people.favourites[c, a] if a >= 0 else 0 for a in artists]
        np.testing.assert_allclose(scores[c], 3 * affinity + 2 * np.array(liked) + 0.5 * quality, atol=1e-4)


def test_the_anchor_itself_is_liked_most():
    looks = some_looks(80)
    people = invent_collectors(np.full(80, -1), 10, 0)
    for row, anchor in zip(affinities(people, looks, 0.05), people.anchors[:, 0], strict=True):
        assert row[anchor] == pytest.approx(1)
        assert row.max() <= 1


def test_gumbel_top_k_is_the_multinomial_logit():
    utility = np.array([[0.0, 1.0, 2.0, -1.0]], dtype=np.float32)
    n = 6000
    visits = Sessions(np.zeros(n, int), np.arange(n) + 1, np.ones(n, int))
    always, never = np.full(4, ALWAYS), np.full(4, NEVER)
    counts = np.zeros(4)
    for number in range(n):  # every visit by somebody who owns nothing yet
        one = Sessions(visits.collectors[:1], visits.times[:1], visits.sizes[:1])
        counts[trade(utility, one, always, never, np.zeros(4, bool), number, False).works] += 1
    expected = np.exp(utility[0]) / np.exp(utility[0]).sum()
    assert np.abs(counts / n - expected).max() < 0.02


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 60), st.integers(1, 40), st.floats(0, 1), st.floats(0, 1))
def test_what_is_sold_hangs_there_and_originals_go_once(seed, works, collectors, originals, withdrawn):
    market = Market(originals=originals, withdrawn=withdrawn, years=1.0)
    data = simulate_collectors(
        a_catalogue(works, 3), some_looks(works), collectors, seed, market=market, progress=False
    )
    check_log(data)


def check_log(data):
    rows = data.interactions.frame.join(data.catalogue.frame, on="item_id")
    assert rows.height == data.interactions.frame.height
    assert rows.filter(pl.col("timestamp") < pl.col("added_at")).is_empty()
    assert rows.filter(pl.col("timestamp") > pl.col("removed_at")).is_empty()
    sold_originals = rows.filter("original")["item_id"]
    assert sold_originals.n_unique() == len(sold_originals)
    pairs = rows.select("user_id", "item_id")
    assert pairs.n_unique() == pairs.height
    assert rows.filter(pl.col("original") & pl.col("removed_at").is_not_null()).is_empty()
    times = rows.group_by("timestamp").agg(pl.col("user_id").n_unique())
    assert (times["user_id"] == 1).all()  # so that the order of sales is never in doubt
    log = data.interactions.frame["timestamp"]
    assert log.is_sorted()
    stock = data.stock.at(data.histories.times)
    assert stock[np.arange(len(data.histories.items.values)), data.histories.items.values].all()


def test_the_log_of_a_usual_gallery_is_consistent():
    check_log(simulated())


def test_sizes_follow_ugallery():
    data = simulated(collectors=500, works=2000)
    histories = data.histories
    purchases, baskets = histories.items.lengths, histories.basket_counts
    assert len(histories.user_ids) == 500
    assert 2.0 < purchases.mean() < 2.5
    assert np.median(purchases) == 1
    assert 10 <= purchases.max() <= 80
    assert 1.55 < baskets.mean() < 1.8
    assert 0.24 < (baskets >= 2).mean() < 0.34
    assert 1.25 < purchases.sum() / baskets.sum() < 1.42
    assert 0.73 < data.catalogue.originals.mean() < 0.83
    multiples = Counter(data.interactions.frame["item_id"].to_list())
    assert max(multiples.values()) > 1


def test_sizes_are_parameters():
    data = simulated(market=Market(mean_baskets=3.0, mean_basket=2.0, years=2.0))
    histories = data.histories
    assert 2.7 < histories.basket_counts.mean() < 3.3
    assert 1.7 < histories.items.lengths.sum() / histories.basket_counts.sum() < 2.3
    days = (histories.times.max() - histories.times.min()) / 86_400e6
    assert 365 < days < 2 * 366


@given(st.floats(1.05, 6), st.floats(0.3, 1.2), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_log_normal_sizes_have_the_mean_asked_for(mean, deviation, seed):
    sizes = log_normal_sizes(generator(seed, "test"), 4000, mean, deviation, 60)
    assert sizes.min() >= 1
    assert sizes.max() <= 60
    assert sizes.mean() == pytest.approx(mean, rel=0.05)


def test_preference_drives_choice_but_noise_remains():
    data = simulated(collectors=300, works=1000)
    scores, histories = data.preference.scores, data.histories
    owners = data.preference.user_ids.rows(list(histories.user_ids))
    stock = data.stock.at(histories.times)
    aucs = []
    for user, item, candidates in zip(histories.users, histories.items.values, stock, strict=True):
        others = scores[owners[user], candidates]
        mine = scores[owners[user], item]
        aucs.append(((others < mine).sum() + 0.5 * (others == mine).sum()) / len(others))
    assert 0.84 < np.mean(aucs) < 0.96


def test_no_taste_no_preference():
    data = simulated(taste=Taste(look=0, artist=0, quality=0))
    assert np.ptp(data.preference.scores) == 0


def test_same_seed_same_log_and_another_seed_another():
    first, again, other = simulated(seed=1), simulated(seed=1), simulated(seed=2)
    assert first.fingerprint == again.fingerprint
    assert (first.preference.scores == again.preference.scores).all()
    assert first.fingerprint != other.fingerprint
    assert first.catalogue.frame["added_at"].to_list() != other.catalogue.frame["added_at"].to_list()


def test_it_says_that_it_is_simulated():
    assert simulated().simulated.startswith("The collectors are simulated: 120 invented people")


def test_terms_that_the_catalogue_states_are_kept():
    day = 86_400_000_000
    added = pl.Series([n * 10 * day for n in range(50)], dtype=pl.Int64).cast(TIME)
    removed = pl.Series([n * 10 * day + 200 * day for n in range(50)], dtype=pl.Int64).cast(TIME)
    catalogue = a_catalogue(50, 0, added_at=added, removed_at=removed, original=[True] * 50)
    data = simulate_collectors(catalogue, some_looks(50), 30, progress=False)
    assert data.catalogue.frame.equals(catalogue.frame)
    rows = data.interactions.frame.join(data.catalogue.frame, on="item_id")
    assert rows.height > 10
    assert rows.filter(~pl.col("timestamp").is_between("added_at", "removed_at")).is_empty()
    assert rows["item_id"].n_unique() == rows.height


def test_without_artists_the_artist_term_is_off():
    catalogue = a_catalogue(100, artists=0)
    one = simulate_collectors(catalogue, some_looks(100), 20, taste=Taste(artist=0.0), progress=False)
    two = simulate_collectors(catalogue, some_looks(100), 20, taste=Taste(artist=9.0), progress=False)
    assert (one.preference.scores == two.preference.scores).all()


def test_subjects_join_the_looks():
    subject = [f"s{n % 10}" for n in range(400)]
    catalogue = a_catalogue(400, 0, subject=subject)

    def gap(columns, share):
        taste = Taste(columns=share, quality=0)
        data = simulate_collectors(
            catalogue, some_looks(400), 50, taste_columns=columns, taste=taste, progress=False
        )
        best = data.preference.scores.argmax(axis=1)
        top = np.argsort(-data.preference.scores, axis=1)[:, 1:15]
        return np.mean([[subject[t] == subject[b] for t in row] for row, b in zip(top, best, strict=True)])

    assert gap((), 0.4) < 0.25
    assert gap(("subject",), 0.9) > 0.6


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"collectors": 0}, UsageError),
        ({"looks": np.zeros((3, 2))}, DataError),
        ({"looks": np.full((400, 2), np.nan)}, DataError),
        ({"looks": None}, UsageError),  # and the catalogue has no pictures
        ({"taste_columns": ("colour",)}, UsageError),
    ],
)
def test_nonsense_is_refused(change, error):
    arguments = {"looks": some_looks(), "collectors": 5, "progress": False} | change
    with pytest.raises(error):
        simulate_collectors(a_catalogue(), **arguments)


@pytest.mark.parametrize(
    "wrong", [{"originals": 1.2}, {"mean_baskets": 0.5}, {"years": 0}, {"mean_basket": np.nan}]
)
def test_nonsense_markets_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Market(**wrong)


@pytest.mark.parametrize("wrong", [{"look": -1}, {"breadth": 0}, {"columns": 2}, {"quality": np.nan}])
def test_nonsense_tastes_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Taste(**wrong)


def test_visits_never_coincide_and_stay_inside_the_years():
    sessions = visit(3000, 0, 40_000_000_000, 1, Market())  # far too many for eleven hours
    assert (np.diff(sessions.times) > 0).all()
    assert sessions.times.min() >= 0
    enters, leaves = hang(500, 1, Market())
    assert (leaves > enters).all()


def test_looks_from_pixels_tell_pictures_apart_and_survive_broken_files(tmp_path):
    rng = generator(0, "test")
    paths = []
    for number in range(12):
        colour = (200, 30, 30) if number % 2 else (30, 60, 200)
        pixels = np.full((60, 40 + number, 3), colour, np.uint8) + rng.integers(
            0, 30, (60, 40 + number, 3), np.uint8
        )
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(pixels).save(paths[-1])
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    looks, seen = pixel_looks(
        [*paths, tmp_path / "broken.jpg", tmp_path / "absent.jpg", None], progress=False
    )
    assert seen.tolist() == [True] * 12 + [False] * 3
    assert (looks[12:] == 0).all()
    assert np.isfinite(looks).all()
    distance = np.linalg.norm(looks[:12, None] - looks[None, :12], axis=2) + 9 * np.eye(12)
    assert all(n % 2 == nearest % 2 for n, nearest in enumerate(distance.argmin(axis=1)))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_any_picture_has_finite_looks(height, width, seed):
    rgb = generator(seed, "test").integers(0, 256, (height, width, 3)).astype(np.uint8)
    lengths = [len(block) for block in describe_pixels(rgb)]
    assert lengths == [9, 28, 8, 6, 27, 3]
    assert all(np.isfinite(block).all() for block in describe_pixels(rgb))
