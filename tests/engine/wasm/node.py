"""Runs of the engine handed to the same kernels in Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from respine.engine import Records, Schedule, Solution, Solver
from respine.engine import wasm as package
from respine.engine.codegen.target import host_target
from respine.engine.request import checked_request
from respine.engine.run.batch import Batch
from respine.engine.run.starts import start_states
from respine.engine.run.timetable import rest_of_slow, timetable
from respine.engine.wasm import Module, compile_module

SOURCE = Path(package.__file__).parent
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


x86 = "x86_64" in host_target().triple


@dataclass(frozen=True)
class Answer:
    """What Node found, in the shape of the native ``Solution``."""

    values: np.ndarray
    status: np.ndarray
    end_time: np.ndarray
    steps: np.ndarray


def same_arithmetic(solver: Solver) -> Solver:
    """The solver, whose native code now rounds as WebAssembly does: pairs of float64, no fused multiply-add."""
    target = replace(solver.setup.target, lanes=2, avx512=False, cpu="x86-64", features="+sse4.2")
    return Solver(replace(solver.setup, target=target))


def answer(
    solver: Solver,
    parameters: np.ndarray | None,
    schedule: Schedule | Records,
    times: np.ndarray,
    folder: Path,
    *,
    lanes: int = 2,
    start: float = 0.0,
    rtol: float = 1e-5,
    after: bool = False,
    own_uniform: bool = True,
) -> Answer:
    """The same question to the module. ``own_uniform``: the numbers that all share are computed in Node, too."""
    setup, own = solver.setup, isinstance(schedule, Records)
    request = checked_request(
        setup, solver._own_scales, parameters, schedule, times, start=start, rtol=rtol, atol=None, initial=None, after=after,
        threads=1, progress=None, locate_jumps=None,
    )  # fmt: skip
    if request.own:
        request = replace(request, level=float(request.own.of_subjects(schedule, request.initial)[0]))
    requirements = solver.requirements(schedule)
    module = compile_module(setup.system, requirements, setup.values, method=setup.options.method, lanes=lanes)
    code, p, moments = solver.code(requirements), request.parameters, request.times
    equations = code.text.programs.equations
    starts, good = start_states(setup, code.states, request)
    run = Batch(setup, code, request, starts, timetable(setup, equations, request, starts, None))
    values = {**setup.values, **code.zeros(run.tolerance[1 : 1 + len(code.states)])}
    problem = {
        "values": values,
        "uniform": None if own_uniform else code.uniform(values).tolist(),
        "parameters": [_word(x) for x in p.ravel().tolist()],
        "starts": starts.ravel().tolist(),
        "startSlow": rest_of_slow(setup, equations).tolist(),
        "tolerances": run.tolerance.tolist(),
        **{name: getattr(run.plan.events, name).tolist() for name in ("first", "last")},
        "eventTime": run.plan.events.time.tolist(),
        "eventKind": run.plan.events.kind.tolist(),
        "eventTarget": run.plan.events.target.tolist(),
        "eventValue": run.plan.events.value.tolist(),
        "times": run.readings.times.tolist(),
        "timeFirst": run.readings.first.tolist(),
        "count": run.readings.count.tolist(),
        "row": run.readings.row.tolist(),
        "need": run.readings.need.tolist(),
        "start": start,
        "largestStep": _word(setup.options.largest_step),
        "mostSteps": setup.options.max_steps,
        "queue": np.flatnonzero(good & schedule.finite).tolist(),
    }
    (result,) = in_node(module, [problem], folder)
    shape = (-1, len(setup.outputs)) if own else (len(p), len(moments), len(setup.outputs))
    return Answer(
        np.array(result["values"], float).reshape(shape),
        np.array(result["status"]),
        np.array(result["endTime"]),
        np.stack([result["accepted"], result["rejected"]], axis=1),
    )


def in_node(module: Module, problems: list[dict], folder: Path) -> list[dict]:
    """The solutions of problems in the form of driver.js."""
    assert NODE is not None
    code, job, result = folder / "module.wasm", folder / "job.json", folder / "result.json"
    code.write_bytes(module.code)
    job.write_text(json.dumps({"module": str(code), "description": module.description, "problems": problems}))
    command = [NODE, str(Path(__file__).with_name("run.mjs")), str(SOURCE), str(job), str(result)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-600:]
    return json.loads(result.read_text())


def apart(answer: Answer, native: Solution, floor: float = 1e-9) -> float:
    """The largest difference, in sizes of each output: its largest value, or ``floor`` where that is less."""
    assert (answer.status == native.status).all()
    assert (np.isnan(answer.values) == np.isnan(native.values)).all()
    width = native.values.shape[-1]
    own, theirs = answer.values.reshape(-1, width), native.values.reshape(-1, width)
    size = np.nanmax(np.abs(theirs), axis=0, initial=floor)
    return float(np.nanmax(np.abs(own - theirs) / size, initial=0.0))


def same(answer: Answer, native: Solution) -> bool:
    """Whether all bits agree: outputs, status, time and number of steps."""
    return (
        np.array_equal(answer.values.ravel(), native.values.ravel(), equal_nan=True)
        and np.array_equal(answer.status, native.status)
        and np.array_equal(answer.steps, native.steps)
    )


def _word(value: float) -> float | str:
    """JSON knows no infinity and no NaN."""
    return value if np.isfinite(value) else str(value)
