"""Tables of users: what a sample of accepted damaged ones showed to be wrong is refused, reader by reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respine.errors import InputError
from respine.evidence import user_data
from respine.files import numbers
from respine.interop import read_nonmem
from respine.report import own_data
from tests import fuzz_own, fuzz_texts


def read_own(file: Path) -> object:
    return own_data.read(file, ["ketamine", "placebo"], ["spine_total", "MADRS"])


def read_records(file: Path) -> object:
    return read_nonmem(file, {1: "depot", 2: "central"})


READERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "evidence": (user_data.read, fuzz_texts.evidence_seeds()["clinical"].decode()),
    "records": (read_records, fuzz_texts.nonmem_seeds()["wide"].decode()),
    "fit": (fuzz_texts.read_fit_data, fuzz_texts.fit_data_seeds()["commas"].decode()),
    "trial": (fuzz_texts.read_trial, fuzz_texts.trial_seeds()["trial"].decode()),
    "people": (fuzz_texts.read_people, fuzz_texts.people_seeds()["people"].decode()),
    "own": (read_own, fuzz_own.own_data_seeds()["outputs"].decode()),
}


def refused(reader: str, text: str, folder: Path) -> InputError:
    file = folder / "rows.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as told:
        READERS[reader][0](file)
    assert all(problem.where and problem.why and problem.cure for problem in told.value.problems)
    return told.value


@pytest.mark.parametrize("reader", READERS)
def test_a_quote_that_nothing_closes_does_not_swallow_the_rows_below(reader: str, tmp_path: Path) -> None:
    head, first, rest = READERS[reader][1].split("\n", 2)
    cells = first.split(",")
    cells[-1] = '"' + cells[-1]
    refused(reader, "\n".join([head, ",".join(cells), rest]), tmp_path)


@pytest.mark.parametrize("reader", READERS)
def test_a_quote_in_the_middle_of_a_cell_is_no_table(reader: str, tmp_path: Path) -> None:
    head, first, rest = READERS[reader][1].split("\n", 2)
    cells = first.split(",")
    cells[0] = f'"{cells[0]}"x'
    refused(reader, "\n".join([head, ",".join(cells), rest]), tmp_path)


@pytest.mark.parametrize("bad", ["1_0", "1e-999", "٣", "0x10", "1,5", "1d2"])
@pytest.mark.parametrize(
    ("reader", "good"), [ ("records", ",100,"), ("fit", ",2.262,"), ("trial", ",28,"), ("people", ",58,"), ("own", ",0.82,")]
)  # fmt: skip
def test_what_is_no_number_anywhere_is_none_in_a_table(reader: str, good: str, bad: str, tmp_path: Path) -> None:
    text = READERS[reader][1]
    assert good in text
    cell = f'"{bad}"' if "," in bad else bad
    refused(reader, text.replace(good, f",{cell},", 1), tmp_path)


@pytest.mark.parametrize("reader", READERS)
def test_bytes_that_are_no_text_are_one_error(reader: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    data = READERS[reader][1].encode()
    file.write_bytes(data[:-30] + b"\xff\x00" + data[-30:])
    with pytest.raises(InputError):
        READERS[reader][0](file)


@pytest.mark.parametrize("reader", READERS)
def test_a_cell_of_a_megabyte_is_one_error(reader: str, tmp_path: Path) -> None:
    head, first, rest = READERS[reader][1].split("\n", 2)
    error = refused(reader, "\n".join([head, "y" * 1_000_000 + first, rest]), tmp_path)
    assert len(str(error)) < 20_000


# -- records ---------------------------------------------------------------------------------------------------------------


def test_rows_above_the_header_are_read_or_refused(tmp_path: Path) -> None:
    head, first, rest = READERS["records"][1].split("\n", 2)
    refused("records", "\n".join([first, head, rest]), tmp_path)
    file = tmp_path / "records.csv"
    file.write_text("TABLE NO.  1\n" + READERS["records"][1])
    assert len(read_records(file).notes) == 2  # WT, and the line of words above


@pytest.mark.parametrize("cell", ["-INF", "1d2", "1.5", "a b", "NaN5x!"])
def test_a_compartment_is_a_number_or_a_name(cell: str, tmp_path: Path) -> None:
    refused("fit", READERS["fit"][1].replace("1,1,.,2.262,0,0,1,", f"1,1,.,2.262,0,0,{cell},", 1), tmp_path)


@pytest.mark.parametrize("cell", ["TIME", "x", "1_0", "8:30"])
def test_a_condition_on_text_does_not_drop_its_row(cell: str, tmp_path: Path) -> None:
    """``keep: TIME < 100`` is false of what is no number; the row was gone without a word."""
    text = READERS["fit"][1].replace("1,3,.,1.852", f"1,{cell},.,1.852", 1)
    error = refused("fit", text, tmp_path)
    assert [problem.field for problem in error.problems] == ["TIME"]


# -- results ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [2, 3, 50])
def test_a_result_that_stands_twice_is_told_once_each(times: int, tmp_path: Path) -> None:
    head, first, rest = READERS["evidence"][1].split("\n", 2)
    error = refused("evidence", "\n".join([head, *[first] * times, rest]), tmp_path)
    assert len(error.problems) == times - 1


@pytest.mark.parametrize("n", ["1e308", "0", "-3", "1.5", "100000001"])
def test_a_number_of_people_that_nobody_counted(n: str, tmp_path: Path) -> None:
    refused("evidence", READERS["evidence"][1].replace("8.1,SD,40", f"8.1,SD,{n}"), tmp_path)


@pytest.mark.parametrize("time", ["1e308", "-1e9", "876601"])
def test_times_beyond_a_life(time: str, tmp_path: Path) -> None:
    refused("evidence", READERS["evidence"][1].replace(",24,-12.5", f",{time},-12.5"), tmp_path)
    scores = fuzz_own.own_data_seeds()["scores"].decode().replace(",168,", f",{time},")
    refused("own", scores, tmp_path)


OWN = {
    "two names": "arm,output,scale,time,mean\nketamine,spine_total,MADRS,24 h,1\n",
    "two times": "arm,output,time,time_h,mean\nketamine,spine_total,24 h,48,1\n",
    "two errors": "arm,output,time,mean,sem,sd,n\nketamine,spine_total,24 h,1,0.1,0.5,9\n",
    "a cell too many": "arm,output,time,mean\nketamine,spine_total,24 h,1,0.1\n",
    "a cell too few": "arm,output,time,mean,sem\nketamine,spine_total,24 h,1\n",
    "a column twice": "arm,output,time,mean,mean\nketamine,spine_total,24 h,1,2\n",
    "half a subject": "arm,output,time,mean,sd,n\nketamine,spine_total,24 h,1,0.5,2.5\n",
    "no subject": "arm,output,time,mean,sd,n\nketamine,spine_total,24 h,1,0.5,0\n",
    "no time": "arm,output,time,mean\nketamine,spine_total,,1\n",
    "a time without a unit": "arm,output,time,mean\nketamine,spine_total,24,1\n",
    "a mean that is none": "arm,output,time,mean\nketamine,spine_total,24 h,nan\n",
    "an error below zero": "arm,output,time,mean,sem\nketamine,spine_total,24 h,1,-0.1\n",
}


@pytest.mark.parametrize("case", OWN)
def test_own_results_are_read_or_refused_to_the_last_cell(case: str, tmp_path: Path) -> None:
    assert len(refused("own", OWN[case], tmp_path).problems) == 1


# -- trials ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["=1+1", "x", "week four", "4.", "1/2"])
def test_a_visit_that_is_a_slip(cell: str, tmp_path: Path) -> None:
    text = READERS["trial"][1].replace("p38,placebo,4,", f"p38,placebo,{cell},", 1)
    file = tmp_path / "trial.csv"
    file.write_text(text)
    if cell == "4.":  # a number, though oddly written: it must be the visit 4
        try:
            found = fuzz_texts.read_trial(file)
        except InputError:
            return
        assert found is not None
    else:
        refused("trial", text, tmp_path)


# -- a user's own library -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parameters", "drugs", "scales", "exposures", "evidence"])
def test_a_library_file_that_is_no_text_is_one_error(kind: str, tmp_path: Path) -> None:
    from respine.library import KINDS, Library

    name = Library().names(kind)[0]
    file = tmp_path / kind / f"{name}{KINDS[kind]}"
    file.parent.mkdir()
    file.write_bytes(b"id,value\n\xb1,1\n")
    own = Library().overlay(tmp_path)
    with pytest.raises(InputError):
        own.text(kind, name)
    with pytest.raises(InputError):
        own.rows(kind, name)


# -- numbers ---------------------------------------------------------------------------------------------------------------


@given(st.floats(allow_nan=False))
def test_every_number_is_read_as_it_is_written(value: float) -> None:
    assert numbers.number(repr(value)) == value


@given(st.text("0123456789.eE+-_ infna", max_size=8))
def test_a_text_is_a_number_only_where_python_says_the_same(text: str) -> None:
    try:
        value = numbers.number(text)
    except ValueError:
        return
    assert repr(value) == repr(float(text)) and "_" not in text
