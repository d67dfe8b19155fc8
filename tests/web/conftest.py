"""A browser for the tests of the page: Debian's Chromium, driven by Playwright, with the network cut."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
REQUIRED = os.environ.get("RESPINE_BROWSER") == "required"  # .ci/run: a missing browser is a failure there
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


def _lacking(tool: str) -> None:
    if REQUIRED:
        pytest.fail(f"{tool} is missing and RESPINE_BROWSER=required")
    pytest.skip(f"{tool} is not installed")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, started once."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _lacking("playwright")
    if CHROMIUM is None:
        _lacking("chromium")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The page of a scene, written once."""
    from respine import web

    folder = tmp_path_factory.mktemp("pages")

    def written(scene: str) -> Path:
        path = folder / f"{scene}.html"
        return path if path.exists() else web.write(scene, path)

    return written


class Opened:
    """A page in a tab, and all it complained of."""

    def __init__(self, context: Any) -> None:
        self.context, self.tab = context, context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.tab.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.tab.on("request", lambda r: self.requests.append(r.url))

    def go(self, url: str) -> Any:
        """Open an address and wait until everything is drawn."""
        self.tab.goto(url)
        self.tab.wait_for_selector("body[data-ready], body[data-failed]", timeout=30_000)
        return self.tab

    def settled(self) -> None:
        """Wait until the last change is solved and drawn."""
        self.tab.wait_for_function("() => !window.respine.quick.busy.size && !window.respine.quick.next.size")
        self.tab.wait_for_timeout(50)


@pytest.fixture
def opened(browser: Any, pages: Callable[[str], Path]) -> Iterator[Callable[..., Opened]]:
    """A scene (or a file) opened from the disk with the network off; the console must stay free of complaints."""
    kept: list[Opened] = []

    def go(scene: str | Path, hash: str = "", offline: bool = True, **settings: Any) -> Opened:
        context = browser.new_context(offline=offline, **{"viewport": {"width": 1300, "height": 900}, **settings})
        page = Opened(context)
        kept.append(page)
        path = scene if isinstance(scene, Path) else pages(scene)
        page.go(path.as_uri() + hash)
        return page

    yield go
    for page in kept:
        page.context.close()
    for page in kept:
        assert not page.complaints, page.complaints
