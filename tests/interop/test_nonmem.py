"""NONMEM data sets: closed forms, what is read and told, and every row that cannot be meant refused at once."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from respine import engine
from respine.errors import InputError
from respine.interop import NonmemData, read_nonmem
from respine.model.expression import num, sym
from respine.model.system import System

KA, CL, V = 1.2, 2.0, 20.0
MAP = {1: "depot", 2: "central"}


def system(**inputs: float) -> System:
    """One compartment with depot; clearance grows with weight where there is such a symbol."""
    cl = ("mul", sym("CL"), ("div", sym("weight"), num(70))) if inputs else sym("CL")
    flow = ("mul", ("div", cl, sym("V")), sym("central"))
    absorbed = ("mul", sym("KA"), sym("depot"))
    return System(
        name="one compartment", time_unit="h", parameters={"KA": KA, "CL": CL, "V": V}, inputs=inputs,
        rules={"cp": ("div", sym("central"), sym("V"))},
        rates={"depot": ("neg", absorbed), "central": ("sub", absorbed, flow)},
        initial={"depot": num(0), "central": num(0)},
    )  # fmt: skip


def bolus(t: float, dose: float, cl: float = CL) -> float:
    return dose / V * math.exp(-cl / V * t)


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    file = folder / "data.csv"
    file.write_bytes(text.encode(encoding))
    return file


def refusal(folder: Path, text: str, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_nonmem(write(folder, text), *(args or (MAP,)), **kwargs)
    return str(caught.value)


TABLE = """ID,TIME,AMT,CMT,DV,EVID,MDV,WT,NOTE
1,0,100,2,.,1,1,70,x
1,2,.,2,4.1,0,0,70,x
1,5,.,2,.,0,1,70,x
2,1,50,2,.,1,1,35,x
2,3,.,2,2.2,0,0,35,x
"""


def test_a_table_becomes_records_observations_and_predictions(tmp_path: Path) -> None:
    data = read_nonmem(write(tmp_path, TABLE), MAP, {"WT": "weight"})
    assert data.subjects == ("1", "2") and data.unused == ("NOTE",) and data.parameters == {"weight": (70.0, 35.0)}
    assert data.observations[["ID", "TIME", "MDV", "LINE"]].values.tolist() == [
        [1, 2, 0, 3],
        [1, 5, 1, 4],
        [2, 3, 0, 6],
    ]
    assert data.doses[["ID", "TIME", "AMT", "CMT"]].values.tolist() == [[1, 0, 100, "2"], [2, 1, 50, "2"]]
    assert list(data.covariates["weight"]) == [70, 70, 70, 35, 35]
    table = data.solve(system(weight=70.0), "cp", rtol=1e-9).table
    assert list(table.columns[:4]) == ["ID", "TIME", "DV", "PRED"]
    np.testing.assert_allclose(table["PRED"], [bolus(2, 100), bolus(5, 100), bolus(2, 50, CL / 2)], rtol=1e-7)
    np.testing.assert_array_equal(table["DV"], [4.1, math.nan, 2.2])


def test_records_alone_are_ready_for_the_engine(tmp_path: Path) -> None:
    data = read_nonmem(write(tmp_path, TABLE), MAP)
    solution = engine.build(system(), outputs=["cp"]).solve(None, data.records, start=data.start, rtol=1e-9)
    np.testing.assert_allclose(
        solution["cp"][data.reading][[1, 2, 4]], [bolus(2, 100), bolus(5, 100), bolus(2, 50)], rtol=1e-7
    )


@pytest.mark.parametrize("separator", [",", ";", "\t", "  "])
@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", ""), ("utf-8", "\ufeff"), ("utf-16", ""), ("latin-1", "é")])
def test_forms_of_a_text_file(tmp_path: Path, separator: str, encoding: str, mark: str) -> None:
    text = TABLE.replace(",", separator).replace("\n", "\r\n")
    text = mark + text if mark != "é" else text.replace("NOTE", "NOTÉ")
    data = read_nonmem(write(tmp_path, text, encoding), MAP)
    assert len(data.events) == 5 and list(data.observations["DV"].dropna()) == [4.1, 2.2]
    assert any("Latin-1" in note for note in data.notes) == (encoding == "latin-1")


def test_what_stands_above_the_header_and_comments_are_told(tmp_path: Path) -> None:
    text = "Study 12, export\n\n# made by hand\n" + TABLE.replace("2,1,50", "#9,9,9\n2,1,50")
    data = read_nonmem(write(tmp_path, text), MAP)
    assert data.observations["LINE"].tolist() == [6, 7, 10]
    notes = " ".join(data.notes)
    assert "1 line above the header" in notes and '1 line that begin with "#"' in notes
    assert "not used, as nothing names them: WT, NOTE" in notes and "WT, NOTE" in repr(data)


def test_rules_of_nonmem_without_evid_mdv_and_cmt(tmp_path: Path) -> None:
    text = "id,time,amt,dv\nA,0,100,7\nA,2,0,4.1\nA,3,.,.\n"
    data = read_nonmem(write(tmp_path, text), {1: "central"})
    assert data.observations[["ID", "TIME", "MDV"]].values.tolist() == [["A", 2.0, 0], ["A", 3.0, 1]]
    notes = " ".join(data.notes)
    assert "no EVID" in notes and "1 observations have no dv" in notes and "dv of 1 rows" in notes
    np.testing.assert_allclose(
        data.solve(system(), "cp", rtol=1e-9).table["PRED"], [bolus(2, 100), bolus(3, 100)], rtol=1e-7
    )


def test_a_dose_into_several_states_by_shares(tmp_path: Path) -> None:
    text = "ID,TIME,AMT,RATE,CMT,DV,EVID\n1,0,100,50,1,.,1\n1,2,.,.,2,1,0\n1,4,.,.,2,1,0\n"
    shares = read_nonmem(write(tmp_path, text), {1: {"depot": 0.3, "central": 0.7}}).solve(system(), "cp", rtol=1e-9)
    apart = text.replace("1,0,100,50,1,.,1", "1,0,30,15,1,.,1\n1,0,70,35,2,.,1")
    both = read_nonmem(write(tmp_path, apart), MAP).solve(system(), "cp", rtol=1e-9)
    np.testing.assert_allclose(shares.table["PRED"], both.table["PRED"], rtol=1e-9)
    steady = "ID,TIME,AMT,RATE,II,SS,CMT,DV\n1,0,100,50,24,1,1,.\n1,2,.,.,.,.,2,1\n"
    assert "several states" in refusal(tmp_path, steady, {1: {"depot": 0.3, "central": 0.7}})


def test_lag_bioavailability_and_modelled_infusions(tmp_path: Path) -> None:
    text = "ID,TIME,AMT,RATE,CMT,DV,EVID,BIO\n1,0,100,-2,2,.,1,0.5\n1,6,.,.,2,1,0,.\n"
    data = read_nonmem(write(tmp_path, text), MAP, dose_parameters={"ALAG2": 1.5, "F2": "BIO", "D2": 2})
    k, rate = CL / V, 100 * 0.5 / 2
    expected = rate / CL * (1 - math.exp(-k * 2)) * math.exp(-k * (6 - 1.5 - 2))
    np.testing.assert_allclose(data.solve(system(), "cp", rtol=1e-9).table["PRED"], [expected], rtol=1e-7)


@pytest.mark.parametrize("kind", ["input", "parameter"])
def test_a_covariate_that_changes_acts_from_its_record_on(tmp_path: Path, kind: str) -> None:
    text = "ID,TIME,AMT,CMT,DV,WT\n1,0,100,2,.,70\n1,4,.,.,.,140\n1,6,.,.,1,.\n2,3,100,2,.,70\n2,9,.,.,1,70\n"
    data = read_nonmem(write(tmp_path, text), MAP, {"WT": "weight"})
    assert data.changing == ("weight",) and "weight (changes)" in repr(data)
    model = system(weight=70.0)
    if kind == "parameter":
        model = System(**{**vars(model), "inputs": {}, "parameters": {**model.parameters, "weight": 70.0}})
    table = data.solve(model, "cp", rtol=1e-9).table
    expected = [bolus(4, 100), bolus(4, 100) * math.exp(-2 * CL / V * 2), bolus(6, 100)]
    np.testing.assert_allclose(table["PRED"], expected, rtol=1e-7)


def test_a_start_that_depends_on_a_changing_covariate_is_refused(tmp_path: Path) -> None:
    text = "ID,TIME,AMT,CMT,DV,WT\n1,0,100,2,.,70\n1,4,.,.,1,140\n"
    data = read_nonmem(write(tmp_path, text), MAP, {"WT": "weight"})
    model = system(weight=70.0)
    model = System(**{**vars(model), "initial": {"depot": num(0), "central": sym("weight")}})
    with pytest.raises(InputError, match="start of central depends on it"):
        data.solve(model, "cp")


def test_everybody_begins_at_rest_with_their_first_row(tmp_path: Path) -> None:
    """What flows before a subject's first row must not count, as in NONMEM."""
    model = system()
    model = System(**{**vars(model), "initial": {"depot": num(0), "central": num(100)}})
    data = read_nonmem(write(tmp_path, "ID,TIME,DV\n1,0,1\n1,2,1\n2,5,1\n2,7,1\n"))
    np.testing.assert_allclose(
        data.solve(model, "cp", rtol=1e-9).table["PRED"], [5, bolus(2, 100), 5, bolus(2, 100)], rtol=1e-7
    )


