"""People of the log whom no triple is about are answered as strangers, not by vectors that nothing moved."""

from datetime import datetime, timezone

import numpy as np
import polars as pl
import pytest
from galleries import ITEMS, style_gallery

import vasari
from vasari.data.ragged import Ragged
from vasari.models import model_class

UNSEEN = "w005"  # has no picture
BRIEF = {"epochs": 1, "triples_per_epoch": 400, "batch_size": 200}
PIXELS = {"backbone": "test_efficientnet", "image_size": 32, "factors": 8}
EVERYTHING = [f"w{n:03d}" for n in range(ITEMS)]


@pytest.mark.parametrize(
    ("name", "settings", "taken"),
    [
        ("ACF", {"channels": 8}, [UNSEEN]),
        ("BPR", {}, EVERYTHING),
        ("DVBPR", PIXELS, [UNSEEN]),
        ("VBPR", {}, [UNSEEN]),
        ("Vista", {}, [UNSEEN]),
        ("Vista", {}, ["w013", "w014"]),  # one basket: nothing came next
    ],
)
def test_people_whom_nothing_was_learnt_about_are_strangers(tmp_path, name, settings, taken):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    data, table = style_gallery([UNSEEN], folder=pictures)
    log = data.interactions.frame
    when = pl.lit(datetime(2020, 10, 1, tzinfo=timezone.utc), log.schema["timestamp"])
    mine = pl.DataFrame({"user_id": "untaught", "item_id": taken}).with_columns(timestamp=when)
    data = data.with_interactions(pl.concat([log, mine], how="diagonal"))
    model = model_class(name)(validation_share=0.0, **BRIEF, **settings).fit(data, table, progress=False)
    profiles = Ragged.from_rows([[13, 14, 30]] * 3)
    people = ["untaught", "somebody new", "u01"]
    untaught, stranger, known = model.score(profiles, people)
    np.testing.assert_array_equal(untaught, stranger)
    assert not np.array_equal(known, stranger)
    loaded = vasari.load(model.save_pretrained(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.score(profiles, people), np.stack([untaught, stranger, known]))
