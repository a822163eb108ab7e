import math
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import torch
from galleries import DIM, ITEMS, PER_STYLE, STYLES, style_gallery, style_of, vectors
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

import vasari
from vasari.core.errors import UsageError
from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.data.interactions import Interactions
from vasari.data.ragged import Ragged
from vasari.features.table import FeatureTable
from vasari.models import Vista
from vasari.models.bank import FeatureBank
from vasari.models.vista import TripleScorer, VistaNetwork, VistaSettings, recent_first
from vasari.sampling.triples import Triples
from vasari.training.losses import bpr

USERS, WORKS, ARTISTS = 4, 9, 3
SMALL = VistaSettings(recent=3, visual_dim=2, artist_dim=2, regularisation=0.3, weight_decay=0.2)
ARTIST = [0, 1, 2, -1, 0, 1, -1, 2, 0]
PROFILES = [[0, 5, 2, 3, 7], [3], [8, 1], [], [6, 4]]
QUICK = {"epochs": 2, "triples_per_epoch": 2000, "batch_size": 200}


@pytest.fixture
def network():
    """Random parameters everywhere, in double precision."""
    network = VistaNetwork(5, USERS, WORKS, ARTISTS, SMALL, seed=3).double()
    rng = np.random.default_rng(1)
    with torch.no_grad():
        for name, values in network.named_parameters():
            values.copy_(torch.from_numpy(rng.normal(0, 0.7, values.shape)))
            if name in ("users.weight", "artists.weight"):
                values[-1] = 0
    return network


FEATURES = np.random.default_rng(2).normal(size=(WORKS, 5))


def parameters(network):
    return {name: value.detach().numpy().copy() for name, value in network.named_parameters()}


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def times(matrix, vector):
    return [dot(row, vector) for row in matrix]


def by_hand(p, user, profile, item):
    """The score of the module's page, one product at a time."""
    look, after, before = p["looks.weight"][0:2], p["looks.weight"][2:4], p["looks.weight"][4:6]
    artist = p["artists.weight"][ARTIST[item]]
    phi, phi_after = artist[0:2], artist[2:4]
    known = ARTIST[item] >= 0
    score = p["item_bias"][item]
    weights = list(p["steps"])
    if user >= 0:
        row = p["users.weight"][user]
        score += dot(row[0:2], times(look, FEATURES[item]))
        score += dot(row[2:4], phi) if known else 0
        weights = [w + own for w, own in zip(weights, row[4:7], strict=True)]
    for weight, recent in zip(weights, reversed(profile), strict=False):
        link = dot(times(before, FEATURES[recent]), times(after, FEATURES[item]))
        if known and ARTIST[recent] >= 0:
            link += dot(p["artists.weight"][ARTIST[recent]][4:6], phi_after)
        score += weight * link
    return score


def loss_by_hand(p, triples):
    """Mean of -ln sigma of the difference, plus half the L2 terms that the settings name."""
    total = 0.0
    for user, profile, i, j in triples:
        difference = by_hand(p, user, profile, i) - by_hand(p, user, profile, j)
        total += math.log(1 + math.exp(-difference)) / len(triples)
        squares = dot(p["users.weight"][user], p["users.weight"][user]) if user >= 0 else 0
        for item in (i, j):
            squares += p["item_bias"][item] ** 2
            if ARTIST[item] >= 0:
                row = p["artists.weight"][ARTIST[item]][0:4]
                squares += dot(row, row)
        for recent in profile[-3:]:
            if ARTIST[recent] >= 0:
                row = p["artists.weight"][ARTIST[recent]][4:6]
                squares += dot(row, row)
        total += 0.3 / 2 * squares / len(triples)
    return total + 0.2 / 2 * sum(dot(row, row) for row in p["looks.weight"])


def batch_of(seed, count=40):
    rng = np.random.default_rng(seed)
    profile = rng.integers(0, len(PROFILES), count)
    user = rng.integers(-1, USERS, count)
    positive, negative = rng.integers(0, WORKS, (2, count))
    triples = [
        (u, PROFILES[r], i, j)
        for u, r, i, j in zip(
            user.tolist(), profile.tolist(), positive.tolist(), negative.tolist(), strict=True
        )
    ]
    return Triples(Ragged.from_rows(PROFILES), profile, positive, negative, user, user * 0), triples


