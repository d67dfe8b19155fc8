"""Studies, populations, plans and tables of users as seeds of damaged files, and what is done with them before anything is run."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np

from respine import library

# -- studies ---------------------------------------------------------------------------------------------------------------

STUDIES = (
    "murrough-2013", "murrough-2013-repeated", "transform-2-2019", "relapse-and-retreatment", "star-d-step-1", "running-mouse", "stress-ketamine-li-2011",
    "ketamine-rapamycin", "sigtermans-2009", "griselda-2018", "escape-trd-2023", "diazgranados-2010", "goldstein-2004", "memory-and-volume",
    "infliximab-low-inflammation", "nerve-injury-mutso-2012", "canuso-2018", "ketamine-met-met",
)  # fmt: skip

OWN_STUDY = """\
schema: respine/study/1
name: own
title: A study with most fields
doi: 10.1000/x
note: made up
population: mdd
subjects: 40
seed: 3
design: parallel
start: 0 h
covariates:
  baseline_MADRS: {distribution: normal, mean: 33, sd: 5, low: 22, high: 56, unit: points, status: assumed, note: made up}
parameters: {k_spine_mature: 0.004}
arms:
  low: {n_published: 20, control: {kind: active-placebo, unblinding: high}, doses: [{drug: ketamine, route: iv, amount: 0.2 mg/kg, over: 40 min, at: [0 h, 3 d]}]}
  nasal:
    title: Spray
    doses: [{drug: esketamine, route: nasal, sprays: 2, per-spray: 14 mg, apart: 5 min, at: 0 h, every: 84 h, times: 4}]
    co_medication: [{drug: midazolam, route: iv, amount: 2 mg, at: 0 h}]
    exposures: [{exposure: stress, level: 1.2, from: 2 d, until: 9 d}]
    genotype: {val66met: Val/Met}
visits: [0 h, 24 h, 7 d, 14 d]
observe: [MADRS]
record: [plasma_ketamine]
record_every: 12 h
endpoints:
  - {name: change, of: MADRS, kind: change, at: 7 d, analysis: ancova}
  - {name: response, of: MADRS, kind: response, drop: 50 %, at: 24 h}
  - {name: remission, of: MADRS, kind: remission, below: 10, at: 14 d}
  - {name: peak, of: plasma_ketamine, kind: peak}
