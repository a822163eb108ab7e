"""The report: whole and valid on any input, closed to the network and to what data may smuggle in."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
from PIL import Image

from vasari.core.errors import DataError
from vasari.core.progress import bar
from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.data.interactions import Interactions
from vasari.data.ragged import Ragged
from vasari.data.splits import last_basket
from vasari.evaluation.report import ReportInput, sampled_cases, shown_recommendations, write_report
from vasari.evaluation.report.charts import nice_ticks
from vasari.evaluation.report.pictures import thumbnails
from vasari.evaluation.result import Evaluation, ModelResult
from vasari.evaluation.scoring import answer
from vasari.sampling.triples import ARTIFICIAL, Triples

ITEMS, USERS = 48, 40
NASTY = '</style><script>alert("1")</script><img src=x onerror=alert(2)>\'"&{{ 7 * 7 }}{% raw %}'
VOID = {"meta", "link", "br", "img", "input", "hr"}


def make_data(folder=None, titles=None):
    """A small catalogue, with a picture of its own shape for every work if `folder` is given."""
    random = np.random.default_rng(3)
    columns = {
        "item_id": [f"a{k}" for k in range(ITEMS)],
        "title": pl.Series(titles or [f"Work {k}" for k in range(ITEMS)], dtype=pl.String),
    }
    if folder is not None:
        for k in range(ITEMS):
            size = (int(random.integers(40, 300)), int(random.integers(40, 300)))
            Image.fromarray(random.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).save(
                folder / f"{k}.png"
            )
        columns["image"] = [f"{k}.png" for k in range(ITEMS)]
        columns["artist_id"] = [f"artist {k % 5}" for k in range(ITEMS)]
    start = datetime(2024, 3, 4, tzinfo=timezone.utc)
    rows = [
        (f"u{user}", f"a{item}", start + timedelta(days=basket, seconds=user))
        for user in range(USERS)
        for basket in range(1 if user == 0 else 2 + user % 3)
        for item in random.choice(ITEMS, 1 + user % 3, replace=False)
    ]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    log = log.with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))
    return Dataset(Catalogue(pl.DataFrame(columns), folder), Interactions(log), "toy", None)


def scorers():
    random = np.random.default_rng(0)
    by_number = np.arange(ITEMS, dtype=np.float32)
    return {
        "Good": lambda profiles, users: np.tile(by_number, (len(profiles), 1)),
        "Random": lambda profiles, users: random.normal(size=(len(profiles), ITEMS)).astype(np.float32),
        "Oracle": lambda profiles, users: np.tile(-by_number, (len(profiles), 1)),
    }


def make_evaluation(data, models=("Good", "Random", "Oracle"), history=True):
    cases = last_basket(data).cases
    epochs = [
        {"epoch": 0, "seconds": 0.0, "learning_rate": 0.1, "auc": 0.5},
        {"epoch": 1, "seconds": 2.0, "learning_rate": 0.1, "auc": 0.7, "loss": 0.6},
        {"epoch": 2, "seconds": 2.0, "learning_rate": 0.1, "auc": 0.6, "loss": float("nan")},
    ]
    results = []
    for name in models:
        with bar("", len(cases), False) as steps:
            found = answer(scorers()[name], cases, (20, 100), False, 0, steps)
        record = epochs if history and name == "Good" else []
        config = {"monitor": "auc", "layers": (2, 3)}
        results.append(
            ModelResult(
                name, config, found.per_case, found.top_items, found.top_scores, record, True, 1, 1, "k"
            )
        )
    ranked = results[0].per_case["user_id"].n_unique()
    counts = {
        "users": USERS,
        "users_asked": len(cases),
        "users_ranked": ranked,
        "relevant": 9,
        "relevant_lost": 2,
    }
    return Evaluation(
        data_name=data.name,
        simulated=data.simulated,
        protocol="last-basket",
        cases=cases,
        counts=counts,
        left_out={"one basket only": USERS - len(cases), "nothing else": 0},
        ks=(20, 100),
        seed=0,
        legacy=False,
        fingerprints={"data": data.fingerprint, "features": None},
        provenance={"command": "vasari evaluate <folder>", "python": "3.x"},
        results=results,
    )


def make_triples(rule):
    artificial = rule in (5, 6)
    return Triples(
        Ragged.from_rows([[1], [2]] if artificial else [[1, 2, 3, 4, 5, 6, 7], [3, 8]]),
        np.array([0, 0, 1]),
        np.array([9, 10, 11]),
        np.array([12, 13, 14]),
        np.array([ARTIFICIAL if artificial else 0] * 3),
        np.array([rule] * 3),
    )


def full_input(data, **changes):
    evaluation = make_evaluation(data)
    profiles = evaluation.cases.profiles
    explanations = {
        (model, case, item): [(int(row), float(k) - 0.5) for k, row in enumerate(profiles[case])]
        for model, case, item in shown_recommendations(evaluation, 0)
        if model == "Good"
    }
    report = ReportInput(
        data,
        evaluation,
        commands=["vasari demo"],
        clusters=np.arange(ITEMS) % 6,
        silhouette=0.02,
        triples={f"G{rule}": make_triples(rule) for rule in range(7)},
        explanations=explanations,
        settings={"features": {"backbone": "none", "nested": {"a": 1}}},
        created=datetime(2025, 1, 2, tzinfo=timezone.utc),
    )
    return replace(report, **changes)


class Structure(HTMLParser):
    """Refuses a page whose elements do not nest, and collects what tests ask for."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text, self.attributes = [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text))

    def values(self, name):
        return [value for _, n, value in self.attributes if n == name]


