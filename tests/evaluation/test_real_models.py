"""The shipped models through evaluate(): missing pictures, shuffled pictures, and kills at any moment."""

from __future__ import annotations

import os
import random as lots
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from polars.testing import assert_frame_equal

from vasari.data.dataset import Dataset
from vasari.evaluation.evaluate import evaluate
from vasari.evaluation.result import Evaluation
from vasari.features.table import FeatureTable
from vasari.models import Oracle, Popularity, Random, VisRank


def looks(data, seed=0, missing=0):
    """Vectors for all but the last `missing` works."""
    ids = list(data.catalogue.ids)[: len(data.catalogue) - missing]
    return FeatureTable.from_arrays(
        ids, np.random.default_rng(seed).normal(size=(len(ids), 6)), "drawn by lot"
    )


def test_floor_and_ceiling_stand_where_they_must(gallery):
    data = gallery(users=150, items=80, originals=True)
    evaluation = evaluate([Oracle(), Random(), Popularity(), VisRank()], data, looks(data), ks=(20,))
    means = {(r["model"], r["metric"]): r for r in evaluation.summary().iter_rows(named=True)}
    for metric in ("auc", "rr", "ndcg@20", "recall@20"):
        assert means["Oracle", metric]["mean"] == pytest.approx(1.0)
    assert means["Random", "auc"]["low"] <= 0.5 <= means["Random", "auc"]["high"]
    assert all(result.refitted for result in evaluation.results)
    assert evaluation.protocol == "replay"


def test_works_without_picture_are_candidates_for_nobody(gallery):
    data = gallery(users=100, items=60)
    evaluation = evaluate([Popularity(), VisRank()], data, looks(data, missing=25), protocol="last-basket")
    assert evaluation.counts["items_without_picture"] == 25
    popular, visual = evaluation.results
    assert (popular.per_case["n_candidates"] == visual.per_case["n_candidates"]).all()
    assert (popular.per_case["case"] == visual.per_case["case"]).all()
    for result in evaluation.results:
        assert result.per_case["n_candidates"].max() <= 35
        assert result.top_items.max() < 35
        assert np.isfinite(result.top_scores[result.top_items >= 0]).all()


def test_other_pictures_are_another_result(gallery, tmp_path):
    data = gallery()
    table = looks(data)
    shuffled = FeatureTable.from_arrays(table.ids, table.matrix[::-1].copy(), "drawn by lot")
    first = evaluate([VisRank(), Popularity()], data, table, out=tmp_path)
    second = evaluate([VisRank(), Popularity()], data, shuffled, out=tmp_path)
    assert first["VisRank"].key != second["VisRank"].key
    assert_frame_equal(second.summary(), evaluate([VisRank(), Popularity()], data, shuffled).summary())


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from vasari.data.dataset import Dataset
from vasari.evaluation.evaluate import evaluate
from vasari.features.table import FeatureTable
from vasari.models import Popularity, Random, VisRank

data, table = Dataset.load(sys.argv[1]), FeatureTable.load(Path(sys.argv[1]) / "features")
models = [Random(), VisRank(), VisRank(similarity="max"), Popularity()]
evaluate(models, data, table, out=sys.argv[2], progress=False)
"""


@pytest.mark.slow
def test_kills_at_any_moment_never_change_the_result(gallery, tmp_path):
    data = gallery(users=900, items=3000, originals=True)
    data.save(tmp_path / "data")
    looks(data).save(tmp_path / "data" / "features")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(out: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "data"), str(out)]
        return subprocess.Popen(command, env=environment, start_new_session=True)

    begun = time.monotonic()
    assert start(tmp_path / "whole").wait() == 0
    took = time.monotonic() - begun
    draw = lots.Random(0)
    for _ in range(8):
        process = start(tmp_path / "killed")
        time.sleep(draw.uniform(0.2, 1.0) * took)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert start(tmp_path / "killed").wait() == 0
    whole, killed = Evaluation.load(tmp_path / "whole"), Evaluation.load(tmp_path / "killed")
    assert_frame_equal(whole.summary(), killed.summary())
    for a, b in zip(whole.results, killed.results, strict=True):
        assert a.key == b.key
        assert_frame_equal(a.per_case, b.per_case)
        np.testing.assert_array_equal(a.top_items, b.top_items)
        np.testing.assert_array_equal(a.top_scores, b.top_scores)
    assert Dataset.load(tmp_path / "data").fingerprint == whole.fingerprints["data"]
