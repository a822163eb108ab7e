"""Models that say their score is an inner product keep their word, for pictures from outside, too."""

import numpy as np
import pytest

import vasari as vs
from vasari.data.ragged import Ragged
from vasari.models import visrank
from vasari.models.dot_product import as_dot_product
from vasari.testing.galleries import style_gallery

FAST = {"epochs": 1, "triples_per_epoch": 500}
MODELS = [
    pytest.param(vs.CuratorNet(**FAST), id="CuratorNet"),
    pytest.param(vs.LinearMap(factors=8, iterations=2), id="LinearMap"),
    pytest.param(vs.BPR(**FAST), id="BPR"),
    pytest.param(vs.VBPR(**FAST), id="VBPR"),
    pytest.param(vs.VisRank(), id="VisRank"),
]


@pytest.mark.parametrize("model", MODELS)
def test_scores_are_inner_products(model):
    data, features = style_gallery()
    product = as_dot_product(model.fit(data, features))
    assert product is not None
    profiles = Ragged.from_rows([[0, 3], [40]])
    users = [None, None]
    expected = model.score(profiles, users)
    found = product.user_matrix(profiles, users) @ product.item_matrix().T
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "model", [vs.VisRank(similarity="max"), vs.VisRank(similarity="topk"), vs.Popularity(), vs.ItemKNN()]
)
def test_what_is_no_inner_product_is_not_taken_for_one(model):
    assert as_dot_product(model.fit(*style_gallery())) is None


def test_unit_vectors_that_fill_the_memory_are_not_held(monkeypatch):
    monkeypatch.setattr(visrank, "MOST", 10)
    assert as_dot_product(vs.VisRank().fit(*style_gallery())) is None


@pytest.mark.parametrize(
    "model", [param for param in MODELS if param.id in ("CuratorNet", "VBPR", "VisRank")]
)
def test_guests_among_works_count_as_what_they_show(model):
    data, features = style_gallery()
    model.fit(data, features)
    product = as_dot_product(model)
    guests = features.gather([7, 50])
    count = len(model.item_ids)
    assert product.embed(guests).shape == (2, product.item_matrix().shape[1])
    mixed = product.user_matrix(Ragged.from_rows([[3, count + 1], [count]]), [None, None], guests)
    if not isinstance(model, vs.VBPR):  # no factors of works: a picture is all there is
        plain = product.user_matrix(Ragged.from_rows([[3, 50], [7]]), [None, None])
        np.testing.assert_allclose(mixed, plain, rtol=1e-3, atol=1e-4)
    assert mixed.shape == (2, product.item_matrix().shape[1])
