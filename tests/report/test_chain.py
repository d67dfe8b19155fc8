"""The chain plot and the table it hands back."""

import dataclasses
from html import escape
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from respine.report import Folder, html, plot_chain, plot_comparison, theme
from respine.report import folder as folders
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
    assert list(table.columns) == ["panel", "unit", "arm", "time_h", "n", "p05", "median", "p95", "mean"]
    assert set(table["panel"]) == {"plasma_ketamine", "circuit", "MADRS"}
    whole = figure.axes[3]  # strip of doses, strip of doses, plasma left, plasma right
    drawn = next(line for line in whole.lines if len(line.get_xdata()) > 1)
    of_arm = table[(table["panel"] == "plasma_ketamine") & (table["arm"] == "ketamine")]
    np.testing.assert_allclose(drawn.get_xdata(), of_arm["time_h"] / 24)
    np.testing.assert_allclose(drawn.get_ydata(), of_arm["median"])


def test_axes_carry_units_and_the_legend_counts(folder: Folder) -> None:
    figure, _ = plot_chain(folder)
    assert [axes.get_ylabel() for axes in figure.axes[2::2]] == ["ng/mL", "", "points"]
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


def test_scores_are_drawn_by_their_mean(folder: Folder) -> None:
    """As trials publish them; medians of whole numbers jump."""
    bare = dataclasses.replace(folder, visits=folder.visits.replace({"value": {14.0: 2.0}}))
    figure, table = plot_chain(bare, only=["MADRS"])
    row = table[(table["arm"] == "ketamine") & (table["time_h"] == 24.0)].iloc[0]
    assert row["mean"] != row["median"]
    whole = next(axes for axes in figure.axes if axes.get_label() == "MADRS, whole study")
    np.testing.assert_allclose(whole.lines[0].get_ydata()[1], row["mean"])


def test_a_quantity_in_multiples_of_health_has_its_line_and_says_so(folder: Folder) -> None:
    figure, _ = plot_chain(dataclasses.replace(folder, healthy={"circuit": 1.0 - 1e-9, "plasma_ketamine": 1.0}))
    circuit = next(axes for axes in figure.axes if axes.get_label() == "circuit")
    plasma = next(axes for axes in figure.axes if axes.get_label() == "plasma_ketamine")
    assert circuit.get_ylabel() == "× healthy" and [1.0, 1.0] in [list(line.get_ydata()) for line in circuit.lines]
    assert plasma.get_ylabel() == "ng/mL" and [1.0, 1.0] not in [list(line.get_ydata()) for line in plasma.lines]
    assert "healthy" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_health_is_what_the_model_says() -> None:
    from respine import model
    from respine.report.folder import healthy_values

    system = model.load("human")
    healthy = healthy_values(system)
    assert healthy.keys() == {*system.states, *system.rules}
    for name in ("circuit", "synapse_number", "spine_total", "glutamate"):
        assert healthy[name] == pytest.approx(1, rel=1e-6)
    assert healthy["nmdar_occupancy"] == 0 and 0 < healthy["symptom"] < 0.2


def test_titles_say_what_is_worse(folder: Folder) -> None:
    titles = {
        p.name: p.title
        for p in panels(dataclasses.replace(folder, study=folder.study.model_copy(update={"record": ()})))
    }
    assert titles["symptom"] == "Symptom (higher is worse)" and titles["circuit"] == "Circuit function"
    assert titles["MADRS"] == "MADRS, change from baseline (lower is better)"


def test_each_arm_is_counted_from_its_own_first_dose(folder: Folder) -> None:
    doses = pd.DataFrame({"subject": 0, "arm": ["ketamine", "midazolam"], "time_h": [0.0, 24.0]})
    figure, _ = plot_chain(dataclasses.replace(folder, doses=doses), only=["plasma_ketamine"])
    first = next(axes for axes in figure.axes if axes.get_label() == "plasma_ketamine")
    ketamine, midazolam = (list(line.get_xdata()) for line in first.lines[:2])
    assert 0.0 in ketamine and 4.0 in ketamine and 24.0 in ketamine
    assert 0.0 in midazolam and -12.0 in midazolam  # its own dose at 24 h is the 0; 12 h of the study lie before it
    assert first.get_xlabel() == "hours after each arm's first dose"


def test_a_visit_counted_from_another_moment_is_still_on_the_axis(folder: Folder) -> None:
    doses = pd.DataFrame({"subject": 0, "arm": ["ketamine", "midazolam"], "time_h": [-0.5, 0.0]})
    figure, _ = plot_chain(dataclasses.replace(folder, doses=doses), only=["MADRS"])
    first = next(axes for axes in figure.axes if axes.get_label() == "MADRS")
    assert first.get_xlim()[1] > 24.5 and 24.5 in first.lines[0].get_xdata()