def test_observations_of_several_kinds_by_dvid(tmp_path: Path) -> None:
    text = "ID,TIME,AMT,CMT,DV,DVID\n1,0,100,1,.,.\n1,2,.,.,4.1,cp\n1,2,.,.,9,amount\n"
    data = read_nonmem(write(tmp_path, text), MAP)
    solved = data.solve(system(), {"cp": "cp", "amount": "central"}, rtol=1e-9)
    np.testing.assert_allclose(solved.table["PRED"], [solved["cp"][1], solved["central"][2]])
    assert solved["central"][2] == pytest.approx(V * solved["cp"][1])
    with pytest.raises(InputError, match=r'outputs by DVID: "amount"'):
        data.solve(system(), {"cp": "cp"})
    both = data.solve(system(), ["cp", "central"]).table
    assert {"cp", "central"} <= set(both.columns) and "PRED" not in both


def test_observations_by_compartment_where_there_is_no_dvid(tmp_path: Path) -> None:
    text = "ID,TIME,AMT,CMT,DV\n1,0,100,1,.\n1,2,.,2,4.1\n1,2,.,1,9\n"
    solved = read_nonmem(write(tmp_path, text), MAP).solve(system(), {1: "depot", 2: "cp"}, rtol=1e-9)
    np.testing.assert_allclose(solved.table["PRED"][1], 100 * math.exp(-KA * 2), rtol=1e-7)


