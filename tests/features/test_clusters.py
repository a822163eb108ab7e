import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, silhouette_score

from vasari.core.errors import DataError, UsageError
from vasari.features import clusters as module
from vasari.features.clusters import project, visual_clusters
from vasari.features.table import FeatureTable


def blobs(groups=6, size=30, dim=40, spread=0.3, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(groups), size)
    values = rng.normal(size=(groups, dim))[truth] + spread * rng.normal(size=(groups * size, dim))
    return values.astype(np.float32), truth


@pytest.mark.parametrize("shape", [(90, 12), (30, 64), (50, 50)])
def test_projection_is_pca_of_z_scores(shape, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 17)
    values = np.random.default_rng(1).normal(size=shape) * np.arange(1, shape[1] + 1) + 5
    values[:, 3] = 7.1
    z = values - values.mean(axis=0)
    z[:, 3] = 0
    z /= np.where(z.std(axis=0) == 0, 1, z.std(axis=0))
    expected = PCA(8).fit_transform(z)
    given = project(values, 8)
    assert given.dtype == np.float32
    np.testing.assert_allclose(np.abs(given), np.abs(expected), atol=2e-3)


def test_projection_has_no_more_axes_than_the_data():
    values = np.random.default_rng(0).normal(size=(5, 40))
    assert project(values, 200).shape == (5, 4)
    assert project(np.random.default_rng(0).normal(size=(50, 4)), 200).shape == (50, 4)
    assert (project(np.full((6, 3), 0.1), 200) == 0).all()


@pytest.mark.parametrize("large", [False, True])
def test_groups_are_found(large, monkeypatch):
    if large:
        monkeypatch.setattr(module, "_LARGE", 100)
        monkeypatch.setattr(module, "_SAMPLE", 120)
        monkeypatch.setattr(module, "_BLOCK", 64)
    values, truth = blobs()
    found = visual_clusters(FeatureTable.from_arrays(map(str, truth + np.arange(180) * 10), values, "t"), 6)
    assert adjusted_rand_score(truth, found.labels) > 0.95
    assert found.labels.dtype == np.int64
    assert len(found) == 6
    if not large:
        assert found.silhouette == pytest.approx(silhouette_score(found.space, found.labels), abs=1e-5)


def test_same_seed_same_clusters_and_more_runs_are_no_worse():
    values, _ = blobs(groups=20, size=15, spread=1.5)
    one, two = (visual_clusters(values, 25, 10, runs=1, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.labels, two.labels)
    np.testing.assert_array_equal(one.space, two.space)
    assert visual_clusters(values, 25, 10, runs=5, seed=3).silhouette >= one.silhouette
    assert not np.array_equal(one.labels, visual_clusters(values, 25, 10, runs=1, seed=4).labels)


@pytest.mark.parametrize(("rows", "expected"), [(1, 1), (2, 2), (3, 2), (19, 2), (57, 5), (1500, 100)])
def test_small_catalogues_get_fewer_clusters(rows, expected):
    values = np.random.default_rng(0).normal(size=(rows, 6))
    found = visual_clusters(values, runs=1)
    assert len(found) == expected
    assert found.labels.shape == (rows,)
    assert set(found.labels.tolist()) == set(range(expected))
    assert -1 <= found.silhouette <= 1


def test_equal_pictures_are_one_cluster():
    found = visual_clusters(np.ones((40, 5)))
    assert len(found) == 1
    assert found.silhouette == 0
    values = np.repeat(np.random.default_rng(0).normal(size=(3, 5)), 40, axis=0)
    found = visual_clusters(values, 10)
    assert len(found) == 3
    assert found.silhouette == pytest.approx(1, abs=1e-4)


def test_misuse_is_refused():
    for arguments in ({"n_clusters": 0}, {"components": 0}, {"runs": 0}, {"inits": -1}):
        with pytest.raises(UsageError):
            visual_clusters(np.ones((4, 4)), **arguments)
    with pytest.raises(DataError):
        visual_clusters(np.ones((0, 4)))
    with pytest.raises(DataError, match="NaN"):
        visual_clusters(np.array([[1.0, np.nan], [1, 2]]))
