"""Every mistake of a study file gives one error that names file, line and field, says why, and what to write."""

import json
import random
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from respine import library, run, study
from respine.cli.errors import FLAGS
from respine.errors import InputError
from respine.protocol import resolve

# text of the template, what a user wrote instead, field of the error, words it must hold
MISTAKES = {
    "flat dose": ("0.5 mg/kg, over: 40 min, at: 0 h}\n      # r", "0.5 mg, over: 40 min, at: 0 h}\n      # r",
                  "arms.ketamine.doses[0].amount", "0.007 mg/kg for 70 kg|Write \"0.5 mg/kg\", or \"35 mg\""),
    "dose without unit": ("amount: 0.5 mg/kg", "amount: 0.5", "arms.ketamine.doses[0].amount", "unit|\"0.5 mg/kg\""),
    "placebo of another form": ("{drug: ketamine, route: iv, amount: 0.5 mg/kg, over: 40 min", "{drug: placebo, route: nasal",
                                "arms.ketamine.doses[0].route", "no route|drug: placebo-spray"),
    "volume": ("amount: 0.5 mg/kg", "amount: 5 ml", "arms.ketamine.doses[0].amount", "not in ml|0.05-2 mg/kg"),
    "negative dose": ("amount: 0.5 mg/kg", "amount: -0.5 mg/kg", "arms.ketamine.doses[0].amount", "negative"),
    "no dose": ("amount: 0.5 mg/kg", "amount: 0 mg", "arms.ketamine.doses[0].amount", "above zero"),
    "thousandfold": ("amount: 0.5 mg/kg", "amount: 0.5 g/kg", "arms.ketamine.doses[0].amount", "0.05 to 2|outside"),
    "drug": ("drug: ketamine, route: iv", "drug: ketamin, route: iv", "arms.ketamine.doses[0].drug", "Did you mean \"ketamine\""),
    "route": ("route: iv, amount", "route: rectal, amount", "arms.ketamine.doses[0].route", "iv, im, sc, nasal"),
    "route of another species": ("route: iv, amount", "route: ip, amount", "arms.ketamine.doses[0].route", "no route|iv, im"),
    "sprays of an infusion": ("amount: 0.5 mg/kg", "amount: 0.5 mg/kg, sprays: 2", "arms.ketamine.doses[0].sprays", "sprays"),
    "negative infusion": ("over: 40 min, at", "over: -40 min, at", "arms.ketamine.doses[0].over", "zero or more"),
    "endless repetition": ("at: 0 h}\n      # r", "at: 0 h, every: 1 d}\n      # r", "arms.ketamine.doses[0].every", "times: 8"),
    "negative times": ("at: 0 h}\n      # r", "at: 0 h, every: 1 d, times: -2}\n      # r", "arms.ketamine.doses[0].times", "at least 1"),
    "overlapping infusions": ("over: 40 min, at: 0 h}\n      # r", "over: 40 min, at: [0 h, 10 min]}\n      # r",
                              "arms.ketamine.doses[0].over", "before this one ends"),
    "dose after everything": ("at: 0 h}\n      # r", "at: 30 d}\n      # r", "arms.ketamine.doses[0].at", "after the last visit"),
    "visit before start": ("[0 h, 40 min", "[-24 h, 0 h, 40 min", "visits[0]", "before the first baseline visit (0 h)|start: -24 h"),
    "visit twice": ("24 h, 72 h", "24 h, 1 d, 72 h", "visits[4]", "twice"),
    "visits unsorted": ("24 h, 72 h", "72 h, 24 h", "visits[4]", "order"),
    "time without unit": ("24 h, 72 h", "24, 72 h", "visits[3]", "24 h\" or \"24 d"),
    "month": ("24 h, 72 h, 7 d]", "24 h, 72 h, 7 d, 1 month]", "visits[6]", "differ in length"),
    "arm twice": ("  saline:", "  ketamine:", "arms.ketamine", "twice|first in line 16"),
    "population": ("population: mdd-treatment-resistant", "population: mdd-treatment", "population", "mdd-treatment-resistant"),
    "subjects none": ("subjects: 500", "subjects: 0", "subjects", "at least 1"),
    "subjects beyond use": ("subjects: 500", "subjects: 100000000000", "subjects", "10 000 000"),
    "subjects as text": ("subjects: 500", 'subjects: "500"', "subjects", "not the text"),
    "subjects as truth": ("subjects: 500", "subjects: true", "subjects", "truth value"),
    "seed": ("seed: 1 ", "seed: 1.5 ", "seed", "whole number"),
    "field": ("subjects: 500", "subject: 500", "subject", "Did you mean \"subjects\""),
    "scale": ("observe: [MADRS]", "observe: [MADR]", "observe[0]", "Did you mean \"MADRS\""),
    "output": ("synapse_number,", "synapse_numbr,", "record[1]", "Did you mean \"synapse_number\""),
    "endpoint between visits": ("change, at: 24 h", "change, at: 25 h", "endpoints[0].at", "no visit|40 min"),
    "endpoint of nothing": ("of: MADRS, kind: change,", "of: HDRS, kind: change,", "endpoints[0].of", "neither a scale"),
    "endpoint kind": ("kind: change,", "kind: chnge,", "endpoints[0].kind", "Did you mean \"change\""),
    "endpoint incomplete": ("kind: response, drop: 50 %,", "kind: response,", "endpoints[1].drop", "Add \"drop: 50 %\""),
    "endpoint field out of place": ("kind: change, at", "kind: change, below: 3, at", "endpoints[0].below", "no meaning"),
    "endpoint arm": ("arm: saline", "arm: salin", "endpoints[3].arm", "Did you mean \"saline\""),
    "two endpoints of a name": ("name: response-24h", "name: change-24h", "endpoints[1].name", "Two endpoints"),
    "share without sign": ("drop: 50 %", "drop: 0.5", "endpoints[1].drop", "50 %"),
    "people in the published arm": ("n_published: 30                 #", "n_published: -30 #", "arms.ketamine.n_published", "at least 1"),
    "control": ("kind: inactive-placebo", "kind: placebo", "arms.saline.control.kind", "inactive-placebo"),
    "parameter": ("# parameters: {k_venous: 8}", "parameters: {k_venus: 8}", "arms.ketamine.parameters.k_venus", "k_venous"),
    "parameter out of bounds": ("# parameters: {k_venous: 8}", "parameters: {k_venous: 800}", "arms.ketamine.parameters.k_venous", "bounds"),
    "genotype": ("# genotype: {val66met: Met/Met}", "genotype: {val66met: MM}", "arms.ketamine.genotype.val66met", "Val/Met"),
    "exposure": ("# exposures:", "exposures: [{exposure: etc, at: 0 h}]  #", "arms.ketamine.exposures[0].exposure", "Did you mean \"ect\""),
    "exposure level": ("# exposures:", "exposures: [{exposure: stress, level: 40, from: 0 h}]  #", "arms.ketamine.exposures[0].level", "0 to 3"),
    "evidence study": ("# compare:", "compare: {study: Murough 2013}  #", "compare.study", "Murrough 2013"),
    "evidence arm of no arm": ("# compare:", "compare: {study: Murrough, year: 2013, leave_out: [ketamine - midazolam]}  #",
                               "compare", "midazolam\", which is no arm|saline: midazolam"),
    "evidence arm": ("# compare:", "compare: {study: Murrough, year: 2013, leave_out: [ketamine - midazolam], arms: {saline: midazolm}}  #",
                     "compare.arms.saline", "Did you mean \"midazolam\""),
    "covariate": ("# covariates:", "covariates: {baseline_MADR: {distribution: normal, mean: 3, sd: 1, source: x}} #", "covariates.baseline_MADR", "baseline_MADRS"),
    "schema": ("respine/study/1", "respine/study/9", "schema", "This version of respine reads|respine/study/1"),
    "tab": ("  ketamine:\n", "\tketamine:\n", "(the file)", "tab"),
    "syntax": ("[0 h, 40 min", "[0 h, 40 min: [}", "(the file)", "not YAML"),
    "self-reference": ("subjects: 500", "subjects: &a [*a]", "subjects[0]", "Aliases"),
    "not a number": ("amount: 0.5 mg/kg", "amount: .nan", "arms.ketamine.doses[0].amount", "not a dose"),
    "decimal comma": ("amount: 0.5 mg/kg", 'amount: "0,5 mg/kg"', "arms.ketamine.doses[0].amount", "decimal comma|\"0.5 mg/kg\""),
    "nasal dose per weight": ("{drug: ketamine, route: iv, amount: 0.5 mg/kg, over: 40 min", "{drug: ketamine, route: nasal, amount: 0.5 mg/kg",
                              "arms.ketamine.doses[0].amount", "dosed in mg"),
    "one spray too few": ("{drug: ketamine, route: iv, amount: 0.5 mg/kg, over: 40 min", "{drug: esketamine, route: nasal, amount: 56 mg, sprays: 1",
                          "arms.ketamine.doses[0].sprays", "28 mg|sprays: 2"),
    "part of a spray": ("{drug: ketamine, route: iv, amount: 0.5 mg/kg, over: 40 min", "{drug: esketamine, route: nasal, amount: 50 mg",
                        "arms.ketamine.doses[0].amount", "no whole number of sprays|\"56 mg\""),
    "sprays days apart": ("{drug: ketamine, route: iv, amount: 0.5 mg/kg, over: 40 min", "{drug: esketamine, route: nasal, amount: 56 mg, sprays: 2, apart: 10 d",
                          "arms.ketamine.doses[0].apart", "10 d"),
    "a listed dose after everything": ("at: 0 h}\n      # r", "at: [0 h, 30 d]}\n      # r", "arms.ketamine.doses[0].at", "1 occasion of 2 after the last visit"),
    "repeats after everything": ("at: 0 h}\n      # r", "at: 0 h, every: 3 d, times: 8}\n      # r", "arms.ketamine.doses[0].times", "5 occasions of 8|times: 3"),
    "a dose a second": ("over: 40 min, at: 0 h}\n      # r", "over: 0 min, at: 0 h, every: 1 s, times: 100000}\n      # r", "arms.ketamine.doses[0].every", "every 1 s"),
    "the same dose twice": ("      # repeated:", "      - {drug: ketamine, route: iv, amount: 500 ug/kg, over: 2400 s, at: 0 d}\n      # repeated:",
                            "arms.ketamine.doses[1]", "given twice"),
    "before the ice age": ("at: 0 h}\n      # r", "at: -1e9 d}\n      # r", "arms.ketamine.doses[0].at", "100 years"),
    "after the end of days": ("24 h, 72 h", "24 h, 1e300 d, 72 h", "visits[4]", "100 years"),
    "visits as words": ("[0 h, 40 min", "[baseline, 0 h, 40 min", "visits[0]", "not a time"),
    "other word for at": ("at: 0 h}\n      # r", "time: 0 h}\n      # r", "arms.ketamine.doses[0].time", "Did you mean \"at\""),
    "other word for at in an endpoint": ("change, at: 24 h", "change, time: 24 h", "endpoints[0].time", "Did you mean \"at\""),
    "arm in capitals": ("  saline:", "  Ketamine: {}\n  saline:", "arms.Ketamine", "capitals"),
    "subjects with a point": ("subjects: 500", "subjects: 500.0", "subjects", "\"subjects: 500\""),
    "control as a word": ("control: {kind: inactive-placebo, unblinding: high}", "control: placebo", "arms.saline.control", "kind: inactive-placebo"),
    "compare as a word": ("# compare:", "compare: Murrough 2013  #", "compare", "{study: Murrough"),
    "the same comparison twice": ("# compare:", "compare: [{study: Murrough, year: 2013, arms: {saline: midazolam}}, {study: Murrough, year: 2013, arms: {saline: midazolam}}]  #",
                                  "compare[1]", "twice"),
    "a scale where a list is meant": ("observe: [MADRS]", "observe: MADRS", "observe", "[MADRS]"),
    "a scale of people in rats": ("population: mdd-treatment-resistant", "population: rat-stressed", "observe[0]", "rated in people"),
    "covariate as parameter": ("# parameters: {k_venous: 8}", "parameters: {weight_kg: 95}", "arms.ketamine.parameters.weight_kg", "ignored"),
    "parameter without end": ("# parameters: {k_venous: 8}", "parameters: {k_venous: .inf}", "arms.ketamine.parameters.k_venous", "number is expected"),
    "score beyond its scale": ("# covariates:", "covariates: {baseline_MADRS: {distribution: constant, value: 320, source: x}} #", "covariates.baseline_MADRS.value", "0 to 60"),
    "baseline too wide": ("# covariates:", "covariates: {baseline_MADRS: {distribution: normal, mean: 32, sd: 40, source: x}} #", "covariates.baseline_MADRS.sd", "low: 0, high: 60"),
    "people lighter than nothing": ("# covariates:", "covariates: {weight_kg: {distribution: normal, mean: 70, sd: 40, source: x}} #", "covariates.weight_kg.mean", "above zero"),
    "weight in words": ("# covariates:", "covariates: {weight_kg: {distribution: categories, shares: {heavy: 1.0}, source: x}} #", "covariates.weight_kg.distribution", "not a word"),
    "groups of other words": ("# covariates:", "covariates: {weight_kg: {distribution: by, by: sex, groups: {woman: {distribution: constant, value: 60, source: x}}}} #",
                              "covariates.weight_kg.by", "female, male"),
    "genotype beyond": ("# covariates:", "covariates: {val66met: {distribution: constant, value: 7, source: x}} #", "covariates.val66met.value", "0 to 1"),
    "recorded every second": ("# record_every: 2 h", "record_every: 1 s", "record_every", "604 800 moments"),
    "wash-out of parallel arms": ("design: parallel ", "washout: 7 d\ndesign: parallel ", "washout", "crossover"),
    "pulses that overlap": ("# exposures:", "exposures: [{exposure: ect, at: 0 h, every: 1 h, times: 3, lasts: 5 h}]  #", "arms.ketamine.exposures[0].lasts", "next would begin"),
    "exposure after everything": ("# exposures:", "exposures: [{exposure: stress, from: 100 d, until: 120 d}]  #", "arms.ketamine.exposures[0].from", "after the last visit"),
    "remission at any score": ("below: 10", "below: 100", "endpoints[2].below", "0 to 60"),
    "ancova of a share": ("drop: 50 %, at: 24 h", "drop: 50 %, at: 24 h, analysis: ancova", "endpoints[1].analysis", "nothing to adjust"),
    "mmrm of a share": ("drop: 50 %, at: 24 h", "drop: 50 %, at: 24 h, analysis: mmrm", "endpoints[1].analysis", "nothing to adjust|locf"),
    "an analysis nobody knows": ("analysis: ancova", "analysis: mmmr", "endpoints[0].analysis", "mmrm"),
    "remission left empty": ("below: 10", "below: ~", "endpoints[2].below", "number is expected"),
    "window left empty": ("change, at: 24 h", "change, from: ~, at: 24 h", "endpoints[0].from", "empty|remove the field"),
    "relapse by a limit of remission": ("kind: remission, below: 10, at: 7 d", "kind: relapse-free, above: 20, below: 10, at: 24 h, until: 7 d",
                                        "endpoints[2].below", "no meaning for \"relapse-free\"|remission"),
    "relapse of nobody": ("kind: remission, below: 10, at: 7 d", "kind: time-to-relapse, above: 20, until: 7 d", "endpoints[2].at", "missing"),
    "relapse by two limits": ("kind: remission, below: 10, at: 7 d", "kind: time-to-relapse, above: 20, lost: 50 %, at: 24 h, until: 7 d", "endpoints[2]", "exclude each other"),
    "relapse by none": ("kind: remission, below: 10, at: 7 d", "kind: time-to-relapse, at: 24 h, until: 7 d", "endpoints[2]", "above|lost|50 %"),
    "endpoint without kind": ("kind: change, at", "at", "endpoints[0].kind", "missing|kind: change"),
    "rule that never acts": ("# record_every", "rules: [{name: a, when: {visit: daily, scale: MADRS, above: 20, below: 10}, then: {hold: a, for: 1 d}}]\n# record_every",
                             "rules[0].when.below", "never"),
    "rule at no visit": ("# record_every", "rules: [{name: a, when: {visit: 5 d, scale: MADRS, above: 20}, then: {hold: a, for: 1 d}}]\n# record_every",
                         "rules[0].when.visit", "no visit"),
    "rule on a course of no rule": ("# record_every", "rules: [{name: a, when: {on: b, visit: 7 d}, then: {hold: a, for: 1 d}}]\n# record_every",
                                    "rules[0].when.on", "no rule of this name"),
    "rule on what is no course": ("# record_every", "rules: [{name: a, when: {on: a, visit: 7 d}, then: {hold: a, for: 1 d}}]\n# record_every",
                                  "rules[0].when.on", "starts no course"),
    "rule of what is not seen": ("# record_every", "rules: [{name: a, when: {visit: 7 d, scale: SBP, above: 160 mmHg}, then: {hold: a, for: 1 d}}]\n# record_every",
                                 "rules[0].when.scale", "does not observe"),
    "rule beyond the scale": ("# record_every", "rules: [{name: a, when: {visit: 7 d, scale: MADRS, above: 200}, then: {hold: a, for: 1 d}}]\n# record_every",
                              "rules[0].when.above", "0 to 60"),
    "tag": ("subjects: 500", "subjects: !foo 500", "subjects", "tag"),
}  # fmt: skip