class DoubleBank(FeatureBank):
    def take(self, items):
        return torch.from_numpy(FEATURES)[items]


def scorer_of(network):
    bank = DoubleBank.fit(FEATURES, np.arange(WORKS), "none")
    return TripleScorer(network, bank, torch.tensor(ARTIST), SMALL)


def test_scores_equal_the_equation_for_short_histories_unknown_artists_and_unknown_users(network):
    batch, triples = batch_of(0)
    got = scorer_of(network).pair_scores(batch)
    p = parameters(network)
    for scores, place in ((got.positive, 2), (got.negative, 3)):
        wanted = [by_hand(p, triple[0], triple[1], triple[place]) for triple in triples]
        np.testing.assert_allclose(scores.detach(), wanted, atol=1e-10)


def test_loss_and_gradient_equal_those_by_hand(network):
    batch, triples = batch_of(7)
    scores = scorer_of(network).pair_scores(batch)
    loss = bpr(scores.positive, scores.negative) + scores.penalty
    loss.backward()
    p = parameters(network)
    assert loss.item() == pytest.approx(loss_by_hand(p, triples), rel=1e-10)
    rng, width = np.random.default_rng(0), 1e-5
    for name, value in network.named_parameters():
        gradient = value.grad.numpy()
        if name in ("users.weight", "artists.weight"):
            assert not gradient[-1].any()  # what stands for the unknown stays zero
        rows = len(value) - (name in ("users.weight", "artists.weight"))
        for _ in range(12):
            at = tuple(rng.integers(0, [rows, *value.shape[1:]]))
            moved = {key: array.copy() for key, array in p.items()}
            moved[name][at] += width
            up = loss_by_hand(moved, triples)
            moved[name][at] -= 2 * width
            slope = (up - loss_by_hand(moved, triples)) / (2 * width)
            assert gradient[at] == pytest.approx(slope, abs=1e-7), (name, at)


@given(st.lists(st.lists(st.integers(0, 50), max_size=6), max_size=5), st.integers(0, 4))
def test_recent_works_are_the_last_ones_backwards(profiles, count):
    got = recent_first(Ragged.from_rows(profiles), count)
    assert got.shape == (len(profiles), count)
    for row, profile in zip(got.tolist(), profiles, strict=True):
        assert row == (profile[::-1] + [-1] * count)[:count]


def walking_gallery():
    """Everybody walks through the styles in one order, one work a time, from any style and for any length."""
    rng = np.random.default_rng(0)
    names = [f"w{n:03d}" for n in range(ITEMS)]
    rows = []
    for user in range(90):
        start, length = rng.integers(STYLES), rng.integers(4, 8)
        works = rng.permuted(np.tile(np.arange(PER_STYLE), (STYLES, 1)), axis=1)
        for step in range(length):
            style = (start + step) % STYLES
            work = style * PER_STYLE + works[style, step // STYLES]
            rows.append((f"u{user:02d}", names[work], (user + 1000 * step) * 86_400))
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row").with_columns(
        pl.from_epoch("timestamp", time_unit="s").dt.cast_time_unit("us").dt.replace_time_zone("UTC")
    )
    catalogue = Catalogue(pl.DataFrame({"item_id": names}), None)
    return Dataset(catalogue, Interactions(log), "walks"), FeatureTable.from_arrays(
        names, vectors(), source="test"
    )


WALK = {"epochs": 3, "triples_per_epoch": 6000, "batch_size": 300, "learning_rate": 5e-3}


