from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import torch
from galleries import ITEMS, style_gallery, style_of
from hypothesis import given
from hypothesis import strategies as st

import vasari
from vasari.core.errors import UsageError
from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.data.interactions import Interactions
from vasari.data.ragged import Ragged
from vasari.features.table import FeatureTable
from vasari.models import ACF
from vasari.models.acf import ACFNetwork, TripleScorer, _softmax_within
from vasari.models.maps import SpatialMaps
from vasari.sampling.triples import Triples
from vasari.training.losses import bpr

USERS, WORKS, POSITIONS, CHANNELS, DIM, HIDDEN = 5, 9, 4, 6, 3, 7


def softmax(values):
    powers = [np.exp(value - max(values)) for value in values]
    return [power / sum(powers) for power in powers]


def by_hand(network, maps, u, profile):
    """Taste, alpha and beta of the paper's equations for one vector u and one profile."""
    w = {name: value.detach().double().numpy() for name, value in network.state_dict().items()}
    scores, betas = [], []
    for l in profile:  # noqa: E741  # the paper's letter
        b = []
        for x in maps[l]:
            layer = w["positions.user.weight"] @ u + w["positions.content.weight"] @ x
            b.append(w["positions.out.weight"][0] @ np.maximum(layer + w["positions.content.bias"], 0))
        betas.append(softmax(b))
        content = sum(beta * x for beta, x in zip(betas[-1], maps[l], strict=True))
        layer = (
            w["works.user.weight"] @ u
            + w["works.item.weight"] @ w["item"][l]
            + w["works.profile.weight"] @ w["profile"][l]
            + w["works.content.weight"] @ content
            + w["works.content.bias"]
        )
        scores.append(w["works.out.weight"][0] @ np.maximum(layer, 0))
    alphas = softmax(scores) if profile else []
    taste = u + sum(alpha * w["profile"][l] for alpha, l in zip(alphas, profile, strict=True))  # noqa: E741  # as above
    return taste, alphas, betas


@pytest.fixture
def small():
    """A network whose weights are all far from zero, and the maps of its works."""
    rng = np.random.default_rng(3)
    network = ACFNetwork(USERS, WORKS, CHANNELS, DIM, HIDDEN)
    torch.manual_seed(1)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    maps = rng.normal(size=(WORKS, POSITIONS, CHANNELS)).astype(np.float16)
    return network, TripleScorer(network, SpatialMaps(maps, np.arange(WORKS)), torch.device("cpu"))


def test_attention_and_scores_equal_the_equations(small):
    network, scorer = small
    maps = scorer.maps.maps.astype(np.float64)
    profiles = [[0, 5, 8], [3], [], [1, 2, 3, 4, 5, 6, 7], [8, 0]]
    owners = torch.tensor([4, 0, 2, 1, 1])
    seen = scorer.attend(Ragged.from_rows(profiles), network.user[owners])
    place = 0
    for row, profile in enumerate(profiles):
        u = network.user[owners[row]].detach().double().numpy()
        taste, alphas, betas = by_hand(network, maps, u, profile)
        np.testing.assert_allclose(seen.taste[row].detach(), taste, rtol=1e-4, atol=1e-5)
        for alpha, beta in zip(alphas, betas, strict=True):
            assert seen.works[place].item() == pytest.approx(alpha, rel=1e-4)
            np.testing.assert_allclose(seen.positions[place].detach(), beta, rtol=1e-4)
            place += 1
    assert place == len(seen.works)


def batch_of(rng, count):
    profiles = [[0, 5, 8], [3], [1, 2, 4, 6], [8, 0]]
    profile = rng.integers(0, len(profiles), count)
    positive, negative = rng.integers(0, WORKS, (2, count))
    user = np.array([4, 0, 2, 1])[profile]
    return profiles, Triples(Ragged.from_rows(profiles), profile, positive, negative, user, profile)


def test_triples_are_scored_and_the_loss_is_the_logarithm_of_the_sigmoid(small):
    network, scorer = small
    profiles, batch = batch_of(np.random.default_rng(0), 20)
    got = scorer.pair_scores(batch)
    assert got.penalty is None
    items, users = (p.detach().double().numpy() for p in (network.item, network.user))
    losses = []
    for t in range(20):
        taste, _, _ = by_hand(
            network, scorer.maps.maps.astype(np.float64), users[batch.user[t]], profiles[batch.profile[t]]
        )
        x = [taste @ items[j] for j in (batch.positive[t], batch.negative[t])]
        assert got.positive[t].item() == pytest.approx(x[0], rel=1e-3, abs=1e-4)
        assert got.negative[t].item() == pytest.approx(x[1], rel=1e-3, abs=1e-4)
        losses.append(-np.log(1 / (1 + np.exp(x[1] - x[0]))))
    assert bpr(got.positive, got.negative).item() == pytest.approx(np.mean(losses), rel=1e-4)


