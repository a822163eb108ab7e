import numpy as np
import pytest
import torch
from galleries import PER_STYLE, STYLES, paint, style_gallery, style_of
from PIL import Image
from torch import nn

import vasari
from vasari.core.errors import DataError, NotFoundError, UsageError
from vasari.data.ragged import Ragged
from vasari.features.fingerprint import Preprocessing
from vasari.features.pixels import PixelTable
from vasari.models import DVBPR
from vasari.models.cnnf import CNNF, image_network
from vasari.models.dvbpr import DVBPRSettings, TripleScorer
from vasari.sampling.triples import Triples
from vasari.training.losses import bpr

# ---------------------------------------------------------------- CNN-F


@pytest.mark.parametrize(("size", "count"), [(224, 70_778_724), (64, 23_592_804), (32, 20_447_076)])
def test_there_are_as_many_parameters_as_in_the_published_network(size, count):
    with torch.device("meta"):
        network = CNNF(size, 100)
    assert sum(p.numel() for p in network.parameters()) == count


def test_the_maps_shrink_as_in_the_published_network():
    with torch.device("meta"):
        network = CNNF(224, 100).eval()
    shapes = []
    for layer in [*network.convolutions, *network.dense]:
        layer.register_forward_hook(lambda _, before, after: shapes.append((before[0].shape, after.shape)))
    network(torch.empty(2, 3, 224, 224, device="meta"))
    assert [tuple(after[1:]) for _, after in shapes] == [
        (64, 56, 56),
        (256, 28, 28),
        (256, 14, 14),
        (256, 14, 14),
        (256, 14, 14),
        (4096,),
        (4096,),
        (100,),
    ]
    assert tuple(shapes[5][0]) == (2, 7 * 7 * 256)


def same_convolution(x, weight, bias, stride):
    """A convolution padded as TensorFlow's "SAME" defines it, place by place; x of shape (channels, h, w)."""
    kernel = weight.shape[2]
    out = -(-x.shape[1] // stride)
    before = max((out - 1) * stride + kernel - x.shape[1], 0) // 2
    result = np.zeros((len(weight), out, out))
    for row in range(out):
        for column in range(out):
            total = bias.copy()
            for dy in range(kernel):
                for dx in range(kernel):
                    y, z = row * stride - before + dy, column * stride - before + dx
                    if 0 <= y < x.shape[1] and 0 <= z < x.shape[2]:
                        total += weight[:, :, dy, dx] @ x[:, y, z]
            result[:, row, column] = total
    return result


def pooled(x):
    side = -(-x.shape[1] // 2)
    return np.array(
        [[x[:, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2].max((1, 2)) for c in range(side)] for r in range(side)]
    ).transpose(2, 0, 1)


@pytest.mark.parametrize("size", [16, 21])
def test_cnn_f_equals_its_layers_one_by_one(size):
    network = CNNF(size, 5, seed=3).eval()
    rng = np.random.default_rng(0)
    for layer in [*network.convolutions, *network.dense]:
        nn.init.normal_(layer.bias, std=0.1)
    x = image = rng.normal(size=(3, size, size))
    for number, layer in enumerate(network.convolutions):
        weight, bias = (p.detach().double().numpy() for p in (layer.weight, layer.bias))
        x = np.maximum(same_convolution(x, weight, bias, 4 if number == 0 else 1), 0)
        x = pooled(x) if number in (0, 1, 4) else x
    x = x.reshape(-1)
    for number, layer in enumerate(network.dense):
        x = layer.weight.detach().double().numpy() @ x + layer.bias.detach().double().numpy()
        x = np.maximum(x, 0) if number < 2 else x
    assert (x < 0).any()  # no ReLU after the last layer
    got = network(torch.from_numpy(image[None]).float())[0].detach()
    np.testing.assert_allclose(got, x, rtol=1e-3, atol=1e-5)


def test_dropout_works_in_training_only():
    network = CNNF(16, 5)
    image = torch.randn(1, 3, 16, 16)
    assert not torch.equal(network(image), network(image))
    network.eval()
    assert torch.equal(network(image), network(image))


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="image_size=224"):
        image_network("vit_tiny_patch16_224", False, 32, 4, 0)
    with pytest.raises(NotFoundError, match="no_such_net"):
        image_network("no_such_net", False, 32, 4, 0)


# ---------------------------------------------------------------- triples

STEPS = Preprocessing(4, 4, "bilinear", (0.5, 0.4, 0.3), (0.5, 0.6, 0.7))


class Flat(nn.Module):
    """The simplest network on pixels, which counts what it sees."""

    def __init__(self):
        super().__init__()
        self.layer, self.seen = nn.Linear(48, 3), 0

    def forward(self, images):
        self.seen += len(images)
        return self.layer(images.flatten(1))


def a_scorer():
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (6, 4, 4, 3), np.uint8)
    pictures = PixelTable(pixels, np.array([3, -1, 0, 5, 1, 2, 4]))
    settings = DVBPRSettings(factors=3, lambda_user=0.7, weight_decay=0.3)
    torch.manual_seed(0)
    scorer = TripleScorer(Flat(), 4, pictures, STEPS, settings)
    nn.init.normal_(scorer.theta)
    return scorer


