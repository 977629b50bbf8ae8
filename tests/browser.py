# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium for tests of pages."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]


class Watched:
    """A page, what went wrong in it, and what it asked for that is neither in itself nor on this computer."""

    def __init__(self, page, own: str):
        self.page, self.errors, self.foreign = page, [], []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: None if r.url.startswith((own, "data:", "blob:")) else self.foreign.append(r.url))

    def until(self, condition: str, seconds: float = 60) -> None:
        """Wait for a JavaScript condition. Playwright's own waiting evaluates text, which pages may forbid."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, condition
            self.page.wait_for_timeout(50)

    def overflow(self, width: int, height: int = 844) -> int:
        """Pixels by which the page is wider than a window."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.wait_for_timeout(300)
        return self.page.evaluate("document.documentElement.scrollWidth") - width


@contextmanager
def open_page(url: str, folder, more: tuple[str, ...] = (), **context) -> Iterator[Watched]:
    """Load a page in a browser with an empty profile; skips the test where there is no Chromium or Playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="pages are tested by: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("pages are tested in Chromium; install it with: sudo apt-get install chromium")
    with sync_api.sync_playwright() as tool:
        browser = tool.chromium.launch_persistent_context(
            folder / "profile", executable_path=CHROMIUM, headless=True, args=[*FLAGS, *more], timeout=120_000,
            viewport={"width": 1280, "height": 900}, **context)
        try:
            page = browser.new_page()
            page.set_default_timeout(60_000)
            watched = Watched(page, url.split("?")[0].rstrip("/") if url.startswith("http") else "file://")
            page.goto(url)
            yield watched
        finally:
            browser.close()
