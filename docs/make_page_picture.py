"""Makes the picture of the explorer in the README: ``python docs/make_page_picture.py`` (extra browser, Chromium)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from respine import web

OUT = Path(__file__).parent / "img" / "explorer.png"


def main() -> None:
    """The treatment-resistant patient, eight infusions, the cursor in the second week."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        page = web.write("treatment-resistant", Path(folder) / "page.html")
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": 1300, "height": 900})
        tab.goto(page.as_uri())
        tab.wait_for_selector("body[data-ready]")
        tab.wait_for_timeout(2500)  # the band of people is drawn after the curves
        slider = tab.locator("input[type=range]").first
        slider.focus()
        for _ in range(20):
            tab.keyboard.press("ArrowRight")
        tab.wait_for_timeout(500)
        tab.screenshot(path=OUT)
        browser.close()


if __name__ == "__main__":
    main()