def problems(path: Path, text: str | bytes):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        study.load(path)
    return caught.value.problems


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake_one_error(name: str, tmp_path: Path) -> None:
    right, wrong, field, words = MISTAKES[name]
    text = study.template()
    assert text.count(right) >= 1
    text = text.replace(right, wrong, 1)
    fault = problems(tmp_path / "mine.yaml", text)
    assert [problem.field for problem in fault] == [field]
    for word in words.split("|"):
        assert word in str(fault[0])
    line = int(re.search(r"mine\.yaml:(\d+)$", fault[0].where)[1])
    new = wrong.strip().splitlines()[0].strip()
    assert new.split("#")[0].strip()[:12] in text.splitlines()[line - 1] or name in (
        "time without unit",
        "a scale of people in rats",
    )


def test_all_mistakes_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = study.template()
    for right, wrong in (("subjects: 500", "subjects: -1"), ("amount: 0.5 mg/kg", "amount: 0.5 mg"), ("72 h, 7 d", "72, 7 d"),
                         ("arm: saline", "arm: water"), ("observe: [MADRS]", "observe: [MADRS, LAUGHTER]")):  # fmt: skip
        text = text.replace(right, wrong, 1)
    fault = problems(tmp_path / "mine.yaml", text)
    assert [problem.field for problem in fault] == [
        "subjects",
        "arms.ketamine.doses[0].amount",
        "visits[4]",
        "observe[1]",
        "endpoints[3].arm",
    ]
    assert "5 errors; nothing was run." in str(InputError(*fault))


