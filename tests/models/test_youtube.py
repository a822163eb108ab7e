import itertools
import math
from collections import Counter
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import torch
import torch.nn.functional as F
from galleries import DIM, ITEMS, STYLES, style_gallery, style_of
from scipy.stats import chisquare

import vasari
from vasari.core.errors import UsageError
from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.data.histories import Histories
from vasari.data.ids import Ids
from vasari.data.interactions import Interactions
from vasari.data.ragged import Ragged
from vasari.models import YouTubeDNN, youtube
from vasari.models.bank import FeatureBank
from vasari.models.youtube import (
    Background,
    ExampleAges,
    YouTubeDNNSettings,
    YouTubeNetwork,
    _Examples,
    log_of_others,
)
from vasari.sampling.triples import Triples
from vasari.training.losses import bpr

WORKS = 8
WORDS = np.array([1, 2, 0, 3, 0, 4, 5, 6])  # works 2 and 4 were never taken
TAKEN = np.array([1, 2, 0, 1, 0, 5, 1, 2])
FEATURES = np.random.default_rng(2).normal(size=(WORKS, 5))
LOG = [(0, 0, 100), (0, 3, 150), (0, 5, 150), (0, 0, 180), (1, 7, 50), (1, 6, 110), (1, 1, 250), (1, 5, 300)]
VARIANTS = [(("visual",), False), (("id",), True), (("visual", "id"), True)]
QUICK = {"epochs": 2, "triples_per_epoch": 2000, "batch_size": 200, "negatives": 64, "layers": (32, 16)}


def histories():
    users, items, times = np.array(LOG, dtype=np.int64).T
    return Histories.from_sorted(Ids(["a", "b"]), Ids([f"w{n}" for n in range(WORKS)]), users, items, times)


class DoubleBank(FeatureBank):
    def take(self, items):
        return torch.from_numpy(FEATURES)[items]


def examples(inputs, age, drawn, seed=3):
    """A network with random parameters in double precision, which is given its draws."""
    settings = YouTubeDNNSettings(inputs=inputs, embedding=3, layers=(4, 5), example_age=age)
    network = YouTubeNetwork(5, 7, settings, seed).double()
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, values in network.named_parameters():
            high = 1.0 if "bias" in name else 0.0  # so that not every ReLU is off
            values.copy_(torch.from_numpy(rng.normal(high, 0.6, values.shape)))
    background = Background(TAKEN, np.ones(WORKS, bool), 0.75)
    background.draw = lambda count: np.array(drawn)
    bank = DoubleBank.fit(FEATURES, np.arange(WORKS), "none")
    return _Examples(network, bank, WORDS, background, ExampleAges(histories()), len(drawn))


TRIPLES = [  # user, history, positive, negative: what a sampler could draw from LOG
    (0, [0], 3, 1),
    (0, [0], 5, 6),
    (1, [7], 6, 0),
    (1, [7, 6], 1, 4),
    (1, [7, 6, 1], 5, 2),
    (1, [7, 6], 1, 0),
]
BATCH = Triples(
    Ragged.from_rows([[0], [7], [7, 6], [7, 6, 1]]),
    np.array([0, 0, 1, 2, 3, 2]),
    np.array([triple[2] for triple in TRIPLES]),
    np.array([triple[3] for triple in TRIPLES]),
    np.array([triple[0] for triple in TRIPLES]),
    np.zeros(6, np.int64),
)
AGES = {(0, 3): 0.6, (0, 5): 0.6, (1, 6): 0.76, (1, 1): 0.2, (1, 5): 0.0}  # of a log from 50 to 300


def vector(p, side, item, inputs):
    """The parts of a work, one product at a time."""
    parts = []
    for name in inputs:
        weight = p[f"{side}.of.{name}.weight"]
        if name == "visual":
            parts.append([sum(w * f for w, f in zip(row, FEATURES[item], strict=True)) for row in weight])
        else:
            parts.append(list(weight[WORDS[item]]))
    return parts


def score(p, profile, item, inputs, age):
    seen = [[*itertools.chain(*vector(p, "seen", member, inputs))] for member in profile]
    hidden = [sum(column) / len(profile) for column in zip(*seen, strict=True)]
    if age is not None:
        hidden.append(age)
    for layer in (0, 1):
        weight, bias = p[f"layers.{layer}.weight"], p[f"layers.{layer}.bias"]
        hidden = [
            max(0.0, b + sum(w * h for w, h in zip(row, hidden, strict=True)))
            for row, b in zip(weight, bias, strict=True)
        ]
    answer = [sum(column) for column in zip(*vector(p, "answer", item, inputs), strict=True)]
    return sum(u * v for u, v in zip(hidden, answer, strict=True))


