import datetime as dt
import math

import numpy as np
import polars as pl
import pytest
import torch
from galleries import ITEMS, style_gallery, style_of

import vasari
from vasari.core.errors import UsageError
from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.data.interactions import Interactions
from vasari.data.ragged import Ragged
from vasari.models import BPR, factors
from vasari.models.bpr import BPRSettings
from vasari.models.drawing import uniform_sampler
from vasari.models.factors import FactorNetwork
from vasari.models.validation import hold_out
from vasari.sampling.triples import Triples
from vasari.training import loop
from vasari.training.losses import bpr

USERS, WORKS, FACTORS, RATE = 5, 8, 3, 0.05
LAMBDAS = {
    "lambda_user": 0.3,
    "lambda_positive": 0.2,
    "lambda_negative": 0.07,
    "lambda_bias": 0.11,
    "lambda_negative_bias": 0.05,
}
LEARNT = {"epochs": 6, "triples_per_epoch": 6000, "batch_size": 300}


@pytest.fixture
def network():
    network = FactorNetwork(
        USERS, np.ones(WORKS, bool), FACTORS, BPRSettings(factors=FACTORS, **LAMBDAS), seed=3
    ).double()
    with torch.no_grad():
        network.items.weight[:, -1].normal_(0, 0.5, generator=torch.Generator().manual_seed(1))
    return network


def batch_of(count, seed=0):
    rng = np.random.default_rng(seed)
    user, positive, negative = (rng.integers(0, high, count) for high in (USERS, WORKS, WORKS))
    nobody = Ragged.from_rows([[]])
    return Triples(nobody, np.zeros(count, np.int64), positive, negative, user, np.zeros(count, np.int64))


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def numbers(network):
    items = network.items.weight
    return [p.detach().tolist() for p in (network.users.weight, items[:, :-1], items[:, -1])]


def updates(w, h, b, user, i, j):
    """LearnBPR: what eta multiplies for one triple, sigma(-x_uij) dx_uij/dtheta - lambda theta."""
    wrong = 1 / (1 + math.exp(dot(w[user], h[i]) + b[i] - dot(w[user], h[j]) - b[j]))
    lam = LAMBDAS
    return [
        (
            "w",
            user,
            [wrong * (p - n) - lam["lambda_user"] * x for x, p, n in zip(w[user], h[i], h[j], strict=True)],
        ),
        ("h", i, [wrong * x - lam["lambda_positive"] * p for x, p in zip(w[user], h[i], strict=True)]),
        ("h", j, [-wrong * x - lam["lambda_negative"] * n for x, n in zip(w[user], h[j], strict=True)]),
        ("b", i, wrong - lam["lambda_bias"] * b[i]),
        ("b", j, -wrong - lam["lambda_negative_bias"] * b[j]),
    ]


@pytest.mark.parametrize("count", [1, 40])
def test_a_gradient_step_is_the_mean_of_the_updates_of_learn_bpr(network, count):
    w, h, b = numbers(network)
    batch = batch_of(count)
    triples = list(zip(batch.user.tolist(), batch.positive.tolist(), batch.negative.tolist(), strict=True))
    wanted = {"w": np.array(w), "h": np.array(h), "b": np.array(b)}
    for triple in triples:
        for name, row, step in updates(w, h, b, *triple):
            wanted[name][row] += RATE * np.array(step) / count
    scores = network.pair_scores(batch)
    (bpr(scores.positive, scores.negative) + scores.penalty).backward()
    torch.optim.SGD(network.parameters(), lr=RATE).step()
    for got, name in zip(numbers(network), "whb", strict=True):
        np.testing.assert_allclose(got, wanted[name], atol=1e-12)


def test_scores_and_penalty_equal_those_by_hand(network):
    w, h, b = numbers(network)
    batch = batch_of(30, seed=4)
    got = network.pair_scores(batch)
    penalty = 0.0
    for row, (u, i, j) in enumerate(zip(batch.user, batch.positive, batch.negative, strict=True)):
        assert got.positive[row].item() == pytest.approx(dot(w[u], h[i]) + b[i])
        assert got.negative[row].item() == pytest.approx(dot(w[u], h[j]) + b[j])
        penalty += LAMBDAS["lambda_user"] * dot(w[u], w[u])
        penalty += LAMBDAS["lambda_positive"] * dot(h[i], h[i]) + LAMBDAS["lambda_negative"] * dot(h[j], h[j])
        penalty += LAMBDAS["lambda_bias"] * b[i] ** 2 + LAMBDAS["lambda_negative_bias"] * b[j] ** 2
    assert got.penalty.item() == pytest.approx(penalty / 2 / len(batch))


@pytest.fixture(scope="module")
def fitted():
    data, _ = style_gallery()
    kept = data.interactions.frame.filter(~pl.col("item_id").is_in(["w003", "w050", "w051"]))
    return BPR(factors=8, validation_share=0.25, **LEARNT).fit(data.with_interactions(kept), seed=2)


def test_it_learns_tastes_without_pictures_for_people_and_for_strangers(fitted):
    assert max(entry["auc"] for entry in fitted.history) > 0.85
    known = fitted.recommend(users=["u02"], k=4)["item_id"]
    stranger = fitted.recommend(profile=["w024", "w030", "w031"], k=4)["item_id"]
    assert {style_of(item) for item in [*known, *stranger]} == {2}


