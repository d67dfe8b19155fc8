"""Sweeps: every combination once, the same people in every cell, resumed cell by cell; what cannot be swept is said."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from respine import run
from respine.errors import InputError
from respine.run.sweep import Axis, axis_of, cells_of, changed, range_of
from tests.trial.stand_ins import STUDY, small_study


def test_axes_in_words() -> None:
    assert axis_of("dose=0.25,0.5") == Axis("dose", (0.25, 0.5)) and axis_of("interval=3.5d, 7d").values == (
        "3.5d",
        "7d",
    )
    assert axis_of("relief=0.1:0.5:5").values == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert range_of("relief=0.1:0.5") == ("relief", 0.1, 0.5)
    for wrong in ("", "dose", "=1", "dose=", "dose=1,,2", "dose=1,1", "x=1:2:1", "x=a:2:3"):
        with pytest.raises(InputError):
            axis_of(wrong)
    for wrong in ("x", "x=1", "x=2:1", "x=1:nan", "=1:2"):
        with pytest.raises(InputError):
            range_of(wrong)


def test_a_grid_has_every_combination_and_the_same_people(tmp_path: Path) -> None:
    study = small_study(tmp_path, STUDY)
    swept = run.sweep(
        study, [Axis("dose", (0.25, 0.5, 1.0)), Axis("k_spine_mature", (0.002, 0.004))], tmp_path / "out", subjects=8
    )
    table = swept.table
    assert set(zip(table["dose"], table["k_spine_mature"], strict=True)) == {
        (d, r) for d in (0.25, 0.5, 1.0) for r in (0.002, 0.004)
    }
    wide = table[(table["endpoint"] == "change-24h") & (table["arm"] == "drug")].pivot(
        index="dose", columns="k_spine_mature", values="value"
    )
    assert (
        np.diff(wide.to_numpy(), axis=0) < 0
    ).all()  # the same people: more drug, less symptom, without noise between cells
    first, last = (pd.read_parquet(tmp_path / "out" / "cells" / f"{k:05d}" / "subjects.parquet") for k in (0, 5))
    same = [name for name in first.columns if name != "k_spine_mature"]
    pd.testing.assert_frame_equal(first[same], last[same])
    saline = table[(table["endpoint"] == "change-24h") & (table["arm"] == "saline")]
    assert saline.groupby("k_spine_mature")["value"].nunique().eq(1).all()  # untouched by the dose
    drawn = swept.plot()
    assert len(drawn.table) == 6 and drawn.table["arm"].nunique() == 1
    assert swept.plot("saline", "response-24h").table["arm"].unique().tolist() == ["saline"]
    with pytest.raises(InputError, match="no such arm"):
        swept.plot("nobody")
    import xarray

    assert isinstance(swept.to_xarray(), xarray.Dataset) and swept.to_xarray()["value"].sizes["dose"] == 3


def test_a_sweep_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, axes = small_study(tmp_path, STUDY), [Axis("dose", (0.2, 0.5, 0.8))]
    whole = run.sweep(study, axes, tmp_path / "whole", subjects=4)
    module, calls = sys.modules["respine.run.sweep"], []
    execute = module.execute

    def dies(*args: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return execute(*args, **more)

    monkeypatch.setattr(module, "execute", dies)
    with pytest.raises(KeyboardInterrupt):
        run.sweep(study, axes, tmp_path / "out", subjects=4)
    with pytest.raises(InputError, match="this sweep already"):
        run.sweep(study, axes, tmp_path / "out", subjects=4)
    with pytest.raises(InputError, match="another sweep"):
        run.sweep(study, axes, tmp_path / "out", subjects=6, resume=True)
    swept = run.sweep(study, axes, tmp_path / "out", subjects=4, resume=True)
    pd.testing.assert_frame_equal(swept.table, whole.table)


def test_what_cannot_be_swept_is_said_at_once(tmp_path: Path) -> None:
    study = small_study(tmp_path, STUDY)
    for axes, words in (
        ([Axis("k_spine_matur", (1.0,))], "no parameter"),
        ([Axis("arms.drug.doses[7].amount", ("1 mg/kg",))], "nothing at"),
        ([Axis("interval", ("7 d",))], "given once"),
        ([Axis("dose", (0.5,)), Axis("dose", (0.6,))], "twice"),
        ([Axis("dose", ("much",))], "not a dose"),
        ([Axis("analgesia_half_level", (0.7, 0.8))], "every cell would be the same"),
    ):
        with pytest.raises(InputError, match=words):
            run.sweep(study, axes, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_intervals_of_repeated_doses(tmp_path: Path) -> None:
    study = small_study(tmp_path, STUDY.replace("at: 0 h}", "at: [0 d, 3 d]}", 1))
    dose = changed(study, "interval", "3.5 d").arms["drug"].doses[0]
    assert (dose.every, dose.times, tuple(dose.at)) == (84.0, 2, (0.0,))
    assert changed(study, "dose", 0.25).arms["drug"].doses[0].amount.value == 0.25
    assert len(cells_of(study, [Axis("dose", (0.25, 0.5)), Axis("interval", ("3 d", "4 d"))])) == 4


@pytest.mark.slow
def test_sobol_indices_find_what_matters(tmp_path: Path) -> None:
    study = small_study(tmp_path, STUDY)
    swept = run.sweep(
        study,
        folder=tmp_path / "out",
        subjects=4,
        sobol=4,
        ranges=[("dose", 0.05, 1.0), ("k_spine_mature", 0.0045, 0.0046)],
    )
    own = swept.indices[(swept.indices["arm"] == "drug") & (swept.indices["endpoint"] == "change-24h")].set_index(
        "name"
    )
    assert own.loc["dose", "ST"] > 5 * own.loc["k_spine_mature", "ST"] and len(swept.plot().figure.axes) == 1
    for sobol, ranges, words in (
        (3, [("dose", 0.3, 0.9)] * 2, "power of 2"),
        (8, [("dose", 0.3, 0.9)], "two ranges"),
    ):
        with pytest.raises(InputError, match=words):
            run.sweep(study, folder=tmp_path / "other", sobol=sobol, ranges=ranges)
