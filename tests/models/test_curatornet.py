import numpy as np
import pytest
import torch
from galleries import PER_STYLE, style_gallery, style_of, vectors
from torch import nn

import vasari
from vasari.core.errors import DataError, NotFoundError, UsageError
from vasari.data.ragged import Ragged
from vasari.models import CuratorNet
from vasari.models.bank import FeatureBank
from vasari.models.curatornet import CuratorNetwork, TripleScorer
from vasari.sampling.triples import Triples


def selu(x):
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(np.minimum(x, 0)) - 1))


def by_hand(network, features, profile, item, pooling):
    """The score of the paper's equations for one profile and one item, in double precision."""
    w = {name: value.detach().double().numpy() for name, value in network.state_dict().items()}

    def item_vector(f):
        for layer in range(2):
            f = selu(w[f"item.{layer}.weight"] @ f + w[f"item.{layer}.bias"])
        return f

    members = np.stack([item_vector(features[l].astype(np.float64)) for l in profile])  # noqa: E741  # the paper's letter
    parts = {"mean": members.mean(0), "max": members.max(0)}
    user = np.concatenate([parts[name] for name in pooling])
    for layer in range(3):
        user = selu(w[f"user.{layer}.weight"] @ user + w[f"user.{layer}.bias"])
    return user @ item_vector(features[item].astype(np.float64))


def test_there_are_720_800_parameters_for_resnet_features():
    assert sum(p.numel() for p in CuratorNetwork(2048).parameters()) == 720_800


@pytest.mark.parametrize("pooling", [("mean", "max"), ("max", "mean"), ("mean",)])
def test_scores_equal_the_equations_for_any_profile_lengths_in_one_batch(pooling):
    features = vectors()
    network = CuratorNetwork(features.shape[1], pooling, zero_biases=False, seed=4)
    profiles = [[0, 5, 9], [3], [70, 1, 2, 3, 4, 5, 6], [8, 9]]
    rng = np.random.default_rng(0)
    profile, positive, negative = rng.integers(0, [[4], [72], [72]], (3, 50))
    bank = FeatureBank.fit(features, np.arange(len(features)), "none")
    scorer = TripleScorer(network, bank, torch.device("cpu"))
    batch = Triples(Ragged.from_rows(profiles), profile, positive, negative, profile, profile)
    got = [part.detach().numpy() for part in scorer.pair_scores(batch)[:2]]
    for scores, items in zip(got, (positive, negative), strict=True):
        wanted = [
            by_hand(network, features, profiles[p], i, pooling) for p, i in zip(profile, items, strict=True)
        ]
        np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-4)  # of scores up to 50


def test_the_towers_run_once_per_distinct_item_and_profile(monkeypatch):
    features = vectors()
    network = CuratorNetwork(features.shape[1])
    rows = {"item": 0, "user": 0}
    for name in rows:
        tower = getattr(network, f"{name}_tower")

        def counted(first, *rest, tower=tower, name=name):
            result = tower(first, *rest)
            rows[name] += len(result)
            return result

        monkeypatch.setattr(network, f"{name}_tower", counted)
    scorer = TripleScorer(network, FeatureBank.fit(features, np.arange(72), "zscore"), torch.device("cpu"))
    profile = np.tile([0, 1], 500)
    positive, negative = np.tile([7, 8, 9, 7], 250), np.tile([9, 20], 500)
    scorer.pair_scores(
        Triples(Ragged.from_rows([[1, 2], [2, 3, 7]]), profile, positive, negative, profile, profile)
    )
    assert rows == {"item": len({1, 2, 3, 7, 8, 9, 20}), "user": 2}


def test_features_written_to_given_memory_are_those_taken_afresh(monkeypatch):
    from vasari.models import bank

    items = torch.tensor([5, 0, 71, 5])
    for held in (bank.HELD, 0):
        monkeypatch.setattr(bank, "HELD", held)
        features = FeatureBank.fit(vectors(), np.arange(72), "zscore")
        fresh = features.take(items).clone()
        room = torch.full((6, features.dim), torch.nan)
        assert torch.equal(features.take(items, room), fresh)
        assert room[4:].isnan().all()


