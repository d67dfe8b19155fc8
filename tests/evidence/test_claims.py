"""Verdicts: how conditions make them, the record's side of the library's claims, and the page in the docs."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from respine.errors import InputError
from respine.evidence import claims
from respine.evidence.claims import VERDICTS, Claim, Condition, condition_text, markdown, verdict

DOCS = Path(__file__).parents[2] / "docs" / "claims.md"


def condition(holds: bool) -> Condition:
    return Condition("response", 52.2, "%", "at least 90", holds, low=47.0, high=57.2, source=("row",))


def test_a_verdict_is_made_of_its_conditions() -> None:
    assert verdict([]) == "no evidence"
    assert verdict([condition(True), condition(True)]) == "supported"
    assert verdict([condition(True), condition(False)]) == "partly"
    assert verdict([condition(False)]) == "contradicted"


def test_the_record_contradicts_and_supports_what_it_should() -> None:
    said = {id: verdict(conditions) for id, conditions in claims.record().items()}
    assert said["works-almost-every-time"] == "contradicted"
    assert said["completely-reverses-depression"] == "contradicted"
    assert said["few-side-effects"] == "contradicted"
    assert said["nasal-when-iv-failed"] == "no evidence"
    assert said["within-hours"] == said["seventeen-percent-lifetime"] == said["slow-drugs-take-weeks"] == "supported"
    assert said["faster-than-ect"] == said["riluzole"] == said["bdnf-needed"] == "partly"


def test_numbers_of_the_record_are_those_of_the_rows() -> None:
    result = claims.record(["works-almost-every-time"])["works-almost-every-time"]
    assert result[0].value == 52.2 and result[0].source == ("han-2016-ketamine-response-24h",)
    assert result[0].low < 52.2 < result[0].high
    assert result[3].value == pytest.approx(46.5 - 25.9)


def test_unknown_claims_are_refused() -> None:
    with pytest.raises(InputError, match="within-hours"):
        claims.evaluate(["within-hour"])


def test_words_of_a_condition() -> None:
    text = condition_text(condition(False))
    assert text == "response: 52.2 [47 to 57.2] %, asked for at least 90 - does not hold (row)"
    absent = condition_text(Condition("x", math.nan, "", "evidence", False, "no row"))
    assert absent == "x: no row - does not hold"


def test_markdown_has_a_row_and_a_section_for_each_claim() -> None:
    page = markdown([Claim("a", "It works", (condition(True),), (), record_note="No trial was located.")])
    assert "| It works | supported | no evidence |" in page
    assert "**Published record: no evidence.** No trial was located." in page


def test_the_page_in_the_docs_has_the_form_of_its_generator() -> None:
    """Model numbers move with the model; header, claims, order and the record's verdicts must be those of today."""
    page = DOCS.read_text(encoding="utf-8")
    assert page.startswith(claims.HEADER)
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", page[len(claims.HEADER) :], re.M)
    wanted = claims.read()["claims"]
    assert [row[0] for row in rows] == [claim["claim"] for claim in wanted]
    record = claims.record()
    assert [row[2] for row in rows] == [verdict(record[claim["id"]]) for claim in wanted]
    assert {row[1] for row in rows} <= set(VERDICTS)
    for claim in wanted:
        section = page.split(f"## {claim['claim']}\n", 1)[1].split("\n## ", 1)[0]
        lines = [condition_text(c) for c in record[claim["id"]]]
        assert all(f"- {line}" in section for line in lines), claim["id"]
        checks = claim["model"].get("checks") or []
        assert sum(f"- {check['what']}: " in section for check in checks) == len(checks), claim["id"]
