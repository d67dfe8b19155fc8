"""Predicted beside published, in words and as intervals."""

import pandas as pd
import pytest

from respine.report import Folder, plot_comparison, words
from respine.report.text import hours, thousands


def test_rows_read_as_people_write_them(folder: Folder) -> None:
    assert words(folder.compared) == [
        ("MADRS change 24 h", "ketamine", "-15.9 (-19.0 … -12.6)", "-16.5 ± 2.6", "yes", "fit"),
        ("MADRS change 24 h", "midazolam", "-8.4 (-11.9 … -5.0)", "-4.2", "no", "validate"),
        ("MADRS response 24 h [%]", "ketamine", "61 (48 … 74)", "64 (50 … 76)", "yes", "validate"),
    ]


def test_rows_without_prediction_are_kept_with_their_reason(folder: Folder) -> None:
    assert folder.not_compared["note"].tolist() == ['"weight gain" is no endpoint']


def test_a_prediction_without_publication_is_shown(folder: Folder) -> None:
    alone = folder.compared.iloc[[0]].assign(published=float("nan"), inside=pd.NA, role="")
    assert words(alone)[0][3:] == ("-", "", "")


def test_a_published_word_is_shown_as_it_is_written(folder: Folder) -> None:
    alone = folder.compared.iloc[[0]].assign(published=float("nan"), inside=pd.NA, published_text="~-30 to -50")
    assert words(alone)[0][3] == "~-30 to -50"


def test_what_rounding_leaves_asks_for_no_decimals(folder: Folder) -> None:
    rows = folder.compared.iloc[[0, 0]].assign(
        unit="%", median=[100.0, 77.355667], p05=[100.0, 48.9], p95=[100 + 3e-14, 87.1]
    )
    assert [row[2] for row in words(rows)] == ["100 (100 … 100)", "77 (49 … 87)"]


def test_two_endpoints_of_one_measure_keep_their_names(folder: Folder) -> None:
    twice = folder.compared.iloc[[0, 0]].assign(endpoint=["change-ancova", "change-observed"])
    assert [row[0] for row in words(twice)] == ["change-ancova 24 h", "change-observed 24 h"]


def test_a_difference_names_the_arm_it_is_set_against(folder: Folder) -> None:
    rows = folder.compared.iloc[[0, 0, 0]].assign(
        kind="difference-in-change", arm=["a", "b", "b"], endpoint=["x", "vs-midazolam", "vs-saline"],
        against=["midazolam", "midazolam", "saline"],
    )  # fmt: skip
    assert [row[0] for row in words(rows)] == [
        f"MADRS difference in change vs {arm} 24 h" for arm in ("midazolam", "midazolam", "saline")
    ]


def test_a_recorded_output_is_shown_with_its_unit(folder: Folder) -> None:
    rows = folder.compared.iloc[[0, 0]].assign(of=["plasma_ketamine", "symptom"], kind="score", unit=["ng/mL", "1"])
    assert [row[0] for row in words(rows)] == ["plasma ketamine score 24 h [ng/mL]", "symptom score 24 h"]


def test_the_plot_has_one_axis_a_unit_and_hands_back_its_table(folder: Folder) -> None:
    figure, table = plot_comparison(folder)
    assert [axes.get_xlabel() for axes in figure.axes] == ["MADRS points", "%"]
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["ketamine: MADRS response 24 h"]
    assert len(table) == 3


@pytest.mark.parametrize(
    ("time_h", "text"),
    [
        (0.0, "0 h"),
        (2 / 3, "40 min"),
        (0.005, "18 s"),
        (24.0, "24 h"),
        (72.0, "72 h"),
        (168.0, "7 d"),
        (-504.0, "-21 d"),
    ],
)
def test_times(time_h: float, text: str) -> None:
    assert hours(time_h) == text


def test_thousands() -> None:
    assert thousands(999) == "999"
    assert thousands(12000).replace("\N{NO-BREAK SPACE}", " ") == "12 000"