def test_two_mistakes_of_one_endpoint_are_both_told(tmp_path: Path) -> None:
    text = study.template().replace(
        "kind: response, drop: 50 %, at: 24 h", "kind: response, at: 25 h, from: 26 h, note: 3", 1
    )
    text = text.replace("arm: saline, at: 24 h", "arm: salin, at: 23 h", 1)
    result = {problem.field for problem in problems(tmp_path / "mine.yaml", text)}
    assert result == {f"endpoints[1].{field}" for field in ("drop", "at", "from", "note")} | {
        f"endpoints[3].{field}" for field in ("arm", "at")
    }


PEAK = "  - {{name: felt, of: CADSS, kind: peak{}}}\n"


@pytest.mark.parametrize(
    ("visits", "window", "cure"),
    [
        ("0 h, 4 h, 24 h, 72 h, 7 d", "", "Add visits (40 min)"),
        ("0 h, 5 min, 4 h, 24 h, 72 h, 7 d", "", "Add visits (40 min)"),  # the infusion has hardly begun
        ("0 h, 40 min, 4 h, 24 h, 72 h, 7 d", "", ""),
        ("0 h, 1 h, 4 h, 24 h, 72 h, 7 d", ", until: 4 h", ""),
        ("0 h, 4 h, 24 h, 72 h, 7 d", ", from: 4 h", ""),  # no dose in the window
    ],
)
def test_a_peak_that_passes_between_visits_is_refused(visits: str, window: str, cure: str, tmp_path: Path) -> None:
    text = (
        study.template()
        .replace("0 h, 40 min, 4 h, 24 h, 72 h, 7 d", visits)
        .replace("observe: [MADRS]", "observe: [MADRS, CADSS]")
    )
    text = text.replace("  - {name: change-24h", PEAK.format(window) + "  - {name: change-24h", 1)
    if not cure:
        (tmp_path / "mine.yaml").write_text(text)
        assert study.load(tmp_path / "mine.yaml").endpoints[0].kind == "peak"
        return
    (fault,) = problems(tmp_path / "mine.yaml", text)
    assert fault.field == "endpoints[0].kind" and cure in fault.cure and "cadss_drive" in fault.cure


