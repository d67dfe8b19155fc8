"""Predicted beside published, in words and as intervals."""

import dataclasses

import pandas as pd
import pytest

from respine.report import Folder, plot_comparison, text_table
from respine.report.comparison import interval_text, labels
from respine.report.text import decimals, hours, thousands


def rows(folder: Folder, **columns: object) -> list[tuple[str, ...]]:
    """The text of a table that has one row, with other values in it."""
    row = folder.comparison.iloc[[0]].assign(**columns)
    return list(text_table(dataclasses.replace(folder, comparison=row)).rows)


def test_rows_read_as_people_write_them(folder: Folder) -> None:
    table = text_table(folder)
    assert table.header == ("endpoint", "arm", "predicted (90 % of trials)", "unit", "published", "inside", "role")
    assert list(table.rows) == [
        ("MADRS change 24 h", "ketamine", "-15.9 (-19.0 … -12.6)", "MADRS points", "-16.5 ± 2.6", "yes", "fit"),
        ("MADRS change 24 h", "midazolam", "-8.4 (-11.9 … -5.0)", "MADRS points", "-4.2", "no", "validate"),
        ("MADRS response 24 h", "ketamine", "61 (48 … 74)", "%", "64 (50 … 76)", "yes", "validate"),
    ]


def test_a_study_without_publication_has_no_empty_columns(folder: Folder) -> None:
    own = folder.comparison.iloc[[0]].assign(published=float("nan"), inside=pd.NA, role="")
    alone = dataclasses.replace(folder, comparison=own)
    table = text_table(alone)
    assert table.header == ("endpoint", "arm", "predicted (90 % of trials)", "unit")
    assert table.rows == (("MADRS change 24 h", "ketamine", "-15.9 (-19.0 … -12.6)", "MADRS points"),)
    assert "size given as n_published" in interval_text(alone)


def test_rows_without_prediction_are_kept_with_their_reason(folder: Folder) -> None:
    assert folder.not_compared["note"].tolist() == ['"weight gain" is no endpoint']


def test_a_published_word_is_shown_as_it_is_written(folder: Folder) -> None:
    assert rows(folder, published=float("nan"), inside=pd.NA, published_text="~-30 to -50")[0][4] == "~-30 to -50"


def test_no_interval_from_too_few_draws(folder: Folder) -> None:
    few = dataclasses.replace(folder, draws=19)
    table = text_table(few)
    assert table.header[2] == "predicted (median)" and [row[2] for row in table.rows] == ["-16", "-8.4", "61"]
    assert [row[5] for row in table.rows] == ["", "", ""]  # no range, so nothing is inside it
    assert few.interval_notes == ["Medians only: 19 draws of the uncertain parameters are too few for an interval. "
                                  "20 need 200 subjects an arm."]  # fmt: skip
    assert interval_text(few) == "" and few.compared["p05"].isna().all()
    enough = dataclasses.replace(folder, draws=20)
    assert enough.interval_notes == [] and "…" in text_table(enough).rows[0][2]


def test_no_interval_without_the_size_of_the_trial(folder: Folder) -> None:
    arms = {"ketamine": folder.study.arms["ketamine"].model_copy(update={"n_published": None}),
            "midazolam": folder.study.arms["midazolam"]}  # fmt: skip
    unsized = dataclasses.replace(folder, study=folder.study.model_copy(update={"arms": arms}))
    table = text_table(unsized)
    assert [("…" in row[2]) for row in table.rows] == [False, True, False]
    assert unsized.interval_notes[0].startswith("Medians only for ketamine:")


@pytest.mark.parametrize(
    ("median", "low", "high", "text"),
    [
        (-14.39, -25.68, -6.72, "-14 (-26 … -7)"),
        (99.994, 99.980, 100.005, "100.0 (100.0 … 100.0)"),
        (-1.234, -2.41, -0.23, "-1.2 (-2.4 … -0.2)"),
        (0.05123, 0.0412, 0.0631, "0.051 (0.041 … 0.063)"),
        (228.7, 228.7, 228.7 + 3e-14, "229"),
        (0.0, 0.0, 0.0, "0"),
        (-0.04, -3.1, 2.9, "0.0 (-3.1 … 2.9)"),
    ],
)
def test_decimals_follow_the_interval(folder: Folder, median: float, low: float, high: float, text: str) -> None:
    assert rows(folder, median=median, p05=low, p95=high, unit="x")[0][2] == text