def loss_by_hand(p, inputs, aged, drawn):
    """Cross entropy of the positive against the weighted draws without the positive itself."""
    weight = (1.0 + TAKEN) ** 0.75
    q, total = weight / weight.sum(), 0.0
    for user, profile, positive, _ in TRIPLES:
        age = AGES[user, positive] if aged else None
        others = sum(
            math.exp(score(p, profile, j, inputs, age)) / (len(drawn) * q[j]) for j in drawn if j != positive
        )
        own = math.exp(score(p, profile, positive, inputs, age))
        total -= math.log(own / (own + others)) / len(TRIPLES)
    return total


def parameters(network):
    return {name: value.detach().numpy().copy() for name, value in network.named_parameters()}


@pytest.mark.parametrize(("inputs", "aged"), VARIANTS)
def test_loss_and_gradient_equal_those_by_hand(inputs, aged):
    drawn = [2, 5, 5, 1, 0, 4, 3]
    made = examples(inputs, aged, drawn)
    scores = made.pair_scores(BATCH)
    loss = bpr(scores.positive, scores.negative)
    loss.backward()
    p = parameters(made.network)
    assert loss.item() == pytest.approx(loss_by_hand(p, inputs, aged, drawn), rel=1e-6)
    rng, width, moving = np.random.default_rng(0), 1e-6, 0
    for name, value in made.network.named_parameters():
        for _ in range(8):
            at = tuple(rng.integers(0, value.shape))
            moved = {key: array.copy() for key, array in p.items()}
            moved[name][at] += width
            up = loss_by_hand(moved, inputs, aged, drawn)
            moved[name][at] -= 2 * width
            slope = (up - loss_by_hand(moved, inputs, aged, drawn)) / (2 * width)
            assert value.grad.numpy()[at] == pytest.approx(slope, abs=1e-6), (name, at)
            moving += slope != 0
    assert moving > 20


@pytest.mark.parametrize(("inputs", "aged"), VARIANTS)
def test_outside_training_a_triple_is_two_scores_of_today(inputs, aged):
    made = examples(inputs, aged, drawn=[0]).eval()
    got = made.pair_scores(BATCH)
    p, today = parameters(made.network), 0.0 if aged else None
    for scores, place in ((got.positive, 2), (got.negative, 3)):
        wanted = [score(p, triple[1], triple[place], inputs, today) for triple in TRIPLES]
        np.testing.assert_allclose(scores.detach(), wanted, atol=1e-10)


# ---------------------------------------------------------------------------- the sampled softmax


SCORES = np.random.default_rng(8).normal(0, 1.5, 6)
Q = np.array([0.3, 0.05, 0.25, 0.1, 0.2, 0.1])


def sampled(positive, drawn, scores=SCORES):
    """Estimated log sum for draws of shape (examples, m), each example with its own."""
    at = torch.as_tensor(drawn)
    expected = torch.log(torch.as_tensor(len(at) * Q))[at]
    return log_of_others(torch.as_tensor(scores)[at][None], expected, (at == positive)[None])[0]


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("positive", [0, 4])
def test_the_sum_over_all_others_is_estimated_without_bias(m, positive):
    """The mean over every possible draw, each with its probability."""
    mean = sum(
        Q[list(drawn)].prod() * math.exp(sampled(positive, drawn))
        for drawn in itertools.product(range(6), repeat=m)
    )
    assert mean == pytest.approx(np.exp(np.delete(SCORES, positive)).sum(), rel=1e-9)


def test_the_more_negatives_the_closer_to_the_full_softmax():
    full = F.cross_entropy(torch.as_tensor(SCORES)[None], torch.tensor([2])).item()
    rng, errors = np.random.default_rng(0), []
    for m in (4, 64, 1024, 16384):
        draws = rng.choice(6, (40, m), p=Q)
        losses = [F.softplus(sampled(2, drawn) - SCORES[2]).item() for drawn in draws]
        errors.append(np.sqrt(np.mean((np.array(losses) - full) ** 2)))
    assert errors[0] > 2 * errors[1] > 4 * errors[2] > 8 * errors[3]
    assert errors[3] < 0.02


def test_drawing_everything_once_is_the_full_softmax():
    made = examples(("visual", "id"), False, drawn=list(range(WORKS)))
    made.background.log_q = np.full(WORKS, -math.log(WORKS))
    scores = made.pair_scores(BATCH)
    p = parameters(made.network)
    logits = [[score(p, t[1], item, ("visual", "id"), None) for item in range(WORKS)] for t in TRIPLES]
    wanted = F.cross_entropy(torch.tensor(logits, dtype=torch.float64), torch.from_numpy(BATCH.positive))
    assert bpr(scores.positive, scores.negative).item() == pytest.approx(wanted.item(), rel=1e-6)