"""


@cache
def study_seeds() -> dict[str, bytes]:
    """Studies of the library and one with most fields."""
    return {name: library.text("studies", name).encode() for name in STUDIES} | {"own": OWN_STUDY.encode()}


def read_study(file: Path) -> object:
    """What ``respine study check`` does, and what a run does before its first step; then written, and read again."""
    from respine import study
    from respine.run import plan

    asked = study.load(file)
    again = study.Study.from_yaml(asked.to_yaml().replace("\nmodel: ./", "\nmodel: "))
    assert again.to_dict() == asked.to_dict(), "a study changes when it is written"
    return plan(asked) if asked.observe or asked.record else asked


def run_study(file: Path) -> str:
    """What is wrong with the trajectories of two people an arm; empty where all is well or somebody failed by name."""
    from respine.run import plan

    planned = plan(str(file), subjects=2)
    for arm in planned.protocol.arms.values():
        people = planned.people_of(arm.name, range(2))
        table = people.covariates
        if "weight_kg" in table and not table["weight_kg"].between(0.001, 650).all():
            return f"somebody weighs {table['weight_kg'].max():g} kg"
        if arm.rules:
            continue
        result = arm.solve(people, planned.outputs, planned.times, vary=planned.vary)
        whole = np.isfinite(result.values).all(axis=(1, 2))
        if (whole != (result.status == 0)).any() or any(not (f.state and f.cure) for f in result.failures):
            return f"{arm.name}: numbers {whole.tolist()}, status {result.status.tolist()}"
    return ""


# -- populations -----------------------------------------------------------------------------------------------------------


@cache
def population_seeds() -> dict[str, bytes]:
    """Populations of the library, and one that uses what they do not."""
    own = (
        "schema: respine/population/1\nname: own\ntitle: Correlated people\nmodel: human\ncovariates:\n"
        "  weight_kg: {distribution: lognormal, median: 76, log_sd: 0.2, low: 40, high: 170, unit: kg, status: assumed, note: x}\n"
        "  age_y: {distribution: normal, mean: 45, sd: 10, low: 18, high: 80, unit: year, status: assumed, note: x}\n"
        "  sex: {distribution: categories, shares: {female: 0.6, male: 0.4}, status: assumed, note: x}\n"
        "  crp: {distribution: lognormal, median: 1.3, log_sd: 1.3, low: 0.05, high: 100, unit: mg/L, status: assumed, note: x}\n"
        "correlations:\n  - {between: [weight_kg, crp], r: 0.3, status: assumed, note: x}\n"
        "  - {between: [weight_kg, age_y], r: -0.1, status: assumed, note: x}\n"
    )
    names = library.names("populations")
    return {name: library.text("populations", name).encode() for name in names} | {"own": own.encode()}


def read_population(file: Path) -> object:
    """Read, and draw people from it."""
    from respine import model, population

    asked = population.load(file)
    return population.sample(asked, model.load(asked.model), subjects=range(50), seed=1)


def look_at_people(file: Path) -> str:
    """What is wrong with a thousand people; empty where nothing is."""
    from respine import model, population

    asked = population.load(file)
    table = population.sample(asked, model.load(asked.model), subjects=range(1000), seed=1).covariates
    low, high = {"human": (2, 650), "rat": (0.02, 1.5), "mouse": (0.005, 0.1)}[asked.species]
    for name in table:
        column = table[name]
        if column.isna().any():
            return f"{name} is missing for somebody"
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            return f"{name} is not finite"
    if "weight_kg" in table and not table["weight_kg"].between(low, high).all():
        return f"weights from {table['weight_kg'].min():g} to {table['weight_kg'].max():g} kg"
    for name, spread in asked.covariates.items():
        if spread.distribution in ("normal", "lognormal") and table[name].nunique() < 20:
            return f"{name} is spread and takes {table[name].nunique()} values"
    return ""


# -- population fits -------------------------------------------------------------------------------------------------------

FIT = """\
schema: respine/fit/1
title: One compartment
model: |
  central' = -CL/V*central
data: {file: DATA, columns: {DV: CONC}, keep: TIME < 100}
parameters:
  TVCL: {start: 4, lower: 0}
  TVV: {start: 50, lower: 0}
  power: {start: 0.75, fixed: true}
random_effects:
  "eta_cl, eta_v": [[0.1], [0.01, 0.1]]
residual_effects: {eps: 0.04}
individual:
  CL: TVCL*(WT/70)**power*exp(eta_cl)
  V: TVV*exp(eta_v)
observations:
  cp: {prediction: central/V, error: ipred*(1 + eps)}
