import numpy as np

from vasari.core import scratch as module
from vasari.core.scratch import scratch


def test_large_arrays_lie_in_a_file_and_behave_like_small_ones(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "HELD", 1000)
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    small, large = scratch((10, 10), np.uint8), scratch((10, 11, 10), np.float16)
    assert not isinstance(small, np.memmap)
    assert isinstance(large, np.memmap)
    for array in (small, large):
        assert not array.any()
        array[3] = 7
        assert array.sum() == 7 * array[3].size
    assert list(tmp_path.iterdir()) == []  # nothing to clean up
