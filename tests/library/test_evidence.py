"""The published results: every row can be pointed at, has a source, and carries one role that nothing contradicts."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest

import respine

FOLDER = Path(respine.__file__).parent / "library" / "evidence"
TABLES = ("clinical", "pk", "population", "preclinical")
ROLES = {"fit", "validate", "context"}
VERIFIED = {"read", "derived", "recalled"}
STRICT_FIRST = ("validate", "context", "fit")  # where one datum stands twice, the earlier role holds
PLAIN_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
WORDED_UNITS = ("qualitative", "statistic", "printed", "none detected")
COMPARABLE = {
    "score", "change", "response", "remission", "difference", "response-difference", "response-any-time",
    "response-maintained", "response-from-screening", "time-to-relapse", "relapse-free", "dropout",
}  # fmt: skip
WORDED_VALUES = {"KET-03", "KET-11", "SIG-06"}  # a direction or a duration in words

# the same published datum printed in two tables
ONE_DATUM = [
    ("pride-phase-1-2016-rul-ultrabrief-ect-venlafaxine-dropout", "population-stopped-before-end-pride"),
    ("spravato-phase-2-3-2023-esketamine-ae-increased-bp", "PK342"),
    ("sustain-1-2-longitudinal-ae-2022-esketamine-ad-ae-incidence-in-week-1-dizziness-7d", "PK346"),
    ("abdallah-rapamycin-2020-rapamycin-6-mg-ketamine-response-14d", "KET-28"),
]


@cache
def rows(table: str) -> list[dict[str, str]]:
    with open(FOLDER / f"{table}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def every_row() -> list[dict[str, str]]:
    return [row for table in TABLES for row in rows(table)]


def test_no_table_lost_rows() -> None:
    counts = {table: len(rows(table)) for table in TABLES}
    assert counts == {"clinical": 539, "pk": 404, "population": 135, "preclinical": 100}


def test_ids_are_unique_over_all_tables() -> None:
    ids = [row["id"] for row in every_row()]
    assert [i for i in ids if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.\-]*[A-Za-z0-9]", i)] == []
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("table", TABLES)
def test_rows_are_whole(table: str) -> None:
    """No row has more or fewer cells than the header, and none has a line break or outer blanks in a cell."""
    for row in rows(table):
        assert None not in row and None not in row.values(), row["id"]
        assert all(cell == cell.strip() and "\n" not in cell for cell in row.values()), row["id"]


@pytest.mark.parametrize("table", TABLES)
def test_roles_sources_and_verification(table: str) -> None:
    for row in rows(table):
        assert row["role"] in ROLES, row["id"]
        assert row["verified"] in VERIFIED, row["id"]
        assert row["source"], row["id"]


def test_a_number_from_memory_alone_is_never_a_clinical_target() -> None:
    assert [row["id"] for row in rows("clinical") if row["verified"] == "recalled" and row["role"] != "context"] == []


@pytest.mark.parametrize("table", TABLES)
def test_values_with_a_numeric_unit_hold_numbers(table: str) -> None:
    for row in rows(table):
        worded = row["unit"].startswith(WORDED_UNITS) or row["id"] in WORDED_VALUES
        if row["unit"] and not worded:
            assert re.search(r"\d", row["value"]), (row["id"], row["value"], row["unit"])


def test_comparable_clinical_values_are_plain_numbers() -> None:
    """Such a row can be laid beside a prediction, so value, drop and limit must be numbers."""
    for row in rows("clinical"):
        if row["measure"] in COMPARABLE:
            assert PLAIN_NUMBER.fullmatch(row["value"]), (row["id"], row["value"])
        for field in ("drop", "below"):
            assert not row[field] or PLAIN_NUMBER.fullmatch(row[field]), row["id"]
        if row["unit"] == "%" and row["measure"] in ("response", "remission", "dropout"):
            assert 0 <= float(row["value"]) <= 100, row["id"]


@pytest.mark.parametrize("table", ["clinical", "preclinical"])
def test_times_are_hours_from_the_first_dose(table: str) -> None:
    for row in rows(table):
        assert not row["time_h"] or float(row["time_h"]) >= 0, row["id"]


def test_readings_of_rodent_rows_are_complete_and_in_order() -> None:
    for row in rows("preclinical"):
        reading = [row[k] for k in ("study", "arm", "output", "measure", "time_h", "direction")]
        assert all(reading) or not any(reading), row["id"]
        assert row["direction"] in ("", "up", "down", "unchanged"), row["id"]
        assert bool(row["low"]) == bool(row["high"]), row["id"]
        if row["low"]:
            assert float(row["low"]) <= float(row["high"]), row["id"]
        if row["low"] and row["measure"] == "percent-of-control":
            side = {"up": float(row["low"]) > 100, "down": float(row["high"]) < 100, "unchanged": True}
            assert side[row["direction"]], row["id"]


def test_the_same_clinical_datum_never_has_two_roles() -> None:
    seen: dict[tuple[str, ...], set[str]] = defaultdict(set)
    key = ("study", "year", "arm", "comparator", "population", "endpoint", "time_h", "value", "note")
    for row in rows("clinical"):
        seen[tuple(row[k] for k in key)].add(row["role"])
    assert [k for k, roles in seen.items() if len(roles) > 1] == []


def test_the_same_pk_datum_never_has_two_roles() -> None:
    seen: dict[tuple[str, ...], set[str]] = defaultdict(set)
    key = ("quantity", "value", "unit", "doi", "population", "route", "dose")
    for row in rows("pk"):
        seen[tuple(row[k] for k in key)].add(row["role"])
    assert [k for k, roles in seen.items() if len(roles) > 1] == []


def test_one_datum_in_two_tables_has_the_stricter_role_in_both() -> None:
    role = {row["id"]: row["role"] for row in every_row()}
    for pair in ONE_DATUM:
        assert role[pair[0]] == role[pair[1]], pair
    assert role["population-stopped-before-end-pride"] == "validate"


def test_equal_numbers_of_one_paper_agree_on_their_role() -> None:
    """A net for new rows: one DOI, one value with a decimal, one sample size, two tables - then one role."""
    groups: dict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for row in every_row():
        doi = row.get("doi") or (re.search(r"doi:(\S+)", row["source"]) or ["", ""])[1]
        if doi and "." in row["value"] and PLAIN_NUMBER.fullmatch(row["value"]) and row["n"]:
            groups[doi.lower(), row["value"], row["n"]].append((row["id"], row["role"]))
    clashes = [
        (a, b) for group in groups.values() for a, b in combinations(group, 2)
        if a[1] != b[1] and a[0].split("-")[0] != b[0].split("-")[0]
    ]  # fmt: skip
    assert clashes == []


@pytest.mark.parametrize(
    ("row_id", "value", "role"),
    [
        ("murrough-2013-ketamine-madrs-change-24h", "-16.5", "fit"),
        ("murrough-2013-midazolam-madrs-change-24h", "-8.8", "fit"),
        ("daly-2018-esketamine-84-mg-madrs-change-7d", "-15.3", "fit"),
        ("population-age-sustain-2", "50.7", "fit"),
        ("PK001", "0.54", "fit"),
        ("KET-28", "41 vs 13", "validate"),
    ],
)
def test_known_rows_stand_under_their_names(row_id: str, value: str, role: str) -> None:
    (row,) = [row for row in every_row() if row["id"] == row_id]
    assert (row["value"], row["role"]) == (value, role)