def a_batch():
    user, positive, negative = np.array([[0, 2, 3, 2, 0], [0, 2, 3, 6, 4], [3, 0, 2, 5, 6]])
    return Triples(Ragged.from_rows([[0]] * 5), np.arange(5), positive, negative, user, user)


def test_scores_and_penalty_equal_the_equations_and_pictures_are_seen_once():
    scorer, batch = a_scorer(), a_batch()
    got = scorer.pair_scores(batch)
    assert scorer.network.seen == len({0, 2, 3, 6, 4, 5})
    theta = scorer.theta.detach().double().numpy()
    weight, bias = (p.detach().double().numpy() for p in scorer.network.parameters())

    def x(user, item):
        picture = scorer.pictures.pixels[scorer.pictures.rows[item]] / 255
        scaled = (picture - STEPS.mean) / STEPS.std
        phi = weight @ scaled.transpose(2, 0, 1).reshape(-1) + bias
        return theta[user] @ phi

    for t, user in enumerate(batch.user):
        assert got.positive[t].item() == pytest.approx(x(user, batch.positive[t]), rel=1e-4, abs=1e-5)
        assert got.negative[t].item() == pytest.approx(x(user, batch.negative[t]), rel=1e-4, abs=1e-5)
    users = np.mean([0.7 / 2 * (theta[user] ** 2).sum() for user in batch.user])
    assert got.penalty.item() == pytest.approx(users + 0.3 / 2 * (weight**2).sum(), rel=1e-5)


def test_one_step_moves_theta_along_the_gradient_by_hand():
    scorer, batch = a_scorer(), a_batch()
    scores = scorer.pair_scores(batch)
    (bpr(scores.positive, scores.negative) + scores.penalty).backward()
    phi, theta = scorer.eval().vectors().double().numpy(), scorer.theta.detach().double().numpy()
    wanted = np.zeros_like(theta)
    for user, i, j in zip(batch.user, batch.positive, batch.negative, strict=True):
        gap = phi[i] - phi[j]
        wanted[user] += (-gap / (1 + np.exp(theta[user] @ gap)) + 0.7 * theta[user]) / len(batch)
    np.testing.assert_allclose(scorer.theta.grad, wanted, rtol=1e-4, atol=1e-6)
    assert not scorer.theta.grad[1].any()  # no triple is hers


def test_vectors_are_kept_while_nothing_is_learnt_and_forgotten_then():
    scorer, batch = a_scorer(), a_batch()
    learning = scorer.pair_scores(batch)
    scorer.eval()
    first = scorer.vectors()
    assert not first[1].any()  # no picture
    scorer.network.seen = 0
    kept = scorer.pair_scores(batch)
    assert scorer.network.seen == 0
    np.testing.assert_allclose(kept.positive.detach(), learning.positive.detach(), rtol=1e-5)
    scorer.train()
    with torch.no_grad():
        scorer.network.layer.weight += 1
    assert not torch.allclose(scorer.vectors(), first)


# ---------------------------------------------------------------- the recommender