def many_arms(folder: Folder, count: int) -> Folder:
    """The run with so many arms, all like the first."""
    names = [f"arm{k}" for k in range(count)]
    study = folder.study.model_copy(update={"arms": {name: folder.study.arms["ketamine"] for name in names}})

    def copies(table: pd.DataFrame) -> pd.DataFrame:
        own = table[table["arm"] == "ketamine"]
        return pd.concat([own.assign(arm=name) for name in names], ignore_index=True)

    return dataclasses.replace(folder, study=study, chain=copies(folder.chain), visits=copies(folder.visits),
                               doses=copies(folder.doses), comparison=folder.comparison.iloc[:0])  # fmt: skip


@pytest.mark.parametrize(("count", "bands"), [(1, 1), (4, 4), (5, 0), (9, 0)])
def test_more_than_four_bands_would_hide_each_other(folder: Folder, count: int, bands: int) -> None:
    figure, table = plot_chain(many_arms(folder, count), only=["plasma_ketamine"])
    axes = next(axes for axes in figure.axes if axes.get_label() == "plasma_ketamine")
    assert len(axes.collections) == bands
    assert table[["p05", "p95"]].notna().all(axis=None)  # they stand in the table


def test_arms_are_told_apart(folder: Folder) -> None:
    looks = [(theme.arm_colour(k), str(theme.arm_dash(k))) for k in range(24)]
    assert len(set(looks)) == 24 and len({colour for colour, _ in looks[:10]}) == 10
    assert len({(theme.arm_colour(k), theme.arm_hatch(k)) for k in range(24)}) == 24
    figure, _ = plot_chain(many_arms(folder, 9), only=["plasma_ketamine"])
    axes = next(axes for axes in figure.axes if axes.get_label() == "plasma_ketamine")
    assert len({(line.get_color(), str(line.get_linestyle())) for line in axes.lines}) >= 9


ARMS = ["$\\frac$", "a_b $x$", "_hidden", "50 % $", "\\mathbf{x}", "{braces}", "#0072b2", "<i>&amp;", "日本"]


def named(folder: Folder, names: list[str]) -> Folder:
    """The run with other names of its arms."""
    made = many_arms(folder, len(names))
    new = dict(zip(made.study.arms, names, strict=True))
    study = made.study.model_copy(update={"arms": {new[arm]: made.study.arms[arm] for arm in made.study.arms}})
    rows = [folder.comparison.assign(arm=name) for name in names]
    tables = {
        name: getattr(made, name).assign(arm=getattr(made, name)["arm"].map(new))
        for name in ("chain", "visits", "doses")
    }
    return dataclasses.replace(made, study=study, comparison=pd.concat(rows, ignore_index=True), **tables)


def test_names_are_text_and_nothing_else(folder: Folder) -> None:
    """Dollars begin no formula, an underscore hides no arm, a colour of ours stays a name."""
    made = named(folder, ARMS)
    for drawing in (plot_chain(made), plot_comparison(made)):
        assert drawing._repr_png_()[:4] == b"\x89PNG"
        drawn = [text.get_text().lstrip("\N{WORD JOINER}") for text in drawing.figure.findobj(Text)]
        for arm in ARMS:
            assert any(text.startswith(arm) for text in drawn), arm
    page = html(made)
    for arm in ARMS:
        assert page.count(escape(arm, quote=False)) >= 4, arm  # list of arms, table, legend, plot of intervals


def test_a_notebook_shows_a_drawing_and_a_script_takes_it_apart(folder: Folder, tmp_path: Path) -> None:
    drawing = plot_chain(folder)
    figure, table = drawing
    assert figure is drawing.figure is drawing[0] and table is drawing.table
    assert "data:image/png;base64," in drawing._repr_html_() and len(repr(drawing)) < 200
    for ending, begin in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        assert drawing.save(tmp_path / f"chain.{ending}", dpi=50).read_bytes().startswith(begin)


def test_a_plot_takes_results_a_folder_or_a_path(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(folders, "read", lambda path: read.append(path) or folder)
    for run in (folder, SimpleNamespace(folder=Path("runs/x")), "runs/x", Path("runs/x")):
        assert len(plot_chain(run).table) == len(plot_chain(folder).table)
        assert len(plot_comparison(run).table) == 3
    assert [str(path) for path in read] == ["runs/x"] * 6


def test_nothing_to_draw_is_said(folder: Folder) -> None:
    empty = dataclasses.replace(folder, chain=folder.chain.iloc[:0], visits=folder.visits.iloc[:0])
    with pytest.raises(ValueError, match="neither recorded outputs nor visits"):
        plot_chain(empty)
