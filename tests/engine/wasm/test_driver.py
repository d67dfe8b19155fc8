"""The engine's kernels as WebAssembly, driven in Node: closed forms, the same bits as the native engine, failures."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest

from respine import engine, model
from respine import study as studies
from respine.engine import Record, Records, Schedule, Status
from respine.engine.wasm import compile_module
from respine.protocol.typical import TypicalStudy, typical_people
from tests.engine.systems import one_compartment, system
from tests.engine.wasm.node import NODE, SOURCE, answer, apart, needs_node, same, same_arithmetic, x86

pytestmark = needs_node
same_machine = pytest.mark.skipif(not x86, reason="the native twin without fused operations needs an x86 processor")
TIMES = np.linspace(0.0, 48.0, 97)


# ---- exact answers --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_an_oral_dose_and_an_infusion_against_their_closed_forms(tmp_path, lanes):
    solver = engine.build(one_compartment(), outputs=["central"], vary=["ka", "CL"])
    ka, cl = np.array([1.5, 0.7, 2.2, 1.1, 0.4]), np.array([1.1, 2.0, 0.6, 3.0, 1.4])
    schedule = Schedule(5)
    schedule.dose("depot", time=0.0, amount=100.0)
    schedule.dose("central", time=12.0, amount=50.0, duration=3.0)
    got = answer(solver, np.stack([ka, cl], axis=1), schedule, TIMES, tmp_path, lanes=lanes, rtol=1e-9)
    k, t = cl / 20.0, TIMES[:, None]
    oral = 100 * ka / (ka - k) * (np.exp(-k * t) - np.exp(-ka * t))
    on, off = np.clip(t - 12, 0, None), np.clip(t - 15, 0, None)
    infused = 50 / 3 / k * (np.exp(-k * off) - np.exp(-k * on))
    assert np.allclose(got.values[..., 0], (oral + infused).T, rtol=1e-7, atol=1e-7)


def test_elementary_functions_are_those_of_javascript_and_numpy(tmp_path):
    """All that a formula may say, as an output of a state that grows with time."""
    names = ("exp", "ln", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "floor", "ceil", "abs")
    rules = {f"y_{f}": f"{f}(0.3*x + 0.01)" for f in names}
    rules |= {"y_asin": "asin(x/20)", "y_acos": "acos(x/20)", "y_pow": "x**n", "y_if": "x if x > 4 else -x"}
    solver = engine.build(system({"x": "1"}, {"x": 0.0}, {"n": 1.7}, rules=rules), outputs=list(rules))
    times = np.linspace(0.0, 9.0, 40)
    got = answer(solver, None, Schedule(1), times, tmp_path, rtol=1e-10)
    y = 0.3 * times + 0.01
    known = {"ln": np.log, "atan": np.arctan}
    want = [known.get(f, getattr(np, f, None))(y) for f in names]
    want += [np.arcsin(times / 20), np.arccos(times / 20), times**1.7, np.where(times > 4, times, -times)]
    assert np.allclose(got.values[0], np.transpose(want), rtol=1e-9, atol=1e-9)


# ---- the same bits --------------------------------------------------------------------------------------------------
@same_machine
@pytest.mark.parametrize("after", [False, True])
def test_every_kind_of_event_gives_the_same_bits(tmp_path, after):
    two = system(
        {"a": "-k*a + stress", "b": "k*a - 0.3*b/(1 + b)"}, {"a": 1.0, "b": 0.5}, {"k": 0.4}, inputs={"stress": 0.0}
    )
    solver = same_arithmetic(engine.build(two, outputs=["a", "b", "stress"], vary=["k"]))
    schedule = Schedule(7)
    own = np.linspace(0.0, 9.0, 7)
    schedule.dose("a", time=own, amount=np.where(own > 3, own, np.nan))
    schedule.dose("b", time=2.0, amount=5.0, duration=own + 0.25, lag=0.5, fraction=0.7)
    schedule.set("stress", time=4.0, value=own / 9)
    schedule.set("stress", time=20.0, value=0.0)
    schedule.set_state("b", time=24.0, value=2.0)
    schedule.reset(time=np.where(own > 5, 36.0, np.nan))
    p = np.linspace(0.1, 1.3, 7)[:, None]
    native = solver.solve(p, schedule, TIMES, after=after)
    assert same(answer(solver, p, schedule, TIMES, tmp_path, after=after), native)


STEPS = engine.Options(linear="steps")


@same_machine
def test_records_with_steady_state_give_the_same_bits(tmp_path):
    solver = same_arithmetic(engine.build(one_compartment(), outputs=["concentration"], options=STEPS))
    first = [Record(0.0, 1, "depot", 100, interval=24, steady=1, additional=3), *(Record(t) for t in (1.0, 30.0, 70.0))]
    second = [Record(0.0, 1, "central", 40, rate=8.0, interval=12, steady=1), Record(3.0),
              Record(12.0, 1, "depot", 50, interval=24, steady=2, additional=2), *(Record(t) for t in (13.0, 41.0))]  # fmt: skip
    records = Records([first, second, first[:2]])
    native = solver.solve(None, records, rtol=1e-8)
    assert same(answer(solver, None, records, TIMES, tmp_path, rtol=1e-8), native)


def asked(study: TypicalStudy, arm: str) -> tuple[np.ndarray, Schedule]:
    """Parameters and schedule of the typical subject of an arm."""
    table = study._table(arm, np.zeros((1, 0)))
    people = typical_people(study.protocol.arm(arm), 1, dict(zip(study._columns, table.T, strict=True)))
    return table, study.protocol.arm(arm).schedule(people)


STUDIES = ["murrough-2013", "stress-ketamine-li-2011", "running-mouse"]
MORE = ["husain-2004", "singh-2016", "daly-2018", "nerve-injury-mutso-2012", "griselda-2018", "memory-and-volume"]


@same_machine
@pytest.mark.parametrize("name", [*STUDIES, *(pytest.param(s, marks=pytest.mark.slow) for s in MORE)])
def test_the_arms_of_studies_give_the_same_bits(tmp_path, name):
    study = TypicalStudy(name, list(studies.load(name).record))
    solver, times = same_arithmetic(study.protocol.solver(study.outputs, study._columns)), study.times
    for arm in study.arms:
        table, schedule = asked(study, arm)
        native = solver.solve(table, schedule, times, start=study.begin, rtol=1e-6)
        assert native.status[0] == Status.OK
        got = answer(solver, table, schedule, times, tmp_path, start=study.begin, rtol=1e-6, own_uniform=False)
        assert same(got, native), arm


@same_machine
@pytest.mark.parametrize("name", ["human", "rat", "mouse"])
def test_a_whole_library_model_with_all_its_parameters_varying_gives_the_same_bits(tmp_path, name):
    """Every state is kept and every input moves, as in a page in which all can be changed."""
    whole = model.load(name)
    drug = next(s for s in whole.states if s.startswith("s_ketamine_central"))
    names = tuple(whole.parameters)
    options = engine.Options(keep_all=True, nonnegative=True)
    solver = same_arithmetic(engine.build(whole, outputs=[*whole.states], vary=names, options=options))
    schedule = Schedule(3)
    for k, input in enumerate(whole.inputs):
        schedule.set(input, time=float(24 * k), value=whole.inputs[input] + 0.1)
        schedule.set(input, time=float(24 * k + 36), value=whole.inputs[input])
    schedule.dose(drug, time=[10.0, 20.0, 30.0], amount=[1.0, 3.0, 10.0], duration=0.7)
    base = np.array([whole.parameters[p] for p in names])
    rng = np.random.default_rng(5)
    p = base * np.where(base < 0.9, np.exp(rng.normal(0, 0.02, (3, len(names)))), 1.0)
    times = np.linspace(0.0, 500.0, 101)
    native = solver.solve(p, schedule, times)
    assert (native.status == Status.OK).any()
    assert same(answer(solver, p, schedule, times, tmp_path), native)


# ---- against this machine's own kernels -----------------------------------------------------------------------------
def test_the_native_kernels_of_this_machine_agree_to_the_tolerance(tmp_path):
    """Fused operations round differently, so that steps may differ; at a tight tolerance what is left is small."""
    study = TypicalStudy("murrough-2013", list(studies.load("murrough-2013").record))
    solver = study.protocol.solver(study.outputs, study._columns)
    for arm in study.arms:
        table, schedule = asked(study, arm)
        for rtol, most in ((1e-6, 3e-6), (1e-11, 1e-9)):
            native = solver.solve(table, schedule, study.times, start=study.begin, rtol=rtol)
            got = answer(solver, table, schedule, study.times, tmp_path, start=study.begin, rtol=rtol)
            assert apart(got, native) < most, (arm, rtol)


def test_what_all_subjects_share_is_computed_as_python_does():
    assert NODE is not None
    human = model.load("human")
    solver = engine.build(human, outputs=["symptom", "synapse_number", "plasma_ketamine"], vary=["weight_kg"])
    schedule = Schedule(1)
    schedule.dose("s_ketamine_central", time=0.0, amount=1.0)
    requirements = solver.requirements(schedule)
    values = {k: v * 1.07 for k, v in solver.setup.values.items()} | solver.code(requirements).zeros(np.full(96, 1e-8))
    formulas = compile_module(human, requirements, solver.setup.values).description["uniform"]
    script = (
        f'import {{ uniformNumbers }} from "{(SOURCE / "numbers.js").as_uri()}";'
        f"console.log(JSON.stringify([...uniformNumbers({json.dumps(formulas)}, {json.dumps(values)})]))"
    )
    done = subprocess.run([NODE, "--input-type=module", "-"], input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    want = solver.code(requirements).uniform(values)
    assert len(want) > 50
    assert np.allclose(json.loads(done.stdout), want, rtol=1e-14, atol=0)


# ---- failures -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("most", "why"), [(60, Status.STEP_BUDGET), (100_000, Status.NOT_FINITE)])
def test_subjects_that_fail_are_named_as_natively_and_the_others_go_on(tmp_path, most, why):
    runaway = system({"x": "g*x*x", "y": "1 - d"}, {"x": 1.0, "y": 1.0}, {"g": 0.0, "d": 1.0})
    options = engine.Options(nonnegative=True, max_steps=most)
    solver = engine.build(runaway, outputs=["x", "y"], vary=["g", "d"], options=options)
    p = np.array([[0.0, 1.0], [0.2, 1.0], [0.0, 1.2], [np.nan, 1.0], [-0.2, 0.5], [0.0, 0.0], [1.0, 1.0]])
    schedule = Schedule(len(p))
    schedule.dose("y", time=[0, 0, 0, 0, 0, 0, 5.0], amount=1.0)
    native = solver.solve(p, schedule, TIMES)
    got = answer(solver, p, schedule, TIMES, tmp_path)
    stopped = got.status == Status.STOPPED  # never queued: their parameters are no numbers
    assert np.array_equal(stopped, native.status == Status.BAD_PARAMETER)
    assert np.array_equal(got.status[~stopped], native.status[~stopped])
    assert set(map(Status, native.status)) == {Status.OK, Status.BAD_PARAMETER, Status.NEGATIVE, why}
    well = native.status == Status.OK
    assert np.allclose(got.values[well], native.values[well], rtol=1e-6)
    assert np.isnan(got.values[~well, -1]).all()


def test_what_the_driver_does_not_know_is_refused():
    plain = one_compartment()
    solver = engine.build(plain, outputs=["central"], sensitivities=["CL"])
    with pytest.raises(ValueError, match="no sensitivities"):
        compile_module(plain, solver.requirements(Schedule(1)), solver.setup.values)
    for rate in ("-x if x > 0.5 else -2*x", "1 if t > 3 else 0"):
        jumps = system({"x": rate}, {"x": 1.0})
        solver = engine.build(jumps, outputs=["x"])
        with pytest.raises(ValueError, match="jumps"):
            compile_module(jumps, solver.requirements(Schedule(1)), solver.setup.values)
    corner = system({"x": "-(x if x > 0 else 0)"}, {"x": 1.0})
    solver = engine.build(corner, outputs=["x"])
    assert compile_module(corner, solver.requirements(Schedule(1)), solver.setup.values).code
