"""Published rows: numbers, error bars, what they speak of, and that none is dropped."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from respine import library, published
from respine import study as studies
from respine.published import NotCompared, read_row
from respine.study.selection import rows_compared
from respine.trial import COLUMNS, Panel
from tests.trial.stand_ins import STUDY, small_study


def _row(**cells: str) -> dict[str, str]:
    return {
        "value": "-10",
        "unit": "MADRS points",
        "n": "25",
        "dispersion": "",
        "dispersion_type": "",
        "endpoint": "MADRS change",
        "scale": "MADRS",
        "measure": "change",
        "time_h": "24",
    } | cells


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [
        ({"dispersion": "5", "dispersion_type": "SD"}, -11.96, -8.04),
        ({"dispersion": "2", "dispersion_type": "SE"}, -13.92, -6.08),
        ({"dispersion": "t(24)=-5", "dispersion_type": "t"}, -13.92, -6.08),
        ({"dispersion": "2", "dispersion_type": "Cohen d"}, -11.96, -8.04),
        ({"dispersion": "-12.71 to -3.20", "dispersion_type": "95% CI"}, -12.71, -3.2),
        ({"dispersion": "3.9-11.3", "dispersion_type": "95% CI"}, -11.3, -3.9),
        ({"dispersion": "1.5", "dispersion_type": "95% CI half-width"}, -11.5, -8.5),
        ({"value": "44", "unit": "%", "n": "18", "dispersion": "8/18", "dispersion_type": "count"}, 24.56, 66.28),
        ({"value": "10", "unit": "%", "n": "10", "measure": "response"}, 1.79, 40.42),
        ({"value": "10", "unit": "%", "n": "10", "measure": "", "counts": "people"}, 1.79, 40.42),
        ({"value": "10", "unit": "%", "n": "10", "measure": "percent-change"}, math.nan, math.nan),
        ({"dispersion": "p=0.01", "dispersion_type": "p"}, math.nan, math.nan),
        ({}, math.nan, math.nan),
    ],
)  # fmt: skip
def test_error_bars_from_what_papers_print(cells: dict[str, str], low: float, high: float) -> None:
    number = published.published(_row(**cells))
    assert number is not None
    assert (number.low, number.high) == (
        pytest.approx(low, abs=0.01, nan_ok=True),
        pytest.approx(high, abs=0.01, nan_ok=True),
    )


@pytest.mark.parametrize("value", ["8-9 to 3-5", "up, transient", "", "61-75", "2.65 / 0.81"])
def test_a_value_that_is_not_one_number_is_none(value: str) -> None:
    assert published.published(_row(value=value)) is None


@pytest.mark.parametrize(
    ("cells", "of", "kind", "extra"),
    [
        ({}, "MADRS", "change", {"at": 24.0}),
        ({"measure": "score", "scale": "HAMD"}, "HAMD17", "score", {}),
        ({"measure": "response", "scale": "HAMD"}, "HAMD17", "response", {"drop": 0.5}),
        ({"measure": "response", "drop": "30"}, "MADRS", "response", {"drop": 0.3}),
        ({"measure": "remission", "below": "12"}, "MADRS", "remission", {"below": 12.0}),
        ({"measure": "remission", "scale": "QIDS-SR"}, "QIDS-SR", "remission", {"below": 5.0}),
        ({"measure": "difference"}, "MADRS", "difference-in-change", {"arm": ""}),
        ({"measure": "score-difference"}, "MADRS", "difference", {}),
        ({"measure": "response-any-time"}, "MADRS", "response", {"by": 24.0, "at": None}),
        ({"measure": "remission-odds-ratio"}, "MADRS", "remission-odds-ratio", {"below": 10.0}),
        ({"measure": "change", "scale": "SBP", "value": "19"}, "SBP", "change", {}),
        ({"measure": "change", "value": "14", "sign": "benefit"}, "MADRS", "change", {}),
    ],
)  # fmt: skip
def test_columns_say_what_a_row_is(cells: dict[str, str], of: str, kind: str, extra: dict) -> None:
    words = "response remission HAM-D reduction relapse >=30% <=12, vs placebo"  # text is for people
    endpoint = read_row(_row(**{"endpoint": words} | cells), 0.0).endpoint
    assert endpoint is not None and (endpoint.of, endpoint.kind) == (of, kind)
    for name, value in extra.items():
        assert getattr(endpoint, name) == value


@pytest.mark.parametrize(
    ("cells", "kind", "words"),
    [
        ({"measure": ""}, NotCompared.LEFT_OPEN, "fill the column measure"),
        ({"measure": "ratio"}, NotCompared.NO_ENDPOINT, "write response-ratio"),
        ({"measure": "incidence"}, NotCompared.NO_ENDPOINT, '"incidence"'),
        ({"measure": "standardised-change"}, NotCompared.NO_ENDPOINT, "with themselves"),
        ({"measure": "moood"}, NotCompared.NO_ENDPOINT, "score, change"),
        ({"scale": ""}, NotCompared.LEFT_OPEN, "fill the column scale"),
        ({"scale": "CGI"}, NotCompared.NO_SCALE, '"CGI"'),
        ({"time_h": ""}, NotCompared.LEFT_OPEN, "no time"),
        ({"value": "14"}, NotCompared.LEFT_OPEN, "fill the column sign"),
        ({"measure": "remission", "scale": "SBP"}, NotCompared.LEFT_OPEN, "fill the column below"),
        ({"measure": "relapse-free"}, NotCompared.LEFT_OPEN, "compare.rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_a_reason(cells: dict[str, str], kind: NotCompared, words: str) -> None:
    reason = read_row(_row(**{"endpoint": "MADRS change from baseline"} | cells), 0.0).reason
    assert reason is not None and reason.kind is kind and words in reason.text


@pytest.mark.parametrize("table", ["clinical", "preclinical"])
def test_every_row_of_the_evidence_is_read_or_refused_with_a_reason(table: str) -> None:
    read = 0
    for row in library.rows("evidence", table):
        published.published(row)
        reading = read_row(row, 0.0)
        assert (reading.endpoint is None) == (reading.reason is not None)
        read += reading.endpoint is not None
    assert read > (200 if table == "clinical" else 10)


@pytest.mark.parametrize("name", library.names("studies"))
def test_no_published_row_of_a_library_study_is_dropped(name: str) -> None:
    study = studies.load(name)
    result = published.matches(study)
    for block in study.compare:
        named = {row["id"] for row, _ in rows_compared(study.library, block, study.endpoints)}
        assert named <= {match.row["id"] for match in result}
    for match in result:
        assert (match.endpoint is None) == (match.reason is not None)


COMPARE = """
compare:
  study: Murrough 2013
  arms: {saline: midazolam, drug: ketamine}
