import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vasari.core.errors import UsageError
from vasari.core.seeds import generator

NUMBER = st.integers(0, 2**64 - 1)
NAME = st.tuples(NUMBER, st.sampled_from(["triples", "users", "", "é"]), st.lists(NUMBER, max_size=3))


def draw(seed, purpose, position):
    return tuple(generator(seed, purpose, *position).integers(2**63, size=4).tolist())


@given(NAME, NAME)
def test_same_name_same_stream_and_different_name_different_stream(one, other):
    assert draw(*one) == draw(*one)
    assert (draw(*one) == draw(*other)) == (one == other)


def test_names_that_plain_concatenation_would_confuse():
    names = [
        (7, "p", ()),
        (7, "p", (0,)),
        (7, "p", (0, 0)),
        (7, "p", (2**32,)),
        (7, "p", (0, 1)),
        (7, "p", (1,)),
        (7 + 2**32, "p", ()),
        (2**64 - 1, "p", ()),
    ]
    assert len({draw(*name) for name in names}) == len(names)


def test_neighbouring_streams_are_uncorrelated():
    streams = np.stack(
        [
            generator(seed, "p", epoch, batch).standard_normal(4_000)
            for seed, epoch, batch in itertools.product(range(3), repeat=3)
        ]
    )
    between = np.corrcoef(streams)[np.triu_indices(len(streams), 1)]
    assert np.abs(between).max() < 5 / np.sqrt(4_000)


def test_streams_are_the_same_in_every_process_and_for_every_integer_type():
    code = "from vasari.core.seeds import generator; print(generator(3, 'triples', 1, 2).integers(10**9))"
    here = generator(np.int64(3), "triples", np.uint8(1), True + 1).integers(10**9)
    for hash_seed in ("0", "1"):
        output = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": hash_seed}, capture_output=True, check=True
        ).stdout
        assert int(output) == here


@pytest.mark.parametrize("numbers", [(-1,), (0, -1), (2**64,), (0, 2**64)])
def test_a_number_out_of_range_is_named(numbers):
    with pytest.raises(UsageError, match=str(next(n for n in numbers if n))):
        generator(numbers[0], "p", *numbers[1:])


def test_a_fraction_is_no_seed():
    with pytest.raises(TypeError):
        generator(1.5, "p")
