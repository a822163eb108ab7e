import math

import numpy as np
import polars as pl
import pytest
import torch
from galleries import DIM, ITEMS, style_gallery, style_of

import vasari
from vasari.core.errors import UsageError
from vasari.data.ragged import Ragged
from vasari.models import VBPR
from vasari.models.bank import FeatureBank
from vasari.models.vbpr import VBPRNetwork, VBPRSettings
from vasari.sampling.triples import Triples
from vasari.training.losses import bpr

USERS, WORKS, LATENT, VISUAL, WIDTH, RATE = 4, 7, 2, 3, 5, 0.05
LAMBDAS = {
    "lambda_user": 0.3,
    "lambda_positive": 0.2,
    "lambda_negative": 0.02,
    "lambda_bias": 0.11,
    "lambda_negative_bias": 0.011,
    "lambda_looks": 0.4,
    "lambda_visual_bias": 0.6,
}
FEATURES = np.random.default_rng(2).normal(size=(WORKS, WIDTH))
LEARNT = {"epochs": 4, "triples_per_epoch": 6000, "batch_size": 300}


class DoubleBank(FeatureBank):
    def take(self, items):
        return torch.from_numpy(FEATURES)[items]


@pytest.fixture
def network():
    """Random parameters everywhere, in double precision."""
    settings = VBPRSettings(factors=LATENT, visual_factors=VISUAL, **LAMBDAS)
    bank = DoubleBank.fit(FEATURES, np.arange(WORKS), "none")
    network = VBPRNetwork(USERS, bank, settings).double().eval()
    rng = np.random.default_rng(1)
    with torch.no_grad():
        for values in network.parameters():
            values.copy_(torch.from_numpy(rng.normal(0, 0.7, values.shape)))
    return network


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def plus(target, step, by):
    for place, value in enumerate(step):
        target[place] += by * value


class Scalar:
    """The parameters as lists, and the paper's equations for one triple at a time."""

    def __init__(self, network):
        users = network.users.weight.tolist()
        self.gamma_u, self.theta_u = [row[:LATENT] for row in users], [row[LATENT:] for row in users]
        *gamma, bias = network.items.weight.T.tolist()
        self.gamma, self.bias = [list(row) for row in zip(*gamma, strict=True)], bias
        *self.e, self.beta = network.looks.weight.tolist()
        self.f = [[value / math.sqrt(WIDTH) for value in row] for row in FEATURES.tolist()]

    def score(self, u, i):
        look = [dot(row, self.f[i]) for row in self.e]
        return (
            self.bias[i]
            + dot(self.gamma_u[u], self.gamma[i])
            + dot(self.theta_u[u], look)
            + dot(self.beta, self.f[i])
        )

    def step_to(self, new, u, i, j, rate):
        """theta += eta (sigma(-x_uij) dx_uij/dtheta - lambda theta), written into `new`."""
        lam, wrong = LAMBDAS, 1 / (1 + math.exp(self.score(u, i) - self.score(u, j)))
        seen = [a - b for a, b in zip(self.f[i], self.f[j], strict=True)]
        for row in range(LATENT):
            difference = self.gamma[i][row] - self.gamma[j][row]
            mine = self.gamma_u[u][row]
            new.gamma_u[u][row] += rate * (wrong * difference - lam["lambda_user"] * mine)
            new.gamma[i][row] += rate * (wrong * mine - lam["lambda_positive"] * self.gamma[i][row])
            new.gamma[j][row] += rate * (-wrong * mine - lam["lambda_negative"] * self.gamma[j][row])
        new.bias[i] += rate * (wrong - lam["lambda_bias"] * self.bias[i])
        new.bias[j] += rate * (-wrong - lam["lambda_negative_bias"] * self.bias[j])
        for row in range(VISUAL):
            mine = self.theta_u[u][row]
            new.theta_u[u][row] += rate * (wrong * dot(self.e[row], seen) - lam["lambda_user"] * mine)
            plus(
                new.e[row],
                [wrong * mine * s - lam["lambda_looks"] * e for s, e in zip(seen, self.e[row], strict=True)],
                rate,
            )
        plus(
            new.beta,
            [wrong * s - lam["lambda_visual_bias"] * b for s, b in zip(seen, self.beta, strict=True)],
            rate,
        )


