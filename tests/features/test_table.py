import os

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vasari.core.errors import CorruptFileError, DataError, NotFoundError, UsageError
from vasari.data.ids import Ids
from vasari.features.fingerprint import Fingerprint
from vasari.features.table import FeatureTable, Quarantined


def table(n=20, dim=5, dtype=np.float16, maps=None):
    rng = np.random.default_rng(n)
    return FeatureTable(
        Ids([f"item {row}" for row in range(n)]),
        rng.normal(size=(n, dim)).astype(dtype),
        Fingerprint("test", "w", dtype=np.dtype(dtype).name, spatial=maps is not None),
        hashes=[f"{row:064x}" for row in range(n)],
        quarantine=[Quarantined("lost", 'a "b",\nc 画.jpg', "the file is empty")],
        animated=["item 3"],
        positions=None if maps is None else rng.normal(size=(n, *maps)).astype(dtype),
    )


@pytest.mark.parametrize("maps", [None, (4, 3)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_round_trip(tmp_path, dtype, maps):
    one = table(dtype=dtype, maps=maps)
    one.save(tmp_path / "t")
    two = FeatureTable.load(tmp_path / "t")
    assert (two.ids, two.fingerprint, two.hashes) == (one.ids, one.fingerprint, one.hashes)
    assert (two.quarantine, two.animated) == (one.quarantine, one.animated)
    assert isinstance(two.matrix, np.memmap)
    assert not two.matrix.flags.writeable
    np.testing.assert_array_equal(two.matrix, one.matrix)
    if maps:
        np.testing.assert_array_equal(two.positions, one.positions)
    two.save(tmp_path / "t")  # over itself
    np.testing.assert_array_equal(FeatureTable.load(tmp_path / "t").matrix, one.matrix)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(max_size=8), min_size=3, max_size=3))
@example(["nul \0", "surrogate \udc80", "\r\n\t\"',\\"])
def test_odd_characters_are_written_and_read(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("odd")
    one = FeatureTable(
        Ids(["a"]), np.zeros((1, 2), np.float32), Fingerprint("t", "w"), quarantine=[Quarantined(*texts)]
    )
    one.save(folder / "t")
    escaped = [text.replace("\0", r"\x00").encode("utf-8", "backslashreplace").decode() for text in texts]
    assert FeatureTable.load(folder / "t").quarantine == [Quarantined(*escaped)]


def test_tables_are_compared_by_identity():
    one, two = table(), table()
    assert one == one
    assert one != two
    assert len({one, two, one}) == 2


def test_align_and_gather():
    one = table()
    rows = one.align(Ids(["item 7", "unknown", "item 0"]))
    assert rows.tolist() == [7, -1, 0]
    vectors = one.gather([7, 0, 7])
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, one.matrix[[7, 0, 7]].astype(np.float32))
    for bad in ([-1], [20]):
        with pytest.raises(UsageError, match="none of the table's"):
            one.gather(bad)
    assert one.gather([]).shape == (0, 5)


@settings(deadline=None, max_examples=30)
@given(
    arrays(
        st.sampled_from([np.float64, np.float32, np.float16]),
        st.tuples(st.integers(1, 12), st.integers(1, 4)),
    )
)
def test_rows_that_are_not_finite_go_into_quarantine(matrix):
    ids = [f"i{row}" for row in range(len(matrix))]
    one = FeatureTable.from_arrays(ids, matrix, "test")
    with np.errstate(over="ignore"):
        values = matrix if matrix.dtype == np.float16 else matrix.astype(np.float32)
    good = [name for name, row in zip(ids, values, strict=True) if np.isfinite(row).all()]
    assert list(one.ids) == good
    assert [entry.item_id for entry in one.quarantine] == [name for name in ids if name not in good]
    assert np.isfinite(one.matrix).all()
    np.testing.assert_array_equal(one.matrix, values[np.isfinite(values).all(axis=1)])