def test_censored_observations_keep_their_columns(tmp_path: Path) -> None:
    text = "ID,TIME,AMT,CMT,DV,BLQ,LLOQ\n1,0,100,2,.,.,.\n1,2,.,2,0.1,1,0.1\n"
    assert read_nonmem(write(tmp_path, text), MAP).observations[["BLQ", "LLOQ"]].values.tolist() == [[1.0, 0.1]]
    assert "Write 0 or 1" in refusal(tmp_path, text.replace("0.1,1,", "0.1,2,"))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("1,soon,.,2,4,0,0", ':3  TIME: "soon"\n  This is no number'),
        ("1,8:30,.,2,4,0,0", "8:30 is 8.5 on the first day"),
        ("1,2026-11-30,.,2,4,0,0", "This is a date"),
        ("1,2,.,2,much,0,0", ':3  DV: "much"'),
        ("1,2,inf,2,4,1,1", ':3  AMT: "inf"'),
        ("1,2,.,2,4,1,1", ":3  AMT.*AMT is 0 in a dose"),
        ("1,2,0,2,4,4,1", "AMT is 0 in a dose"),
        ("1,2,100,2,4,0,0", "an observation, so it has no AMT"),
        ("1,2,100,2,4,3,1", "EVID 3 is no dose, so it has no AMT"),
        ("1,-1,.,2,4,0,0", "The time lies before"),
        ("1,2,.,-2,4,2,1", "turned off"),
        ("1,2,.,2,4,101,0", "write EVID 1 and the compartment"),
        ("1,2,5,3,4,1,1", "Compartment 3 is not mapped.*Mapped are 1, 2.*Dosed states are s_ketamine"),
        ("1,2,.,2,4,0,5", "MDV says whether"),
        (",2,.,2,4,0,0", "Every row needs one"),
        ("1,.,.,2,4,0,0", "Every row needs one"),
        ("1,2,.,2,4,0", "6 cells.*as many cells as the header"),
        ("1,2,.,2,4,0,0,9", "8 cells"),
    ],
)
def test_a_row_that_cannot_be_meant_is_told_with_its_line(tmp_path: Path, row: str, told: str) -> None:
    import re

    text = f"ID,TIME,AMT,CMT,DV,EVID,MDV\n1,0,100,2,.,1,1\n{row}\n"
    assert re.search(told, refusal(tmp_path, text), re.DOTALL)


