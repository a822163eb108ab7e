"""The pictures of gallery-page.md: `python -m docs.take_pictures RUN`, RUN being what `vasari demo` wrote."""

from __future__ import annotations

import argparse
import io
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from vasari.serving.api.app import create_app
from vasari.serving.gallery import Gallery

PICTURES = Path(__file__).parent / "pictures"
CHROMIUM = "/usr/bin/chromium"


@contextmanager
def served(run: Path) -> Iterator[str]:
    """Serve a run on a free port, with a state that is thrown away."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listening:
        app = create_app(Gallery.open(run, database=f"sqlite:///{folder}/gallery.db"))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def take(
    browser: Browser, address: str, name: str, size: tuple[int, int], width: int, telephone: bool, scheme: str
) -> None:
    """Like three works, ask one why it hangs there, and keep what is seen, `width` pixels wide."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        is_mobile=telephone,
        has_touch=telephone,
        color_scheme=scheme,  # type: ignore[arg-type]  # one of two words
        device_scale_factor=2 if telephone else 1,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(address)
    for count, place in enumerate((1, 5, 8), 1):
        page.locator("#hung .liking").nth(place).click()
        page.locator("#chosen .piece").nth(count - 1).wait_for()
    page.evaluate("scrollTo(0, 0)")
    asked = page.locator("#hung .piece[data-because]").nth(2)
    if telephone:
        asked.locator(".ask-why").tap()
    else:
        asked.hover()
    page.wait_for_load_state("networkidle")
    seen = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    seen = seen.resize((width, round(width * seen.height / seen.width)), Image.Resampling.LANCZOS)
    PICTURES.mkdir(exist_ok=True)
    seen.save(PICTURES / f"{name}.webp", quality=78, method=6)
    context.close()


def main() -> None:
    """Take both pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a folder that `vasari demo` wrote")
    with served(parser.parse_args().run) as address, sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        take(browser, address, "wall", (1440, 900), 1080, telephone=False, scheme="light")
        take(browser, address, "why", (360, 740), 360, telephone=True, scheme="dark")
        browser.close()


if __name__ == "__main__":
    main()
