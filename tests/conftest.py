"""Settings of all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Before torch is loaded: idle threads sleep. Where tests share the processors, threads that wait busily for
# one another make a fit on two threads a hundred times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A busy machine is no defect: examples may take as long as they take.
settings.register_profile("vasari", deadline=None)
settings.load_profile("vasari")

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def chromium():
    """A headless browser that asks nothing of the network by itself."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.is_file():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    quiet += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=str(CHROMIUM), args=quiet)
        yield browser
        browser.close()
