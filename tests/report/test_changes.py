"""Two runs side by side: what was asked, what came out, their curves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from respine.report import Folder, compare, plot_changes
from respine.report.changes import as_text


@pytest.fixture
def other(folder: Folder) -> Folder:
    """The run again with half the dose in one arm, other people, and changes one point smaller."""
    study = folder.study.set("arms.ketamine.doses[0].amount", "0.25 mg/kg").replace(seed=2)
    moved = folder.comparison.assign(median=folder.comparison["median"] + 1.0).iloc[:2]
    chain = folder.chain.assign(median=folder.chain["median"] * 2)
    return dataclasses.replace(folder, path=folder.path / "other", study=study, comparison=moved, chain=chain,
                               facts=[("seed", "2"), ("numpy", "2.9"), ("model, SHA-256", "b")])  # fmt: skip


@pytest.fixture
def first(folder: Folder) -> Folder:
    return dataclasses.replace(folder, facts=[("seed", "1"), ("numpy", "2.9"), ("model, SHA-256", "a")])


def test_settings_that_differ_and_no_others(first: Folder, other: Folder) -> None:
    told = compare(first, other).changed.values.tolist()
    assert told == [
        ["seed", "1", "2"],
        ["arms.ketamine.doses[0].amount", "0.5 mg/kg", "0.25 mg/kg"],
        ["model, SHA-256", "a", "b"],
    ]


def test_a_setting_that_one_run_lacks_is_empty_there(first: Folder) -> None:
    fewer = dataclasses.replace(first, study=first.study.replace(endpoints=first.study.endpoints[:1]))
    names = compare(first, fewer).changed.set_index("field")
    assert set(names["second"]) == {""} and "endpoints[response-24h].kind" in names.index


def test_results_of_either_run_by_arm_and_endpoint(first: Folder, other: Folder) -> None:
    table = compare(first, other).endpoints
    assert table["difference"].tolist()[:2] == pytest.approx([1.0, 1.0]) and len(table) == 3
    alone = table.iloc[2]
    assert alone["endpoint"] == "MADRS response 24 h" and alone["first"] == 61.0 and np.isnan(alone["second"])
    header, rows = as_text(compare(first, other))
    assert header == ("endpoint", "arm", "first", "second", "difference", "unit")
    assert rows[0] == (
        "MADRS change 24 h",
        "ketamine",
        "-15.9 (-19.0 … -12.6)",
        "-14.9 (-19.0 … -12.6)",
        "+1.0",
        "MADRS points",
    )
    assert rows[2][2:5] == ("61 (48 … 74)", "-", "-")


def test_a_run_beside_itself(first: Folder) -> None:
    same = compare(first, first)
    assert same.changed.empty and (same.endpoints["difference"] == 0).all()
    assert "0 settings and 0 of 3 results differ" in repr(same) and "<table" in same._repr_html_()


def test_curves_stand_on_each_other(first: Folder, other: Folder) -> None:
    figure, table = plot_changes(first, other, only=["circuit"])
    assert set(table["run"]) == {"first", "second"} and set(table["panel"]) == {"circuit"}
    solid, dashed = figure.axes[1].lines[0], figure.axes[1].lines[2]
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--") and solid.get_color() == dashed.get_color()
    np.testing.assert_allclose(dashed.get_ydata(), 2 * solid.get_ydata())
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[:2] == ["ketamine", "midazolam"] and texts[3] == "second: other, 7 d"


def test_each_run_is_counted_from_its_own_doses(first: Folder) -> None:
    late = dataclasses.replace(first, doses=first.doses.assign(time_h=12.0))
    figure, _ = plot_changes(first, late, only=["circuit"])
    early, later = figure.axes[0].lines[0], figure.axes[0].lines[2]
    assert 0.0 in early.get_xdata() and 0.0 in later.get_xdata() and -8.0 in later.get_xdata()


def test_an_arm_of_one_run_alone_is_drawn(first: Folder) -> None:
    arms = {"ketamine": first.study.arms["ketamine"]}
    chain = first.chain[first.chain["arm"] == "ketamine"]
    fewer = dataclasses.replace(first, study=first.study.replace(arms=arms, endpoints=()), chain=chain)
    figure, table = plot_changes(fewer, first, only=["circuit"])
    assert len(figure.axes[1].lines) == 3
    assert table.groupby("run")["arm"].nunique().to_dict() == {"first": 1, "second": 2}


def test_nothing_in_common_is_said(first: Folder) -> None:
    bare = dataclasses.replace(first, chain=first.chain.iloc[:0], visits=first.visits.iloc[:0])
    with pytest.raises(ValueError, match="no output or scale in common"):
        plot_changes(first, bare)
    assert isinstance(compare(first, bare).endpoints, pd.DataFrame)
