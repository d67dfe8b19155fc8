"""Gradients of the full human model against Richardson differences of tight solves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from respine import engine, model

OWN = ("ketamine_CLint_70kg", "norketamine_Vc_70kg", "memory_mean", "half_life_arbor", "k_circuit", "stress_sensitivity",
       "trkb_rise_half")  # fmt: skip
OF_DOSES = {"lag": 0.2, "F": 0.9, "D": 2 / 3}
OUTPUTS = ("s_ketamine_central", "trkb", "mtorc1", "dendrite_arbor", "circuit", "symptom", "memory_composite", "crh")
TIMES = np.array([0.0, 9.0, 9.4, 10.0, 13.0, 24.0, 72.0, 168.0, 336.0])
RUN_IN = -300.0  # under stress, so that what holds before the first dose depends on parameters too
STEPS = (1.0, -1.0, 0.5, -0.5, 0.25, -0.25)


def doses(n: int, of_doses: dict, **slopes: dict) -> engine.Schedule:
    """Two infusions of racemic ketamine."""
    schedule = engine.Schedule(n)
    for state in ("s_ketamine_central", "r_ketamine_central"):
        for time in (9.0, 93.0):
            schedule.dose(state, time=time, amount=20.0, duration=of_doses["D"], lag=of_doses["lag"],
                          fraction=of_doses["F"], **slopes)  # fmt: skip
    return schedule


def test_gradients_of_the_full_human_model():
    """Start values (memory_mean), run-in, kinetics, signalling, and lag, fraction and duration of the infusions."""
    human = model.load("human")
    human = replace(human, inputs={**human.inputs, "stress": 1.0})
    names = (*OWN, *OF_DOSES)
    slopes = {"lag_sensitivity": {"lag": 1.0}, "fraction_sensitivity": {"F": 1.0}, "duration_sensitivity": {"D": 1.0}}
    solver = engine.build(human, outputs=OUTPUTS, sensitivities=names)
    solution = solver.solve(None, doses(1, OF_DOSES, **slopes), TIMES, start=RUN_IN, rtol=1e-9)
    assert not solution.failures

    at = {**{name: human.parameters[name] for name in OWN}, **OF_DOSES}
    size = {name: 2e-2 * abs(value) or 2e-2 for name, value in at.items()}
    people = [{**at, name: at[name] + step * size[name]} for name in names for step in STEPS]
    columns = {name: np.array([person[name] for person in people]) for name in names}
    plain = engine.build(human, outputs=OUTPUTS, vary=OWN)
    parameters = np.column_stack([columns[name] for name in OWN])
    tight = plain.solve(parameters, doses(len(people), columns), TIMES, start=RUN_IN, rtol=1e-12)
    values = tight.values.reshape(len(names), len(STEPS), len(TIMES), len(OUTPUTS))
    checked = 0
    for k, name in enumerate(names):
        four, two, first = ((values[k, j] - values[k, j + 1]) / (2 * STEPS[j] * size[name]) for j in (0, 2, 4))
        want = (64 * first - 20 * two + four) / 45
        for o, output in enumerate(OUTPUTS):
            got, largest = solution.gradients[0, :, o, k], np.max(np.abs(want[:, o]))
            noise = 1e-11 * np.max(np.abs(values[k, :, :, o])) / size[name]  # of the differences
            doubt = np.abs(want - (4 * first - two) / 3)[:, o]  # wide and narrow steps disagree across a corner
            clear = doubt < 2e-7 * largest
            if largest > 1e5 * noise and clear.any():
                error = np.max(np.abs(got - want[:, o])[clear])
                assert error < 1e-6 * largest + 10 * noise, (name, output, error / largest)
                checked += 1
    assert checked > 50