def test_zscore_is_over_the_works_with_a_picture_and_constant_features_are_harmless():
    matrix = vectors().astype(np.float16)
    matrix[:, 3] = 2.5
    rows = np.r_[np.arange(10, 30), -1, -1]
    scaled = FeatureBank.fit(matrix, rows, "zscore").take(torch.arange(20)).numpy()
    wide = matrix[10:30].astype(np.float64)
    wanted = (wide - wide.mean(0)) / np.where(wide.std(0) > 1e-6, wide.std(0), 1)
    np.testing.assert_allclose(scaled, wanted, atol=1e-4)
    assert np.abs(scaled[:, 3]).max() < 1e-3


def test_it_learns_the_collectors_styles():
    data, table = style_gallery()
    model = CuratorNet(epochs=10, triples_per_epoch=10_000, batch_size=500, learning_rate=1e-3).fit(
        data, table
    )
    best = max(entry["auc"] for entry in model.history)
    # The eight unseen works of the right style are alike, so nothing can do better than about .95.
    assert best > 0.93 > model.history[0]["auc"]
    right = [
        style_of(row["item_id"]) == int(row["user_id"][1:]) % 6
        for row in model.recommend(users=list(model.user_ids), k=5).iter_rows(named=True)
    ]
    assert np.mean(right) > 0.9
    near = model.similar_items("w020", k=5)["item_id"]
    assert np.mean([style_of(item) == 20 // PER_STYLE for item in near]) >= 0.8


@pytest.mark.parametrize("dim", [24, 320])
def test_a_start_from_looks_scores_like_visual_similarity(dim):
    features = np.random.default_rng(3).normal(0, 2, (300, dim)) @ np.diag(np.linspace(0.2, 3, dim))
    bank = FeatureBank.fit(features.astype(np.float32), np.arange(300), "zscore")
    scaled = bank.take(torch.arange(300))
    network = CuratorNetwork(dim, seed=1)
    network.start_from_looks(scaled, seed=1)
    first = network.item[0](scaled).detach()
    assert float(first.square().mean()) == pytest.approx(1, abs=0.15)
    profile = torch.arange(3)
    vectors = network.item_tower(scaled)
    score = (network.user_tower(vectors, profile, torch.tensor([0])) @ vectors.T)[0].detach().numpy()
    looks = (scaled[:3].mean(0) @ scaled.T).numpy()
    assert np.corrcoef(score, looks)[0, 1] > 0.75
    glorot = CuratorNetwork(dim, seed=1)
    vectors = glorot.item_tower(scaled)
    score = (glorot.user_tower(vectors, profile, torch.tensor([0])) @ vectors.T)[0].detach().numpy()
    assert abs(np.corrcoef(score, looks)[0, 1]) < 0.4


@pytest.mark.parametrize("pooling", [("mean", "max"), ("max",)])
@pytest.mark.parametrize("lengths", [[1], [3, 1, 7], [2, 0, 4, 0]])
@pytest.mark.parametrize("members", [4, 1 << 16])
def test_answers_are_those_of_the_tower_that_is_trained(pooling, lengths, members, monkeypatch):
    from vasari.models import curatornet

    monkeypatch.setattr(curatornet, "MEMBERS", members)
    data, table = style_gallery()
    model = CuratorNet(epochs=1, triples_per_epoch=100, pooling=pooling, zero_biases=False).fit(data, table)
    guests = np.random.default_rng(0).normal(0, 1, (5, table.dim)).astype(np.float32)
    count = len(data.catalogue)
    rng = np.random.default_rng(1)
    for strangers in (None, guests):
        top = count + (0 if strangers is None else len(strangers))
        profiles = Ragged.from_rows([rng.integers(0, top, length) for length in lengths])
        ours = model.user_vectors(profiles, strangers)
        with torch.inference_mode():
            vectors = torch.cat([model.item_vectors, torch.from_numpy(model.embed(guests))])
            given = torch.from_numpy(profiles.values), torch.from_numpy(profiles.offsets[:-1].copy())
            trained = model.network.user_tower(vectors, *given).numpy()
        np.testing.assert_allclose(ours, trained, rtol=1e-5, atol=1e-5)


def test_hidden_validation_baskets_never_enter_training(monkeypatch):
    from vasari.models import curatornet

    data, table = style_gallery()
    seen, real = [], curatornet.triple_sampler

    def spy(data, histories, cases, *rest):
        seen.append((histories, cases))
        return real(data, histories, cases, *rest)

    monkeypatch.setattr(curatornet, "triple_sampler", spy)
    CuratorNet(epochs=1, triples_per_epoch=100, validation_share=0.5).fit(data, table)
    histories, cases = seen[0]
    assert len(cases) == 24
    trained = set(zip(histories.users.tolist(), histories.items.values.tolist(), strict=True))
    for user, relevant in zip(cases.user_ids, cases.relevant, strict=True):
        row = histories.user_ids.rows([user])[0]
        assert not trained & {(row, item) for item in relevant.tolist()}


def test_a_hidden_validation_basket_that_slips_into_training_stops_the_fit(monkeypatch):
    from vasari.models import curatornet

    data, table = style_gallery()
    real = curatornet.hold_out

    def leaky(data, *rest):
        _, cases = real(data, *rest)
        return data.histories, cases

    monkeypatch.setattr(curatornet, "hold_out", leaky)
    with pytest.raises(DataError, match="hidden for evaluation"):
        CuratorNet(epochs=1, triples_per_epoch=100, validation_share=0.5).fit(data, table)


def test_a_killed_fit_resumes_to_the_same_model(tmp_path, monkeypatch):
    data, table = style_gallery()
    settings = {"epochs": 4, "triples_per_epoch": 2000, "batch_size": 200, "dropout": 0.3}
    whole = CuratorNet(**settings).fit(data, table, seed=3, device="cpu")
    from vasari.training import loop

    real, calls = loop.save_checkpoint, []

    def dying(*arguments):
        real(*arguments)
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", dying)
    with pytest.raises(KeyboardInterrupt):
        CuratorNet(**settings).fit(data, table, seed=3, device="cpu", checkpoints=tmp_path)
    monkeypatch.setattr(loop, "save_checkpoint", real)
    resumed = CuratorNet(**settings).fit(data, table, seed=3, device="cpu", checkpoints=tmp_path)
    assert [e["epoch"] for e in resumed.history] == [0, 1, 2, 3, 4]
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
    with pytest.raises(UsageError, match="another run"):
        CuratorNet(**settings).fit(data, table, seed=4, checkpoints=tmp_path)


@pytest.mark.parametrize(
    "bad",
    [
        {"scale": "minmax"},
        {"pooling": ("sum",)},
        {"profile_cap": 0},
        {"validation_share": 1.0},
        {"dropout": 1.0},
    ],
)
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(UsageError, match=next(iter(bad))):
        CuratorNet(**bad)


def test_presets_are_the_published_settings():
    paper, tutorial = CuratorNet.paper().settings, CuratorNet.tutorial().settings
    assert (paper.learning_rate, paper.weight_decay, paper.decay_biases, paper.loss) == (
        1e-4,
        1e-4,
        False,
        "bpr",
    )
    assert (paper.scale, paper.pooling, paper.sampling) == ("zscore", ("mean", "max"), "guidelines")
    assert (tutorial.scale, tutorial.pooling, tutorial.loss) == ("none", ("max", "mean"), "bpr-sum")
    assert (tutorial.batch_size, tutorial.decay_biases, tutorial.monitor) == (128, True, "accuracy")
    assert (tutorial.lr_factor, tutorial.lr_patience, tutorial.lr_threshold) == (0.6, 2, 1e-4)


# ---------------------------------------------------------------- the tutorial's checkpoints


class TutorialCuratorNet(nn.Module):
    """The tutorial's network, written from its description: one profile length a batch, no mask."""

    def __init__(self, dim):
        super().__init__()
        self.selu_common1, self.selu_common2 = nn.Linear(dim, 200), nn.Linear(200, 200)
        self.selu_pu1, self.selu_pu2, self.selu_pu3 = (
            nn.Linear(400, 300),
            nn.Linear(300, 300),
            nn.Linear(300, 200),
        )

    def forward(self, profile, items):
        profile, items = (
            torch.selu(self.selu_common2(torch.selu(self.selu_common1(x)))) for x in (profile, items)
        )
        hidden = torch.cat([profile.max(0).values, profile.mean(0)])
        for layer in (self.selu_pu1, self.selu_pu2, self.selu_pu3):
            hidden = torch.selu(layer(hidden))
        return items @ hidden


def test_a_tutorial_checkpoint_gives_the_tutorials_scores(tmp_path):
    data, table = style_gallery()
    torch.manual_seed(0)
    theirs = TutorialCuratorNet(table.dim)
    torch.save({"model": theirs.state_dict(), "epoch": 3, "accuracy": 0.9}, tmp_path / "curatornet.tar")
    ours = vasari.load_tutorial_checkpoint(tmp_path / "curatornet.tar", data, table)
    features = torch.from_numpy(vectors())
    profiles = [[0, 1, 2], [40], list(range(20, 30))]
    got = ours.score(Ragged.from_rows(profiles))
    with torch.no_grad():
        wanted = np.stack([theirs(features[p], features).numpy() for p in profiles])
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    loaded = vasari.load(ours.save_pretrained(tmp_path / "kept"))
    np.testing.assert_array_equal(loaded.score(Ragged.from_rows(profiles)), got)


def test_checkpoints_that_could_run_code_or_do_not_fit_are_refused(tmp_path):
    data, table = style_gallery()
    path = tmp_path / "c.tar"
    with pytest.raises(NotFoundError):
        vasari.load_tutorial_checkpoint(path, data, table)
    torch.save({"model": TutorialCuratorNet(table.dim)}, path)
    with pytest.raises(DataError, match="run"):
        vasari.load_tutorial_checkpoint(path, data, table)
    torch.save({"model": TutorialCuratorNet(99).state_dict()}, path)
    with pytest.raises(DataError, match="99"):
        vasari.load_tutorial_checkpoint(path, data, table)
    torch.save({"weights": {}}, path)
    with pytest.raises(DataError, match="weights"):
        vasari.load_tutorial_checkpoint(path, data, table)
    path.write_bytes(b"not a checkpoint at all")
    with pytest.raises(DataError, match="checkpoint"):
        vasari.load_tutorial_checkpoint(path, data, table)


def test_works_added_after_the_log_are_not_trained_on():
    from vasari.evaluation import protocols
    from vasari.models.drawing import triple_sampler

    data, table = style_gallery()
    split = protocols.split(data, "cold-items:share=0.3")
    cold = np.flatnonzero(split.cases.candidates(0, 1)[0])
    asked = np.unique(split.cases.relevant.values)
    assert set(asked) <= set(cold)
    rows = table.align(data.catalogue.ids)
    sampler = triple_sampler(split.train, split.train.histories, split.cases, table, rows)
    batch = sampler.batch(0, 0, 0, 5000)
    drawn = set(batch.positive) | set(batch.negative) | set(batch.profiles.values)
    assert drawn == set(range(len(rows))) - set(cold)
    whole = triple_sampler(data, data.histories, split.cases.take([]), table, rows).batch(0, 0, 0, 5000)
    assert set(whole.positive) | set(whole.negative) == set(range(len(rows)))


def test_products_in_half_precision_learn_nearly_the_same():
    data, table = style_gallery()
    shared = {"epochs": 2, "triples_per_epoch": 1024, "batch_size": 256, "validation_share": 0.0}
    whole, rough = (
        CuratorNet(precision=precision, **shared).fit(data, table) for precision in ("float32", "bfloat16")
    )
    first = {model: [epoch["loss"] for epoch in model.history if "loss" in epoch] for model in (whole, rough)}
    np.testing.assert_allclose(first[rough], first[whole], rtol=0.05)
    assert rough.item_vectors.dtype == torch.float32
    assert not torch.equal(rough.item_vectors, whole.item_vectors)
