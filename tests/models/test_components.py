import numpy as np
import pytest
import torch
from galleries import style_gallery
from torch import nn

from vasari.models import CuratorNet
from vasari.models.bank import FeatureBank
from vasari.models.components import Components


def bank_of(items=300, dim=20, missing=(), scale="zscore"):
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(items, 6)) * [9, 5, 3, 2, 1, 1]) @ rng.normal(size=(6, dim)) + 3
    rows = np.arange(items)
    rows[list(missing)] = -1
    return FeatureBank.fit(features.astype(np.float32), rows, scale)


@pytest.mark.parametrize("scale", ["zscore", "none"])
def test_a_layer_on_components_is_unfolded_into_the_same_layer_on_features(scale):
    bank = bank_of(scale=scale)
    components = Components.fit(bank, 5, seed=0)
    layer, items = nn.Linear(5, 7), torch.arange(len(bank))
    short, whole = layer(components.of(bank).take(items)), components.unfold(layer)(bank.take(items))
    torch.testing.assert_close(short, whole, rtol=1e-4, atol=1e-4)


def test_components_are_those_of_the_covariance_half_whitened():
    bank = bank_of()
    features = bank.take(torch.arange(len(bank))).double()
    centred = features - features.mean(0)
    variances, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
    variances, axes = variances.flip(0)[:4], axes.flip(1)[:, :4]
    expected = centred @ axes / variances**0.25
    expected /= expected.square().mean().sqrt()
    found = Components.fit(bank, 4, seed=0).of(bank).take(torch.arange(len(bank))).double()
    signs = (found * expected).sum(0).sign()
    torch.testing.assert_close(found * signs, expected, rtol=1e-3, atol=1e-3)


def test_directions_without_pictures_in_them_give_nothing():
    found = Components.fit(bank_of(), 12, seed=0)  # the features have six
    assert found.axes.isfinite().all()
    assert (found.axes.abs().sum(0) > 0).sum() == 6


def test_works_without_picture_stay_without():
    bank = bank_of(missing=[3, 7])
    short = Components.fit(bank, 4, seed=0).of(bank)
    assert not short.present[[3, 7]].any()
    assert short.present.sum() == len(bank) - 2


def test_one_picture_in_one_colour_is_no_trouble():
    bank = FeatureBank.fit(np.ones((3, 5), np.float32), np.arange(3), "zscore")
    assert Components.fit(bank, 9, seed=0).of(bank).take(torch.arange(3)).isfinite().all()


def test_a_network_trained_on_components_answers_from_features():
    data, table = style_gallery()
    model = CuratorNet(components=3, epochs=2, triples_per_epoch=512, batch_size=128).fit(data, table)
    assert model.network.item[0].in_features == table.dim
    rows = table.align(model.item_ids)[:5]
    vectors = model.network.item_tower(model.scaling(np.asarray(table.matrix)[rows]))
    torch.testing.assert_close(vectors.detach(), model.item_vectors[:5])