def test_a_peak_after_doses_of_rules_is_refused(tmp_path: Path) -> None:
    rule = "rules: [{name: a, when: {visit: 7 d, scale: MADRS, above: 20}, then: {dose: {drug: ketamine, route: nasal, amount: 50 mg}}}]\n"
    text = (
        study.template()
        .replace("observe: [MADRS]", "observe: [MADRS, CADSS]")
        .replace("# record_every", rule + "# record_every")
    )
    text = text.replace("  - {name: change-24h", PEAK.format("") + "  - {name: change-24h", 1)
    (fault,) = problems(tmp_path / "mine.yaml", text)
    assert fault.field == "endpoints[0].kind" and "rules give doses" in fault.why


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("- a\n- b\n", "a list"),
        ("hello", "a single value"),
        (b"name: \xff\xfe\n", "UTF-8"),
        (b"a: 1\nb: caf\xe9\n", "UTF-8"),
        ("name: [1, 2\n", "not YAML"),
        ("name: x\n---\nname: y\n", "more than one document"),
        ("a: !!python/object:os.system x\n", "tag"),
        ("a: \x00\n", "not YAML"),
        ("a: " + "{b: " * 100 + "1" + "}" * 100, "larger"),
        ("a: &a [x, x, x, x, x, x, x, x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 8)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)), "Aliases"),
    ],
)  # fmt: skip
def test_files_that_are_no_study(text: str | bytes, word: str, tmp_path: Path) -> None:
    assert any(word in problem.why for problem in problems(tmp_path / "mine.yaml", text))


