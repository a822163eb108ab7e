"""The documented model is short, runs as printed and keeps the contract."""

import re
from pathlib import Path

import pytest

from vasari.models import registry
from vasari.testing import check_recommender

PAGE = Path(__file__).parents[2] / "docs" / "new-model.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def namespace():
    """What the page's first block defines; the registry is left as it was."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_MODELS", dict(registry._MODELS))
        names = {"__name__": "new_model"}
        exec(compile(BLOCKS[0], str(PAGE), "exec"), names)
        yield names


def test_a_model_takes_less_than_60_lines():
    assert len(BLOCKS[0].splitlines()) < 60


def test_it_keeps_the_contract_and_solves_what_it_claims(namespace):
    check_recommender(namespace["ExemplarLDA"], solves=["style_taste"])


def test_the_other_examples_run(namespace):
    for block in BLOCKS[1:]:
        exec(compile(block, str(PAGE), "exec"), namespace)
    namespace["test_contract"]("rows_are_independent")
