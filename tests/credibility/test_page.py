"""The page is offline, whole, deterministic, escapes what it shows, and hands every table back."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from respine.credibility import Assessment, html, place_for, verification, write
from respine.credibility import page as pages
from respine.credibility.page import MARK
from respine.errors import InputError

VOID = {"meta", "br", "link", "img", "input", "path", "use", "rect", "circle"}


@pytest.fixture(scope="module")
def page(small: Assessment) -> str:
    return html(small)


class Balanced(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)


def test_no_outside_request_and_every_tag_closed(page: str) -> None:
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', page)
    assert not re.findall(r"@import|url\((?!#)", page) and "<script" not in page
    reader = Balanced()
    reader.feed(page)
    assert reader.faults == [] and reader.open == []


def test_every_part_stands_there(page: str) -> None:
    parts = ("question", "criteria", "structure", "provenance", "calibration", "verification", "validation", "sensitivity",
             "identifiability", "failures", "limits", "repeat")  # fmt: skip
    assert re.findall(r'<h2 id="([a-z]+)">', page) == list(parts)
    assert all(f'href="#{part}"' in page for part in parts)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_tables_can_be_saved_and_hold_the_findings(page: str, small: Assessment) -> None:
    files = dict(re.findall(r'download="([^"]+)" href="data:text/csv;charset=utf-8;base64,([^"]+)"', page))
    assert len(files) > 20
    saved = {name: pd.read_csv(io.BytesIO(base64.b64decode(data))) for name, data in files.items() if data}
    assert len(saved["respine-credibility-provenance.csv"]) == len(small.tables["provenance"])
    assert set(saved["respine-credibility-failing.csv"]["label"]) == {"A2"}
    row = saved["respine-credibility-rows-validate.csv"].set_index("id").loc["b"]
    assert (row["predicted"], row["published"], row["inside"]) == (10.0, 30.0, False)
    effects = saved["respine-credibility-effects.csv"]
    assert set(effects[effects["rank"] == 1]["parameter"]) == {"decides"}


def test_failures_are_told_and_texts_escaped(page: str, small: Assessment) -> None:
    failures = page[page.index('<h2 id="failures">') : page.index('<h2 id="limits">')]
    assert "fails &amp; is told" in failures and "4.25" in failures and "result b" in failures
    assert "1 of 2 named checks hold; A2 do not." in page and "holds <b>" not in page
    met = {criterion["what"]: criterion["met"] for criterion in small.criteria}
    assert met["assertions that hold"] is False


def test_the_same_findings_give_the_same_page(page: str, small: Assessment) -> None:
    assert html(small) == page


def test_the_page_is_written_whole_and_over_none_but_its_own(
    tmp_path: Path, small: Assessment, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "html", lambda _: page)
    out = write(small, tmp_path / "report.html")
    assert out.read_text(encoding="utf-8") == page and list(tmp_path.iterdir()) == [out]
    assert place_for(out) == out and MARK in page
    own_page = tmp_path / "mine.html"
    own_page.write_text("<p>my own</p>")
    for place in (own_page, tmp_path / "report.txt", tmp_path, tmp_path / "nowhere" / "x.html"):
        with pytest.raises(InputError):
            write(small, place)
    assert own_page.read_text() == "<p>my own</p>"


def test_stored_qualifications_are_read_or_refused(tmp_path: Path) -> None:
    good = tmp_path / "stiff.json"
    good.write_text('{"title": "Stiff", "passed": 5, "bound": 6, "cases": [{"case": "hires", "outcome": "fail"}]}')
    assert verification.stored([good]) == [
        {"title": "Stiff", "passed": 5, "bound": 6, "failed": "hires", "file": "stiff.json"}
    ]
    for text in ("[1]", "{", '{"title": "x"}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(InputError, match=r"bad\.json"):
            verification.stored([good, tmp_path / "bad.json"])
