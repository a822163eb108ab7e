"""A bank gives the same features however they are asked for and however large it is."""

import numpy as np
import pytest
import torch

from vasari.models import bank
from vasari.models.bank import FeatureBank

N, DIM = 50, 7
ROWS = {
    "in order": np.arange(N),
    "a later part": np.arange(N) + 10,
    "shuffled": np.random.default_rng(0).permutation(N),
    "without pictures": np.where(np.arange(N) % 5 == 0, -1, np.arange(N)),
    "backwards": np.arange(N)[::-1].copy(),
}


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_a_block_is_what_its_items_are_one_by_one(rows, held, monkeypatch):
    monkeypatch.setattr(bank, "HELD", N * N * DIM if held else 0)
    matrix = np.random.default_rng(1).standard_normal((N + 10, DIM)).astype(np.float16)
    features = FeatureBank.fit(matrix, rows, "zscore")
    for first, last in ((0, N), (0, 1), (3, 17), (N - 1, N)):
        expected = torch.cat([features.take(torch.tensor([item])) for item in range(first, last)])
        assert torch.equal(features.block(first, last), expected)


def test_a_block_in_order_is_not_copied():
    features = FeatureBank.fit(np.ones((N, DIM), np.float32), np.arange(N), "none")
    assert features.block(3, 17).data_ptr() == features.block(0, N)[3:].data_ptr()
