"""The layout of nmtest files, what may be left out of them, and what cannot be meant; the real file where it lies."""

from __future__ import annotations

import csv
import io
import math

import pytest

from respine.errors import InputError
from respine.qualify import nonmem

KA, K, V = 1.5, 1.1 / 20, 20.0


def concentration(t: float, doses: list[tuple[float, float]]) -> str:
    """The concentration after boluses into the central compartment, with the digits NONMEM prints."""
    return f"{1000 / V * sum(a * math.exp(-K * (t - d)) for d, a in doses if t >= d):.5g}"


def table(rows: list[dict[str, object]], columns: str = "id time cp cmt amt evid") -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns.split(), restval="0", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


DOSE = {"id": 1, "time": 0, "cp": "NA", "cmt": 2, "amt": 100, "evid": 1}
ROWS = [DOSE, *({"id": 1, "time": t, "cp": concentration(t, [(0, 100)]), "cmt": 2, "evid": 0} for t in (1, 5, 20))]


def run(tmp_path, text: str):
    path = tmp_path / "my_nmtest.csv"
    path.write_text(text, encoding="utf-8")
    return nonmem.qualify(path)


def refusal(tmp_path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        run(tmp_path, text)
    return str(caught.value)


@pytest.mark.parametrize(
    "columns", ["id time cp cmt amt evid", "evid amt TIME cmt cp ID", " amt time evid cp  cmt id mdv"]
)
def test_columns_in_any_order_and_only_the_needed_ones(tmp_path, columns):
    text = table(ROWS).splitlines()
    order = [c.strip().lower() for c in columns.split()]
    lines = [dict(zip(text[0].split(","), line.split(","), strict=True)) | {"mdv": "."} for line in text[1:]]
    body = [",".join(line[c] for c in order) for line in lines]
    assert run(tmp_path, "\n".join([columns.replace("  ", " ").strip().replace(" ", ", "), *body])).ok


def test_a_wrong_value_fails(tmp_path):
    wrong = [*ROWS[:2], {**ROWS[2], "cp": float(ROWS[2]["cp"]) * 1.001}]
    findings = run(tmp_path, table(wrong))
    assert not findings.ok and findings.last_line() == "0/1 pass"


def test_records_that_are_not_to_be_judged(tmp_path):
    silent = [*ROWS, {"id": 1, "time": 21, "cp": 7, "cmt": 2, "evid": 0, "mdv": 1},
              {"id": 1, "time": 22, "cp": ".", "cmt": 2, "evid": 0}, {"id": 2, "time": 0, "cp": "NA", "evid": 2}]  # fmt: skip
    findings = run(tmp_path, table(silent, "id time cp cmt amt evid mdv"))
    assert findings.ok and [c.outcome for c in findings.cases] == ["pass", "reported"]


def test_times_before_zero_and_compartments_by_name(tmp_path):
    rows = [{**row, "time": float(row["time"]) - 3, "cmt": "Central"} for row in ROWS]
    assert run(tmp_path, table(rows)).ok


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"time": "soon"}, ":2.*time.*no number"), ({"time": "."}, ":2.*time.*needs one"), ({"id": ""}, ":2.*id.*needs one"),
        ({"evid": 101}, ":2.*EVID 101"), ({"evid": 1.5}, ":2.*evid.*whole number"),
        ({"cmt": 3}, ":2.*cmt.*Compartment 3 is not mapped.*Mapped are 1, 2"),
        ({"amt": 0}, ":2.*AMT is 0"), ({"amt": -5}, ':2.*amt: "-5".*cannot be negative'), ({"rate": -1}, ":2.*rate of the inf"),
        ({"rate": -2, "dur2": -1}, ":2.*duration of the infusion"), ({"rate": -3}, ":2.*rate: \"-3\""),
        ({"addl": 2}, ":2.*ADDL needs II"), ({"ss": 1}, ":2.*SS needs II"), ({"ss": 3}, ':2.*ss: "3"'),
        ({"lagt": -1}, ":2.*A lag is 0 or more"), ({"cp": "much"}, ":2.*cp.*no number"),
        ({"evid": 0}, ":2.*an observation, so it has no AMT"), ({"amt": "inf"}, ":2.*amt.*no number"),
        ({"cmt": -2, "evid": 2, "amt": 0}, ":2.*cmt.*turned off"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_told_with_its_line(tmp_path, change, said):
    columns = "id time cp cmt amt evid ii ss addl rate lagt rat2 dur2"
    with pytest.raises(InputError, match=f"(?s){said}"):
        run(tmp_path, table([{**DOSE, **change}, *ROWS[1:]], columns))


def test_files_that_are_no_data_set(tmp_path):
    assert "empty" in refusal(tmp_path, "")
    assert "Missing: cp" in refusal(tmp_path, table(ROWS, "id time dv cmt amt"))
    assert "no rows" in refusal(tmp_path, table([]))
    assert "The time lies before that of the row above" in refusal(tmp_path, table([ROWS[0], ROWS[2], ROWS[1]]))
    with pytest.raises(InputError, match="no such file"):
        nonmem.qualify(tmp_path / "absent.csv")


def test_the_public_file(reference):
    findings = nonmem.qualify(reference / "nlme" / "nmtest.csv")
    assert findings.last_line() == "26/26 pass"