def test_the_short_term_learns_a_rule_of_succession_that_the_long_term_cannot():
    data, table = walking_gallery()
    short = Vista(**WALK).fit(data, table)
    long = Vista(recent=0, **WALK).fit(data, table)
    auc = {model: max(entry["auc"] for entry in model.history) for model in (short, long)}
    # Eleven or twelve unseen works of the right style are alike, so nothing does much better than .93.
    assert auc[short] > 0.88
    assert auc[long] < 0.5
    for style in range(STYLES):  # strangers too: what they took before is enough
        visit = [((style - 1) % STYLES) * PER_STYLE, style * PER_STYLE]
        best = np.argsort(-short.score(Ragged.from_rows([visit]))[0])[:5]
        assert {work // PER_STYLE for work in best.tolist()} == {(style + 1) % STYLES}


@pytest.fixture(scope="module")
def gallery():
    return style_gallery()


@pytest.fixture(scope="module")
def fitted(gallery):
    return Vista(**QUICK).fit(*gallery, seed=2)


def test_the_long_term_learns_tastes():
    data, table = style_gallery()
    model = Vista(recent=0, epochs=8, triples_per_epoch=6000, batch_size=300, learning_rate=5e-3).fit(
        data, table
    )
    assert max(entry["auc"] for entry in model.history) > 0.9
    best = model.recommend(users=["u02"], k=5)["item_id"]
    assert {style_of(item) for item in best} == {2}


def test_answers_equal_the_equation_with_what_is_stored(gallery, fitted):
    """Scores after training, for known people, strangers and guests, from the parameters alone."""
    data, table = gallery
    scaled = (table.matrix - table.matrix.mean(0)) / table.matrix.std(0)
    p = {name: value.double().numpy() for name, value in fitted.network.state_dict().items()}
    guest = np.random.default_rng(5).normal(size=(1, DIM)).astype(np.float32)
    guest_scaled = (guest[0] - table.matrix.mean(0)) / table.matrix.std(0)
    e, n, m = np.split(p["looks.weight"], 3)
    phi, phi_after, psi = np.split(p["artists.weight"], 3, axis=1)
    artists, taken = data.catalogue.artists, fitted.popularity > 0
    profiles, people = [[4, 9, 30, 2], [70, ITEMS], [8]], ["u03", None, "nobody"]
    got = fitted.score(Ragged.from_rows(profiles), people, guest)
    for row, (profile, user) in enumerate(zip(profiles, people, strict=True)):
        wanted = np.zeros(ITEMS)
        long = len(e) + phi.shape[1]
        mine = p["users.weight"][fitted.user_ids.find([user])[0]] if user == "u03" else np.zeros(long + 3)
        weights = p["steps"] + mine[long:]
        wanted += scaled @ (mine[: len(e)] @ e) + phi[artists] @ mine[len(e) : long]
        for weight, item in zip(weights, profile[::-1], strict=False):
            look = guest_scaled if item == ITEMS else scaled[item]
            wanted += weight * (scaled @ n.T @ (m @ look))
            if item < ITEMS:
                wanted += weight * (phi_after[artists] @ psi[artists[item]])
        difference = got[row] - wanted  # what is left is the bias of the work
        np.testing.assert_allclose(difference, fitted.item_bias.numpy(), atol=2e-4)
    assert taken.any()


def test_a_stranger_is_folded_in_by_the_objective_of_training(fitted):
    """Against a general optimiser: each work after the first is a positive, its short term counted in."""
    profile, width = [4, 60, 9, 30, 61], fitted.network.long
    vectors, bias = fitted.item_vectors.double().numpy(), fitted.item_bias.double().numpy()
    antecedents, steps = fitted.antecedents.double().numpy(), fitted.network.steps.detach().double().numpy()
    others = np.setdiff1d(np.arange(ITEMS), profile)

    def objective(taste):
        total = 0.0
        for place in range(1, len(profile)):
            before = profile[:place][::-1][: len(steps)]
            context = sum(w * antecedents[item] for w, item in zip(steps, before, strict=False))
            score = vectors[:, :width] @ taste + vectors[:, width:] @ context + bias
            total += np.logaddexp(0, score[others] - score[profile[place]]).mean() / (len(profile) - 1)
        return total + fitted.settings.regularisation / 2 * taste @ taste

    wanted = minimize(objective, np.zeros(width), method="BFGS", options={"gtol": 1e-7}).x
    got = fitted.user_vectors(Ragged.from_rows([profile, profile[:1]]), [None, "nobody"])
    np.testing.assert_allclose(got[0, :width], wanted, atol=1e-3)
    assert np.abs(wanted).max() > 0.1
    assert not got[1, :width].any()  # nothing was taken after anything


def test_works_that_nobody_took_next_share_one_bias_and_works_added_later_have_none():
    data, table = style_gallery()
    kept = data.interactions.frame.filter(~pl.col("item_id").is_in(["w003", "w050", "w051", "w052"]))
    newcomer = kept.filter(pl.col("user_id") == "u01").head(1).with_columns(item_id=pl.lit("w052"))
    kept = pl.concat([kept, newcomer.with_columns(user_id=pl.lit("newcomer"))])  # w052: only ever taken first
    later = pl.when(pl.col("item_id") == "w003").then(kept["timestamp"].max() + timedelta(days=1))
    catalogue = Catalogue(data.catalogue.frame.with_columns(added_at=later), None)
    model = Vista(validation_share=0.0, **QUICK).fit(Dataset(catalogue, Interactions(kept)), table)
    rows = data.with_interactions(kept).histories
    never = np.setdiff1d(np.arange(ITEMS), [3, *rows.items.values[rows.baskets > 0]])
    assert {50, 51, 52} <= set(never.tolist())
    learnt, used = model.network.item_bias.detach().numpy(), model.item_bias.numpy()
    np.testing.assert_allclose(used[never], learnt[never].mean(), rtol=1e-5)
    assert len(set(learnt[never].tolist())) > 1
    assert used[3] == 0 > used[never].max()
    others = np.setdiff1d(np.arange(ITEMS), never)
    np.testing.assert_array_equal(used[others], learnt[others])


def test_the_decay_of_the_matrices_leaves_people_and_artists_alone():
    settings = QUICK | {"learning_rate": 0.02, "validation_share": 0.0, "regularisation": 0.0}
    free, decayed = (
        Vista(**settings, weight_decay=decay).fit(*style_gallery(), seed=2).network for decay in (0.0, 10.0)
    )
    assert decayed.looks.weight.abs().mean() < 0.2 * free.looks.weight.abs().mean()
    for table in ("users", "artists"):
        kept, all_of = (getattr(network, table).weight.abs().mean() for network in (decayed, free))
        assert kept > 0.5 * all_of


def test_only_the_order_of_the_last_works_matters(fitted):
    k = fitted.settings.recent
    one, same, other = fitted.score(
        Ragged.from_rows([[60, 50, 1, 2, 3], [50, 60, 1, 2, 3], [60, 50, 3, 2, 1]]), ["u04"] * 3
    )
    assert k == 3
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-6


def test_save_and_load_keep_strangers_guests_and_likeness(fitted, tmp_path):
    loaded = vasari.load(fitted.save_pretrained(tmp_path / "model"))
    guest = np.ones((1, DIM), np.float32)
    profiles, people = Ragged.from_rows([[ITEMS, 3], [5]]), ["u01", "stranger"]
    np.testing.assert_array_equal(
        loaded.score(profiles, people, guest), fitted.score(profiles, people, guest)
    )
    at = np.array([ITEMS, 4])
    np.testing.assert_array_equal(loaded._similarity(at, guest), fitted._similarity(at, guest))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"recent": -1}, "recent"),
        ({"visual_dim": 0}, "visual_dim"),
        ({"regularisation": -0.1}, "regularisation"),
        ({"scale": "minmax"}, "scale"),
        ({"validation_share": 1.0}, "validation_share"),
    ],
)
def test_settings_out_of_range_are_refused(settings, named):
    with pytest.raises(UsageError, match=named):
        Vista(**settings)


def test_people_with_one_basket_only_cannot_teach_what_comes_next():
    data, table = style_gallery()
    first = data.interactions.frame.sort("timestamp").group_by("user_id").head(1)
    with pytest.raises(UsageError, match="two or more baskets"):
        Vista(**QUICK).fit(data.with_interactions(first), table)
