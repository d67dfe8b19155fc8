"""The one-file report: offline, complete, safe and readable by all."""

import base64
import dataclasses
import io
import itertools
import re
import unicodedata
from html.parser import HTMLParser

import pandas as pd
import pytest

from respine.files.html import card, page_bytes
from respine.report import Folder, html, plot_chain, write
from respine.report.summary import arms, summary
from respine.report.theme import ARM_COLOURS

VOID = {"meta", "link", "img", "br", "hr", "input", "path", "use", "rect", "circle", "line"}


class Page(HTMLParser):
    """Tags with their attributes, and whether every tag that was opened was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text(folder: Folder) -> str:
    return html(folder)


def test_no_request_leaves_the_page(text: str) -> None:
    page = Page(text)
    assert page.open == []
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "img", "object", "embed", "base", "form"}
        for name in ("src", "srcset", "href", "action", "background", "poster", "style"):
            value = attributes.get(name, "")
            if tag == "a" and name == "href":
                assert value.startswith(("data:text/csv", "https://doi.org/"))  # followed only when clicked
            else:
                assert "//" not in value and not value.startswith("data:")
        assert not any(name.startswith("on") for name in attributes)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_ids_are_unique_and_references_resolve(text: str) -> None:
    page = Page(text)
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for wanted in attributes.get("aria-labelledby", "").split():
            assert wanted in ids
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)


def test_what_a_user_wrote_is_shown_not_run(text: str) -> None:
    assert "<b>against</b>" not in text
    assert "Ketamine &lt;b&gt;against&lt;/b&gt; midazolam &amp; more" in text


def test_it_is_accessible(text: str) -> None:
    page = Page(text)
    assert ("html", {"lang": "en"}) in page.tags
    pictures = [a for tag, a in page.tags if tag == "svg" and a.get("aria-hidden") != "true"]
    assert len(pictures) == 2 * 6  # doses, three quantities, two units, each for a wide and a narrow screen
    assert all(a["role"] == "img" and a["aria-labelledby"] for a in pictures)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all("scope" in a for tag, a in page.tags if tag == "th")


def test_it_says_all_there_is_to_say(text: str) -> None:
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    for words in (
        "-15.9 (-19.0 … -12.6)",
        "90 % of simulated trials of the published size: people, rating noise and parameter uncertainty together",
        "1 published row that could not be compared",
        "1 of 8 people was not simulated",
        "step-budget",
        "the step budget ran out. raise max_steps",
        "The human model has 2 parameters; 1 of them are assumed.",
        "no measurement exists",
        "schema: respine/study/1",
        "Research software. Not advice for any person.",
    ):
        assert words in plain.replace("&#34;", '"'), words


def test_the_table_behind_a_plot_can_be_saved(folder: Folder, text: str) -> None:
    links = [a for tag, a in Page(text).tags if tag == "a" and "download" in a]
    assert [a["download"] for a in links] == ["small-chain.csv", "small-published.csv"]
    saved = pd.read_csv(io.BytesIO(base64.b64decode(links[0]["href"].partition("base64,")[2])))
    _, table = plot_chain(folder)
    pd.testing.assert_frame_equal(saved, table, check_dtype=False, rtol=1e-5)


def test_the_summary_is_plain_and_honest(folder: Folder) -> None:
    first, second = summary(folder)
    assert first.startswith("2 arms of 4 virtual people were simulated for 7 d")
    assert arms(folder)[0] == ("ketamine", "ketamine 0.5 mg/kg iv over 40 min")
    assert "3 published results, 2 lie inside" in second
    assert "2 of the 3 were never used to find parameters; of these 1 lie inside" in second


def test_fitted_rows_alone_are_no_test(folder: Folder) -> None:
    fitted = dataclasses.replace(folder, comparison=folder.comparison[folder.comparison["role"] == "fit"])
    assert "not that it predicts" in summary(fitted)[1]


def test_a_run_without_failures_or_comparison(folder: Folder) -> None:
    bare = dataclasses.replace(
        folder, failures=folder.failures.iloc[:0], comparison=folder.comparison.iloc[:0], warnings=[]
    )
    text = html(bare)
    assert "None: all 8 subjects were simulated to the end." in text
    assert "Predicted beside published" not in text


def test_a_study_of_ones_own_speaks_of_no_publication(folder: Folder) -> None:
    own = folder.comparison.iloc[:3].assign(published=float("nan"), inside=pd.NA, role="")
    study = folder.study.model_copy(update={"doi": ""})
    text = html(dataclasses.replace(folder, study=study, comparison=own, warnings=[]))
    assert "Predicted results" in text and "ublished" not in re.sub(
        r"n_published|<pre>.*?</pre>|from published results with role fit", "", text, flags=re.DOTALL
    )


def test_rats_are_rats(folder: Folder) -> None:
    own = folder.comparison.iloc[:3].assign(published=float("nan"), inside=pd.NA, role="")
    bare = dataclasses.replace(folder, model="rat", comparison=own, warnings=[])
    text = re.sub(r"<pre>.*?</pre>", "", html(bare), flags=re.DOTALL)
    assert "virtual rats" in text and "5-95 % of the rats" in text and "Rats not simulated" in text
    assert "people" not in text.replace("people_", "").lower().replace("major depression", "")


def test_what_was_left_out_is_not_hidden(folder: Folder, text: str) -> None:
    assert "<details open><summary>1 published row that could not" in text
    many = pd.concat([folder.comparison.iloc[[3]]] * 40)
    assert "<details><summary>40 published rows" in html(dataclasses.replace(folder, comparison=many))


def test_no_page_is_wider_than_its_screen(text: str) -> None:
    """Tables scroll or become cards, plots have a narrow form, hashes break."""
    narrow = text[text.index("max-width: 640px") :]
    for rule in (
        ".on-wide { display: none; }",
        ".cards thead { display: none; }",
        ".facts th, .facts td { display: block",
    ):
        assert rule in narrow
    wide = re.findall(r'<div class="on-wide"><svg[^>]*viewBox="0 0 ([\d.]+)', text)
    slim = re.findall(r'<div class="on-narrow"><svg[^>]*viewBox="0 0 ([\d.]+)', text)
    assert len(wide) == len(slim) == 6 and set(wide) == {"691.2"} and set(slim) == {"266.4"}


def test_paper_cuts_no_plot_and_leaves_no_heading_alone(text: str) -> None:
    paper = text[text.index("@media print") :]
    assert ".together, figure, tr, .warn { break-inside: avoid; }" in paper and "h2, h3" in paper
    for heading in re.findall(r'<h2 id="h-(?:chain|published)">', text):
        before, _, after = text.partition(heading)
        assert (
            before.rstrip().endswith('<div class="together">')
            and "<figure>" in after.partition("</div>\n</section>")[0]
        )


def test_the_same_run_gives_the_same_page(folder: Folder, text: str) -> None:
    assert html(folder) == text


def test_write_leaves_one_whole_file(folder: Folder) -> None:
    path = write(folder)
    assert path == folder.path / "report.html"
    assert [p.name for p in folder.path.iterdir()] == ["report.html"]
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")


def _schemes(text: str) -> list[dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", text, re.DOTALL)[:2]
    return [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in (light, dark)]


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(first: str, other: str) -> float:
    high, low = sorted((_luminance(first), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast(text: str, scheme: int) -> None:
    """WCAG 2.2: 4.5 for text, 3 for lines of a plot."""
    colours = _schemes(text)[scheme]
    for name in ("ink", "faint", "link", "bad"):
        assert _contrast(colours[name], colours["paper"]) >= 4.5, name
    for index in range(len(ARM_COLOURS)):
        assert _contrast(colours[f"arm-{index}"], colours["paper"]) >= 3, index


def test_what_steers_a_terminal_is_written_out_in_every_page(folder: Folder) -> None:
    """A title may hold an escape sequence or turn the direction of text: the page shows it, and obeys nothing."""
    hostile = "red \x1b[31m, turned \u202e, hidden \u200b, half \ud800"
    for html_text in (page_bytes(f"<p>{hostile}</p>\n\t").decode(), card(hostile, [("title", hostile)])):
        left = {c for c in html_text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - set("\n\t")
        assert not left and r"\x1b[31m" in html_text and r"\u202e" in html_text
    page = page_bytes(html(dataclasses.replace(folder, population=hostile, warnings=[hostile])))
    assert b"\x1b" not in page and page.decode("utf-8").lower().startswith("<!doctype html>")