"""


def fit_table() -> str:
    """Records of six people: doses, concentrations, a weight."""
    lines = ["ID,TIME,AMT,CONC,EVID,MDV,CMT,RATE,II,ADDL,SS,WT"]
    for n in range(1, 7):
        weight = 50 + 8 * n
        lines.append(f"{n},0,100,.,1,1,1,0,12,{n % 3},0,{weight}")
        lines += [f"{n},{t},.,{2.5 * math.exp(-0.1 * (t % 12)):.4g},0,0,1,0,0,0,0,{weight}" for t in (1, 3, 8, 14)]
    return "\n".join(lines) + "\n"


@cache
def fit_seeds() -> dict[str, bytes]:
    """Problem files; the word DATA stands for a table that is written beside them."""
    plain = FIT.replace(
        "  cp: {prediction: central/V, error: ipred*(1 + eps)}",
        "  cp: {prediction: central/V, additive: add, proportional: prop}",
    )
    plain = plain.replace("residual_effects: {eps: 0.04}\n", "").replace("random_effects:", "  add: {start: 0.1, lower: 0}\n  prop: {start: 0.1, lower: 0}\nrandom_effects:")  # fmt: skip
    return {"effects": FIT.encode(), "errors": plain.encode()}


def read_fit(file: Path) -> object:
    """Read a problem and evaluate its objective."""
    from respine.fit import population

    table = file.with_name("fit-table.csv")
    table.write_text(fit_table())
    file.write_bytes(file.read_bytes().replace(b"DATA", table.name.encode()))
    problem = population.PopulationProblem.from_yaml(file)
    return population.evaluate(problem, "fo")


@cache
def fit_data_seeds() -> dict[str, bytes]:
    """The table of the problems, and the same apart by blanks."""
    return {"commas": fit_table().encode(), "blanks": fit_table().replace(",", " ").encode()}


def read_fit_data(file: Path) -> object:
    """Check a table, as ``respine data check`` does, and put it into a problem."""
    from respine.errors import InputError
    from respine.fit import population
    from respine.fit.population.check import check

    check(file)
    problem = file.with_suffix(".yaml")
    problem.write_text(FIT.replace("DATA", file.name))
    try:
        return population.PopulationProblem.from_yaml(problem)
    except InputError:
        raise
    finally:
        problem.unlink()


# -- trials ----------------------------------------------------------------------------------------------------------------

PLAN = """\
schema: respine/analysis/1
title: Score, drug against placebo
data: {subject: id, arm: arm, reference: placebo, visit: week, outcome: score, baseline: base, scale: MADRS}
alpha: 0.05
estimands:
  - name: if-taken
    events: [{event: discontinuation, column: stop, strategy: hypothetical}]
analyses:
  - {name: main, method: mmrm, estimand: if-taken, covariance: [unstructured, ar1], df: kenward-roger}
  - {name: last, method: ancova, visits: 4, covariates: [sex]}
  - {name: half, method: responders, visits: 4, response: {fall: 0.5}}
  - {name: curve, method: kaplan-meier, time: time, event: event}
"""


def trial_table() -> str:
    """Two arms of 20 people, three visits, somebody who stops."""
    rng = np.random.default_rng(1)
    lines = ["id,arm,week,base,sex,stop,score,time,event"]
    for k in range(40):
        base, level, stop = 28 + k % 9, rng.normal(0, 4), 2 if k % 7 == 0 else 9
        for v, week in enumerate((1, 2, 4)):
            score = (
                ""
                if v >= stop
                else f"{min(60, max(0, base - (3 + 2 * v) * (1 + k % 2) + level + rng.normal(0, 3))):.0f}"
            )
            arm, sex = ("placebo", "ketamine")[k % 2], "f" if k % 3 else "m"
            lines.append(f"p{k:02d},{arm},{week},{base},{sex},{int(v >= stop)},{score},{1 + k % 11},{k % 4 and 1}")
    return "\n".join(lines) + "\n"


@cache
def plan_seeds() -> dict[str, bytes]:
    """A plan of four analyses."""
    return {"four": PLAN.encode()}


@cache
def trial_seeds() -> dict[str, bytes]:
    """The table of a small trial."""
    return {"trial": trial_table().encode()}


def read_plan(file: Path) -> object:
    """Carry out a plan on the table of a small trial."""
    from respine.trial.analysis import analyze

    table = file.with_suffix(".csv")
    table.write_text(trial_table())
    return analyze(table, file)


def read_trial(file: Path) -> object:
    """Carry out a plan on a table."""
    from respine.trial.analysis import analyze

    plan = file.with_suffix(".yaml")
    plan.write_text(PLAN)
    return analyze(file, plan)


# -- tables ----------------------------------------------------------------------------------------------------------------


@cache
def evidence_seeds() -> dict[str, bytes]:
    """Rows of results as people write them, and rows of the library."""
    head = "study,year,arm,endpoint,scale,measure,time_h,value,unit,dispersion,dispersion_type,n\n"
    own = (
        "North,2026,ketamine,MADRS change,MADRS,change,24,-12.5,points,8.1,SD,40\n"
        "North,2026,placebo,MADRS change,MADRS,change,7 d,-5.1,points,1.2,SE,41\n"
        "North,2026,ketamine,MADRS response,MADRS,response,24,55,percent,,,40\n"
        "South,2025,esketamine,MADRS remission,MADRS,remission,28 d,30,percent,,,90\n"
    )
    more = "study,year,arm,output,measure,time_h,value,unit,direction,species,n\n"
    more += "East,2024,ketamine,spine_total,percent-of-control,24,130,percent,up,rat,8\n"
    more += "East,2024,ketamine + rapamycin,spine_total,percent-of-control,1 d,,percent,unchanged,rat,8\n"
    return {"clinical": (head + own).encode(), "preclinical": more.encode()}


def read_evidence(file: Path) -> object:
    """A user's published results."""
    from respine.evidence import user_data

    return user_data.read(file)