def test_gradients_equal_finite_differences(small):
    network, scorer = small
    network.double()
    scorer.maps.take = lambda items: torch.from_numpy(scorer.maps.maps[items].astype(np.float64))
    _, batch = batch_of(np.random.default_rng(1), 12)

    def loss():
        scores = scorer.pair_scores(batch)
        return bpr(scores.positive, scores.negative)

    loss().backward()
    rng = np.random.default_rng(2)
    for name, parameter in network.named_parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        place, step = int(rng.integers(len(flat))), 1e-5
        place = int(gradient.abs().argmax()) if gradient[place] == 0 else place
        kept = flat[place].item()
        values = []
        for sign in (1, -1):
            flat[place] = kept + sign * step
            values.append(loss().item())
        flat[place] = kept
        assert gradient[place].item() == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-7), name
        assert gradient.abs().max() > 0, name


@given(st.lists(st.lists(st.floats(-30, 30), max_size=6), min_size=1, max_size=6))
def test_the_softmax_within_profiles_knows_no_other_profile(rows):
    lengths = [len(row) for row in rows]
    owner = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor(lengths))
    offsets = torch.tensor(np.cumsum([0, *lengths])[:-1])
    flat = torch.tensor([value for row in rows for value in row], dtype=torch.float64)[:, None]
    got = _softmax_within(flat, owner, offsets)
    np.testing.assert_allclose(got, [p for row in rows for p in (softmax(row) if row else [])], atol=1e-12)


# ---------------------------------------------------------------- maps


def spatial_table(seed=0, positions=POSITIONS, without_picture=()):
    """The style gallery with maps: position 0 shows the style, the others noise."""
    data, table = style_gallery(without_picture, seed)
    maps = np.random.default_rng(seed).normal(0, 3, (len(table), positions, table.dim)).astype(np.float32)
    maps[:, 0] = table.matrix
    return data, FeatureTable(table.ids, table.matrix, table.fingerprint, positions=maps)