def test_from_arrays_refuses_what_does_not_fit():
    with pytest.raises(DataError, match="more than once"):
        FeatureTable.from_arrays(["a", "a"], np.zeros((2, 3)), "test")
    with pytest.raises(DataError, match="do not fit"):
        FeatureTable.from_arrays(["a", "b"], np.zeros((3, 3)), "test")
    with pytest.raises(DataError, match="do not fit"):
        FeatureTable.from_arrays(["a", "b"], np.zeros(2), "test")
    with pytest.raises(DataError, match="not numbers"):
        FeatureTable.from_arrays(["a"], np.array([["x", "y"]]), "test")
    with pytest.raises(DataError, match="not numbers"):
        FeatureTable.from_arrays(["a"], np.array([[None, {}]], dtype=object), "test")


def test_from_arrays_tells_contents_apart(tmp_path):
    one = FeatureTable.from_arrays(["a"], np.zeros((1, 3)), "test")
    assert one.fingerprint != FeatureTable.from_arrays(["a"], np.ones((1, 3)), "test").fingerprint
    assert one.hashes is None
    one.save(tmp_path / "t")
    assert FeatureTable.load(tmp_path / "t").hashes is None
    assert FeatureTable.load(tmp_path / "t").fingerprint == one.fingerprint


def test_an_empty_table_round_trips(tmp_path):
    one = FeatureTable.from_arrays(["a"], [[np.nan, 1.0]], "test")
    assert len(one) == 0
    one.save(tmp_path / "t")
    two = FeatureTable.load(tmp_path / "t")
    assert (len(two), two.dim) == (0, 2)
    assert two.quarantine == one.quarantine


def test_misaligned_tables_are_refused():
    with pytest.raises(DataError):
        FeatureTable(Ids(["a"]), np.zeros((2, 2), np.float32), Fingerprint("t", "w"))
    with pytest.raises(DataError):
        FeatureTable(Ids(["a"]), np.zeros((1, 2), np.float32), Fingerprint("t", "w"), hashes=["x", "y"])


FILES = ["matrix.npy", "ids.parquet", "features.json", "quarantine.csv", "checksums.json"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "remove"])
def test_damage_is_noticed(tmp_path, name, damage):
    table().save(tmp_path / "t")
    path = tmp_path / "t" / name
    content = path.read_bytes()
    middle = len(content) // 2
    changed = {
        "cut": content[:middle],
        "flip": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "empty": b"",
    }
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(changed[damage])
    with pytest.raises((CorruptFileError, NotFoundError)):
        FeatureTable.load(tmp_path / "t")


@pytest.mark.parametrize("name", FILES[:4])
def test_a_cut_file_is_noticed_without_checksums(tmp_path, name):
    table().save(tmp_path / "t")
    path = tmp_path / "t" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CorruptFileError, match="damaged"):
        FeatureTable.load(tmp_path / "t", verify=False)


def test_a_shuffled_table_gives_vectors_and_maps_alike_to_other_ids():
    one = table(maps=(4, 3))
    other = one.shuffled(seed=1)
    assert sorted(other.ids) == sorted(one.ids)
    assert other.ids != one.ids
    assert other.fingerprint != one.fingerprint
    np.testing.assert_array_equal(other.matrix, one.matrix)
    np.testing.assert_array_equal(other.positions, one.positions)


def test_no_table_is_said_to_be_none(tmp_path):
    with pytest.raises(NotFoundError, match="no feature table"):
        FeatureTable.load(tmp_path)
    with pytest.raises(NotFoundError):
        FeatureTable.load(tmp_path / "absent")


def test_object_arrays_are_never_unpickled(tmp_path):
    table().save(tmp_path / "t")
    np.save(tmp_path / "t" / "matrix.npy", np.array([[os.getcwd]], dtype=object))
    with pytest.raises(CorruptFileError):
        FeatureTable.load(tmp_path / "t", verify=False)
