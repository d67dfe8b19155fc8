"""A user's own results: the example of the docs, and every mistake at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from respine.errors import InputError
from respine.evidence import user_data

DOCS = Path(__file__).parents[2] / "docs" / "evidence.md"
CSV, STUDY = re.findall(r"```(?:csv|yaml)\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)[:2]
HEADER = "study,year,arm,endpoint,scale,measure,time_h,value,unit\n"


def write(folder: Path, rows: str = CSV, **studies: str) -> tuple[Path, Path]:
    file, where = folder / "results.csv", folder / "studies"
    file.write_text(rows, encoding="utf-8")
    where.mkdir()
    for name, text in (studies or {"north": STUDY}).items():
        (where / f"{name}.yaml").write_text(text, encoding="utf-8")
    return file, where


def problems(file: Path, folder: Path) -> list[str]:
    with pytest.raises(InputError) as error:
        user_data.predict(file, folder, 40)
    return [f"{problem.where} {problem.field}" for problem in error.value.problems]


@pytest.mark.usefixtures("own_cache")
def test_the_example_of_the_docs_runs(tmp_path: Path) -> None:
    more = CSV + "North,2026,ketamine,QIDS-SR change,QIDS-SR,change,7 d,-5.0,points,5.0,SD,40\n"
    more += "North,2026,ketamine,clinical global impression,CGI,score,24,3,points,,,40\n"
    more += "South,2025,esketamine,MADRS change,MADRS,change,24,-12,points,,,20\n"
    predicted = user_data.predict(*write(tmp_path, more), subjects=60)
    assert len(predicted) == 7
    assert [row.time_h for row in predicted[:5]] == [24, 24, 72, 24, 168]  # 3 d and 7 d are no visits of the file
    assert all(row.kind == "trial" and row.low < row.predicted < row.high for row in predicted[:4])
    assert all(row.role == "validate" and row.inside == (row.low <= row.published <= row.high) for row in predicted[:4])
    assert predicted[0].n == 40 and predicted[3].published_low == -13.2
    assert "CGI" in predicted[5].reason and "South 2025" in predicted[6].reason
    again = user_data.predict(tmp_path / "results.csv", tmp_path / "studies", subjects=60)
    assert [row.to_dict() for row in again] == [row.to_dict() for row in predicted]


def test_all_mistakes_of_all_files_at_once(tmp_path: Path) -> None:
    rows = (
        HEADER + "North,26,ketamine,MADRS change,MADRS,change,1 month,x,points\n,2026,,MADRS,MADRS,score,24,3,points\n"
    )
    bad = STUDY.replace("drug: ketamine", "drug: ketamin")
    file, folder = write(tmp_path, rows, north=bad)
    seen = problems(file, folder)
    for place in (f"{file}:2 year", f"{file}:2 time_h", f"{file}:2 value", f"{file}:3 study", f"{file}:3 arm"):
        assert place in seen
    assert any("north.yaml" in place for place in seen)


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("study,arm,endpoint,scale,measure,time_h,value,unit,stduy_year\n", "stduy_year"),
        ("study,arm,endpoint,scale,measure,time_h,value\n", "unit"),
        ("study;arm;endpoint;time_h;value;unit\n", "(header)"),
        ("study,study,arm,endpoint,scale,measure,time_h,value,unit\n", "study"),
    ],
)
def test_columns(tmp_path: Path, header: str, field: str) -> None:
    file, folder = write(tmp_path, header + "a,b,c,d,e,f,g\n")
    assert f"{file}:1 {field}" in problems(file, folder)


@pytest.mark.parametrize("cell", ["y" * 140_000, '"open'])
@pytest.mark.parametrize("row", [0, 1])
def test_cells_that_no_table_has(tmp_path: Path, cell: str, row: int) -> None:
    """A cell of more than 131 072 letters, in the header too, is one error that does not quote it whole."""
    text = cell + HEADER if row == 0 else HEADER + f"North,2026,{cell},MADRS change,MADRS,change,24,-1,points\n"
    file, folder = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        user_data.predict(file, folder, 40)
    assert len(str(error.value)) < 3000 and "Traceback" not in str(error.value)


@pytest.mark.parametrize("text", ["", HEADER, "\xff\xfe"])
def test_files_without_rows(tmp_path: Path, text: str) -> None:
    file, folder = write(tmp_path)
    file.write_bytes(text.encode("latin-1"))
    assert problems(file, folder)


def test_folders_without_studies(tmp_path: Path) -> None:
    file, folder = write(tmp_path)
    assert problems(file, tmp_path / "nowhere") == [f"{tmp_path / 'nowhere'} --studies"]
    (folder / "north.yaml").unlink()
    assert problems(file, folder) == [f"{folder} --studies"]


def test_a_study_that_no_row_names_is_a_slip(tmp_path: Path) -> None:
    file, folder = write(tmp_path, CSV, north=STUDY.replace("north-2026", "nort-2026"))
    assert problems(file, folder) == [f"{folder / 'north.yaml'}:1 name"]


def test_rows_under_other_names_are_met_with_compare(tmp_path: Path) -> None:
    rows = HEADER + "Nord,2026,saline infusion,MADRS change,MADRS,change,24,-5,points\n"
    block = "compare: {study: Nord, year: 2026, arms: {placebo: saline infusion}}\n"
    file, folder = write(tmp_path, rows, north=STUDY + block)
    table, read = user_data.read(file)
    assert table == "clinical" and read[0]["role"] == "validate"
    missing = rows.replace("saline infusion", "sugar pill")
    file.write_text(missing, encoding="utf-8")
    assert any("compare" in problem for problem in problems(file, folder))  # the study names an arm no row has


def test_ids_of_the_library_are_taken(tmp_path: Path) -> None:
    rows = "id," + HEADER + "murrough-2013-ketamine-madrs-change-24h,A,2026,x,MADRS,MADRS,score,24,3,points\n"
    file, folder = write(tmp_path, rows)
    assert f"{file}:2 id" in problems(file, folder)


OPEN = """\
North,2026,ketamine,MADRS change from baseline,MADRS,,24,-14,points
North,2026,ketamine,MADRS change from baseline,,change,24,-14,points
North,2026,ketamine,response RR,MADRS,ratio,24,2,RR
North,2026,ketamine,MADRS reduction,MADRS,change,24,14,points
North,2026,ketamine,MADRS change from baseline,MADRS,change,24,-14,points
"""


@pytest.mark.usefixtures("own_cache")
def test_what_the_columns_do_not_say_is_named_not_taken_from_the_text(tmp_path: Path) -> None:
    predicted = user_data.predict(*write(tmp_path, HEADER + OPEN), subjects=60)
    measure, scale, ratio, sign, whole = predicted
    assert "column measure" in measure.reason and "column scale" in scale.reason
    assert "response-ratio" in ratio.reason and "benefit" in sign.reason
    assert whole.reason == "" and whole.inside is not None


@pytest.mark.usefixtures("own_cache")
def test_a_table_without_scale_and_measure_loads_and_is_compared_where_a_study_says_with_what(tmp_path: Path) -> None:
    rows = "study,year,arm,endpoint,time_h,value,unit\n" + (
        "North,2026,ketamine,MADRS change from baseline,24,-14,points\n"
        "North,2026,ketamine,MADRS fall,72,14,points\n"
        "North,2026,ketamine,PHQ-9,24,9,points\n"
    )
    links = "".join(
        f"    - {{endpoint: {name}, arm: ketamine, row: {text}, time: {time}}}\n"
        for name, text, time in (("day", "MADRS change from baseline", "24 h"), ("later", "MADRS fall", "72 h"))
    )
    study = (
        STUDY.replace("visits: [0 h, 24 h]", "visits: [0 h, 24 h, 3 d]")
        + "endpoints:\n"
        + "".join(
            f"  - {{name: {name}, of: MADRS, kind: change, at: {time}}}\n"
            for name, time in (("day", "24 h"), ("later", "3 d"))
        )
        + f"compare:\n  study: North\n  year: 2026\n  rows:\n{links}"
    )
    predicted = user_data.predict(*write(tmp_path, rows, north=study), subjects=60)
    day, later, other = predicted
    assert day.reason == "" and day.low < day.predicted < day.high and day.published == -14
    assert "benefit" in later.reason and "column measure" in other.reason  # a rise or a fall? of what? nobody guesses


ODD = """\
North,2026,placebo,MADRS change,MADRS,change,1 d,-5.1,points,9.0,SD,
North,2026,ketamine - placebo,MADRS difference,MADRS,difference,24,-9.0,points,"[-12.5, -5.5]",90% CI,1203-1428
North,2026,ketamine,MADRS score median,MADRS,score,24,17,points,10-24,IQR,40
North,2026,ketamine,MADRS score,MADRS,score,,17,points,10-24,IQR,40
North,2026,ketamine vs placebo,response ratio,MADRS,response-ratio,24,2.1,RR,1.1-4.0,95% CI (Mantel-Haenszel),80
North,2026,ketamine vs placebo,response OR,MADRS,response-odds-ratio,24,2.9,OR,1.1-8.0,95% CI,80
North,2026,ketamine,effect size vs placebo,MADRS,standardised-difference,24,0.8,Cohen d,0.3-1.3,95% CI,80,benefit
North,2026,ketamine,pre-post effect size,MADRS,standardised-change,24,1.9,Cohen d,,,40
North,2026,ketamine,MADRS reduction,MADRS,change,24,14.2,points,1.7,SEM,40,benefit
North,2026,ketamine,remission,MADRS,remission,24,30 vs 12,%,,,40
North,2026,ketamine,MADRS change,MADRS,change,24,-14.2,%,11.0,SD,40
North,2026,ketamine,PHQ-9 response,PHQ-9,response,24,50,%,,,40
"""


@pytest.mark.usefixtures("own_cache")
def test_odd_rows_are_predicted_or_refused_by_name(tmp_path: Path) -> None:
    header = "study,year,arm,endpoint,scale,measure,time_h,value,unit,dispersion,dispersion_type,n,sign\n"
    rows = "".join(f"{row}{'' if row.endswith('benefit') else ','}\n" for row in ODD.splitlines())
    predicted = user_data.predict(*write(tmp_path, header + rows), subjects=60)
    assert [row.where.rpartition(":")[2] for row in predicted] == [str(k) for k in range(2, 14)]
    sd, wide, iqr, timeless, ratio, odds, effect, pre_post, sem, two, percent, other = predicted
    assert "no number of people is given for placebo; taken: 40" in sd.note
    assert wide.published_low < -12.5 and '"1203-1428" is no whole number' in wide.note  # 90 % became 95 %
    assert iqr.published_low == pytest.approx(17 - 1.96 * 14 / 1.349 * 1.2533 / 40**0.5, rel=1e-3)
    assert timeless.reason == "the row has no time"
    assert "not read as an error bar" in ratio.note and 0 < ratio.predicted < odds.predicted
    assert effect.predicted > 0 and "read as a benefit" in effect.note
    assert "themselves" in pre_post.reason
    assert sem.predicted > 0 and sem.published_low == pytest.approx(14.2 - 1.96 * 1.7, rel=1e-3)
    assert two.inside is None and "not one number" in two.note
    assert sd.remarks == ("no number of people is given for placebo; taken: 40, as in the other arm",)
    assert "in %" in percent.reason and "PHQ-9" in other.reason


RATS = """\
schema: respine/study/1
name: rats-2026
title: Restraint and ketamine
population: rat-naive
subjects: 60
seed: 3
arms:
  restraint: {exposures: [{exposure: restraint, from: -21 d, until: 0 d}]}
  treated:
    exposures: [{exposure: restraint, from: -21 d, until: 0 d}]
    doses: [{drug: ketamine, route: ip, amount: 10 mg/kg, at: 0 h}]
visits: [0 h, 24 h]
record: [spine_total]
endpoints:
  - {name: spines, of: spine_total, kind: percent-of-control, arm: restraint, at: 24 h}
"""


@pytest.mark.usefixtures("own_cache")
def test_results_in_animals_are_brought_by_their_output(tmp_path: Path) -> None:
    header = "study,year,arm,output,measure,time_h,value,unit,n,system\n"
    rows = header + "Rats,2026,treated,spine_total,percent-of-control,24 h,110,%,6,stress and structure\n"
    rows += "Rats,2026,treated,spine_total,percent-of-control,24 h,112,%,6,\n"
    named, other = user_data.predict(*write(tmp_path, rows, rats=RATS), subjects=60)
    assert named.low < named.predicted < named.high and named.unit == "%" and named.n == 6
    assert (named.system, other.system) == ("stress and structure", "other")  # nothing is taken from the words of a row
