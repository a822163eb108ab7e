"""Reading foreign .npy files: plain numbers directly, pickled ids-with-vectors without running anything.

The reference implementations publish features as object arrays, which NumPy stores as pickles. A pickle is
a program; this reader runs only those that build arrays, strings and numbers. Three fences:

1. the opcodes are read beforehand without executing any; all but plain data, globals and calls are refused,
   and so are memo numbers and lengths that the file is too small for;
2. a global is looked up in a short list of names, which lead to inert stand-ins of ours, never to NumPy's
   or Python's own objects;
3. a stand-in for an array checks type, shape and length before an array is made of its bytes.
"""

from __future__ import annotations

import math
import os
import pickle
import pickletools
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from typing_extensions import Never

from vasari.core.errors import DataError, NotFoundError

DATA_OPCODES = """
    PROTO FRAME STOP MARK POP POP_MARK DUP MEMOIZE PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET
    NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT
    UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8
    EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3
    GLOBAL STACK_GLOBAL REDUCE BUILD
"""
OPCODES = frozenset(DATA_OPCODES.split())
NUMBER_TYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")
TEXT_TYPE = re.compile(r"[<>|=]?[US]\d{1,4}")


class _RefusedError(Exception):
    """The pickle asks for something that is no array, string or number."""


class _Dtype:
    """Stand-in for numpy.dtype: a type code and a byte order."""

    def __init__(self, code: object, *_flags: object) -> None:
        if not isinstance(code, str) or not (
            code in ("O", "O8") or NUMBER_TYPE.fullmatch(code) or TEXT_TYPE.fullmatch(code)
        ):
            raise _RefusedError(f"the array type {code!r}")
        self.code = code

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or state[2:5] != (None, None, None):
            raise _RefusedError("an array type with fields")
        if state[1] not in ("<", ">", "|", "="):
            raise _RefusedError(f"the byte order {state[1]!r}")
        self.code = f"{state[1]}{self.code.lstrip('<>|=')}"

    @property
    def is_object(self) -> bool:
        return self.code.endswith(("O", "O8"))

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.code)


class _Array:
    """Stand-in for numpy.ndarray: keeps the state that the pickle gives it."""

    shape: tuple[int, ...]
    dtype: _Dtype
    data: object

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise _RefusedError("an array in an unknown form")
        _, shape, dtype, fortran, data = state
        self.fill(shape, dtype, fortran, data)

    def fill(self, shape: object, dtype: object, fortran: object, data: object) -> _Array:
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise _RefusedError(f"the array shape {shape!r}")
        if not isinstance(dtype, _Dtype) or (fortran and len(shape) > 1):
            raise _RefusedError("an array without type or in column order")
        size = math.prod(shape)
        if dtype.is_object:
            fits = isinstance(data, list) and len(data) == size
        else:
            fits = isinstance(data, (bytes, bytearray)) and len(data) == size * dtype.numpy().itemsize
        if not fits:
            raise _RefusedError(f"an array of shape {shape} with data of another length")
        self.shape, self.dtype, self.data = shape, dtype, data
        return self

    def numpy(self) -> npt.NDArray[Any]:
        if not isinstance(self.data, (bytes, bytearray)):
            raise _RefusedError("arrays of objects within arrays")
        return np.frombuffer(self.data, dtype=self.dtype.numpy()).reshape(self.shape)


class _Name:
    """A name of the allow-list: can be called, and nothing else."""

    __slots__ = ("_make", "name")

    def __init__(self, name: str, make: Callable[..., Any] | None = None) -> None:
        self.name, self._make = name, make

    def __call__(self, *arguments: Any) -> Any:
        if self._make is None:
            raise _RefusedError(f"a call of {self.name}")
        return self._make(*arguments)

    def __setstate__(self, state: object) -> Never:
        raise _RefusedError(f"a change of {self.name}")


def _reconstruct(*_arguments: object) -> _Array:
    return _Array()


def _from_buffer(data: object, dtype: object, shape: object, order: object) -> _Array:
    return _Array().fill(shape, dtype, order == "F", data)


def _scalar(dtype: object, data: object) -> Any:
    if not isinstance(dtype, _Dtype) or dtype.is_object:
        raise _RefusedError("a number without type")
    return _Array().fill((1,), dtype, False, data).numpy()[0].item()


def _encode(text: object, encoding: object = "latin1") -> bytes:
    # Protocol 2 writes bytes as text to be encoded again.
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _RefusedError("an encoding other than latin1")
    return text.encode("latin1")


def _allowed() -> dict[tuple[str, str], _Name]:
    names: dict[tuple[str, str], Callable[..., Any] | None] = {
        ("numpy", "ndarray"): None,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _encode,
    }
    for core in ("numpy.core", "numpy._core"):  # renamed in NumPy 2
        names[f"{core}.multiarray", "_reconstruct"] = _reconstruct
        names[f"{core}.multiarray", "scalar"] = _scalar
        names[f"{core}.numeric", "_frombuffer"] = _from_buffer
    return {key: _Name(".".join(key), make) for key, make in names.items()}


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._names = _allowed()

    def find_class(self, module: str, name: str) -> _Name:
        try:
            return self._names[module, name]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None