QUICK = {
    "backbone": "test_efficientnet",
    "image_size": 32,
    "factors": 8,
    "epochs": 4,
    "triples_per_epoch": 1000,
    "batch_size": 100,
    "learning_rate": 3e-3,
}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Colours decide; w007 has no picture, that of w020 is broken."""
    folder = tmp_path_factory.mktemp("pictures")
    data, _ = style_gallery(without_picture=("w007",), folder=folder)
    (folder / "w020.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    return folder, data, DVBPR(**QUICK).fit(data, seed=1)


def test_it_learns_the_colours_that_collectors_like(fitted):
    _, _, model = fitted
    # Eight works of the right colour are new to a user and alike, so nothing can do better than about .95.
    assert max(entry["auc"] for entry in model.history) > 0.9 > model.history[0]["auc"]
    known = [
        style_of(row["item_id"]) == int(row["user_id"][1:]) % STYLES
        for row in model.recommend(users=list(model.user_ids), k=4).iter_rows(named=True)
    ]
    assert np.mean(known) > 0.85
    near = model.similar_items("w030", k=5)["item_id"]
    assert np.mean([style_of(item) == 30 // PER_STYLE for item in near]) >= 0.8


def test_visitors_are_folded_in_from_works_and_from_their_own_pictures(fitted, tmp_path):
    _, _, model = fitted
    right = []
    for style in range(STYLES):
        first = style * PER_STYLE
        table = model.recommend(profile=[f"w{first:03d}", f"w{first + 1:03d}"], k=4)
        right += [style_of(item) == style for item in table["item_id"]]
    assert np.mean(right) > 0.85
    paint(tmp_path, [0, 12, 24, 36, 48, 60], seed=77)
    pictures = [[tmp_path / f"w{first:03d}.png"] for first in range(0, 72, 12)]
    pictures[1] = [Image.open(pictures[1][0])]
    guests = [
        style_of(item) == style
        for style, images in enumerate(pictures)
        for item in model.recommend(images=images, k=4)["item_id"]
    ]
    assert np.mean(guests) > 0.85
    looks = model.similar_items(tmp_path / "w036.png", k=4)["item_id"]
    assert np.mean([style_of(item) == 3 for item in looks]) > 0.7


def test_missing_and_broken_pictures_are_masked(fitted):
    _, _, model = fitted
    assert np.flatnonzero(~model.scorable).tolist() == [7, 20]
    scores = model.score(Ragged.from_rows([[0, 1], [7, 20]]), ["u00", None])
    assert np.isneginf(scores[:, [7, 20]]).all()
    np.testing.assert_array_equal(np.delete(scores[1], [7, 20]), np.delete(model.popularity, [7, 20]))


def test_a_saved_network_sees_alike(fitted, tmp_path):
    folder, _, model = fitted
    loaded = vasari.load(model.save_pretrained(tmp_path / "dvbpr"))
    picture = [folder / "w013.png"]
    assert loaded.recommend(images=picture, k=5).equals(model.recommend(images=picture, k=5))
    np.testing.assert_allclose(loaded._encode(picture)[0], model.item_vectors[13, :-1], rtol=1e-3, atol=1e-4)


def test_cnn_f_itself_is_trained(fitted):
    _, data, _ = fitted
    settings = {"image_size": 16, "epochs": 1, "triples_per_epoch": 32, "batch_size": 32, "factors": 4}
    model = DVBPR(**settings, validation_share=0).fit(data, seed=2)
    before = CNNF(16, 4, seed=int(vasari.core.seeds.generator(2, "weights").integers(2**63)))
    for (name, now), then in zip(model.network.named_parameters(), before.parameters(), strict=True):
        assert not torch.equal(now, then), name
    # Adam's first step is the learning rate long, unless the gradient is next to nothing.
    moved = (model.network.dense[1].weight - before.dense[1].weight).abs().max().item()
    assert 0.5e-4 < moved < 1.01e-4


def test_averaged_weights_are_those_that_see(fitted):
    _, data, _ = fitted
    settings = QUICK | {"epochs": 2, "triples_per_epoch": 200, "average": True}
    model = DVBPR(**settings).fit(data, seed=1)
    seen = model._encode([data.catalogue.images()[0]])
    np.testing.assert_allclose(model.item_vectors[0, :-1], seen[0], rtol=1e-3, atol=1e-4)


def test_data_without_pictures_is_refused_with_the_cure(tmp_path):
    data, table = style_gallery()
    with pytest.raises(UsageError, match="--images"):
        DVBPR(**QUICK).fit(data, table)
    data, _ = style_gallery(folder=tmp_path)
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(DataError, match="does not exist"):
        DVBPR(**QUICK).fit(data)


@pytest.mark.parametrize(
    "bad",
    [
        {"factors": 0},
        {"image_size": 4},
        {"lambda_user": -1.0},
        {"validation_share": 1.0},
        {"pretrained": True},
    ],
)
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(UsageError, match=next(iter(bad))):
        DVBPR(**bad)
