import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from small_data import UTC_US, day, make_dataset

from vasari.core.errors import CorruptFileError, DataError, NotFoundError
from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.data.ids import Ids
from vasari.data.interactions import Interactions
from vasari.data.preference import Preference
from vasari.data.stock import ALWAYS, NEVER

ROWS = [("u", "b", 3), ("v", "a", 1), ("u", "a", 1), ("u", "c", 3)]


def micros(moment):
    return int(moment.timestamp()) * 10**6


def test_saved_and_loaded_is_the_same(tmp_path):
    data = make_dataset(ROWS, ["a", "b", "c"], artist_id=["P", None, "P"], year=[1999, 2000, None])
    preference = Preference(Ids(["u", "v"]), np.arange(6, dtype=np.float32).reshape(2, 3))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"x")
    catalogue = Catalogue(data.catalogue.frame.with_columns(image=pl.lit("a.jpg")), tmp_path / "images")
    data = Dataset(catalogue, data.interactions, "gallery", "Collectors are invented.", preference)
    data.save(tmp_path)
    loaded = Dataset.load(tmp_path)
    assert loaded.fingerprint == data.fingerprint
    assert (loaded.name, loaded.simulated) == (data.name, data.simulated)
    assert loaded.catalogue.frame.equals(data.catalogue.frame)
    assert loaded.interactions.frame.equals(data.interactions.frame)
    np.testing.assert_array_equal(loaded.preference.scores, preference.scores)
    assert list(loaded.preference.user_ids) == ["u", "v"]
    assert (tmp_path / "images" / "a.jpg").exists()
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert Dataset.load(moved).catalogue.images()[0].read_bytes() == b"x"
    Dataset(catalogue, data.interactions).save(moved)
    assert Dataset.load(moved).preference is None
    assert not (moved / "preference.npy").exists()


@pytest.mark.parametrize("name", ["catalogue.parquet", "interactions.parquet", "preference.npy"])
def test_half_a_save_is_refused(tmp_path, name):
    data = make_dataset(ROWS, ["a", "b", "c"])
    preference = Preference(Ids(["u", "v"]), np.ones((2, 3), np.float32))
    Dataset(data.catalogue, data.interactions, preference=preference).save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(CorruptFileError, match=name):
        Dataset.load(tmp_path)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CorruptFileError, match=name):
        Dataset.load(tmp_path)


