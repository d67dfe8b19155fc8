"""`respine posterior` and `respine forecasts`: what is shown, pure JSON, files that are written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from respine import evidence
from tests.cli.conftest import Respine
from tests.evidence.test_forecasts import row


def test_the_posterior_is_shown_beside_the_prior(respine: Respine) -> None:
    result = respine("posterior")
    assert result.exit_code == 0, result.output
    assert "draws" in result.stdout and "learned" in result.stdout and "fluctuation_sd" in result.stdout


def test_the_posterior_as_json(respine: Respine) -> None:
    result = respine("posterior", "--json")
    told = json.loads(result.stdout)
    assert {"draws", "seed", "blocks", "recipe", "numbers", "faults"} <= set(told)
    number = told["numbers"][0]
    assert {"number", "prior", "prior_low", "prior_high", "median", "low", "high", "contraction", "moved"} <= set(
        number
    )
    assert number["low"] < number["median"] < number["high"]


def test_forecasts_are_told_by_role_and_written_to_files(
    respine: Respine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = [
        row(v, id=f"{kind}{role}{v}", study=f"t{kind}{v}", arm_type=kind, role=role)
        for kind in ("active", "control", "contrast") for role in ("fit", "validate") for v in (-1.0, 0.2, 3.0)
    ]  # fmt: skip
    monkeypatch.setattr(evidence, "predict", lambda *_, **__: rows)
    result = respine("forecasts", "--trials", "--csv", "rows.csv", "--m15", "table.md")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("every trial counted once") == 2 and "contrast" in result.stdout
    assert len(list(csv.DictReader((tmp_path / "rows.csv").read_text().splitlines()))) == len(rows)
    assert "Question of interest" in (tmp_path / "table.md").read_text()
    told = json.loads(respine("forecasts", "--json").stdout)
    assert {"rows", "trials", "arm_types", "histogram"} == set(told)
    assert [arm_type["arm_type"] for arm_type in told["arm_types"]["fit"]] == ["active", "control", "contrast", "all"]
