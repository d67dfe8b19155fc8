"""`respine evidence`, `assertions`, `claims`: exit codes, pure JSON, nothing run on bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Respine


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("evidence", "--role", "valid"), "validate"),
        (("evidence", "--system", "ECTT"), "ECT"),
        (("evidence", "--rows", "mine.csv"), "--studies"),
        (("evidence", "--rows", "mine.csv", "--studies", "."), "no such file"),
        (("assertions", "A77"), "A7"),
        (("claims", "within-hour"), "within-hours"),
    ],
)
def test_bad_input_ends_with_2(respine: Respine, words: tuple[str, ...], told: str) -> None:
    result = respine(*words)
    assert result.exit_code == 2, result.output
    assert told in result.stderr and "Traceback" not in result.output


def test_assertions_as_json(respine: Respine) -> None:
    result = respine("assertions", "A1", "--json")
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert list(row) == ["label", "title", "study", "holds", "target", "value", "unit", "evidence", "checks"]
    assert row["label"] == "A1" and row["target"] == "-22 to -12"
    assert row["holds"] == (-22 <= row["value"] <= -12)
    assert {"id": "STR-07", "role": "fit"} in row["evidence"]


def test_claims_as_json_and_page(respine: Respine, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    result = respine("claims", "seventeen-percent-lifetime", "--json", "--markdown", page)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert (row["model_verdict"], row["record_verdict"]) == ("no evidence", "supported")
    assert row["record"][0]["value"] == 16.2 and row["record"][0]["holds"] is True
    assert "| About 17 % of people" in page.read_text(encoding="utf-8")


def test_inputs_about_people_without_simulation(respine: Respine) -> None:
    result = respine("evidence", "--system", "populations", "--role", "fit", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert {row["table"] for row in rows} == {"population"} and {row["role"] for row in rows} == {"fit"}
    predicted = [row for row in rows if not row["reason"]]
    assert len(predicted) >= 20 and all(row["kind"] == "people" for row in predicted)
    assert all(row["reason"] for row in rows if row["predicted"] is None)
    share = sum(row["inside"] for row in predicted) / len(predicted)
    assert share > 0.8  # inputs that the people do not reproduce would be a mistake of a population file