@pytest.mark.parametrize(
    ("fields", "told"),
    [("100,-3,0,0,0", "RATE"), ("100,-1,0,0,0", "R2"), ("100,-2,0,0,0", "D2"), ("100,0,2,0,0", "ADDL needs II"),
     ("100,0,0,0,1", "SS needs II"), ("100,0,0,24,0", "neither ADDL nor SS"), ("100,0,1.5,24,0", "no whole number"),
     ("100,0,-1,24,0", "cannot be negative"), ("100,0,0,24,3", "SS is 0, 1"), ("-5,0,0,0,0", "cannot be negative")],
)  # fmt: skip
def test_dosing_fields_that_contradict_each_other(tmp_path: Path, fields: str, told: str) -> None:
    assert told in refusal(tmp_path, f"ID,TIME,AMT,RATE,ADDL,II,SS,CMT,DV\n1,0,{fields},2,.\n")


def test_all_faults_at_once_and_the_same_fault_once(tmp_path: Path) -> None:
    rows = ["1,0,100,2,.", *(f"1,{t},.,2,bad{t}" for t in (1, 2, 3, 7)), "2,0,.,2,1", "1,9,.,2,1"]
    text = refusal(tmp_path, "\n".join(["ID,TIME,AMT,CMT,DV", *rows]))
    assert "2 errors" in text and "Also in lines 4-6 (" in text and '"bad2"' in text
    assert "stands further up already" in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "The file is empty"),
        ("\n  \n", "The file is empty"),
        ("ID,TIME,DV\n", "no rows"),
        ("1,0,100\n1,2,3\n", "The first line holds numbers"),
        ("ID,AMT,DV\n1,2,3\n", "Missing: TIME"),
        ("ID,TIME,DV,dv\n1,2,3,4\n", "Two columns have this name"),
        ("ID,TIME,DV,DATE\n1,2,3,4\n", 'drop=."DATE".'),
        ("ID;TIME;DV\n1;0,5;3\n", "The decimal sign is a comma"),
        ("ID,TIME,DV\n1,2," + "9" * 140_000 + "\n", "more than 131 072 characters"),
        ('ID,TIME,DV\n1,2,"4\n1,3,5\n', "quotes that are opened and not closed"),
        ("ID,TIME,DV\n1,2,\0\n", "zero bytes"),
    ],
)  # fmt: skip
def test_files_that_are_no_data_set(tmp_path: Path, text: str, told: str) -> None:
    import re

    assert re.search(told, refusal(tmp_path, text))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for file, told in ((tmp_path / "absent.csv", "no such file"), (tmp_path, "a folder")):
        with pytest.raises(InputError, match=told):
            read_nonmem(file)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"compartments": None}, "Compartment 2 is not mapped.*compartments={2: "),
        ({"covariates": {"WTT": "weight"}}, 'Did you mean "WT"'),
        ({"covariates": {"AMT": "weight"}}, "a meaning of its own"),
        ({"covariates": {"WT": "weight", "NOTE": "weight"}}, "Two columns are named for it"),
        ({"compartments": {2: "ketamine"}}, "This is a drug.*iv s_ketamine_central .0.5. and r_ketamine_central"),
        ({"compartments": {2: {"central": -1.0}}}, "a number above 0"),
        ({"dose_parameters": {"LAG2": 1.0}}, "no dose parameter of NONMEM"),
        ({"dose_parameters": {"F3": 1.0}}, "Compartment 3 is not mapped"),
        ({"dose_parameters": {"F2": "BIO"}}, "no such column"),
        ({"drop": ["DATE"]}, "no such column"),
        ({"observed": "CONC"}, "no such column"),
        ({"covariates": {"NOTE": "note"}}, "NOTE.*no number"),
    ],
)
def test_arguments_that_do_not_fit_the_table(tmp_path: Path, arguments: dict[str, Any], told: str) -> None:
    import re

    given_ = {"compartments": MAP} | arguments
    assert re.search(told, refusal(tmp_path, TABLE, given_.pop("compartments"), **given_), re.DOTALL)


