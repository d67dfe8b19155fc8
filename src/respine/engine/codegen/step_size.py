"""The pace of every lane as straight-line programs: how long a step is tried, whether it is good, what is tried next.

Lanes seldom do the same, so nothing branches. All is in float64, also where the states are not (see float64_in_float32.py).
"""

from __future__ import annotations

from respine.engine.codegen.program import Program
from respine.engine.codegen.tableaus import Tableau

WIDE = (
    "now", "reached", "next_event", "next_output", "next_step", "longest_step", "shortest_step", "share", "active", "outcome",
    "n_accepted", "n_rejected", "most_steps", "due", "at_event", "attention",
)  # fmt: skip
"""Areas of one float64 number a lane, which the driver reads and sets."""

ACCEPTED, FRESH, REJECTED = 0.0, 1.0, 2.0  # the outcome of the last step; a fresh start knows of none
LOOK, SPENT, STUCK, BELOW_ZERO = (
    1.0,
    2.0,
    3.0,
    4.0,
)  # why a lane needs attention: an output or event, or the end of a subject
SAFETY = 0.85  # of 0.7 to 0.95 the one with the fewest steps at equal error (benchmarks, stand-in and human model)
SMALLEST_ERROR = 1e-20  # squared norm; below it the step grows by the limit anyway
BEST_LOG_ERROR = -6.64  # the controller does not believe errors below 1e-2 of the tolerance
LARGEST_GROWTH, SMALLEST_GROWTH, LARGEST_CUT = 6.0, 0.2, 0.1
TIME_RESOLVED = 1e-15  # a step below this share of the time does not move it
RESTART = 1e-3  # after an event the first step is at least this share of the last accepted one
HALF_WAY = 0.5  # the step before an event is at most this share of the way, so that the last one is not tiny


def growth(p: Program, error: int, tableau: Tableau) -> None:
    """Store a squared error norm and the step-size factors that follow from it."""
    p.store("error", 0, error)
    power = 1.0 / tableau.order
    log_error = p.do("mul", p.const(0.5), p.do("log2", p.do("max", p.const(SMALLEST_ERROR), error)))
    p.store("log_error", 0, log_error)
    factor = p.do("mul", p.const(SAFETY), p.do("exp2", p.do("mul", p.const(-power), log_error)))
    p.store("growth", 0, factor)
    trend = p.do("sub", p.load("last_log_error"), p.do("add", log_error, log_error))
    predicted = p.do("mul", p.const(SAFETY), p.do("exp2", p.do("mul", p.const(power), trend)))
    ratio = p.do("mul", p.load("step"), p.do("reciprocal", p.load("last_step")))
    p.store("predicted_growth", 0, p.do("mul", predicted, ratio))


def before() -> Program:
    """``step`` and ``time`` from the step wished for: up to the next event, never past it."""
    p = Program()
    now = p.load("now")
    gap = p.do("sub", p.load("next_event"), now)
    wanted = p.do("min", p.load("next_step"), p.load("longest_step"))
    there = p.do("ge", wanted, p.do("mul", gap, p.const(0.999999)))
    p.store("step", 0, p.do("select", there, gap, p.do("min", wanted, p.do("mul", p.load("share"), gap))))
    p.store("time", 0, now)
    return p


def after(*, to_outputs: bool) -> Program:
    """What becomes of a step. ``attention``: 0, or why the driver must look at the lane.

    ``to_outputs``: every step ends at an output at the latest, so none is due inside it.
    """
    p = Program()
    one, zero = p.const(1.0), p.const(0.0)
    now, step, event, wanted = (p.load(name) for name in ("now", "step", "next_event", "next_step"))
    active, outcome = p.do("gt", p.load("active"), zero), p.load("outcome")
    ok = p.do("and", active, p.do("le", p.load("error"), one))
    bad = p.do("and", active, p.do("not", ok))
    # the next step
    factor = p.load("growth")
    factor = p.do("select", p.do("ge", factor, zero), factor, p.const(LARGEST_CUT))  # no number: the step broke down
    grown = p.do("min", p.load("predicted_growth"), factor)
    grown = p.do("select", p.do("eq", outcome, p.const(ACCEPTED)), grown, factor)
    grown = p.do("min", p.const(LARGEST_GROWTH), p.do("max", p.const(SMALLEST_GROWTH), grown))
    grown = p.do("select", p.do("eq", outcome, p.const(REJECTED)), p.do("min", grown, one), grown)
    proposed = p.do("mul", step, grown)
    # a step cut short by an event says little about the next
    short = p.do("and", p.do("lt", step, p.do("mul", p.const(0.5), wanted)), p.do("gt", grown, p.const(0.9)))
    proposed = p.do("select", short, p.do("max", proposed, wanted), proposed)
    cut = p.do("mul", step, p.do("min", p.const(0.9), p.do("max", p.const(LARGEST_CUT), factor)))
    following = p.do("select", ok, proposed, p.do("select", active, cut, wanted))
    p.store("next_step", 0, following)
    # where it got
    whole = p.do("ge", step, p.do("mul", p.do("sub", event, now), p.const(0.9999999)))
    reached = p.do("select", ok, p.do("select", whole, event, p.do("add", now, step)), now)
    p.store("reached", 0, reached)
    p.store("last_step", 0, p.do("select", ok, step, p.load("last_step")))
    log_error = p.do("max", p.const(BEST_LOG_ERROR), p.load("log_error"))
    p.store("last_log_error", 0, p.do("select", ok, log_error, p.load("last_log_error")))
    p.store("accepted", 0, p.do("select", ok, one, zero))
    p.store("outcome", 0, p.do("select", ok, p.const(ACCEPTED), p.const(REJECTED)))
    n_accepted = p.do("add", p.load("n_accepted"), p.do("select", ok, one, zero))
    n_rejected = p.do("add", p.load("n_rejected"), p.do("select", bad, one, zero))
    p.store("n_accepted", 0, n_accepted)
    p.store("n_rejected", 0, n_rejected)
    # what the driver must look at
    at_event = p.do("and", ok, p.do("ge", reached, event))
    p.store("at_event", 0, p.do("select", at_event, one, zero))
    spent = p.do("and", active, p.do("ge", p.do("add", n_accepted, n_rejected), p.load("most_steps")))
    floor = p.do("max", p.do("mul", p.const(TIME_RESOLVED), p.do("abs", now)), p.load("shortest_step"))
    stuck = p.do("and", bad, p.do("lt", following, floor))
    negative = p.do("and", ok, p.do("lt", p.load("lowest"), zero))
    look = at_event
    if not to_outputs:
        due = p.do("and", ok, p.do("ge", reached, p.load("next_output")))
        p.store("due", 0, p.do("select", due, one, zero))
        look = p.do("or", look, due)
    attention = zero
    for where, why in (
        (look, LOOK),
        (spent, SPENT),
        (stuck, STUCK),
        (negative, BELOW_ZERO),
    ):  # the last has the last word
        attention = p.do("select", where, p.const(why), attention)
    p.store("attention", 0, attention)
    return p


def arrive() -> Program:
    """The time moves to where the step got."""
    p = Program()
    p.store("now", 0, p.load("reached"))
    return p
