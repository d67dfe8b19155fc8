"""Figures for papers: panels and arms chosen, sizes kept, own results on top, every mistake told at once."""

from __future__ import annotations

import numpy as np
import pytest

from respine.errors import InputError
from respine.report import figure, own_data
from respine.run import simulate
from respine.study import load


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    study = load("stress-ketamine-li-2011").replace(subjects=20)
    return simulate(study, tmp_path_factory.mktemp("figure") / "run")


def table(tmp_path, text):
    file = tmp_path / "mine.csv"
    file.write_text(text)
    return file


def test_the_size_is_the_one_asked_for_and_axes_carry_names(run):
    drawing = figure.figure(run, only=["spine_total", "circuit"], arms=["stressed", "stressed-ketamine"], width_mm=85)
    assert drawing.figure.get_size_inches()[0] * 25.4 == pytest.approx(85)
    assert [axes.get_label() for axes in drawing.figure.axes] == ["spine_total", "circuit"]
    assert set(drawing.table["arm"]) == {"stressed", "stressed-ketamine"}
    assert "healthy" in [text.get_text() for text in drawing.figure.axes[0].texts]


def test_own_results_stand_where_they_were_measured(run, tmp_path):
    text = "arm,output,time,mean,sem,sd,n,control\nstressed,spine_total,24 h,0.8,0.05,,,\nstressed-ketamine,spine_total,1 d,90,,10,4,unstressed\n"
    drawing = figure.figure(run, only=["spine_total"], data=table(tmp_path, text))
    own = drawing.table[drawing.table["kind"] == "own data"].reset_index(drop=True)
    assert own.loc[0, ["time_h", "mean", "p05", "p95"]].tolist() == pytest.approx([24, 0.8, 0.75, 0.85])
    lines = drawing.table[(drawing.table["arm"] == "unstressed") & (drawing.table["kind"] == "prediction")]
    control = np.interp(24, lines["time_h"], lines["median"])
    assert own.loc[1, ["mean", "p05", "p95"]].tolist() == pytest.approx([0.9 * control, 0.85 * control, 0.95 * control])


def test_every_mistake_of_own_results_is_told_with_its_line(tmp_path):
    text = "arm,output,time,mean,sd,n\nnobody,spine_total,24 h,1,,\na,spine_totl,24,x,2,\na,spine_total,1 h,,,\n"
    with pytest.raises(InputError) as told:
        own_data.read(table(tmp_path, text), ["a", "b"], ["spine_total"])
    where = [(problem.where.rpartition(":")[2], problem.field) for problem in told.value.problems]
    assert {("2", "arm"), ("3", "output"), ("3", "time"), ("3", "mean"), ("3", "n"), ("4", "mean")} <= set(where)


@pytest.mark.parametrize(
    "text", ["", "arm,mean\na,1\n", "arm,output,mean,colour\na,x,1,red\n", "arm,output,time_h,mean\n"]
)
def test_tables_of_another_form_are_refused(tmp_path, text):
    with pytest.raises(InputError):
        own_data.read(table(tmp_path, text), ["a"], ["x"])


def test_names_the_run_does_not_have_are_refused_with_the_nearest(run):
    with pytest.raises(InputError, match="spine_total"):
        figure.figure(run, only=["spine_totl"])
    with pytest.raises(InputError, match="stressed"):
        figure.figure(run, arms=["stresed"])
    for width in ("85", "wide", "5mm"):
        with pytest.raises(InputError):
            figure.figure(run, width_mm=figure.millimetres(width))
    assert figure.millimetres("3.3 in") == pytest.approx(83.82)


def test_the_command_writes_every_format_and_the_numbers(run, tmp_path):
    from typer.testing import CliRunner

    from respine.cli.app import app

    made = CliRunner().invoke(
        app,
        [
            "figure",
            str(run.folder),
            "--only",
            "spine_total,circuit",
            "--format",
            "svg,png,pdf",
            "-o",
            str(tmp_path / "f"),
        ],
    )
    assert made.exit_code == 0, made.output
    assert {file.suffix for file in tmp_path.iterdir()} == {".svg", ".png", ".pdf", ".csv"}
    refused = CliRunner().invoke(app, ["figure", str(run.folder), "--format", "gif"])
    assert refused.exit_code == 2
