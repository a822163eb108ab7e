import io
import os
import pickle
import struct
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vasari.core.errors import DataError, NotFoundError
from vasari.data.pickled_arrays import read_numbers, read_vectors_by_name


def object_array(names, vectors):
    array = np.empty((len(names), 2), dtype=object)
    for row, (name, vector) in enumerate(zip(names, vectors, strict=True)):
        array[row, 0], array[row, 1] = name, vector
    return array


def npy(payload, shape=(1, 2)):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": shape})
    return stream.getvalue() + payload


def refused(tmp_path, payload, shape=(1, 2)):
    path = tmp_path / "evil.npy"
    path.write_bytes(npy(payload, shape))
    start = time.monotonic()
    with pytest.raises(DataError, match="evil.npy") as caught:
        read_vectors_by_name(path)
    assert time.monotonic() - start < 5
    return str(caught.value)


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f4", "i8", "list"])
@pytest.mark.parametrize("named", [str, int, np.str_, np.int64, bytes])
def test_what_numpy_writes_is_read(tmp_path, kind, named):
    names = [101, 7, 55]
    vectors = np.random.default_rng(0).integers(-9, 9, (3, 5))
    cells = [v.tolist() for v in vectors] if kind == "list" else [v.astype(kind) for v in vectors]
    name = {bytes: lambda n: str(n).encode()}.get(named, named)
    np.save(tmp_path / "a.npy", object_array([name(n) for n in names], cells), allow_pickle=True)
    ids, matrix = read_vectors_by_name(tmp_path / "a.npy")
    assert ids == ["101", "7", "55"]
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, vectors)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
def test_every_protocol_and_both_names_of_numpys_core(tmp_path, protocol, core):
    array = object_array(["a.jpg", "b"], [np.ones(3, np.float32), np.zeros(3, np.float32)])
    payload = pickle.dumps(array, protocol=protocol)
    if protocol < 4:  # names are written out, ended by newlines
        payload = payload.replace(b"numpy._core", b"numpy.core").replace(b"numpy.core", core)
    (tmp_path / "a.npy").write_bytes(npy(payload, (2, 2)))
    ids, matrix = read_vectors_by_name(tmp_path / "a.npy")
    assert ids == ["a.jpg", "b"]
    np.testing.assert_array_equal(matrix, [[1, 1, 1], [0, 0, 0]])


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "attack",
    [
        lambda mark: Call(os.system, f"touch {mark}"),
        lambda mark: Call(eval, f"open({str(mark)!r}, 'w')"),
        lambda mark: Call(exec, f"open({str(mark)!r}, 'w')"),
        lambda mark: Call(open, str(mark), "w"),
        lambda mark: Call(getattr, Call(__import__, "os"), "system"),
        lambda mark: Call(np.load, str(mark)),
        lambda mark: Call(np.fromfile, "/etc/hostname", "u1"),
        lambda mark: Call(np.memmap, str(mark), "u1", "w+", 0, (4,)),
        lambda mark: object_array(["a"], [Call(os.mkdir, str(mark))]),
        lambda mark: [object_array([Call(os.mkdir, str(mark))], [np.ones(2)])],
    ],
)
def test_nothing_is_called(tmp_path, attack, protocol):
    mark = tmp_path / "mark"
    message = refused(tmp_path, pickle.dumps(attack(mark), protocol=protocol))
    assert "only arrays, strings and numbers" in message
    assert not mark.exists()


@pytest.mark.parametrize(
    "payload",
    [
        b"cnumpy\nndarray\n((I4\ntR.",  # a call of the array type itself
        b"cnumpy\ndtype\n}(Vx\nI1\nub.",  # a change of an allowed name
        b"cnumpy\ndtype\n(V__call__\nNt.",
        b"cnumpy\ndtype\n(VO\nI0\nI1\ntR(I3\nV|\n(Vf4\n(I9\nttNNI-1\nI-1\nI63\ntb.",  # a sub-array type
        b"cnumpy\ndtype\n(VV999999\nI0\nI1\ntR.",
        b"cnumpy\ndtype\n(Vm8[s]\nI0\nI1\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR.",
        b"ios\nsystem\n(Vid\n.",  # INST
        b"\x80\x02\x82\x01.",  # EXT1
        b"Pid\n.",
        b"]q\x00h\x00a.",  # a list that holds itself
        b"(lp0\ng0\na.",
        b"c__builtin__\nprint\n(tR.",
        b"cposix\nsystem\n(Vid\ntR.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.",
        b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93.",
        b"c_codecs\nencode\n(Va\nVrot13\ntR.",
        b".",
        b"",
        b"N.",
        b"I1\n.",
    ],
)
def test_hand_made_tricks_are_refused(tmp_path, payload):
    refused(tmp_path, payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",  # BINBYTES8 of a terabyte
        b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x.",
        b"\x80\x04\x96" + struct.pack("<Q", 2**40) + b"x.",
        b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N.",  # FRAME
        b"\x80\x02Nr" + struct.pack("<I", 2**31 - 1) + b".",  # a memo of two thousand million places
        b"\x80\x02N" + b"p2147483647\n.",
        b"\x80\x02\x8b" + struct.pack("<i", 2**30) + b"x.",  # LONG4
        b"\x80\x02" + b"(" * 50_000 + b".",
        b"]" * 50_000 + b"a" * 49_999 + b".",
    ],
)
def test_huge_claims_in_small_files_cost_nothing(tmp_path, payload):
    refused(tmp_path, payload)


def test_huge_headers(tmp_path):
    payload = pickle.dumps(object_array(["a"], [np.ones(2)]))
    refused(tmp_path, payload, shape=(2**40, 2))
    path = tmp_path / "n.npy"
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 4)}
    )
    path.write_bytes(stream.getvalue() + b"1234")
    with pytest.raises(DataError):
        read_numbers(path)


def test_one_vector_named_many_times_does_not_fill_memory(tmp_path):
    vector = np.zeros(1_000_000, np.float32)
    payload = pickle.dumps(object_array([str(n) for n in range(20_000)], [vector] * 20_000))
    refused(tmp_path, payload, shape=(20_000, 2))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_truncated(tmp_path, share):
    np.save(tmp_path / "a.npy", object_array(["a", "b"], [np.ones(99), np.ones(99)]), allow_pickle=True)
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError):
        read_vectors_by_name(tmp_path / "a.npy")


def test_other_shapes_and_files(tmp_path):
    for array in (
        np.ones((3, 2)),
        object_array(["a", "b"], [np.ones(2), np.ones(3)]),
        np.array([None, 1], object),
    ):
        np.save(tmp_path / "a.npy", array, allow_pickle=True)
        with pytest.raises(DataError):
            read_vectors_by_name(tmp_path / "a.npy")
    with pytest.raises(DataError):  # an object array is no plain one
        read_numbers(tmp_path / "a.npy")
    with pytest.raises(NotFoundError):
        read_numbers(tmp_path / "b.npy")
    (tmp_path / "a.npy").write_text("item,1,2")
    with pytest.raises(DataError):
        read_numbers(tmp_path / "a.npy")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_pickles_raise_data_errors_only(tmp_path_factory, data):
    payload = bytearray(pickle.dumps(object_array(["a", "b"], [np.ones(3), np.ones(3)]), protocol=4))
    for _ in range(data.draw(st.integers(1, 6))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "a.npy"
    path.write_bytes(npy(bytes(payload), (2, 2)))
    try:
        _, matrix = read_vectors_by_name(path)
        assert matrix.shape[0] == 2
    except DataError:
        pass