def read_numbers(path: str | Path) -> npt.NDArray[Any]:
    """Memory-map a plain numeric .npy file.

    Raises
    ------
    NotFoundError
        No such file.
    DataError
        It is no .npy file, cut short, or holds anything but real numbers.
    """
    path = Path(path)
    _, shape, dtype = _header(path)
    if dtype.kind not in "fiu":
        raise DataError(f"{path} holds {dtype}; features are an array of real numbers")
    try:
        numbers: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise DataError(f"{path} is cut short or damaged (shape {shape}): {error}") from None
    return numbers


def read_vectors_by_name(path: str | Path) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Read an object array of shape (n, 2): name, vector.

    Returns
    -------
    The names in file order (repeats included) and the vectors, shape (n, d).

    Raises
    ------
    NotFoundError
        No such file.
    DataError
        The file is cut short, has another shape, or asks for anything but arrays, strings and numbers.
    """
    path = Path(path)
    offset, shape, dtype = _header(path)
    if dtype != np.dtype(object) or len(shape) != 2 or shape[1] != 2:
        raise DataError(
            f"{path} has shape {shape} of {dtype}; an object array (n, 2) of name, vector is needed"
        )
    try:
        cells = _cells(path, offset, shape)
        names = [_text(cell) for cell in cells[0::2]]
        return names, _stack(cells[1::2], path)
    except _RefusedError as error:
        raise DataError(
            f"{path} is refused: its pickle asks for {error}; only arrays, strings and numbers are read"
        ) from None
    except (
        pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError,
        MemoryError, OverflowError, RecursionError, struct.error, UnicodeError,
    ) as error:  # fmt: skip
        raise DataError(f"{path} is cut short or damaged: {error or type(error).__name__}") from None


def _header(path: Path) -> tuple[int, tuple[int, ...], np.dtype[Any]]:
    """Return where the data begins, the shape and the type."""
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist")
    with path.open("rb") as stream:
        try:
            # Typed Any: NumPy leaves these three functions untyped.
            form: Any = np.lib.format
            read = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
            shape, _, dtype = read[form.read_magic(stream)](stream)
        except (ValueError, KeyError, EOFError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
            raise DataError(f"{path} is no .npy file that can be read: {error}") from None
        return stream.tell(), shape, dtype


def _cells(path: Path, offset: int, shape: tuple[int, ...]) -> list[object]:
    with path.open("rb") as stream:
        stream.seek(offset)
        _scan(stream, os.path.getsize(path) - offset)
        stream.seek(offset)
        array = _Unpickler(stream).load()
    if (
        not isinstance(array, _Array)
        or not isinstance(array.data, list)
        or len(array.data) != math.prod(shape)
    ):
        raise _RefusedError(f"something else than the {math.prod(shape)} cells of its header")
    return array.data


def _scan(stream: BinaryIO, size: int) -> None:
    """Read all opcodes without executing any; a length beyond the end of the file is a ValueError."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if opcode.name not in OPCODES:
            raise _RefusedError(f"the operation {opcode.name}")
        if opcode.name.endswith("PUT") and int(argument or 0) > count:
            raise _RefusedError(f"memo number {argument} at operation {count}")
        if opcode.name == "FRAME" and int(argument or 0) > size:
            raise ValueError(f"it claims a frame of {argument} bytes and has {size}")


def _text(cell: object) -> str:
    if isinstance(cell, _Array):
        cell = cell.numpy().item()
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8")
    if isinstance(cell, (str, int)) and not isinstance(cell, bool):
        return str(cell)
    raise _RefusedError(f"a {type(cell).__name__} as a name")


def _stack(cells: list[object], path: Path) -> npt.NDArray[np.float32]:
    vectors = [_vector(cell) for cell in cells]
    lengths = {len(vector) for vector in vectors}
    if len(lengths) > 1:
        raise ValueError(f"its vectors have different lengths: {sorted(lengths)[:3]}")
    dim = lengths.pop() if lengths else 0
    # One vector may be named many times in a pickle; honest files hold as many bytes as numbers.
    if len(vectors) * dim > os.path.getsize(path):
        raise ValueError(f"it claims {len(vectors)} vectors of {dim} numbers, more than it has bytes")
    matrix = np.empty((len(vectors), dim), dtype=np.float32)
    with np.errstate(over="ignore"):  # a double too large for float32 becomes infinite, which is reported
        for row, vector in enumerate(vectors):
            matrix[row] = vector
    return matrix


def _vector(cell: object) -> npt.NDArray[Any]:
    if isinstance(cell, list) and all(type(number) in (int, float) for number in cell):
        return np.asarray(cell, dtype=np.float32)
    if isinstance(cell, _Array) and NUMBER_TYPE.fullmatch(cell.dtype.code):
        return cell.numpy().reshape(-1)
    raise _RefusedError(f"a {type(cell).__name__} as a vector")
