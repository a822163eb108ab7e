"""Training is judged by the answers that the model would give."""

import numpy as np
import pytest
from galleries import style_gallery

from vasari.metrics.measures import measure
from vasari.metrics.ranks import rank_cases
from vasari.models import model_class
from vasari.models.validation import hold_out

UNSEEN = [f"w{n:03d}" for n in range(0, 72, 3)]  # a third of the works has no picture
BRIEF = {"epochs": 1, "triples_per_epoch": 400, "batch_size": 200, "validation_share": 0.9}
PIXELS = {"backbone": "test_efficientnet", "image_size": 32, "factors": 8}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ACF", {"channels": 8}),
        ("CuratorNet", {}),
        ("DVBPR", PIXELS),
        ("VBPR", {}),
        ("Vista", {}),
        ("YouTubeDNN", {"negatives": 32}),
    ],
)
def test_the_epoch_is_chosen_by_what_score_gives_also_where_pictures_are_missing(tmp_path, name, settings):
    data, table = style_gallery(UNSEEN, folder=tmp_path)
    model = model_class(name)(**BRIEF, **settings).fit(data, table, seed=3, progress=False)
    hidden = hold_out(data, model.scorable, 0.9, seed=3)[1]
    assert not model.scorable[hidden.profiles.values].all()
    ranks = measure(rank_cases(model.score, hidden), ks=(20,))
    kept = max(model.history, key=lambda entry: entry["auc"])
    for metric in ("auc", "rr", "ndcg@20"):
        assert kept[metric] == pytest.approx(np.nanmean(ranks[metric]), abs=1e-9)