def test_missing_file_and_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such study file"):
        study.load(tmp_path / "absent.yaml")
    with pytest.raises(InputError, match='Did you mean "murrough-2013"'):
        study.load("murrough-2031")
    with pytest.raises(InputError, match="folder"):
        study.load(tmp_path)


def test_junk_anywhere_gives_input_errors_and_nothing_else(tmp_path: Path) -> None:
    rng = random.Random(7)
    base = json.dumps(
        YAML(typ="safe", pure=True).load(
            study.template()
            + "rules: [{name: a, when: {visit: daily, scale: MADRS, above: 20}, then: {hold: a, for: 1 d}}]\n"
        )
    )
    junk = [
        None,
        True,
        -1,
        0,
        1e308,
        "",
        "x",
        "1 h",
        "5 mg",
        [],
        [[]],
        {},
        {"a": 1},
        [None],
        [{}],
        "0 %",
        {"at": {}},
        [1, "x"],
    ]

    def places(value, at=()):
        yield at
        for key, item in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            yield from places(item, (*at, key))

    everywhere = [place for place in places(json.loads(base)) if place]
    for _ in range(50):
        data = json.loads(base)
        target = rng.choice(everywhere)
        parent = data
        for part in target[:-1]:
            parent = parent[part]
        parent[target[-1]] = rng.choice(junk)
        file = tmp_path / "mine.yaml"
        file.write_text(json.dumps(data))
        try:
            study.load(file)
        except InputError as error:
            assert all(
                re.search(r"mine\.yaml:\d+$", problem.where) and problem.why and problem.cure
                for problem in error.problems
            )


