"""What every page must be: within its width, still, closed to the network, readable by all."""

from __future__ import annotations

import pytest

sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

PAGES = {
    "wall": "/",
    "filtered": "/?surprise=60&to.price=3000",
    "work": "/work?id=w02",
    "nasty": "/work?id=w11",
    "long": "/work?id=w12",
    "broken": "/work?id=w30",
    "walk": "/walk?seed=3",
    "between": "/between?first=w02&second=w05",
    "beside": "/beside",
    "owner": "/owner",
    "experiment": "/owner/experiment",
}


def with_likes(page):
    """Like two works, so that the pages have something to show."""
    for place in (0, 4):
        page.locator("#hung .liking").nth(place).click()
        sync.expect(page.locator("#chosen .piece")).to_have_count(1 + place // 4)
        page.evaluate(FRAMES)


FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def serious(page):
    """What axe finds seriously wrong."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    options = {"resultTypes": ["violations"]}
    return [
        (one["id"], [node["html"][:200] for node in one["nodes"][:3]])
        for one in axe.run(page, options=options).response["violations"]
        if one["impact"] in {"serious", "critical"}
    ]


def readable(page, picture_of, name, schemes=("light", "dark")):
    """Nothing is unreadable, by day or by night; one picture of each."""
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        assert serious(page) == [], (name, scheme)
        picture_of(page, f"{name}-{page.viewport_size['width']}-{scheme}")


@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "light"), (360, 740, "dark")])
def test_every_page(visit, address, picture_of, width, height, scheme):
    page = visit("/", width, height, color_scheme=scheme, reduced_motion="reduce")
    with_likes(page)
    for name, path in PAGES.items():
        page.goto(address + path)
        page.evaluate(FRAMES)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
        assert page.evaluate("window.hacked") is None, name
        assert page.evaluate("window.shifts") == [], name
        readable(page, picture_of, name, [scheme])


def test_open_panels_are_readable(visit, picture_of):
    page = visit("/")
    with_likes(page)
    page.locator("#hung .piece").nth(2).hover()
    page.locator("#hung .ask-why").nth(2).click()
    readable(page, picture_of, "why")
    page.keyboard.press("Escape")
    page.evaluate("scrollTo(0, 0)")
    page.locator("details.filters summary").click()
    readable(page, picture_of, "filters")


def test_nothing_moves_for_those_who_want_none(visit):
    page = visit("/", reduced_motion="reduce")
    page.evaluate("() => { document.startViewTransition = () => { throw new Error('moved'); }; }")
    with_likes(page)


def test_the_switch_is_remembered(visit, address):
    page = visit("/", color_scheme="light")
    page.locator(".toggle").click()
    page.goto(address + "/walk?seed=1")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.locator(".toggle").inner_text() == "Light"


def test_pictures_are_small_and_fit(visit):
    page = visit()
    page.wait_for_load_state("networkidle")
    seen = page.locator("#hung img").evaluate_all(
        "all => all.filter((one) => one.complete && one.naturalWidth).map((one) =>"
        "[one.currentSrc, one.naturalWidth / one.naturalHeight, one.clientWidth / one.clientHeight])"
    )
    assert seen
    for source, ratio, shown in seen:
        assert "as=avif" in source
        assert abs(ratio / shown - 1) < 0.03
