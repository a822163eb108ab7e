import numpy as np
import pytest
from galleries import style_gallery

from vasari.data.ragged import Ragged
from vasari.models import VisRank

PROFILES = [[0], [1, 2, 3, 30], [70, 4, 18], [5, 6, 7, 8, 9, 60]]


def slow(features, profile, similarity, top):
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    scores = []
    for item in range(len(features)):
        cosines = sorted((float(unit[item] @ unit[l]) for l in profile), reverse=True)  # noqa: E741  # the paper's letter
        used = {"max": cosines[:1], "mean": cosines, "topk": cosines[:top]}[similarity]
        scores.append(sum(used) / len(used))
    return scores


@pytest.mark.parametrize("scale", ["zscore", "none"])
@pytest.mark.parametrize(
    ("similarity", "top"), [("max", 3), ("mean", 3), ("topk", 1), ("topk", 2), ("topk", 9)]
)
def test_scores_equal_the_definition(similarity, top, scale):
    data, table = style_gallery()
    model = VisRank(similarity=similarity, top=top, scale=scale).fit(data, table)
    features = table.gather(np.arange(len(table))).astype(np.float64)
    if scale == "zscore":
        features = (features - features.mean(0)) / features.std(0)
    wanted = [slow(features, profile, similarity, top) for profile in PROFILES]
    np.testing.assert_allclose(model.score(Ragged.from_rows(PROFILES)), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("similarity", ["max", "mean", "topk"])
def test_contributions_add_up_to_the_score(similarity):
    data, table = style_gallery()
    model = VisRank(similarity=similarity, top=2).fit(data, table)
    profile, items = np.array([1, 30, 50, 3]), np.array([2, 31, 70])
    parts = model.contributions(profile, items)
    assert parts.shape == (3, 4)
    np.testing.assert_allclose(parts.sum(1), model.score(Ragged.from_rows([profile]))[0, items], rtol=1e-4)


def test_a_guest_picture_scores_like_the_same_picture_in_the_catalogue():
    data, table = style_gallery()
    for similarity in ("max", "mean", "topk"):
        model = VisRank(similarity=similarity).fit(data, table)
        guests = table.gather(np.array([4, 20]))
        n = len(model.item_ids)
        inside = model.score(Ragged.from_rows([[4, 20, 33]]))
        outside = model.score(Ragged.from_rows([[n, n + 1, 33]]), guests=guests)
        np.testing.assert_allclose(inside, outside, rtol=1e-4, atol=1e-5)
