"""What is particular to a graphics card; the other tests use one where there is one."""

import numpy as np
import pytest
import torch
from galleries import style_gallery

from vasari.data.ragged import Ragged
from vasari.models import BPR, CuratorNet
from vasari.models.curatornet import _distinct
from vasari.models.dots import pair_dots
from vasari.training import loop

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card that torch can use")

BRIEF = {"epochs": 4, "triples_per_epoch": 2000, "batch_size": 200, "keep": "last"}
PROFILES = Ragged.from_rows([[3, 9], [40], [1, 2, 50]])


@pytest.mark.parametrize(("kind", "settings"), [(BPR, {"factors": 4}), (CuratorNet, {"average": True})])
def test_a_killed_fit_resumes_to_nearly_the_same_model(kind, settings, tmp_path, monkeypatch):
    data, table = style_gallery()

    def fit(**more):
        return kind(**BRIEF, **settings).fit(data, table, seed=3, device="cuda", **more)

    whole, save, saved = fit(), loop.save_checkpoint, []

    def dying(*arguments):
        save(*arguments)
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", dying)
        with pytest.raises(KeyboardInterrupt):
            fit(checkpoints=tmp_path)
    resumed = fit(checkpoints=tmp_path)
    np.testing.assert_allclose(resumed.score(PROFILES), whole.score(PROFILES), rtol=0.01, atol=0.01)


def test_it_learns_what_a_processor_learns():
    data, table = style_gallery()
    ours, theirs = (
        CuratorNet(**BRIEF).fit(data, table, seed=3, device=device).score(PROFILES)
        for device in ("cuda", "cpu")
    )
    # Rounding grows from step to step, so the scores agree but for some percent.
    np.testing.assert_allclose(ours, theirs, atol=0.05 * np.abs(theirs).max())


@pytest.mark.parametrize("pairs", [20, 5000])
def test_inner_products_of_pairs_and_their_gradients_are_a_processors(pairs):
    torch.manual_seed(0)
    left, right, weights = torch.randn(50, 200), torch.randn(80, 200), torch.randn(pairs)
    rows, columns = torch.randint(50, (pairs,)), torch.randint(80, (pairs,))
    found = []
    for device in ("cuda", "cpu"):
        sides = [side.to(device).requires_grad_() for side in (left, right)]
        dots = pair_dots(*sides, rows.to(device), columns.to(device))
        found.append([dots, *torch.autograd.grad((dots * weights.to(device)).sum(), sides)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-4, atol=1e-3)


def test_distinct_items_are_the_same_on_both():
    items = np.random.default_rng(0).integers(0, 500, 2000)
    for ours, theirs in zip(*(_distinct(items, torch.device(at)) for at in ("cuda", "cpu")), strict=True):
        assert torch.equal(ours.cpu(), theirs)
