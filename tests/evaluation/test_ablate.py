"""Ablations: which variants there are, that each differs in one thing only, and their reference."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import vasari as vs
from vasari.core.errors import UsageError
from vasari.evaluation.ablate import ablation
from vasari.features.table import FeatureTable
from vasari.models.curatornet import CuratorNet

QUICK = {"epochs": 1, "triples_per_epoch": 200, "batch_size": 100}


def shop(artists=True, seed=0):
    """Forty works in four styles, collectors of one style each, three visits a collector."""
    random = np.random.default_rng(seed)
    names = [f"w{n:02d}" for n in range(40)]
    catalogue = pl.DataFrame({"item_id": names})
    if artists:
        catalogue = catalogue.with_columns(artist_id=pl.Series([f"p{n // 5}" for n in range(40)]))
    rows = []
    for user in range(32):
        works = random.permutation(10)[:6] + 10 * (user % 4)
        rows += [
            (f"u{user}", names[w], 1_600_000_000 + user * 50 + n // 2 * 86_400) for n, w in enumerate(works)
        ]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    centres = np.repeat(random.normal(size=(4, 8)) * 2, 10, axis=0)
    table = FeatureTable.from_arrays(names, centres + random.normal(size=(40, 8)), "test")
    return vs.Dataset.from_frames(catalogue, log, name="styles"), table


def test_every_variant_differs_from_the_full_model_in_one_setting():
    data, table = shop()
    plan = ablation(data, {"deep": table, "other": table}, seeds=[0], settings=QUICK)
    full, *variants = plan.models
    rules = [f"G{n}" for n in range(1, 7)]
    assert [spec.title for spec in variants] == [
        *(f"without {rule}" for rule in rules),
        *(f"{rule} alone" for rule in rules),
        "uniform", "pooling mean", "pooling max", "scale none", "profile cap 5", "profile cap 20",
        "positive out of profile", "features other",
    ]  # fmt: skip
    config = full.build().config()
    assert config == CuratorNet(**QUICK).config()
    for spec in variants:
        changed = [name for name, value in spec.build().config().items() if value != config[name]]
        assert len(changed) == (0 if spec.title == "features other" else 1), spec.title
    mixtures = {spec.title: spec.settings.get("sampling") for spec in variants}
    assert set(mixtures["without G3"]) == set(rules) - {"G3"}
    assert mixtures["G5 alone"] == {"G5": 1.0}
    assert variants[-1].features == "other"
    assert (plan.reference, plan.notes) == ("full", [])


def test_shares_of_a_mixture_are_kept_without_one_of_them():
    data, table = shop()
    settings = {"sampling": {"G1": 1, "G4": 3, "uniform": 4}}
    plan = ablation(data, {"deep": table}, groups=["guidelines"], seeds=[0], settings=settings)
    mixtures = {spec.title: spec.settings["sampling"] for spec in plan.models}
    assert list(mixtures) == [
        "full", "without G1", "without G4", "without uniform", "G1 alone", "G4 alone", "uniform alone",
    ]  # fmt: skip
    left = mixtures["without G1"]
    assert left["uniform"] / left["G4"] == pytest.approx(4 / 3)


def test_what_the_data_cannot_serve_is_left_out_and_named():
    data, table = shop(artists=False)
    plan = ablation(data, {"deep": table}, groups=["guidelines"], seeds=[0, 1])
    titles = [spec.title for spec in plan.models]
    missing = {rule for rule in (f"G{n}" for n in range(1, 7)) if f"{rule} alone" not in titles}
    assert "G3" in missing
    for rule in missing:
        assert f"without {rule}" not in titles
        assert [note for note in plan.notes if f"without {rule}," in note and "needs" in note]
        assert all(rule not in spec.settings.get("sampling", {}) for spec in plan.models)
    assert len(plan.notes) == len(missing)


def test_other_full_models_have_the_opposite_variants():
    data, table = shop()
    settings = {"pooling": ["max"], "scale": "none", "profile_cap": 5, "positive_in_profile": False}
    plan = ablation(data, {"d": table}, groups=["profile", "scale", "pooling"], seeds=[0], settings=settings)
    assert [spec.title for spec in plan.models] == [
        "full", "profile cap 20", "no profile cap", "positive in profile", "scale zscore", "pooling mean",
        "pooling mean+max",
    ]  # fmt: skip


def test_variants_are_trained_and_compared_with_the_full_model(tmp_path):
    data, table = shop()
    options = {"groups": ["scale", "features"], "settings": QUICK, "seeds": [0], "metric": "auc", "ks": [5]}
    tables = {"deep": table, "wrong": table.shuffled(0)}
    found = vs.ablate(data, tables, tmp_path, **options)
    assert found.models == ["full", "scale none", "features wrong"]
    assert found.standard == "full"
    assert found.compare_with()["model"].to_list() == ["scale none", "features wrong"]
    assert [one.features for one in found.competitors] == ["deep", "deep", "wrong"]
    alone = vs.evaluate([CuratorNet(**QUICK)], data, table, ks=(5,)).results[0].per_user()
    mine = found.users.filter(pl.col("model") == "full")
    assert mine["auc"].to_list() == pytest.approx(alone["auc"].to_list())
    assert vs.ablate(data, tables, tmp_path, **options).to_json() == found.to_json()


def test_unknown_groups_and_missing_tables_are_refused():
    data, table = shop()
    with pytest.raises(UsageError, match="colour"):
        vs.ablate(data, table, groups=["colour"])
    with pytest.raises(UsageError, match="feature table"):
        vs.ablate(data, {})