@cache
def nonmem_seeds() -> dict[str, bytes]:
    """Records of two to six people: boluses, infusions, repeats, steady states, a covariate that changes, a reset."""
    wide = (
        "ID,TIME,AMT,RATE,II,ADDL,SS,CMT,EVID,MDV,DV,WT\n1,0,100,0,12,3,0,1,1,1,.,70\n1,1,.,.,.,.,.,2,0,0,4.1,70\n1,13,.,.,.,.,.,2,0,0,5.2,72\n"
        "1,20,.,.,.,.,.,2,2,1,.,75\n1,30,.,.,.,.,.,2,0,0,3.3,75\n2,0,50,25,24,0,1,2,1,1,.,60\n2,5,.,.,.,.,.,2,0,0,1.5,60\n2,30,.,.,.,.,.,.,3,1,.,60\n"
        "2,30,20,0,0,0,0,1,4,1,.,60\n2,35,.,.,.,.,.,2,0,0,0.5,60\n3,0,10,0,0,0,0,1,1,1,.,81\n3,4,.,.,.,.,.,2,0,0,.7,81\n"
    )
    plain = "ID TIME AMT DV\n1 0 100 .\n1 1 0 5\n1 4 0 3\n2 0 50 .\n2 2 . 3\n"
    return {"wide": wide.encode(), "plain": plain.encode()}


def read_nonmem_table(file: Path) -> object:
    """Read records and solve them: everybody is right or fails by name."""
    from respine.interop import read_nonmem
    from respine.model.expression import num, sym
    from respine.model.system import System

    absorbed = ("mul", sym("KA"), sym("depot"))
    compartment = System(
        name="one", time_unit="h", parameters={"KA": 1.2, "CL": 2.0, "V": 20.0}, inputs={},
        rules={"cp": ("div", sym("central"), sym("V"))},
        rates={"depot": ("neg", absorbed), "central": ("sub", absorbed, ("mul", ("div", sym("CL"), sym("V")), sym("central")))},
        initial={"depot": num(0), "central": num(0)},
    )  # fmt: skip
    data = read_nonmem(file, {1: "depot", 2: "central"})
    result = data.solve(compartment, "cp")
    if not result.solution.failures:
        assert np.isfinite(result["cp"]).all(), "no number, and nobody failed"
    return result.table


@cache
def people_seeds() -> dict[str, bytes]:
    """A table of people."""
    rows = [
        f"{k},{55 + 3 * k},{'female' if k % 2 else 'male'},{30 + 2 * k},{0.5 * (k % 3)},{24 + k}" for k in range(1, 13)
    ]
    return {"people": ("id,weight_kg,sex,age_y,val66met,baseline_MADRS\n" + "\n".join(rows) + "\n").encode()}


def read_people(file: Path) -> object:
    """A study of these people, planned."""
    from respine import study
    from respine.run import plan

    asked = OWN_STUDY.replace("population: mdd\nsubjects: 40", f"population: mdd\npeople: {file.name}\nsubjects: 12")
    asked = asked[: asked.index("covariates:")] + asked[asked.index("parameters:") :]
    beside = file.with_suffix(".yaml")
    beside.write_text(asked)
    planned = plan(study.load(beside))
    table = planned.people_of("low", range(12)).covariates
    assert np.isfinite(table["weight_kg"]).all() and table["weight_kg"].between(1, 650).all()
    return planned
