"""Tables and plans damaged at random: an answer or a clear refusal, never a traceback or a warning."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from respine.errors import InputError
from respine.trial.analysis import analyze
from tests.trial.analysis.test_analyze import DATA, HEAD, trial

CASES = int(os.environ.get("RESPINE_FUZZ", "60"))
ESTIMANDS = """estimands:
  - {name: e, events: [{event: s, column: stop, strategy: hypothetical}]}
  - {name: t, events: [{event: s, column: stop, strategy: treatment-policy, time: time}]}
"""
ANALYSES = [
    "{name: a, method: mmrm, estimand: e, covariates: [sex], report: [differences, means, coefficients, tests, overall]}",
    "{name: b, method: clda, covariance: [un, ar1], df: satterthwaite}",
    "{name: c, method: ancova, covariates: [sex, site]}",
    "{name: d, method: wilcoxon, visits: [2, 4]}",
    "{name: f, method: responders, response: {fall: 40}, strata: [sex], covariates: [sex]}",
    "{name: g, method: kaplan-meier, time: time, event: event, at: [1, 5]}",
    "{name: h, method: log-rank, time: time, event: event, strata: sex}",
    "{name: i, method: cox, time: time, event: event, covariates: [base]}",
    "{name: j, method: imputation, strategy: jump-to-reference, imputations: 3, estimand: t, "
    "tipping_point: {arm: ketamine, limit: 4}}",
    "{name: k, method: imputation, strategy: missing-at-random, by: bootstrap, imputations: 2}",
]  # fmt: skip
WORDS = [
    *("", "NA", "-1", "1e9", "abc", "ketamine", "placebo", "2", "4", "0", "1", "~", "[]", "{}", "sex", "site", "time"),
    *("base", "un", "ar1", "kr", "é", '"', "nan", "inf"),
]


@pytest.mark.parametrize("part", range(4))
def test_damage_is_refused_or_survived(part: int, tmp_path: Path) -> None:
    outcomes = set()
    for case in range(part, CASES, 4):
        draw = random.Random(case)
        table = trial(
            seed=draw.randrange(50), n=draw.choice([2, 4, 6, 10, 20, 40]), lost=draw.choice([0, 0.2, 0.9])
        ).astype(object)
        for _ in range(draw.choice([0, 0, 0, 1, 3])):
            table.iat[draw.randrange(len(table)), draw.randrange(table.shape[1])] = draw.choice(WORDS)
        if draw.random() < 0.1:
            table = table.drop(columns=draw.choice(list(table.columns)))
        if draw.random() < 0.15:
            table = table.sample(frac=draw.uniform(0.1, 1.0), random_state=case)
        chosen = draw.sample(ANALYSES, 2)
        words = (HEAD + DATA + ESTIMANDS + "analyses:\n" + "".join(f"  - {entry}\n" for entry in chosen)).split(" ")
        for _ in range(draw.choice([0, 0, 1])):
            words[draw.randrange(len(words))] = draw.choice([*WORDS, *words])
        (tmp_path / "t.csv").write_text(table.to_csv(index=False), encoding="utf-8")
        (tmp_path / "p.yaml").write_text(" ".join(words), encoding="utf-8")
        try:
            outcomes.add(len(analyze(tmp_path / "t.csv", tmp_path / "p.yaml").answers) > 0)
        except InputError as error:
            assert error.problems
            outcomes.add(False)
    assert outcomes == {True, False}