def test_accidental_hits_never_contribute():
    drawn = [2, 5, 1, 2]
    louder = SCORES.copy()
    louder[2] = 60.0
    assert sampled(2, drawn).item() == sampled(2, drawn, louder).item()
    scores = torch.tensor([[3.0, 2.0]], requires_grad=True)
    nothing = log_of_others(scores, torch.zeros(2), torch.ones(1, 2, dtype=torch.bool))
    F.softplus(nothing - 1.0).sum().backward()
    assert F.softplus(nothing - 1.0).item() == 0
    assert scores.grad.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("power", [0.0, 0.75, 1.0])
def test_the_background_is_drawn_with_the_probabilities_it_states(power):
    possible = np.array([True, True, True, False, True, True, True, False])
    background = Background(TAKEN, possible, power)
    q = np.exp(background.log_q.astype(np.float64))
    weight = np.where(possible, (1.0 + TAKEN) ** power, 0)
    np.testing.assert_allclose(q, weight / weight.sum(), rtol=1e-6)
    torch.manual_seed(0)
    counts = np.bincount(background.draw(40_000), minlength=WORKS)
    assert counts[~possible].sum() == 0
    assert chisquare(counts[possible], 40_000 * q[possible] / q.sum()).pvalue > 1e-3


def test_ages_count_from_the_first_taking_to_the_end_of_the_log():
    ages = ExampleAges(histories())
    users, items = np.array([*AGES, (0, 0), (1, 7)]).T
    np.testing.assert_allclose(ages.of(users, items), [*AGES.values(), 0.8, 1.0], rtol=1e-6)
    assert ages.of(np.array([1]), np.array([5])) == 0


# ---------------------------------------------------------------------------- the model


@pytest.fixture(scope="module")
def gallery():
    return style_gallery()


@pytest.fixture(scope="module")
def fitted(gallery):
    return YouTubeDNN(inputs=("visual", "id"), example_age=True, **QUICK).fit(*gallery, seed=2)


def test_a_history_holds_nothing_from_the_positives_time_on(gallery, monkeypatch):
    data, table = gallery
    seen, real = [], youtube._Examples.pair_scores

    def spy(self, batch):
        if self.training:
            seen.append(batch)
        return real(self, batch)

    monkeypatch.setattr(youtube._Examples, "pair_scores", spy)
    YouTubeDNN(**QUICK).fit(data, table)
    log = data.histories
    taken = zip(log.users.tolist(), log.items.values.tolist(), strict=True)
    time = dict(zip(taken, log.times.tolist(), strict=True))
    users = Counter()
    for batch in seen:
        for user, row, positive in zip(
            batch.user.tolist(), batch.profile.tolist(), batch.positive.tolist(), strict=True
        ):
            history = batch.profiles[row].tolist()
            assert history
            assert max(time[user, item] for item in history) < time[user, positive]
            users[user] += 1
    assert len(users) == len(log.user_ids)
    assert chisquare(list(users.values())).pvalue > 1e-4  # equally many examples for everybody


@pytest.mark.parametrize(("inputs", "least"), [(("visual",), 0.9), (("visual", "id"), 0.9), (("id",), 0.65)])
def test_it_learns_the_collectors_styles(gallery, inputs, least):
    """From looks, as well as eight unseen works of a style allow; from ids, as far as 48 people overlap."""
    settings = QUICK | {"epochs": 6, "triples_per_epoch": 4000, "learning_rate": 5e-3}
    model = YouTubeDNN(inputs=inputs, **settings).fit(*gallery)
    assert max(entry["auc"] for entry in model.history) > least > 0.6 > model.history[0]["auc"]
    if inputs == ("visual",):
        right = [
            style_of(row["item_id"]) == int(row["user_id"][1:]) % STYLES
            for row in model.recommend(users=list(model.user_ids), k=5).iter_rows(named=True)
        ]
        assert np.mean(right) > 0.9


def test_whoever_has_a_history_is_scored_and_its_order_does_not_count(fitted):
    profiles = Ragged.from_rows([[1, 40, 20, 7]] * 3 + [[7, 20, 40, 1]])
    scores = fitted.score(profiles, ["u01", "nobody", None, None])
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])
    np.testing.assert_allclose(scores[0], scores[3], rtol=1e-5, atol=1e-5)
    vectors = fitted.user_vectors(profiles)
    assert vectors.shape == (4, 16)
    assert (vectors >= 0).all()  # the last layer is a ReLU
    np.testing.assert_allclose(vectors @ fitted.item_vectors.numpy().T, scores, rtol=1e-5, atol=1e-5)