def test_people_of_the_log_have_their_trained_vector_whatever_their_profile(fitted):
    one, other = fitted.score(Ragged.from_rows([[0, 1], [40]]), ["u03", "u03"])
    np.testing.assert_array_equal(one, other)
    row = fitted.user_ids.find(["u03"])[0]
    np.testing.assert_allclose(one, fitted.item_vectors @ fitted.trained_users[row], atol=1e-5)
    stranger = fitted.score(Ragged.from_rows([[0, 1], [40], [0, 1]]), [None, "nobody", "nobody"])
    assert np.abs(stranger[0] - stranger[1]).max() > 0.1
    np.testing.assert_array_equal(stranger[0], stranger[2])


def test_works_never_taken_share_the_score_of_a_bias(fitted):
    never = np.flatnonzero(fitted.popularity == 0)
    assert set(never.tolist()) >= {3, 50, 51}
    assert not fitted.item_vectors[never, :-1].any()
    scores = fitted.score(Ragged.from_rows([[0], [70]]), ["u01", None])
    assert np.ptp(scores[:, never]) == 0
    assert scores[0, 3] < np.median(fitted.item_vectors[:, -1])


def test_works_added_after_the_log_are_not_drawn_and_score_nothing():
    data, _ = style_gallery()
    new = ["w003", "w050"]
    log = data.interactions.frame.filter(~pl.col("item_id").is_in(new))
    opening = pl.when(pl.col("item_id").is_in(new)).then(log["timestamp"].max() + dt.timedelta(days=1))
    catalogue = data.catalogue.frame.with_columns(added_at=opening)
    later = Dataset(Catalogue(catalogue, None), Interactions(log), "new works")
    model = BPR(factors=8, validation_share=0.0, **LEARNT).fit(later)
    assert not model.item_vectors[[3, 50]].any()
    others = np.delete(model.item_vectors[:, -1], [3, 50])
    assert (others != 0).all()


def test_the_rows_of_triples_are_the_rows_of_the_people():
    """Users that the held-out baskets leave with little still have the row of `user_ids`."""
    data, _ = style_gallery()
    histories, cases = hold_out(data, np.ones(ITEMS, bool), 0.9, seed=0)
    assert histories.user_ids == data.histories.user_ids
    batch = uniform_sampler(data, histories, cases, np.ones(ITEMS, bool)).batch(0, 0, 0, 500)
    for user, positive, negative in zip(batch.user, batch.positive, batch.negative, strict=True):
        taken = histories.items[user].tolist()
        assert positive in taken
        assert negative not in taken


def test_every_interaction_is_drawn_once_an_epoch_on_average_however_long_the_log(monkeypatch):
    data, _ = style_gallery()
    drawn = []

    def counted(model, inputs, settings, *rest):
        drawn.append(settings.triples_per_epoch)
        return []

    monkeypatch.setattr(factors, "learn", counted)
    for triples in (10, 10_000):
        BPR(triples_per_epoch=triples).fit(data)
    assert drawn == [len(data.interactions), 10_000]


@pytest.mark.parametrize("many", [0, 1000])
def test_a_fit_killed_and_resumed_ends_bit_identical(tmp_path, monkeypatch, many):
    monkeypatch.setattr(factors, "MANY", many)
    data, _ = style_gallery()
    unbroken = BPR(factors=4, **LEARNT).fit(data, seed=5, device="cpu")
    saved = []

    def killed(self, folder, run_key, save=loop._State.save):
        save(self, folder, run_key)
        saved.append(self.epoch)
        if self.epoch == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop._State, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            BPR(factors=4, **LEARNT).fit(data, seed=5, device="cpu", checkpoints=tmp_path)
    resumed = BPR(factors=4, **LEARNT).fit(data, seed=5, device="cpu", checkpoints=tmp_path)
    assert saved == [1, 2, 3]
    np.testing.assert_array_equal(resumed.item_vectors, unbroken.item_vectors)
    np.testing.assert_array_equal(resumed.trained_users, unbroken.trained_users)


def test_pictures_outside_the_catalogue_are_refused(fitted):
    with pytest.raises(UsageError, match="pictures"):
        fitted.score(Ragged.from_rows([[ITEMS]]), None, np.ones((1, 24), np.float32))


def test_save_and_load_fold_strangers_in_alike(fitted, tmp_path):
    loaded = vasari.load(fitted.save_pretrained(tmp_path / "model"))
    profiles = Ragged.from_rows([[3, 4], [60]])
    np.testing.assert_array_equal(loaded.score(profiles), fitted.score(profiles))
    assert loaded.similar_items("w030", k=4).equals(fitted.similar_items("w030", k=4))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"factors": 0}, "factors"),
        ({"lambda_negative": -1.0}, "lambda_negative"),
        ({"lambda_user": float("nan")}, "lambda_user"),
        ({"validation_share": 1.0}, "validation_share"),
    ],
)
def test_settings_out_of_range_are_refused(settings, named):
    with pytest.raises(UsageError, match=named):
        BPR(**settings)
