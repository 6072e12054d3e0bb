"""A real browser for tests of pages: Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",  # or it looks for servers of its maker's at every start
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 120_000  # Playwright's own is 30 s, in which a busy machine may not draw a page


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium with no profile; the test is skipped where none is installed."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium is installed (Debian's package chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS), timeout=PATIENCE_MS)
        try:
            yield browser
        finally:
            browser.close()


def new_page(browser: Browser, **settings: Any) -> Page:
    """A page that is waited for patiently."""
    page = browser.new_page(**settings)
    page.set_default_timeout(PATIENCE_MS)
    return page
