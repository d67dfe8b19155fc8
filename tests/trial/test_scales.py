"""Scale files: every number has its origin, mistakes are all found, scores are printed as on the form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respine.errors import InputError
from respine.files.yaml_file import read
from respine.library import BUILT_IN
from respine.study import scales
from respine.study.expectancy import load as load_expectancy

FORM = """
name: X
title: An X
unit: points
range: [0, 10]
step: 1
rule: rise
output: x
values:
  gain: {value: 1, unit: "1", status: assumed, note: by choice}
  fluctuation_sd: {value: 1, unit: points, status: assumed, note: small}
  fluctuation_time: {value: 1, unit: h, status: literature, source: someone-2000}
  rater_sd: {value: 1, unit: points, status: assumed, note: small}
"""


def _parse(folder: Path, text: str) -> scales.Scale:
    file = folder / "X.yaml"
    file.write_text(text, encoding="utf-8")
    return scales.parse(read(file, "scale"))


@pytest.mark.parametrize("name", BUILT_IN.names("scales"))
def test_every_library_scale_is_whole(name: str) -> None:
    scale = scales.load(BUILT_IN, name)
    assert scale.name == name and scale.low < scale.high and scale.rule in scales.RULES
    for number, entry in scale.sources.items():
        low, high = entry.get("low", entry["value"]), entry.get("high", entry["value"])
        assert low <= entry["value"] <= high, number


def test_the_expected_scales_are_there_with_their_ranges() -> None:
    ranges = {
        "MADRS": (0, 60),
        "HAMD17": (0, 52),
        "QIDS-SR": (0, 27),
        "CADSS": (0, 92),
        "MADRS-SUICIDE": (0, 6),
        "SSI": (0, 38),
        "NRS": (0, 10),
    }
    assert {name: (scales.load(BUILT_IN, name).low, scales.load(BUILT_IN, name).high) for name in ranges} == ranges
    assert {"SBP", "DBP", "HR"} <= set(BUILT_IN.names("scales"))


def test_aliases_meet_their_scale_and_unknown_names_are_refused() -> None:
    assert scales.load(BUILT_IN, "HAM-D").name == scales.load(BUILT_IN, "hamd 17").name == "HAMD17"
    assert not scales.is_scale(BUILT_IN, "symptom")
    with pytest.raises(InputError, match=r"no scale of this name[\s\S]*MADRS"):
        scales.load(BUILT_IN, "MADRSS")


def test_all_mistakes_of_a_scale_file_are_found_at_once(tmp_path: Path) -> None:
    bad = FORM.replace("rule: rise", "rule: fall").replace('value: 1, unit: "1"', 'value: one, unit: "1"')
    bad = bad.replace("source: someone-2000", 'source: ""').replace("step: 1\n", "")
    with pytest.raises(InputError) as caught:
        _parse(tmp_path, bad)
    fields = {p.field for p in caught.value.problems}
    assert fields == {"rule", "step", "values.gain.value", "values.fluctuation_time.source"}
    assert all(":" in p.where and p.why and p.cure for p in caught.value.problems)


def test_a_missing_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='needs "gain"'):
        _parse(tmp_path, FORM.replace("  gain:", "  gian:"))


@given(st.lists(st.floats(-200, 200), min_size=1, max_size=20))
def test_printed_scores_are_whole_steps_inside_the_range(raw: list[float]) -> None:
    scale = scales.load(BUILT_IN, "MADRS")
    printed = scale.printed(np.array(raw))
    assert np.all((printed >= 0) & (printed <= 60)) and np.all(printed == np.round(printed))
    inside = np.abs(np.clip(raw, 0, 60) - printed)
    assert np.all(inside <= 0.5 + 1e-9)


def test_ham_d_follows_the_published_equivalents_of_madrs() -> None:
    conversion = scales.load(BUILT_IN, "HAMD17").conversion
    assert conversion is not None and conversion.scale == "MADRS"
    np.testing.assert_allclose(conversion(np.array([13.0, 26.0, 39.0])), [10.0, 20.0, 30.0])


def test_expectancy_numbers_are_sourced_and_ordered() -> None:
    model = load_expectancy(BUILT_IN)
    belief = model.belief
    assert (
        belief["inactive-placebo"]["high"] < belief["inactive-placebo"]["none"] < belief["active-placebo"]["none"] <= 1
    )
    assert belief["open-label"]["none"] == 1
