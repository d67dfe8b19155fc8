"""What the report says of decision rules, on a ledger that can be counted by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from respine import study as studies
from respine.report import Folder, html
from respine.report.rules import as_text, doses, plot_doses, table
from tests.report.conftest import STUDY

RULES = """
rules:
  - name: needed
    arms: ketamine
    when: {visit: daily, scale: MADRS, above: 20}
    then: {dose: {drug: ketamine, route: iv, amount: 0.5 mg/kg, over: 40 min}}
    limit: {total: 2}
  - name: rest
    when: {scale: MADRS, below: 2}
    then: {hold: needed, for: 1 d}
"""
DOSE = "dose ketamine iv 0.5 mg/kg"


@pytest.fixture(scope="module")
def ruled(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    file = tmp_path_factory.mktemp("rules") / "small.yaml"
    file.write_text(STUDY + RULES, encoding="utf-8")
    rows = [(0, t, "needed", DOSE, "done", "") for t in (24.0, 48.0)]
    rows += [(1, 72.0, "needed", DOSE, "done", "")]
    rows += [(0, t, "needed", DOSE, "refused", "limit: 2 in all") for t in (96.0, 120.0)]
    rows += [
        (1, 96.0, "needed", DOSE, "refused", "held until 97 h"),
        (2, 96.0, "needed", DOSE, "refused", "held until 99 h"),
    ]
    ledger = pd.DataFrame(rows, columns=["subject", "time_h", "rule", "action", "outcome", "why"]).assign(
        arm="ketamine"
    )
    given = [(0, "rule needed"), (0, "rule needed"), (1, "rule needed"), (3, "scheduled")]
    doses = pd.DataFrame(given, columns=["subject", "why"]).assign(arm="ketamine", time_h=24.0)
    return dataclasses.replace(folder, study=studies.load(file), decisions=ledger, doses=doses)


def test_the_table_counts_people_and_times(ruled: Folder) -> None:
    made = table(ruled)
    by = made.set_index(["arm", "rule", "outcome"])
    given = by.loc["ketamine", "needed", "done"]
    assert (given["people"], given["n"], given["share"]) == (2, 4, 0.5)
    assert (given["median"], given["first_h"]) == (0.5, 48.0)  # of 2, 1, 0, 0 doses; first at 24 and 72 h
    assert by.loc["ketamine", "needed", "refused: limit: 2 in all"]["people"] == 1
    assert by.loc["ketamine", "needed", "refused: on hold"]["people"] == 2  # until different moments, one reason
    assert list(made[made["rule"] == "rest"]["action"]) == ["never acted"] * 2  # in both arms
    assert ("ketamine", "needed", DOSE, "done", "2 of 4 (50%)", "0.5 (0 … 1.85)", "48 h") in as_text(made)


def test_doses_are_counted_from_none_on(ruled: Folder) -> None:
    counted = doses(ruled)
    assert list(counted["arm"].unique()) == ["ketamine"]  # no rule of the other arm gives any
    assert list(counted["people"]) == [2, 1, 1]
    assert counted["share"].sum() == pytest.approx(100)
    drawn = plot_doses(ruled)
    assert drawn is not None
    figure, same = drawn
    pd.testing.assert_frame_equal(same, counted)
    assert [bar.get_height() for bar in figure.axes[0].patches] == [50, 25, 25]


def test_the_page_has_both_where_there_are_rules(ruled: Folder, folder: Folder) -> None:
    page = html(ruled)
    assert "What the decision rules did" in page and 'id="rule-doses-all-wide-title"' in page and "on hold" in page
    assert "decision rules" not in html(folder) and plot_doses(folder) is None


def test_a_rule_that_never_acted_is_told(ruled: Folder) -> None:
    idle = dataclasses.replace(ruled, decisions=ruled.decisions.iloc[:0], doses=ruled.doses.iloc[:0])
    assert set(table(idle)["action"]) == {"never acted"}
    assert list(doses(idle)["people"]) == [4]


def test_the_folder_reads_decisions_where_there_are_rules(tmp_path: Path) -> None:
    from respine import run
    from respine.report import read, write
    from tests.run.test_rules import NEEDED, planned

    plan = planned(tmp_path, *NEEDED)
    done = run.execute(plan, tmp_path / "out")
    folder = read(done.folder, system=plan.protocol.system)
    assert "Doses that rules gave" in write(folder).read_text(encoding="utf-8")