def test_a_study_of_nothing_can_be_read_not_run(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(re.sub(r"(?ms)^observe:.*\Z", "", study.template()))
    with pytest.raises(InputError, match=r"mine\.yaml:1  observe\n.*no result"):
        study.require_result(study.load(file))


def test_a_scale_needs_a_score_to_start_from(tmp_path: Path) -> None:
    people = re.sub(r"(?m)^  baseline_MADRS:.*\n", "", library.text("populations", "healthy"))
    (tmp_path / "mine-people.yaml").write_text(people)
    text = study.template().replace("population: mdd-treatment-resistant", "population: mine-people.yaml")
    (fault,) = problems(tmp_path / "mine.yaml", text)
    assert fault.field == "observe[0]" and "how ill" in fault.why and "baseline_MADRS" in fault.cure


PEOPLE = {  # text of the library's file of healthy people, what a user wrote, field of the error, words it must hold
    "parameter": ("history:", "parameters: {weight_kg: {value: 80, source: x}}\nhistory:", "parameters.weight_kg", "ignored"),
    "baseline": ("mean: 3,", "mean: 300,", "covariates.baseline_MADRS", "between low and high"),
    "level": ("history:", "history: {stress: 100, for: 180 d}\nhistory_:", "history.stress", "0 to 3"),
    "negative level": ("history:", "history: {stress: -1, for: 180 d}\nhistory_:", "history.stress", "0 to 3"),
    "negative length": ("history:", "history: {stress: 1, for: -180 d}\nhistory_:", "history.for", "more than zero"),
    "over before it began": ("history:", "history: {stress: 1, for: 180 d, until: -200 d}\nhistory_:", "history.until", "before it begins"),
    "pair twice": ("history:", "correlations: [{between: [age_y, crp], r: 0.1, source: x}, {between: [crp, age_y], r: 0.2, source: x}]\nhistory:",
                   "correlations[1].between", "already"),
    "model": ("model: human", "model: humen", "model", 'Did you mean "human"'),
    "schema": ("respine/population/1", "respine/study/1", "schema", "This is a study file"),
}  # fmt: skip


@pytest.mark.parametrize("name", PEOPLE)
def test_mistakes_of_a_population_file_name_that_file(name: str, tmp_path: Path) -> None:
    right, wrong, field, words = PEOPLE[name]
    people = library.text("populations", "healthy")
    people = people if right in people else people + "\nhistory:\n"
    people = re.sub(r"(?m)^history:(\n  .*)*\n", "history:\n", people)
    people = people.replace(right, wrong, 1).replace("history_:\n", "").replace("\nhistory:\n", "\n")
    (tmp_path / "people.yaml").write_text(people)
    text = study.template().replace("population: mdd-treatment-resistant", "population: people.yaml")
    (fault,) = problems(tmp_path / "mine.yaml", text)
    assert fault.field == field and words in str(fault) and re.search(r"people\.yaml:\d+$", fault.where)


def test_subjects_and_seed_from_outside() -> None:
    asked = study.load("murrough-2013")
    assert run.plan(asked, subjects=10, seed=3).study.subjects == 10
    with pytest.raises(InputError, match="argument  subjects") as caught:
        run.plan(asked, subjects=0)
    assert "--subjects" in caught.value.told(FLAGS)


def test_a_knocked_out_parameter_is_within_every_bound() -> None:
    base = study.load("murrough-2013")
    assert resolve(base.set("k_spine_mature", 0)).study.parameters == {"k_spine_mature": 0}
    with pytest.raises(InputError, match="or 0 for a knock-out"):
        resolve(base.set("k_spine_mature", 1e-6))