def test_decimals_of_a_number_alone() -> None:
    nan = float("nan")
    assert [decimals(nan, nan, x) for x in (0.0, 0.5, 5.0, 50.0, 5000.0)] == [0, 1, 1, 0, 0]


def test_two_endpoints_of_one_measure_keep_their_names(folder: Folder) -> None:
    twice = pd.concat(
        [folder.comparison.iloc[[0]].assign(endpoint=name) for name in ("change-ancova", "change-observed")]
    )
    table = text_table(dataclasses.replace(folder, comparison=twice))
    assert [row[0] for row in table.rows] == ["change-ancova 24 h", "change-observed 24 h"]


def test_a_difference_names_the_arm_it_is_set_against(folder: Folder) -> None:
    rows = folder.compared.iloc[[0, 0, 0]].assign(
        kind="difference-in-change", arm=["a", "b", "b"], endpoint=["x", "vs-midazolam", "vs-saline"],
        against=["midazolam", "midazolam", "saline"],
    )  # fmt: skip
    assert labels(rows) == [f"MADRS difference in change vs {arm} 24 h" for arm in ("midazolam", "midazolam", "saline")]


def test_a_recorded_output_is_shown_with_its_unit(folder: Folder) -> None:
    endpoint = folder.study.endpoints[0].model_copy(update={"name": "plasma", "of": "plasma_ketamine", "kind": "score"})
    study = folder.study.model_copy(update={"endpoints": (endpoint,)})
    row = folder.comparison.iloc[[0]].assign(endpoint="plasma", unit="ng/mL")
    table = text_table(dataclasses.replace(folder, study=study, comparison=row))
    assert (table.rows[0][0], table.rows[0][3]) == ("plasma ketamine score 24 h", "ng/mL")


def test_the_plot_has_one_axis_a_unit_and_hands_back_its_table(folder: Folder) -> None:
    figure, table = plot_comparison(folder)
    assert [axes.get_xlabel() for axes in figure.axes] == ["MADRS points", "%"]
    assert [text.get_text() for text in figure.axes[1].texts] == ["ketamine: MADRS response 24 h"]
    assert len(table) == 3


def test_scales_do_not_share_an_axis_of_points(folder: Folder) -> None:
    observed = folder.study.model_copy(update={"observe": ("MADRS", "CADSS")})
    endpoint = folder.study.endpoints[0].model_copy(update={"name": "cadss", "of": "CADSS"})
    study = observed.model_copy(update={"endpoints": (*folder.study.endpoints, endpoint)})
    both = folder.comparison.iloc[[0, 0]].assign(endpoint=["change-24h", "cadss"], unit="points")
    figure, _ = plot_comparison(dataclasses.replace(folder, study=study, comparison=both))
    assert [axes.get_xlabel() for axes in figure.axes] == ["MADRS, points", "CADSS, points"]


@pytest.mark.parametrize("page", ["wide", "narrow"])
def test_no_label_is_cut(folder: Folder, page: str) -> None:
    """Also one with the longest name an arm may have."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from respine.report import comparison, theme

    arm = "restraint-ketamine-rapamycin " * 2 + "and-more"
    study = folder.study.model_copy(update={"arms": {arm: folder.study.arms["ketamine"]}})
    named = dataclasses.replace(folder, study=study, comparison=folder.comparison.assign(arm=arm))
    with theme.drawn():
        for piece in comparison.pieces(named):
            figure = getattr(piece, page)
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            for text in (text for axes in figure.axes for text in axes.texts):
                box = text.get_window_extent(canvas.get_renderer())
                assert box.x0 >= 0 and box.x1 <= figure.bbox.width, text.get_text()


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
        (84.0, "3.5 d"),
        (100.0, "100 h"),
    ],
)
def test_times(time_h: float, text: str) -> None:
    assert hours(time_h) == text


def test_thousands() -> None:
    assert thousands(999) == "999"
    assert thousands(12000).replace("\N{NO-BREAK SPACE}", " ") == "12 000"
