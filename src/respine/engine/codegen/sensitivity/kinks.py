"""Where in a step the derivatives jump: at the switch of a ``min``, ``max``, ``abs`` or piecewise formula.

The states go on smoothly enough there, their sensitivities do not: a step across one spoils them. Where their error is
too large and a switch turned within the step, its place is found on the dense output, so that the driver can end one step
just before it and cross it with a short one, instead of feeling its way by rejections.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from respine.engine.codegen.layout import Layout
from respine.engine.codegen.program import Program, Programs, lower

AREAS = ("kink_flag", "kink_low", "kink_high", "kink_low_value", "kink_high_value", "kink_switch")
REFINEMENTS = 4
CLEAR = 1e-2  # a switch closer to zero than this share of the relative tolerance may be turned by what a step errs by
ROUND_OFF = 1e-12


def bracket(layout: Layout, nodes: Sequence[float], count: int) -> Program:
    """Between which nodes a switch turns first, if that matters; ``fraction`` := the first guess of the place.

    ``switch`` holds the values of all switches at all nodes.
    """
    p = Program()
    zero, best = p.const(0.0), p.const(math.inf)
    low, high, low_value, high_value, which = zero, p.const(1.0), zero, zero, zero
    relative = p.do("broadcast", layout.relative_tolerance)
    least = p.do("max", p.const(ROUND_OFF), p.do("mul", p.const(CLEAR), relative))
    for k in range(count):
        values = [p.load("switch", m * count + k) for m in range(len(nodes))]
        clear = [p.do("gt", p.do("abs", value), least) for value in values]
        above = [p.do("gt", value, zero) for value in values]
        for m in range(1, len(nodes)):
            ends = p.const(nodes[m - 1]), p.const(nodes[m])
            place = _guess(p, *ends, values[m - 1], values[m])
            turned = p.do("and", p.do("xor", above[m - 1], above[m]), p.do("and", clear[m - 1], clear[m]))
            here = p.do("and", turned, p.do("lt", place, best))
            best = p.do("select", here, place, best)
            low, high = p.do("select", here, ends[0], low), p.do("select", here, ends[1], high)
            low_value = p.do("select", here, values[m - 1], low_value)
            high_value = p.do("select", here, values[m], high_value)
            which = p.do("select", here, p.const(k), which)
    turned = p.do("lt", best, p.const(2.0))
    one = p.const(1.0)
    matters = p.do("and", p.do("le", p.load("error"), one), p.do("gt", p.load("sensitivity_error"), one))
    flagged = p.do("select", p.do("and", turned, matters), one, zero)
    for area, number in zip(AREAS, (flagged, low, high, low_value, high_value, which), strict=True):
        p.store(area, 0, number)
    p.store("fraction", 0, _guess(p, low, high, low_value, high_value))
    return p


def _guess(p: Program, low: int, high: int, low_value: int, high_value: int) -> int:
    """Where the straight line between two values crosses zero."""
    share = p.do("div", low_value, p.do("sub", low_value, high_value))
    place = p.do("fma", p.do("sub", high, low), share, low)
    inside = p.do("and", p.do("ge", place, low), p.do("le", place, high))
    return p.do("select", inside, place, high)


def refine(count: int) -> Program:
    """One step of the Illinois method; ``value`` holds the switches at ``fraction``."""
    p = Program()
    _, low, high, low_value, high_value, which = (p.load(area) for area in AREAS)
    place, now = p.load("fraction"), p.const(0.0)
    for k in range(count):
        now = p.do("select", p.do("eq", which, p.const(k)), p.load("value", k), now)
    zero, half = p.const(0.0), p.const(0.5)
    before = p.do("not", p.do("xor", p.do("gt", now, zero), p.do("gt", low_value, zero)))
    low_next, high_next = p.do("select", before, place, low), p.do("select", before, high, place)
    low_value = p.do("select", before, now, p.do("mul", half, low_value))
    high_value = p.do("select", before, p.do("mul", half, high_value), now)
    for area, number in zip(AREAS[1:5], (low_next, high_next, low_value, high_value), strict=True):
        p.store(area, 0, number)
    p.store("fraction", 0, _guess(p, low_next, high_next, low_value, high_value))
    return p


def settle() -> Program:
    """kink := where the switch turns, as a share of the step; 0 where none matters."""
    p = Program()
    flagged = p.do("gt", p.load("kink_flag"), p.const(0.5))
    p.store("kink", 0, p.do("select", flagged, p.do("max", p.load("fraction"), p.const(1e-12)), p.const(0.0)))
    return p


def switch_values(programs: Programs) -> Program:
    """value := the switches at a state and time."""
    assert programs.tangent is not None
    p = Program()
    values = lower(programs.equations, programs.hoisted, p, list(programs.tangent.switches))
    for k, number in enumerate(values):
        p.store("value", k, number)
    return p
