"""Tables: what records mean, what is refused by line, and what the check tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from respine.errors import InputError
from respine.fit.population import file_table
from respine.fit.population.check import check
from respine.fit.population.dataset import interpret


def table(tmp_path: Path, text: str, ignore: str = "") -> file_table.Table:
    path = tmp_path / "data.csv"
    path.write_text(text)
    return file_table.read(path, ignore)


def test_without_evid_doses_are_those_with_an_amount(tmp_path):
    data = interpret(table(tmp_path, "ID TIME AMT DV\n1 0 100 .\n1 1 0 5\n2 0 50 .\n2 2 . 3\n"))
    assert data.evid.tolist() == [1, 0, 1, 0] and data.observed.tolist() == [False, True, False, True]
    assert data.labels == ["1", "2"] and data.n_subjects == 2


def test_rxode_coding_is_read_and_told(tmp_path):
    data = interpret(table(tmp_path, "id,time,amt,dv,evid\n1,0,100,.,101\n1,1,0,5,0\n1,2,20,.,201\n"))
    assert data.cmt == ["1", "", "2"] and data.evid.tolist() == [1, 0, 1] and "RxODE" in data.notes[0]
    with pytest.raises(InputError, match="only boluses"):
        interpret(table(tmp_path, "id,time,amt,dv,evid\n1,0,100,.,10101\n1,1,0,5,0\n"))


def test_lines_to_ignore(tmp_path):
    text = "ID,TIME,DV\n# a remark\n1,0,1\nC1,1,2\n1,2,3\n"
    assert len(table(tmp_path, text, "C")) == 2 == len(table(tmp_path, text, "@"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ID,TIME,DV\n1,0,1\n1,x,2\n", "data.csv:3  TIME"),
        ("ID,TIME,DV\n1,08:30,1\n", "clock time"),
        ("ID,TIME,DV\n1,2,1\n1,1,2\n", "before that of the record above"),
        ("ID,TIME,DV\n1,0,1\n2,0,1\n1,1,2\n", "Subject 1 began in line 2"),
        ("ID,TIME,DV,AMT,EVID\n1,0,1,5,0\n", "yet the record has a dose"),
        ("ID,TIME,DV,AMT,EVID\n1,0,.,-5,1\n", "cannot be negative"),
        ("ID,TIME,DV,AMT,EVID,RATE\n1,0,.,5,1,-3\n", "modelled duration"),
        ("ID,TIME,DV,AMT,EVID,SS\n1,0,.,5,1,1\n", "needs the dosing interval"),
        ("ID,TIME,DV,AMT,EVID,ADDL\n1,0,.,5,1,3\n", "need the interval"),
        ("ID,TIME,DV,EVID\n1,0,1,7\n", "EVID is one of"),
        ("ID,TIME,DV\n1,0,.\n", "An observation has no value"),
        ("ID,TIME,DV\n,0,1\n", "belongs to nobody"),
        ("ID,TIME,DV\n1,0,inf\n", "not finite"),
        ("ID,TIME\n1,0\n", "The table lacks DV"),
        ("ID,TIME,DV\n1,0\n", "2 cells, the header 3"),
        ("ID,TIME,DV,DV\n1,0,1,1\n", "stands twice"),
        ("ID,TIME,DV\n", "no rows"),
        ("", "The file is empty"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        interpret(table(tmp_path, text))


def test_all_faults_come_at_once(tmp_path):
    text = "ID,TIME,DV,EVID\n1,0,x,0\n1,1,1,9\n1,2,.,0\n"
    with pytest.raises(InputError) as error:
        interpret(table(tmp_path, text))
    assert {p.where.rpartition(":")[2] for p in error.value.problems} == {"2", "3", "4"}


def test_the_check_tells_errors_and_oddities_by_line(tmp_path):
    rows = ["ID,TIME,AMT,DV,EVID,WT", "1,0,100,.,1,70", "1,1,0,5,0,70", "1,1,0,5,0,70", "1,2,0,0,0,.", "1,3,0,-1,0,70"]
    rows += ["2,0,0,4,0,80", "2,1,100,3,1,80", "3,0,100,.,1,60", *(f"4,{t},0,{5 + 0.1 * t},0,60" for t in range(9))]
    rows += ["4,10,0,5e9,0,60"]
    path = tmp_path / "odd.csv"
    path.write_text("\n".join(rows))
    report = check(path)
    told = {v.what: v.lines for v in report.violations}
    assert report.usable and report.counts["subjects"] == 4
    assert told["the same observation stands twice"] == (4,)
    assert told["an observation of exactly 0"] == (5,)
    assert told["a negative observation"] == (6,)
    assert told["a positive value before the first dose"] == (7,)
    assert told["a dose record has a value, which is not used"] == (8,)
    assert told["a subject has no observation"] == (9,)
    assert told["a subject has no dose"] == (10,)
    assert told["WT has no number"] == (5,)
    assert told["a value far from all others of its kind"] == (19,)
    path.write_text("ID,TIME,DV,EVID\n1,0,x,0\n1,1,x,0\n1,2,3,9\n")
    report = check(path)
    assert not report.usable
    assert sorted(v.lines for v in report.violations) == [(2, 3), (4,)]


def test_a_bootstrap_sample_keeps_records_together(tmp_path):
    data = interpret(table(tmp_path, "ID,TIME,DV\n1,0,1\n1,1,2\n2,0,3\n3,0,4\n3,1,5\n"))
    again = data.only(np.array([2, 0, 2]))
    assert again.dv.tolist() == [4, 5, 1, 2, 4, 5] and again.labels == ["3", "1", "3"]
    assert again.first.tolist() == [0, 2, 4] and again.subject.tolist() == [0, 0, 1, 1, 2, 2]