def test_covariates_that_are_missing(tmp_path: Path) -> None:
    text = "ID,TIME,DV,WT\n1,0,1,.\n1,2,1,.\n2,0,1,.\n2,1,1,70\n2,2,1,80\n"
    told = refusal(tmp_path, text, None, {"WT": "weight"})
    assert "2 errors" in told and "A subject has no value" in told and "no value on the first row" in told


def test_names_that_the_system_does_not_have(tmp_path: Path) -> None:
    data = read_nonmem(write(tmp_path, TABLE), {2: "centrl"}, {"WT": "wait"})
    with pytest.raises(InputError) as caught:
        data.solve(system(weight=70.0), "cq", parameters={"K": 1.0, "CL": [1.0, 2.0, 3.0]})
    told = str(caught.value)
    assert "5 errors" in told and 'Did you mean "central"' in told and "There are 2 subjects" in told


def test_parameters_for_all_and_for_each(tmp_path: Path) -> None:
    data = read_nonmem(write(tmp_path, TABLE), MAP)
    first = data.solve(system(), "cp", parameters={"CL": 4.0}, rtol=1e-9).table["PRED"]
    np.testing.assert_allclose(first, [bolus(2, 100, 4), bolus(5, 100, 4), bolus(2, 50, 4)], rtol=1e-7)
    each = data.solve(system(), "cp", parameters={"CL": [4.0, 1.0]}, rtol=1e-9).table["PRED"]
    np.testing.assert_allclose(each, [bolus(2, 100, 4), bolus(5, 100, 4), bolus(2, 50, 1)], rtol=1e-7)


def test_a_library_model_by_name(tmp_path: Path) -> None:
    text = "ID,TIME,AMT,RATE,CMT,DV,WT\n1,0,35,52.5,1,.,70\n1,0.6667,.,.,.,180,70\n2,0,35,52.5,1,.,90\n2,0.6667,.,.,.,150,90\n"
    halves = {1: {"s_ketamine_central": 0.5, "r_ketamine_central": 0.5}}
    solved = read_nonmem(write(tmp_path, text), halves, {"WT": "weight_kg"}).solve("human", "plasma_ketamine")
    light, heavy = solved.table["PRED"]
    assert 50 < heavy < light < 500 and solved.failures.empty and "2 observations" in repr(solved)


def test_short_in_a_notebook(tmp_path: Path) -> None:
    data = read_nonmem(write(tmp_path, TABLE), MAP)
    assert len(repr(data)) < 600 and "<table" in data._repr_html_()
    solved = data.solve(system(), "cp")
    assert len(repr(solved)) < 200 and "PRED" in solved._repr_html_()


cells = st.sampled_from(["0", "1", "2", "-1", "1.5", ".", "", "NA", "1e3", "x", "8:30", "inf", "nan", '"', "4"])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(st.lists(cells, min_size=9, max_size=10), max_size=8), separator=st.sampled_from([",", ";", "\t"]))
def test_any_table_is_read_or_refused(tmp_path: Path, rows: list[list[str]], separator: str) -> None:
    """Never another exception, never numbers from a table that was not understood."""
    header = ["ID", "TIME", "AMT", "RATE", "ADDL", "II", "SS", "CMT", "DV"]
    text = "\n".join(separator.join(row) for row in [header, *rows])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            data = read_nonmem(write(tmp_path, text), MAP)
        except InputError as refused:
            assert all(problem.cure for problem in refused.problems)
            return
    assert isinstance(data, NonmemData) and len(data.events) == sum(any(c.strip() for c in row) for row in rows)
    assert all(record.problem() is None for records in data.records.subjects for record in records)


def test_mistakes_of_arguments_header_and_rows_are_told_together(tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_text(
        "ID,TIME,AMT,EVID,DV,WT,WT\n1,0,100,1,.,70,70\n1,1,50,0,5.2,70,70\n1,2,.,0,x,70,70\n", encoding="utf-8"
    )
    with pytest.raises(InputError) as error:
        read_nonmem(file, compartments={1: "central"}, covariates={"WT": "weight_kg", "AGE": "age_y"}, drop=["FOO"])
    told = {(problem.where.rpartition("data.csv")[2], problem.field, problem.seen) for problem in error.value.problems}
    assert told == {
        ("", "covariates", "AGE"), ("", "drop", "FOO"), (":1", "columns", "WT"), (":3", "AMT", "50"), (":4", "DV", "x"),
    }  # fmt: skip
