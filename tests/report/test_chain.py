"""The chain plot and the table it hands back."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from respine.report import Folder, plot_chain
from respine.report.panels import panels


def test_panels_follow_the_study_and_end_with_its_scales(folder: Folder) -> None:
    assert [p.name for p in panels(folder)] == ["plasma_ketamine", "circuit", "MADRS"]  # symptom is not recorded


def test_all_outputs_are_drawn_where_a_study_records_none(folder: Folder) -> None:
    bare = dataclasses.replace(folder, study=folder.study.model_copy(update={"record": ()}))
    assert [p.name for p in panels(bare)][:3] == ["symptom", "plasma_ketamine", "circuit"]


def test_score_quantiles_are_changes_of_the_same_person(folder: Folder) -> None:
    lines = panels(folder)[-1].lines.set_index(["arm", "time_h"])
    assert lines.loc[("ketamine", 24.0), "median"] == -17.0  # of -20, -18, -16, -14
    assert lines.loc[("ketamine", 24.0), "p05"] == pytest.approx(-19.7)
    assert lines.loc[("midazolam", 24.0), "p95"] == pytest.approx(-2.3)
    assert lines.loc[("ketamine", 0.0), "median"] == 0.0
    assert lines.loc[("ketamine", 168.0), "n"] == 3  # who did not come is not counted
    assert lines.loc[("ketamine", 168.0), "median"] == -9.0


def test_scores_stay_scores_without_published_changes(folder: Folder) -> None:
    bare = dataclasses.replace(folder, comparison=folder.comparison[folder.comparison["endpoint"] == "response-24h"])
    lines = panels(bare)[-1].lines.set_index(["arm", "time_h"])
    assert lines.loc[("ketamine", 0.0), "median"] == 33.0


def test_the_table_is_what_is_drawn(folder: Folder) -> None:
    figure, table = plot_chain(folder)
    assert list(table.columns) == ["panel", "unit", "arm", "time_h", "n", "p05", "median", "p95"]
    assert set(table["panel"]) == {"plasma_ketamine", "circuit", "MADRS"}
    whole = figure.axes[3]  # strip of doses, strip of doses, plasma left, plasma right
    drawn = next(line for line in whole.lines if len(line.get_xdata()) > 1)
    mine = table[(table["panel"] == "plasma_ketamine") & (table["arm"] == "ketamine")]
    np.testing.assert_allclose(drawn.get_xdata(), mine["time_h"] / 24)
    np.testing.assert_allclose(drawn.get_ydata(), mine["median"])


def test_axes_carry_units_and_the_legend_counts(folder: Folder) -> None:
    figure, _ = plot_chain(folder)
    assert [axes.get_ylabel() for axes in figure.axes[2::2]] == ["ng/mL", "ratio", "points"]
    assert [axes.get_xlabel() for axes in figure.axes[-2:]] == ["hours after the first dose", "days of the study"]
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words[:2] == ["ketamine, n = 3", "midazolam, n = 4"]  # one person failed
    assert words[2:] == ["dose", "90 % of trials", "published, used to fit", "published, never fitted"]


def test_published_points_stand_on_the_score_panel_with_their_role(folder: Folder) -> None:
    figure, _ = plot_chain(folder)
    markers = {c.lines[0].get_marker(): c.lines[0].get_ydata()[0] for c in figure.axes[-1].containers}
    assert markers == {"o": -16.5, "D": -4.2}
    assert not figure.axes[2].containers


def test_the_legend_names_no_role_where_nothing_is_published(folder: Folder) -> None:
    bare = folder.comparison.assign(published=float("nan"), role="")
    figure, _ = plot_chain(dataclasses.replace(folder, comparison=bare))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert not any("published" in text or "trials" in text for text in texts)


def test_one_window_without_doses(folder: Folder) -> None:
    figure, _ = plot_chain(dataclasses.replace(folder, doses=folder.doses.iloc[:0]))
    assert len(figure.axes) == 4  # the strip and three panels
    assert figure.axes[-1].get_xlabel() == "days of the study"


def test_many_doses_are_thinned_to_their_days(folder: Folder) -> None:
    times = np.arange(0, 168, 0.5)
    many = pd.DataFrame({"subject": 0, "arm": "ketamine", "time_h": times})
    figure, _ = plot_chain(dataclasses.replace(folder, doses=many))
    assert len(figure.axes[1].lines[0].get_xdata()) == 8


def test_nothing_to_draw_is_said(folder: Folder) -> None:
    empty = dataclasses.replace(folder, chain=folder.chain.iloc[:0], visits=folder.visits.iloc[:0])
    with pytest.raises(ValueError, match="neither recorded outputs nor visits"):
        plot_chain(empty)