def test_works_never_taken_are_scored_by_their_looks_and_share_the_rest(gallery):
    data, table = gallery
    kept = data.interactions.frame.filter(~pl.col("item_id").is_in(["w003", "w050", "w051"]))
    settings = QUICK | {"inputs": ("visual", "id"), "validation_share": 0.0}
    model = YouTubeDNN(**settings).fit(data.with_interactions(kept), table)
    cold = np.flatnonzero(model.popularity == 0)
    assert {3, 50, 51} <= set(cold.tolist())
    scaled = (table.matrix - table.matrix.mean(0)) / table.matrix.std(0)
    looks = scaled @ model.network.answer.of["visual"].weight.detach().numpy().T
    rest = model.item_vectors.numpy() - looks
    np.testing.assert_allclose(rest[cold], np.tile(rest[cold[0]], (len(cold), 1)), atol=1e-4)
    others = np.delete(rest, cold, axis=0)
    assert len(np.unique(others.round(3), axis=0)) == len(others)
    # A picture outside the catalogue is such a work too.
    guest = table.matrix[[cold[0]]]
    members = Ragged.from_rows([[ITEMS, 9], [int(cold[0]), 9]])
    one, other = model.user_vectors(members, guest)
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_works_added_after_the_log_are_no_negatives_and_have_only_their_looks(gallery):
    data, table = gallery
    frame = data.interactions.frame.filter(~pl.col("item_id").is_in(["w003", "w050"]))
    later = pl.when(pl.col("item_id") == "w003").then(frame["timestamp"].max() + timedelta(days=1))
    catalogue = Catalogue(data.catalogue.frame.with_columns(added_at=later), None)
    settings = QUICK | {"inputs": ("visual", "id"), "validation_share": 0.0}
    model = YouTubeDNN(**settings).fit(Dataset(catalogue, Interactions(frame)), table)
    scaled = (table.matrix - table.matrix.mean(0)) / table.matrix.std(0)
    looks = scaled @ model.network.answer.of["visual"].weight.detach().numpy().T
    rest = np.abs(model.item_vectors.numpy() - looks).max(1)
    assert rest[3] < 1e-5 < 1e-3 < rest[50]


def test_save_and_load_keep_guests_and_likeness(fitted, tmp_path):
    loaded = vasari.load(fitted.save_pretrained(tmp_path / "model"))
    guest = np.ones((1, DIM), np.float32)
    profiles = Ragged.from_rows([[ITEMS, 3], [5]])
    np.testing.assert_array_equal(loaded.score(profiles, None, guest), fitted.score(profiles, None, guest))
    at = np.array([ITEMS, 4])
    np.testing.assert_array_equal(loaded._similarity(at, guest), fitted._similarity(at, guest))


def test_a_killed_fit_resumes_with_the_negatives_it_would_have_drawn(gallery, tmp_path, monkeypatch):
    from vasari.training import loop

    settings = QUICK | {"epochs": 3, "triples_per_epoch": 600}
    whole = YouTubeDNN(**settings).fit(*gallery, seed=3)
    real = loop.save_checkpoint

    def dying(*arguments):
        real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", dying)
    with pytest.raises(KeyboardInterrupt):
        YouTubeDNN(**settings).fit(*gallery, seed=3, checkpoints=tmp_path)
    monkeypatch.setattr(loop, "save_checkpoint", real)
    torch.manual_seed(99)
    resumed = YouTubeDNN(**settings).fit(*gallery, seed=3, checkpoints=tmp_path)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"inputs": ()}, "inputs"),
        ({"inputs": ("looks",)}, "inputs"),
        ({"inputs": ("id", "id")}, "inputs"),
        ({"layers": ()}, "layers"),
        ({"layers": (8, 0)}, "layers"),
        ({"embedding": 0}, "embedding"),
        ({"negatives": 0}, "negatives"),
        ({"background": -1.0}, "background"),
        ({"profile_cap": 0}, "profile_cap"),
        ({"loss": "hinge"}, "loss"),
        ({"scale": "minmax"}, "scale"),
        ({"validation_share": 1.0}, "validation_share"),
    ],
)
def test_settings_out_of_range_are_refused(settings, named):
    with pytest.raises(UsageError, match=named):
        YouTubeDNN(**settings)
