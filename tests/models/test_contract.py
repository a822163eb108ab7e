"""Every registered model keeps the contract of `vasari.testing`: append its quick settings here."""

from functools import partial

import pytest

from vasari.core.errors import NotFoundError
from vasari.models import CuratorNet, VisRank, list_models, model_class
from vasari.testing import ANSWERS, CHECKS

BRIEF = {"epochs": 2, "triples_per_epoch": 2000, "batch_size": 500, "learning_rate": 1e-3}
QUICK = {
    "ACF": BRIEF
    | {"dim": 16, "attention_dim": 8, "channels": 8, "epochs": 3, "triples_per_epoch": 4000}
    | {"batch_size": 200, "learning_rate": 1e-2},
    "BPR": BRIEF,
    "Blend": {"parts": {"CuratorNet": BRIEF, "LinearMap": {"factors": 8}}},
    "CuratorNet": BRIEF,
    "DVBPR": BRIEF
    | {"triples_per_epoch": 600, "backbone": "test_efficientnet", "image_size": 32, "factors": 8},
    "LinearMap": {"factors": 8},  # the galleries hold two to six tastes
    "VBPR": BRIEF,
    "Vista": BRIEF,
    "YouTubeDNN": BRIEF | {"embedding": 16, "layers": (32, 16), "negatives": 64},
}
EXEMPT = {("Oracle", "save_and_load"): "it knows the answers of one evaluation only"}

# The known answers that a model finds with its quick settings; nothing is asked of the others.
SOLVES = [
    ("ACF", "style_neighbours"),
    ("ACF", "style_taste"),
    ("ACF", "checkerboard"),
    ("Blend", "style_neighbours"),
    ("Blend", "style_taste"),
    ("CuratorNet", "style_neighbours"),
    ("CuratorNet", "style_taste"),
    ("DVBPR", "style_neighbours"),
    ("EASE", "style_neighbours"),
    ("EASE", "style_taste"),
    ("EASE", "checkerboard"),
    ("ItemKNN", "style_neighbours"),
    ("ItemKNN", "style_taste"),
    ("ItemKNN", "checkerboard"),
    ("LinearMap", "style_neighbours"),
    ("LinearMap", "style_taste"),
    ("VisRank", "style_neighbours"),
    ("VisRank", "style_taste"),
]

# One maker a model, always the same object, so that the checks share what was fitted.
MAKERS = {name: partial(model_class(name), **QUICK.get(name, {})) for name in list_models()}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", MAKERS)
def test_every_model_keeps_the_contract(name, check):
    if reason := EXEMPT.get((name, check)):
        pytest.skip(reason)
    CHECKS[check](MAKERS[name])


@pytest.mark.parametrize(("name", "answer"), SOLVES)
def test_known_answers_are_found(name, answer):
    ANSWERS[answer](MAKERS[name])


def test_the_nearest_work_solves_the_checkerboard_and_the_mean_of_all_does_not():
    ANSWERS["checkerboard"](partial(VisRank, similarity="max"))
    with pytest.raises(AssertionError, match="AUC"):
        ANSWERS["checkerboard"](partial(VisRank, similarity="mean"))


def test_what_knows_nothing_fails_the_questions():
    for answer in ("style_taste", "checkerboard"):
        for name in ("Random", "Popularity"):
            with pytest.raises(AssertionError):
                ANSWERS[answer](MAKERS[name])


def test_the_registry_finds_models_in_any_case():
    assert model_class("curatornet") is CuratorNet
    assert list_models("visr*") == ["VisRank"]
    with pytest.raises(NotFoundError, match="NoSuchNet"):
        model_class("NoSuchNet")
