"""`respine design`: closed forms with looks, conditional power, and a study's comparisons side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from respine.protocol import resolve
from respine.trial.analysis.sequential.design import design
from respine.trial.power.looks import of_means
from tests.run.tiny import tiny_system
from tests.trial.replicates.conftest import TEXT

from .conftest import Respine


def test_sizes_and_bounds_are_those_of_rpact(respine: Respine) -> None:
    told = respine("design", "--effect", "0.4", "--power", "90%", "--boundary", "OF", "--looks", "2", "--json")
    design = json.loads(told.stdout)[0]
    assert design["maximum"] == pytest.approx(266.506934, rel=1e-6) and design["expected"] == pytest.approx(
        225.2175843, rel=1e-6
    )
    assert [row["z"] for row in design["looks"]] == pytest.approx([2.796509681, 1.977430959], rel=1e-6)
    rates = json.loads(respine("design", "--rates", "50%,30%", "--power", "90%", "--json").stdout)[0]
    assert rates["maximum"] == pytest.approx(247.9972599, rel=1e-7)
    events = json.loads(respine("design", "--hazard-ratio", "0.7", "--power", "90%", "--json").stdout)[0]
    assert events["counts"] == "events" and events["maximum"] == pytest.approx(330.377914, rel=1e-6)


def test_chances_of_the_looks_add_up_and_dropout_asks_for_more(respine: Respine) -> None:
    told = respine("design", "--effect", "0.5", "--power", "80%", "--boundary", "asP", "--looks", "0.5,1", "--futility", "0",
                   "--dropout", "20%", "--json")  # fmt: skip
    design = json.loads(told.stdout)[0]
    assert sum(row["win_null"] + 0 for row in design["looks"]) < 0.025
    assert design["enrol"] == pytest.approx(design["maximum"] / 0.8) and design["looks"][0][
        "futile_null"
    ] == pytest.approx(0.5, abs=1e-3)


def test_conditional_power_and_a_new_size(respine: Respine) -> None:
    told = respine("design", "--effect", "0.4", "--boundary", "OF", "--looks", "2", "--z", "1.3", "--power", "90%")
    assert "conditional power after this look" in told.stdout and "re-estimation (promising)" in told.stdout


def test_assurance_with_looks_is_the_mean_over_the_effect() -> None:
    plan = of_means(design("OF", 2), 0.4, 1.0, 0.9)
    assert plan.assurance(1.0, 0.0) == pytest.approx(0.9, abs=1e-9)
    rng = np.random.default_rng(3)
    draws = plan.drift * (0.9 + 0.5 * rng.normal(size=3000))
    mean = np.mean([plan.design.stops(d).above.sum() for d in draws])
    assert plan.assurance(0.9, 0.5) == pytest.approx(mean, abs=0.02)


def test_a_study_gives_its_own_effect(respine: Respine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trial.yaml").write_text(TEXT)
    monkeypatch.setattr(
        "respine.trial.power.compute.resolve", lambda study, library=None: resolve(study, system=tiny_system())
    )
    told = respine("design", "trial.yaml", "--replicates", "50", "--boundary", "OF", "--looks", "2", "--json")
    rows = json.loads(told.stdout)["designs"]
    assert [row["power"] for row in rows] == [0.8, 0.9] and rows[0]["maximum"] > rows[0]["fixed"] > 4
    assert all(0 < row["assurance"] <= 1 and row["effect"] < 0 for row in rows)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "Nothing says what the trial looks for"),
        (("--effect", "0"), "no size gives this power"),
        (("--effect", "1", "--boundary", "OFF"), "no boundary"),
        (("--effect", "1", "--looks", "0.5,0.4,1"), "must ascend"),
        (("--rates", "50%"), "Two shares are needed"),
        (("--rates", "150%,20%"), "between 0 and 100"),
        (("--hazard-ratio", "1"), "differ from that of the null"),
        (("--effect", "1", "--z", "2"), "no look before the last"),
    ],
)
def test_what_cannot_be_designed_is_refused(respine: Respine, words: tuple[str, ...], why: str) -> None:
    told = respine("design", *words)
    assert told.exit_code == 2 and why.lower() in told.output.lower()