"""


def _results(n: int = 400) -> SimpleNamespace:
    rng = np.random.default_rng(1)
    values = {}
    for arm, change in (("drug", -16.0), ("saline", -9.0)):
        base = rng.normal(34, 3, n)
        values[arm, "MADRS"] = np.column_stack([base, base, base + change + rng.normal(0, 6, n), base])
    times = np.array([0.0, 4.0, 24.0, 168.0])
    return SimpleNamespace(panel=Panel(np.arange(n), np.arange(n) % 20, {"MADRS": times}, values))


def test_prediction_beside_publication(tmp_path: Path) -> None:
    table = published.compare(small_study(tmp_path, STUDY + COMPARE), _results())
    assert tuple(table.columns) == COLUMNS and COLUMNS[:10] == (
        "study",
        "arm",
        "endpoint",
        "time_h",
        "median",
        "p05",
        "p95",
        "published",
        "inside",
        "role",
    )
    assert len(table) == 9
    row = table[(table["arm"] == "drug") & (table["endpoint"] == "change-24h")].iloc[0]
    assert (
        row["published"] == -16.5
        and row["inside"] is True
        and row["p05"] < row["median"] < row["p95"]
        and row["role"] == "fit"
    )
    assert (
        row["published_low"] == pytest.approx(-16.5 - 1.96 * 1.6, abs=0.01) and "parameter uncertainty" in row["note"]
    )
    difference = table[table["endpoint"] == "difference-24h"].iloc[0]
    assert difference["arm"] == "drug" and difference["median"] == pytest.approx(-7, abs=1)
    week = table[(table["endpoint"] == "response >=50% MADRS") & (table["arm"] == "drug")].iloc[0]
    assert week["median"] == 0 and week["inside"] is False
    left = table[table["median"].isna()]
    assert (
        len(left) == 2
        and left["inside"].isna().all()
        and left["note"].str.contains('respine does not compute "share"').all()
    )


def test_a_row_of_fewer_people_is_less_sure(tmp_path: Path) -> None:
    """Two links to one row: of all people of the arm, and of eight."""
    compare = "compare:\n  rows: [{endpoint: change-24h, arm: drug, id: murrough-2013-ketamine-madrs-change-24h%s}]\n"
    tables = [
        published.compare(small_study(tmp_path, STUDY + compare % more), _results()) for more in ("", ", people: 8")
    ]
    width = [float(table["p95"].iloc[0] - table["p05"].iloc[0]) for table in tables]
    assert width[1] > 1.3 * width[0]


def test_unmatched_rows_say_what_to_add(tmp_path: Path) -> None:
    study = small_study(tmp_path, STUDY.replace("visits: [0 h, 4 h, 24 h, 7 d]", "visits: [0 h, 4 h, 24 h]") + COMPARE)
    results = _results()
    times = results.panel.times["MADRS"][:3]
    short = Panel(
        results.panel.subjects,
        results.panel.draw,
        {"MADRS": times},
        {k: v[:, :3] for k, v in results.panel.values.items()},
    )
    table = published.compare(study, SimpleNamespace(panel=short))
    assert table["note"].str.contains("not observed at 168 h: add the time to visits").sum() == 2
    assert len(table) == 9