def test_a_save_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    data = make_dataset(ROWS, ["a", "b", "c"])
    data.save(tmp_path)
    monkeypatch.setattr("vasari.data.dataset.json.dumps", lambda *_a, **_k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_dataset(ROWS[:2], ["a", "b", "c"]).save(tmp_path)
    assert Dataset.load(tmp_path).fingerprint == data.fingerprint
    assert len(list(tmp_path.iterdir())) == 3


def test_other_layouts_and_no_dataset(tmp_path):
    with pytest.raises((NotFoundError, DataError)):
        Dataset.load(tmp_path)
    make_dataset(ROWS, ["a", "b", "c"]).save(tmp_path)
    meta = json.loads((tmp_path / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps(meta | {"layout": 99}))
    with pytest.raises(DataError, match="99"):
        Dataset.load(tmp_path)


def test_the_fingerprint_is_of_the_contents():
    data = make_dataset(ROWS, ["a", "b", "c"], title=["x", "", None])
    assert make_dataset(ROWS, ["a", "b", "c"], title=["x", "", None]).fingerprint == data.fingerprint
    others = [
        make_dataset(ROWS, ["a", "b", "c"], title=["x", None, ""]),
        make_dataset(ROWS, ["a", "b", "c"], title=["", "x", None]),
        make_dataset(ROWS[::-1], ["a", "b", "c"], title=["x", "", None]),
        make_dataset(ROWS[:3], ["a", "b", "c"], title=["x", "", None]),
        make_dataset(ROWS, ["a", "b", "c"], artist_id=["x", "", None]),
    ]
    assert len({data.fingerprint, *(o.fingerprint for o in others)}) == 6


class Capsule:
    """Any object with the Arrow PyCapsule interface."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "convert", [pl.DataFrame, pl.LazyFrame, pd.DataFrame, pa.table, lambda d: Capsule(pa.table(d))]
)
def test_every_kind_of_frame_gives_the_same_dataset(convert):
    items = {"item_id": [1, 2, 3], "original": [True, False, None]}
    log = {"user_id": [7, 7, 8], "item_id": [1, 2, 1], "timestamp": [day(1), day(2), day(3)]}
    data = Dataset.from_frames(convert(items), convert(log))
    assert list(data.catalogue.ids) == ["1", "2", "3"]
    assert data.interactions.frame["timestamp"].to_list() == [day(1), day(2), day(3)]
    assert data.catalogue.originals.tolist() == [True, False, False]
    again = Dataset.from_frames(data.catalogue.to_pandas(), data.interactions.to_arrow())
    assert again.fingerprint == data.fingerprint
    assert (
        Dataset.from_frames(data.catalogue.to_arrow(), data.interactions.to_pandas()).fingerprint
        == data.fingerprint
    )


def test_frames_that_are_none():
    with pytest.raises(DataError, match="list"):
        Dataset.from_frames([{"item_id": 1}])
    with pytest.raises(DataError, match="explode"):
        Dataset.from_frames(pl.DataFrame({"item_id": [["a", "b"]]}))
    with pytest.raises(DataError, match="catalogue is a NoneType; give"):
        Dataset.from_frames(None, pl.DataFrame({"item_id": ["a"]}))


def test_from_frames_says_what_it_assumed_and_what_is_missing(tmp_path):
    items = pl.DataFrame({"item_id": ["a", "b"], "image": ["gone.png", None]})
    log = pl.DataFrame({"user_id": ["u"], "item_id": ["a"], "timestamp": ["2024-01-01"]})
    with pytest.warns(UserWarning, match="gone.png") as caught:
        Dataset.from_frames(items, log, image_root=tmp_path)
    texts = " ".join(str(warning.message) for warning in caught)
    assert "'gone.png' is no file" in texts
    assert "taken as UTC" in texts
    assert all(warning.filename == __file__ for warning in caught)
    for root in (tmp_path / "nowhere", "/nowhere"):
        with pytest.raises(NotFoundError, match="nowhere does not exist"):
            Dataset.from_frames(items, log, image_root=root)


def test_categories_and_other_types():
    log = pd.DataFrame(
        {"user_id": pd.Categorical(["u", "v"]), "item_id": [1, 2], "timestamp": ["2024-01-01"] * 2}
    )
    data = Dataset.from_frames(pl.DataFrame({"item_id": pl.Series([1, 2], dtype=pl.UInt16)}), log)
    assert list(data.histories.user_ids) == ["u", "v"]


def test_a_catalogue_without_log():
    data = Dataset.from_frames(pl.DataFrame({"item_id": ["a"]}))
    assert len(data.interactions) == 0
    assert data.describe()["users"] == 0
    assert len(data.histories.user_ids) == 0
    assert data.stock.at([0]).all()


def test_canonical_tables_are_guarded():
    good = make_dataset(ROWS, ["a", "b", "c"])
    with pytest.raises(DataError, match="twice|more than once"):
        Catalogue(pl.DataFrame({"item_id": ["a", "a"]}))
    with pytest.raises(DataError, match="item_id"):
        Catalogue(pl.DataFrame({"item_id": [1, 2]}))
    with pytest.raises(DataError, match="empty"):
        Catalogue(pl.DataFrame({"item_id": ["a", None]}))
    with pytest.raises(DataError, match="timestamp"):
        Interactions(good.interactions.frame.drop("timestamp"))
    with pytest.raises(DataError, match="timestamp"):
        Interactions(good.interactions.frame.with_columns(pl.col("timestamp").dt.replace_time_zone(None)))
    with pytest.raises(NotFoundError, match="'c'"):
        Dataset(Catalogue(pl.DataFrame({"item_id": ["a", "b"]})), good.interactions)
    with pytest.raises(DataError, match="columns"):
        Dataset(
            good.catalogue, good.interactions, preference=Preference(Ids(["u"]), np.ones((1, 2), np.float32))
        )


def test_artists_and_images():
    frame = pl.DataFrame(
        {"item_id": ["a", "b", "c"], "artist_id": ["Q", None, "P"], "image": ["x/1.jpg", None, "2.png"]}
    )
    catalogue = Catalogue(frame, "root")
    assert catalogue.artists.tolist() == [0, -1, 1]
    assert list(catalogue.artist_ids) == ["Q", "P"]
    assert [None if p is None else p.as_posix() for p in catalogue.images()] == [
        "root/x/1.jpg",
        None,
        "root/2.png",
    ]
    assert Catalogue(frame.drop("image", "artist_id")).images() == [None] * 3
    assert Catalogue(frame.drop("artist_id")).artists.tolist() == [-1] * 3


def test_stock_follows_the_catalogue_and_the_sales():
    rows = [
        ("u", "a", 5, "purchase"),
        ("v", "a", 4, "view"),
        ("v", "b", 2, "purchase"),
        ("w", "c", 9, "purchase"),
    ]
    columns = {
        "original": [True, False, True, True],
        "added_at": pl.Series([day(1), None, None, day(3)], dtype=UTC_US),
        "removed_at": pl.Series([None, day(8), day(7), None], dtype=UTC_US),
    }
    stock = make_dataset(rows, ["a", "b", "c", "d"], **columns).stock
    assert stock.enters.tolist() == [micros(day(1)), ALWAYS, ALWAYS, micros(day(3))]
    assert stock.leaves.tolist() == [micros(day(5)), micros(day(8)), micros(day(7)), NEVER]
    assert stock.at([micros(day(5)), micros(day(5)) + 1])[:, 0].tolist() == [True, False]


def test_without_kinds_every_interaction_is_a_sale_and_originals_are_never_guessed():
    stock = make_dataset(ROWS, ["a", "b", "c"], original=[True, True, None]).stock
    assert stock.leaves.tolist() == [micros(day(1)), micros(day(3)), NEVER]
    assert (make_dataset(ROWS, ["a", "b", "c"]).stock.leaves == NEVER).all()


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["b", "a", "c"])])
def test_ids_of_any_kind_of_text_are_found(dtype):
    ids, asked = Ids(pl.Series(["a", "b"], dtype=dtype)), pl.Series(["b", "c"], dtype=dtype)
    for wanted in (asked, asked.to_list(), Ids(asked)):
        assert ids.find(wanted).tolist() == [1, -1]
    assert ids.find(Ids(["a", "b"])).tolist() == [0, 1]
    assert Ids(pl.Series([])).find(asked).tolist() == [-1, -1]
