"""Counting, calibration and scores on lines with known answers."""

from __future__ import annotations

import math

import pytest

from respine.errors import InputError
from respine.evidence import ComparedRow, calibration, gather, reasons, summary
from respine.evidence.row import score, system_of, systems, unpredicted
from respine.published import NotCompared, read_row


def line(id: str, published: float = 0.0, **more: object) -> ComparedRow:
    facts = {"table": "clinical", "system": "ECT", "what": "x", "role": "validate", "kind": "trial"}
    facts |= {"predicted": 0.0, "low": -1.645, "high": 1.645, "q25": -0.6745, "q75": 0.6745}
    facts |= {"inside": None if "reason" in more else abs(published) <= 1.645, "z": published}
    return ComparedRow(id=id, published=published, **(facts | more))  # type: ignore[arg-type]


def test_score_is_in_standard_deviations() -> None:
    assert score(2.0, 0.0, -1.6448536, 1.6448536) == pytest.approx(2.0)
    assert score(2.0, 0.0, -1.6448536, 1.6448536, se=math.sqrt(3)) == pytest.approx(1.0)
    assert math.isnan(score(2.0, 0.0, 0.0, 0.0))


def test_calibration_counts_shares() -> None:
    result = calibration([line("a", 0.1), line("b", 1.0), line("c", 3.0), line("d", -0.5), line("e", 0.0, role="fit")])
    assert result["rows"] == 4
    assert (result["inside_50"], result["inside_90"]) == (0.5, 0.75)
    assert result["root_mean_square_z"] == pytest.approx(math.sqrt((0.01 + 1 + 9 + 0.25) / 4))
    assert calibration([line("p", kind="parameter")])["rows"] == 0  # an input carried over tests nothing


def test_a_row_met_twice_holds_only_if_it_holds_twice() -> None:
    rows = [
        line("a", 0.0, study="one"),
        line("a", 5.0, study="two"),
        line("b", 0.0),
        line("c", not_compared=NotCompared.NO_STUDY, reason="no study"),
    ]
    counts = next(row for row in summary(rows) if row["system"] == "ECT")
    assert (counts["rows"], counts["judged"], counts["inside"], counts["without"]) == (3, 2, 1, 1)
    assert counts["share"] == 0.5


def test_reasons_are_counted_by_what_made_them_not_by_their_words() -> None:
    row = {"id": "a", "measure": "score", "scale": "CGI", "time_h": "24", "value": "3", "_file": "f", "_line": "2"}
    unknown = read_row(row, 0.0).reason
    timeless = read_row(row | {"scale": "MADRS", "time_h": ""}, 0.0).reason
    nameless = read_row(row | {"scale": ""}, 0.0).reason
    assert unknown and timeless and nameless
    own = NotCompared.EXPLAINED.because("measured in cells")
    result = reasons(unpredicted(row, "clinical", reason) for reason in (timeless, unknown, nameless, own))
    assert result == {NotCompared.LEFT_OPEN.value: 2, NotCompared.NO_SCALE.value: 1, "measured in cells": 1}


def test_lines_survive_being_kept() -> None:
    before = line("a", 1.0, n=12, time_h=float("nan"), remarks=("odd",), not_compared=NotCompared.NO_ARM)
    after = ComparedRow.of(before.to_dict())
    assert before.to_dict() == after.to_dict()
    assert math.isnan(after.time_h) and after.n == 12 and after.remarks == ("odd",)
    assert after.not_compared is NotCompared.NO_ARM and before.to_dict()["not_compared"] == NotCompared.NO_ARM.value


def test_unknown_names_are_refused_together() -> None:
    with pytest.raises(InputError) as error:
        gather.predict(roles=["valdate"], system="ECTT")
    assert len(error.value.problems) == 2
    assert "validate" in str(error.value) and "ECT" in str(error.value)


@pytest.mark.parametrize(
    ("row", "table", "system"),
    [
        ({"scale": "SSI", "route": "IV"}, "clinical", "suicidal ideation"),
        ({"scale": "MADRS", "arm": "bilateral ECT"}, "clinical", "ECT"),
        ({"scale": "MADRS", "arm": "ketamine", "route": "IV"}, "clinical", "rapid effect on mood"),
        ({"domain": "KET", "arm": "ketamine + rapamycin"}, "preclinical", "rapid effect on synapses"),
        ({"quantity": "esketamine Cmax"}, "pk", "pharmacokinetics"),
        ({"quantity": "largest mean SBP / DBP increase"}, "pk", "side effects"),
    ],
)
def test_system_of_a_row(row: dict[str, str], table: str, system: str) -> None:
    assert system_of(row, table) == system
    assert system in systems()


def test_every_library_row_belongs_to_a_system() -> None:
    from respine import library

    lost = [row["id"] for table in library.names("evidence") for row in library.rows("evidence", table)
            if system_of(row, table) == "other"]  # fmt: skip
    assert not lost
