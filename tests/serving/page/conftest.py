"""A painted gallery that is served, and a browser that looks at it."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

import uvicorn

import vasari as vs
from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.serving.api.app import create_app
from vasari.serving.api.guard import Limits
from vasari.serving.gallery import Gallery

SCREENSHOTS = Path(__file__).parents[3] / "runs" / "screenshots"
NASTY = "</title><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>{{ 7 * 7 }}"
LONG = "Donaudampfschifffahrtsgesellschaftskapitänspatent, " * 4


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run with two models; w11 has a hostile title, w12 a long one, w30 a broken picture."""
    folder = tmp_path_factory.mktemp("run")
    painted = vs.synthetic.gallery(
        folder / "painted", works=72, artists=9, collectors=30, size=240, workers=1, progress=False
    )
    frame = painted.catalogue.frame.with_row_index("n").with_columns(
        (100 * (pl.col("n") + 1)).alias("price"),
        pl.when(pl.col("n") == 10).then(pl.lit(NASTY)).when(pl.col("n") == 11).then(pl.lit(LONG))
        .otherwise(pl.col("title")).alias("title"),
        (pl.col("n") % 3 == 0).alias("original"),
    )  # fmt: skip
    data = Dataset(
        Catalogue(frame.drop("n"), painted.catalogue.image_root),
        painted.interactions,
        "the Uffizi next door",
        painted.simulated,
    )
    data.save(folder / "data")
    data = Dataset.load(folder / "data")
    data.catalogue.images()[29].write_bytes(b"no picture")
    table = vs.extract(data, out=folder / "data" / "features", workers=1, progress=False)
    vs.VisRank().fit(data, table).save_pretrained(folder / "looks")
    vs.VisRank(similarity="max").fit(data, table).save_pretrained(folder / "nearest")
    return folder


@pytest.fixture
def gallery(run, tmp_path):
    """The gallery, with a state of its own."""
    opened = Gallery.open(run, database=f"sqlite:///{tmp_path}/gallery.db")
    yield opened
    opened.close()


@pytest.fixture
def address(gallery):
    """Where the page is served."""
    app = create_app(gallery, Limits(rate=0))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def visit(chromium, address):
    """Open pages as a visitor; what goes wrong in any of them fails the test at its end."""
    complaints, contexts = [], []

    def open_page(path="/", width=1440, height=900, touch=False, **context):
        here = chromium.new_context(
            viewport={"width": width, "height": height}, has_touch=touch, is_mobile=touch, **context
        )
        contexts.append(here)
        here.set_default_timeout(8000)
        page = here.new_page()
        page.add_init_script(
            "window.shifts = []; new PerformanceObserver((list) => list.getEntries().forEach((one) => {"
            "if (!one.hadRecentInput) window.shifts.push(one.value); })).observe("
            "{ type: 'layout-shift', buffered: true });"
        )
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith((address, "data:", "blob:"))
                else complaints.append(f"asked {asked.url}")
            ),
        )
        page.goto(address + path)
        return page

    yield open_page
    for one in contexts:
        one.close()
    assert complaints == []


@pytest.fixture
def picture_of():
    """Keep what a page looks like, for people to look at."""

    def shoot(page, name):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.jpg", type="jpeg", quality=80)

    return shoot
