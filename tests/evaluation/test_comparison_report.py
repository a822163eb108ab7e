"""The page on a comparison: well formed, closed to the outside, and saying what was found."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone
from html.parser import HTMLParser

import competitors
import polars as pl
import pytest

from vasari.evaluation.compare import run
from vasari.evaluation.recipe import ModelSpec, Plan
from vasari.evaluation.report import charts
from vasari.evaluation.report.comparison import findings, write_comparison
from vasari.metrics import Interval
from vasari.models import registry

VOID = {"meta", "link", "br", "img", "input", "hr", "line", "circle", "polyline", "polygon", "rect"}
NASTY = "<script>alert(1)</script>"


class Nesting(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.texts = [], [], [], []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if "href" in attributes else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def found(gallery, monkeypatch):
    monkeypatch.setitem(registry._MODELS, "Noisy", competitors.Noisy)
    plan = Plan(
        models=[
            ModelSpec(model="Noisy", name=NASTY, grid={"noise": [0.1, 0.2, 0.4]}),
            ModelSpec(model="Noisy", name="loud", settings={"noise": 50.0}),
            ModelSpec(model="Oracle"),
        ],
        protocol="last-basket", seeds=[0, 1], trials=3, metric="auc", ks=[5],
    )  # fmt: skip
    return run(plan, gallery(users=60), {})


def page_of(tmp_path, found, **options):
    text = write_comparison(tmp_path / "report.html", found, **options).read_text(encoding="utf-8")
    page = Nesting()
    page.feed(text)
    assert page.open == []
    return text, page


def test_the_page_nests_its_links_lead_somewhere_and_nothing_points_outside(tmp_path, found):
    text, page = page_of(tmp_path, found)
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links} <= set(page.ids)
    for section in ("models", "differences", "sizes", "lists", "seeds", "tuning", "reproduce"):
        assert section in page.ids
    assert not re.search(r"(src|href)=\"(?!#)", text)
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    assert NASTY not in text
    assert NASTY in "".join(page.texts)


def test_numbers_of_the_page_are_those_of_the_comparison(tmp_path, found):
    _, page = page_of(tmp_path, found)
    said = " ".join(page.texts)
    for row in found.compare_with().iter_rows(named=True):
        assert f"{row['difference']:.3f}".replace("0.", ".", 1).replace("-", "\u2212") in said
    for trial in (NASTY, "noise", "Oracle", "upper bound", "Coverage@5", found.fingerprints["data"]):
        assert trial in said


def test_a_reference_is_named_and_an_untuned_page_has_no_tuning(tmp_path, found):
    found = replace(found, reference="loud", notes=["left out: nothing"])
    for one in found.competitors:
        one.trials.clear()
    _, page = page_of(tmp_path, found)
    said = " ".join(page.texts)
    assert "Against loud" in said
    assert "Left out: nothing." in said
    assert findings(found)[0].startswith("loud")
    assert "tuning" not in page.ids


@pytest.mark.parametrize("models", [["Popularity"], ["Oracle"], ["Popularity", "Oracle"]])
def test_where_nothing_is_compared_the_rest_is_shown(tmp_path, data, models):
    specs = [ModelSpec(model=name) for name in models]
    alone = run(Plan(models=specs, seeds=[0], metric="rr", ks=[5]), data, {})
    assert alone.best == models[0]
    assert alone.compare_with().is_empty()
    assert "1 seed" in str(alone)
    _, page = page_of(tmp_path, alone)
    assert "differences" not in page.ids
    assert findings(alone)[0].startswith(models[0])
    assert len(findings(alone)) == 1


def test_the_page_says_which_of_two_is_better_as_its_findings_do(tmp_path, found):
    worse = pl.when(pl.col("model") == "loud").then(pl.col("auc") - 1).otherwise(pl.col("auc"))
    found = replace(found, users=found.users.with_columns(auc=worse))
    for against_it, flattered in (("loud", False), (None, True)):
        _, page = page_of(tmp_path, replace(found, reference=against_it))
        assert f"{NASTY} is better" in page.texts
        assert "loud is better" not in page.texts
        assert any("chosen by the collectors" in text for text in page.texts) == flattered


def test_many_models_are_compared_by_profile_size_in_a_table(tmp_path, gallery):
    specs = [ModelSpec(model="Random", name=f"model {number}") for number in range(charts.SERIES + 1)]
    found = run(
        Plan(models=specs, protocol="last-basket", seeds=[0], metric="auc", ks=[5]), gallery(users=60), {}
    )
    _, page = page_of(tmp_path, found)
    assert "sizes" in page.ids
    said = " ".join(page.texts)
    for row in found.by_profile_size().iter_rows(named=True):
        shown = f"{row['profile_size'].replace('-', '–')} ({row['n']} collectors)" in said
        assert shown == (row["n"] >= 5)
        if shown:
            assert f"{row['mean']:.3f}".removeprefix("0") in said


def test_same_comparison_same_page(tmp_path, found):
    when = datetime(2025, 1, 2, tzinfo=timezone.utc)
    first, _ = page_of(tmp_path, found, created=when)
    second, _ = page_of(tmp_path, found, created=when)
    assert first == second


def test_findings_say_who_is_surely_worse(found):
    first, second = findings(found)
    assert first.startswith(f"{found.best} has the highest mean AUC")
    rows = found.compare_with().to_dicts()
    sure = all(max(row["p_holm"], row["p_wilcoxon_holm"]) < 0.05 for row in rows)
    assert second.startswith("Worse by both tests" if sure else "Not told apart")


def test_a_forest_draws_zero_and_every_interval():
    drawing = charts.forest(
        "t", "d", [("a", Interval(0.2, 0.1, 0.3, 9), 0), ("b", Interval(0.4, 0.3, 0.5, 9), 1)]
    )
    assert drawing.count('class="base"') == 1
    x = [float(v) for v in re.findall(r'class="s\d whisker" x1="([\d.]+)"', str(drawing))]
    assert len(x) == 6
    zero = float(re.search(r'class="base" x1="([\d.]+)"', str(drawing))[1])
    assert min(x) > zero