def batch_of(count, seed=0):
    rng = np.random.default_rng(seed)
    user, positive, negative = (rng.integers(0, high, count) for high in (USERS, WORKS, WORKS))
    nobody = Ragged.from_rows([[]])
    return Triples(nobody, np.zeros(count, np.int64), positive, negative, user, np.zeros(count, np.int64))


def test_scores_equal_the_equation(network):
    batch, by_hand = batch_of(30), Scalar(network)
    got = network.pair_scores(batch)
    for row in range(30):
        user, i, j = batch.user[row], batch.positive[row], batch.negative[row]
        assert got.positive[row].item() == pytest.approx(by_hand.score(user, i))
        assert got.negative[row].item() == pytest.approx(by_hand.score(user, j))


@pytest.mark.parametrize("count", [1, 25])
def test_a_gradient_step_is_the_mean_of_the_updates_of_the_paper(network, count):
    now, wanted, batch = Scalar(network), Scalar(network), batch_of(count)
    for u, i, j in zip(batch.user, batch.positive, batch.negative, strict=True):
        now.step_to(wanted, u, i, j, RATE / count)
    scores = network.pair_scores(batch)
    (bpr(scores.positive, scores.negative) + scores.penalty).backward()
    torch.optim.SGD(network.parameters(), lr=RATE).step()
    got = Scalar(network)
    for name in ("gamma_u", "theta_u", "gamma", "bias", "e", "beta"):
        np.testing.assert_allclose(getattr(got, name), getattr(wanted, name), atol=1e-12, err_msg=name)


@pytest.fixture(scope="module")
def fitted():
    data, table = style_gallery()
    kept = data.interactions.frame.filter(~pl.col("item_id").is_in(["w003", "w050"]))
    return VBPR(factors=4, visual_factors=8, validation_share=0.25, **LEARNT).fit(
        data.with_interactions(kept), table, seed=2
    )


def test_it_learns_tastes_and_gives_new_works_their_looks(fitted):
    assert max(entry["auc"] for entry in fitted.history) > 0.9
    assert {style_of(item) for item in fitted.recommend(users=["u02"], k=4)["item_id"]} == {2}
    assert not fitted.item_vectors[[3, 50], :4].any()
    new = fitted.recommend(users=["u00", "u04"], candidates=["w003", "w050"], k=1)["item_id"].to_list()
    assert new == ["w003", "w050"]  # styles 0 and 4


def test_a_picture_outside_the_catalogue_acts_as_a_work_like_it_that_nobody_took(fitted):
    _, table = style_gallery()
    own = fitted.item_vectors[3]
    guest = fitted._guest_vectors(np.asarray(table.matrix[3:4], np.float32))[0]
    np.testing.assert_allclose(guest[:-1], own[:-1], atol=1e-5)
    scores = fitted.score(Ragged.from_rows([[ITEMS]]), None, np.asarray(table.matrix[30:31], np.float32))
    assert {work // 12 for work in np.argsort(-scores[0])[:5].tolist()} == {2}


def test_save_and_load_keep_guests(fitted, tmp_path):
    loaded = vasari.load(fitted.save_pretrained(tmp_path / "model"))
    guest, profiles = np.ones((1, DIM), np.float32), Ragged.from_rows([[ITEMS, 3], [5]])
    people = [None, "u01"]
    np.testing.assert_array_equal(
        loaded.score(profiles, people, guest), fitted.score(profiles, people, guest)
    )


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"visual_factors": 0}, "visual_factors"),
        ({"scale": "minmax"}, "scale"),
        ({"lambda_looks": -1.0}, "lambda_looks"),
    ],
)
def test_settings_out_of_range_are_refused(settings, named):
    with pytest.raises(UsageError, match=named):
        VBPR(**settings)