def test_maps_keep_the_principal_components_at_unit_scale():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(10, 10)))[0]
    spread = np.array([9, 6, 3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    positions = (rng.normal(size=(40, 5, 10)) * spread) @ basis.T + 7
    table = FeatureTable.from_arrays([f"w{n}" for n in range(40)], positions.mean(1), "test")
    table = FeatureTable(table.ids, table.matrix, table.fingerprint, positions=positions)
    rows = np.r_[-1, np.arange(39, 4, -1)]
    maps = SpatialMaps.fit(table, rows, 3, seed=0)
    assert maps.maps.shape == (35, 5, 3)
    got = maps.take(np.arange(1, 36)).numpy().astype(np.float64)
    assert (got.reshape(-1, 3) ** 2).mean() == pytest.approx(1, rel=1e-2)
    # Distances survive the projection, but for the seven directions that hold next to nothing.
    wanted = positions[rows[1:]].reshape(-1, 10)
    apart = [np.linalg.norm(x[:50, None] - x[None, :50], axis=2) for x in (wanted, got.reshape(-1, 3))]
    ratio = apart[0][apart[0] > 3] / apart[1][apart[0] > 3]
    assert ratio.std() / ratio.mean() < 0.01


def test_with_enough_channels_nothing_is_lost():
    _, table = spatial_table()
    maps = SpatialMaps.fit(table, np.arange(ITEMS), table.dim, seed=0)
    got, wanted = maps.take(np.arange(ITEMS)).numpy(), table.positions - table.positions.mean((0, 1))
    factor = np.sqrt((wanted**2).mean())
    np.testing.assert_allclose(got * factor, wanted, atol=2e-2)


# ---------------------------------------------------------------- the recommender

QUICK = {
    "dim": 16,
    "attention_dim": 16,
    "channels": 24,
    "epochs": 6,
    "triples_per_epoch": 4000,
    "batch_size": 200,
    "learning_rate": 5e-3,
}


@pytest.fixture(scope="module")
def fitted():
    data, table = spatial_table(without_picture=("w007",))
    return data, ACF(**QUICK).fit(data, table, seed=2)


def test_it_learns_the_collectors_styles(fitted):
    _, model = fitted
    assert max(entry["auc"] for entry in model.history) > 0.9 > model.history[0]["auc"]
    known = [
        style_of(row["item_id"]) == int(row["user_id"][1:]) % 6
        for row in model.recommend(users=list(model.user_ids), k=4).iter_rows(named=True)
    ]
    assert np.mean(known) > 0.85
    unknown = [model.recommend(profile=[f"w{12 * s:03d}", f"w{12 * s + 1:03d}"], k=4) for s in range(6)]
    right = [style_of(item) == s for s, table in enumerate(unknown) for item in table["item_id"]]
    assert np.mean(right) > 0.85


def test_attention_names_works_and_positions_and_explains_the_score(fitted):
    _, model = fitted
    profile = ["w030", "w031", "w007", "w050"]
    table = model.attention(profile, user="u04")
    assert sorted(table["item_id"]) == ["w030", "w031", "w050"]  # w007 has no picture
    assert table["weight"].sum() == pytest.approx(1, rel=1e-5)
    assert table["weight"].is_sorted(descending=True)
    positions = table["positions"].to_numpy()
    assert positions.shape == (3, POSITIONS)
    np.testing.assert_allclose(positions.sum(1), 1, rtol=1e-5)
    assert not model.attention(profile).equals(table)  # another looker, another look

    rows, items = model.item_ids.rows(profile), model.item_ids.rows(["w033", "w001"])
    network = model._scorer.network
    user = (network.user.mean(0) @ network.item[items].T).detach().numpy()
    terms = model.contributions(rows, items)
    np.testing.assert_array_equal(terms[:, 2], 0)
    np.testing.assert_allclose(
        terms.sum(1) + user, model.score(Ragged.from_rows([rows]))[0, items], rtol=1e-4, atol=1e-5
    )
    with pytest.raises(UsageError, match="w007"):
        model.attention(["w007"])


def test_works_nobody_took_share_a_vector_and_works_added_later_have_none():
    data, table = spatial_table()
    log = data.interactions.frame.filter(~pl.col("item_id").is_in(["w003", "w010", "w020"]))
    later = pl.when(pl.col("item_id") == "w003").then(log["timestamp"].max() + timedelta(days=1))
    catalogue = Catalogue(data.catalogue.frame.with_columns(added_at=later), None)
    model = ACF(**(QUICK | {"epochs": 2, "validation_share": 0.0})).fit(
        Dataset(catalogue, Interactions(log)), table
    )
    profiles, people = Ragged.from_rows([[0, 1], [40]]), ["u00", None]
    scores = model.score(profiles, people)
    never = np.setdiff1d(np.flatnonzero(model.scorable & (model.popularity == 0)), [3])
    assert {10, 20} <= set(never.tolist())
    learnt = model._scorer.network.item.detach().numpy()
    tastes = model._scorer.attend(profiles, model._users(people)).taste.detach().numpy()
    for work in never:
        np.testing.assert_allclose(scores[:, work], tastes @ learnt[never].mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(scores[:, 3], 0)
    assert (scores[:, 10] < np.median(scores[:, model.scorable], axis=1)).all()
    rows = np.array([0, 1])
    user = model._users([None]).detach().numpy()[0] @ learnt[never].mean(0)
    terms = model.contributions(rows, np.array([10]))
    whole = model.score(Ragged.from_rows([rows]))[0, 10]
    assert terms.sum() + user == pytest.approx(whole, rel=1e-3, abs=1e-5)


def test_the_user_and_the_cap_decide(fitted):
    _, model = fitted
    profiles = Ragged.from_rows([[0, 1, 2]] * 3)
    one, other, nobody = model.score(profiles, ["u00", "u01", "never seen"])
    assert not np.allclose(one, other)
    np.testing.assert_allclose(nobody, model.score(profiles.slice(0, 1))[0], rtol=1e-4, atol=1e-5)
    capped = ACF(**model.config() | {"profile_cap": 2})
    capped.__dict__.update({k: v for k, v in model.__dict__.items() if k != "settings"})
    np.testing.assert_allclose(
        capped.score(Ragged.from_rows([[0, 1, 2]])), model.score(Ragged.from_rows([[1, 2]])), rtol=1e-5
    )


def test_scoring_in_tiles_changes_nothing(fitted, monkeypatch):
    _, model = fitted
    profiles = Ragged.from_rows([[0, 1, 2], [13], [30, 31, 32, 33, 34], [50, 2], []])
    whole = model.score(profiles)
    monkeypatch.setattr("vasari.models.acf.TILE", 1)
    np.testing.assert_allclose(model.score(profiles), whole, rtol=1e-5, atol=1e-5)


def test_a_saved_model_attends_alike(fitted, tmp_path):
    _, model = fitted
    loaded = vasari.load(model.save_pretrained(tmp_path / "acf"))
    assert loaded.attention(["w000", "w030"], "u03").equals(model.attention(["w000", "w030"], "u03"))


def test_pictures_outside_the_catalogue_are_refused(fitted, tmp_path):
    _, model = fitted
    with pytest.raises(UsageError, match="item ids"):
        model.recommend(images=[tmp_path / "picture.png"])


@pytest.mark.parametrize(
    "bad", [{"dim": 0}, {"channels": 0}, {"attention_dim": 0}, {"profile_cap": 0}, {"validation_share": 1.0}]
)
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(UsageError, match=next(iter(bad))):
        ACF(**bad)