def page_of(tmp_path, report):
    return write_report(tmp_path / "report.html", report).read_text(encoding="utf-8")


@pytest.fixture
def pictured(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    return make_data(folder)


def test_a_full_report_nests_and_its_ids_are_distinct_and_linked(tmp_path, pictured):
    found = Structure(page_of(tmp_path, full_input(pictured)))
    ids = found.values("id")
    assert len(ids) == len(set(ids))
    anchors = [value[1:] for tag, name, value in found.attributes if tag == "a" and name == "href"]
    assert set(anchors) <= set(ids)
    assert set(found.values("aria-labelledby")) <= set(ids)
    assert {"models", "collectors", "sizes", "hits", "training", "triples", "clusters", "reproduce"} <= set(
        ids
    )
    assert found.tags.count("h1") == 1


def test_nothing_points_outside(tmp_path, pictured):
    page = page_of(tmp_path, full_input(pictured))
    assert not re.search(r"(?i)(https?:)?//[a-z]|@import|<link", re.sub(r"base64,[^)]*", "", page))
    assert all(re.fullmatch(r"#[a-z]+", v) for v in Structure(page).values("href"))
    assert Structure(page).values("src") == []
    assert "default-src 'none'" in page


def test_the_policy_admits_exactly_the_script_that_stands_there(tmp_path, pictured):
    page = page_of(tmp_path, full_input(pictured))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policies = [v for v in Structure(page).values("content") if "script-src" in v]
    assert f"script-src 'sha256-{allowed}'" in policies[0]


def test_what_users_wrote_is_text_everywhere(tmp_path, pictured):
    for data in (make_data(titles=[NASTY] * ITEMS), make_data(tmp_path / "images", titles=[NASTY] * ITEMS)):
        data = Dataset(data.catalogue, data.interactions, NASTY, NASTY)
        report = full_input(data, commands=[NASTY], settings={NASTY: {NASTY: NASTY}})
        page = page_of(tmp_path, report)
        found = Structure(page)
        assert found.tags.count("script") == 1
        assert found.tags.count("style") == 1
        assert "img" not in found.tags
        assert not [name for _, name, _ in found.attributes if name.startswith("on")]
        assert "{{ 7 * 7 }}" in page  # it went through as text
        for inside in re.findall(r"<(?:style|script)>.*?</(?:style|script)>", page, re.S):
            assert "alert" not in inside
        assert all("alert" not in style for style in found.values("style"))


def test_every_picture_is_embedded_once_and_used(tmp_path, pictured):
    page = page_of(tmp_path, full_input(pictured))
    uris = re.findall(r"data:image/webp;base64,[A-Za-z0-9+/=]+", page)
    assert len(uris) == len(set(uris)) > 20
    classes = re.findall(r"\.p(\d+) \{ --r", page)
    shown = {c[1:] for v in Structure(page).values("class") for c in v.split() if re.fullmatch(r"p\d+", c)}
    assert len(classes) == len(uris)
    assert shown <= set(classes)
    used = [value for value in Structure(page).values("class") if "pic p" in value]
    assert len(used) > 2 * len(uris)


def test_pictures_keep_their_proportions_and_have_a_label(tmp_path, pictured):
    made = thumbnails(pictured.catalogue.images(), range(ITEMS))
    for row, one in made.items():
        with Image.open(pictured.catalogue.images()[row]) as image:
            assert one.ratio == pytest.approx(image.width / image.height, rel=0.03)
    found = Structure(page_of(tmp_path, full_input(pictured)))
    pictures = sum("pic" in value.split() for value in found.values("class"))
    labels = [value for value in found.values("aria-label") if re.match(r"Work \d+, by artist", value)]
    assert pictures == len(labels) > 0


def test_many_pictures_are_made_smaller_not_dropped(pictured):
    paths = pictured.catalogue.images()
    large, small = thumbnails(paths, range(ITEMS)), thumbnails(paths, range(ITEMS), budget=60_000)
    assert set(large) == set(small)
    assert max(one.width for one in small.values()) < max(one.width for one in large.values())


@pytest.mark.parametrize("kind", ["zero bytes", "absent", "text", "cut"])
def test_an_unreadable_picture_becomes_a_card_with_its_title(tmp_path, pictured, kind):
    for path in pictured.catalogue.images():
        whole = path.read_bytes()
        path.unlink()
        if kind != "absent":
            path.write_bytes({"zero bytes": b"", "text": b"no picture", "cut": whole[:60]}[kind])
    found = Structure(page_of(tmp_path, full_input(pictured)))
    assert not any("pic" in value.split() for value in found.values("class"))
    assert "Work 9, by artist 4" in found.words


def test_pictures_of_every_mode_are_shown(tmp_path):
    paths = []
    for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"):
        path = tmp_path / f"{mode.replace(';', '')}.tif"
        Image.new(mode, (60, 30)).save(path)
        paths.append(path)
    made = thumbnails(paths, range(len(paths)))
    assert set(made) == set(range(len(paths)))
    assert all(one.ratio == pytest.approx(2) for one in made.values())


def test_a_thread_of_pixels_is_no_picture(tmp_path):
    """Few pixels altogether, but shrinking millions along one side takes seconds and gigabytes."""
    paths = []
    for side in (65_535, 65_536):
        paths.append(tmp_path / f"{side}.png")
        Image.new("L", (1, side)).save(paths[-1])
    assert set(thumbnails(paths, range(2))) == {0}


def test_without_pictures_titles_clusters_triples_and_history(tmp_path):
    data = make_data(titles=[None] * ITEMS)
    evaluation = make_evaluation(data, models=("Good",), history=False)
    found = Structure(page_of(tmp_path, ReportInput(data, evaluation)))
    assert not {"training", "triples", "clusters"} & set(found.values("id"))
    assert "vasari evaluate <folder>" in found.words
    assert re.search(r"\ba\d+\b", found.words)  # ids stand for titles


def test_only_the_oracle(tmp_path):
    data = make_data()
    found = Structure(page_of(tmp_path, ReportInput(data, make_evaluation(data, models=("Oracle",)))))
    assert "upper bound" in found.words


def test_no_hits_among_the_shown(tmp_path):
    data = make_data()
    evaluation = make_evaluation(data)
    relevant = evaluation.cases.relevant
    none = [replace(r, top_items=np.full_like(r.top_items, -1)) for r in evaluation.results]
    for row in range(len(relevant)):
        others = np.setdiff1d(np.arange(ITEMS), relevant[row])[:20]
        none[0].top_items[row, : len(others)] = others
    found = Structure(page_of(tmp_path, ReportInput(data, replace(evaluation, results=none))))
    assert "taken" not in [word.strip() for word in found.text]


def test_a_metric_that_nobody_has(tmp_path):
    data = make_data()
    evaluation = make_evaluation(data)
    blank = [
        replace(r, per_case=r.per_case.with_columns(pl.lit(None, pl.Float64).alias("auc")))
        for r in evaluation.results
    ]
    Structure(page_of(tmp_path, ReportInput(data, replace(evaluation, results=blank))))


def test_the_best_is_bold_and_the_oracle_is_not_a_rival(tmp_path):
    data = make_data()
    page = page_of(tmp_path, full_input(data))
    table = page[page.index("<table>") : page.index("</table>")]
    rows = re.findall(r"<tr.*?</tr>", table, re.S)
    assert "Oracle" in rows[-1]
    assert 'class="bound"' in rows[-1]
    assert "(best)" not in rows[-1]
    best = make_evaluation(data).summary().filter((pl.col("metric") == "auc") & (pl.col("model") != "Oracle"))
    name = best.sort("mean")["model"][-1]
    assert name in rows[1]
    assert "(best)" in rows[1]


def test_simulated_people_are_called_so(tmp_path):
    data = make_data()
    sentence = "Invented by a program."
    loud = Dataset(data.catalogue, data.interactions, "toy", sentence)
    assert sentence in Structure(page_of(tmp_path, full_input(loud))).words
    assert "Not real people" not in Structure(page_of(tmp_path, full_input(data))).words


def test_hits_are_marked_where_they_are(tmp_path):
    data = make_data()
    evaluation = make_evaluation(data)
    expected = 0
    for case in sampled_cases(evaluation, 0):
        for name in ("Good", "Random"):
            top = evaluation[name].top_items[case, :10]
            expected += np.isin(top, evaluation.cases.relevant[case]).sum()
    found = Structure(page_of(tmp_path, full_input(data)))
    assert sum("hit" in value.split() for value in found.values("class")) == expected > 0


def test_reasons_are_works_of_the_profile_most_telling_first(tmp_path):
    data = make_data()
    report = full_input(data)
    page = page_of(tmp_path, report)
    cases = report.evaluation.cases
    largest = sampled_cases(report.evaluation, 0)[-1]
    profile = cases.profiles[largest].tolist()
    because = {value for value in Structure(page).values("data-because") if value}
    expected = list(dict.fromkeys(profile[::-1]))[: min(3, (len(set(profile)) + 1) // 2)]
    assert " ".join(map(str, expected)) in because


def test_sampled_cases_are_of_all_sizes_distinct_and_blind_to_success():
    data = make_data()
    evaluation = make_evaluation(data)
    chosen = sampled_cases(evaluation, 5)
    sizes = evaluation.cases.profiles.lengths
    assert len(chosen) == len(set(chosen)) == 8
    assert len({evaluation.cases.user_ids[row] for row in chosen}) == 8
    assert sizes[chosen].tolist() == sorted(sizes[chosen].tolist())
    median = np.median(sizes)
    assert (sizes[chosen] <= median).sum() >= 3
    assert (sizes[chosen] >= median).sum() >= 3
    assert chosen == sampled_cases(make_evaluation(data, models=("Random",)), 5)
    assert chosen != sampled_cases(evaluation, 6)


def test_fewer_cases_than_places():
    data = make_data()
    evaluation = make_evaluation(data)
    few = [replace(r, per_case=r.per_case.head(3)) for r in evaluation.results]
    assert len(sampled_cases(replace(evaluation, results=few), 0)) == 3


def test_same_input_same_page_and_nothing_half_written(tmp_path, pictured):
    report = full_input(pictured)
    first = page_of(tmp_path, report)
    assert page_of(tmp_path, report) == first
    with pytest.raises(DataError, match="one label per work"):
        write_report(tmp_path / "report.html", replace(report, clusters=np.zeros(3, np.int64)))
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == first
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["report.html"]


def test_another_catalogue_is_refused(tmp_path):
    data = make_data()
    other = Dataset(Catalogue(data.catalogue.frame.reverse()), data.interactions)
    with pytest.raises(DataError, match="another catalogue"):
        write_report(tmp_path / "report.html", ReportInput(other, make_evaluation(data)))


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (0.51, 0.52), (-3.0, 7.0), (2.0, 2.0), (0.0, 0.0), (1e-9, 2e-9)]
)
def test_ticks_span_the_values(low, high):
    ticks = nice_ticks(low, high)
    assert ticks == sorted(set(ticks))
    assert ticks[0] <= low <= high <= ticks[-1]
    assert 2 <= len(ticks) <= 8


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("pictures", [True, False])
def test_in_a_browser(tmp_path, chromium, width, pictures):
    folder = tmp_path / "images"
    folder.mkdir()
    titles = [f"Work {k} with a Donaudampfschifffahrtsgesellschaftskapitänspatent" for k in range(ITEMS)]
    data = make_data(folder if pictures else None, titles)
    path = write_report(tmp_path / "report.html", full_input(data))
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme="dark")
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click(".toggle")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != ground
    last = page.locator(".visitor").last
    last.locator(".rec").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".label").is_visible()
    assert last.locator(".speaks").count() > 0
    page.keyboard.press("Escape")
    assert not page.locator(".label").is_visible()
    last.locator(".rec").first.hover()
    assert page.locator(".label .name").inner_text().startswith("Work")
    assert said == []
    assert {url for url in asked if not url.startswith("data:")} == {path.as_uri()}
    page.close()
