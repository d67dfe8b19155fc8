"""The system a problem's individuals are solved with: their formulas become parameters and inputs of the model.

An individual parameter that is one number a subject stays a parameter. One that changes along the records
(covariates, occasions) becomes ``base + sum_k d_k * slope_k``: base and slopes are inputs that follow the records,
and ``d_k`` are parameters of value 0 by which the engine differentiates, so that its sensitivity by ``d_k`` is the
derivative by direction k, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from respine.fit.population.problem import PopulationProblem
from respine.model.expression import Expr, num, substitute, sym, symbols
from respine.model.system import System


def direction(k: int) -> str:
    """The parameter that stands for direction k."""
    return f"direction {k}"


def base(name: str) -> str:
    return f"{name} base"


def slope(name: str, k: int) -> str:
    return f"{name} by {k}"


def at_start(name: str) -> str:
    """An individual parameter as it is at the first record, for start values."""
    return f"{name} at start"


@dataclass(frozen=True)
class Slot:
    """One dose absorbed by one law: the state it ends in, its number among the subject's doses, and the law's number.

    ``shared``: parameters of the law that are the same for all doses of a subject.
    """

    state: str
    dose: int
    law: int
    shared: frozenset[str] = frozenset()

    def name(self, part: str) -> str:
        """A name of its own; ``amount`` is a state that remembers the dose, ``arrival`` the time it comes in."""
        every = part in self.shared
        return (
            f"{self.state} law {self.law} {part}" if every else f"{self.state} dose {self.dose} law {self.law} {part}"
        )


@dataclass(frozen=True)
class Equations:
    """The system and what goes into it. ``inputs``: names that follow the records, in the order of their values."""

    system: System
    inputs: tuple[str, ...]


def prepare(
    problem: PopulationProblem,
    changing: Mapping[str, Sequence[int]],
    directions: Iterable[int],
    slots: Sequence[Slot],
    leaves: Iterable[str] = (),
) -> Equations:
    """The system where ``changing`` parameters follow the records, each with the directions it depends on.

    ``directions`` are all the engine may differentiate by (those of doses as well); ``slots`` the doses that are
    absorbed by laws; ``leaves`` names that only doses depend on.
    """
    assert problem.system is not None
    system = problem.system
    used = [name for name in changing if name in system.parameters or name in system.inputs]
    system = _starts(system, used)
    rules: dict[str, Expr] = {}
    inputs: list[str] = []
    for name in used:
        value: Expr = sym(base(name))
        inputs.append(base(name))
        for k in changing[name]:
            inputs.append(slope(name, k))
            value = ("add", value, ("mul", sym(direction(k)), sym(slope(name, k))))
        rules[name] = value
    gone = set(used)
    parameters = {name: value for name, value in system.parameters.items() if name not in gone}
    parameters |= {direction(k): 0.0 for k in sorted(set(directions))}
    fixed = {name: value for name, value in system.inputs.items() if name not in gone}
    own = [name for name in fixed if name in problem.individual or name in problem.theta_names]
    parameters |= {name: fixed.pop(name) for name in own}  # an input given a formula is a parameter of the individual
    system = replace(
        system, parameters=parameters, inputs={**fixed, **dict.fromkeys(inputs, 0.0)}, rules={**rules, **system.rules}
    )
    system = _absorb(system, problem, slots)
    extra = {name: 0.0 for name in leaves if name not in system.parameters}
    return Equations(replace(system, parameters={**system.parameters, **extra}), tuple(inputs))


def _starts(system: System, changing: Sequence[str]) -> System:
    """Start values that depend on changing parameters take these as they are at the first record."""
    if not changing:
        return system
    new: dict[str, Expr] = {}
    extra: dict[str, float] = {}
    for state, expr in system.initial.items():
        inlined = _inline(expr, system.rules, set(changing))
        touched = [name for name in changing if name in set(symbols(inlined))]
        new[state] = substitute(inlined, {name: sym(at_start(name)) for name in touched}) if touched else expr
        extra |= {at_start(name): 1.0 for name in touched}
    return replace(system, initial=new, parameters={**system.parameters, **extra})


def _inline(expr: Expr, rules: Mapping[str, Expr], changing: set[str]) -> Expr:
    """The expression with those rules written out that depend on a changing parameter."""
    while True:
        hit = {name: rules[name] for name in set(symbols(expr)) if name in rules and _depends(name, rules, changing)}
        if not hit:
            return expr
        expr = substitute(expr, hit)


def _depends(name: str, rules: Mapping[str, Expr], changing: set[str]) -> bool:
    return any(s in changing or (s in rules and _depends(s, rules, changing)) for s in symbols(rules[name]))


def _absorb(system: System, problem: PopulationProblem, slots: Sequence[Slot]) -> System:
    """With the rate at which each dose enters its state; the dose itself goes into a state that only remembers its
    amount.
    """
    if not slots:
        return system
    rates, initial, parameters = dict(system.rates), dict(system.initial), dict(system.parameters)
    for slot in slots:
        amount, arrival = slot.name("amount"), slot.name("arrival")
        rates[amount], initial[amount], parameters[arrival] = num(0), num(0), 0.0
        law = problem.doses[slot.state].absorbed[slot.law]
        since: Expr = ("max", ("sub", ("time",), sym(arrival)), num(_SHORT))
        entering: Expr = ("mul", sym(amount), _density(law.law, slot, since))
        parameters |= {slot.name(name): 1.0 for name in law_parameters(law.law, law.formulas)}
        rates[slot.state] = ("add", rates[slot.state], entering)
    return replace(system, rates=rates, initial=initial, parameters=parameters)


def law_parameters(law: str, formulas: Iterable[str]) -> list[str]:
    """What the density of a law needs; the transit chain also the log of its gamma function."""
    return [*formulas, "log_gamma"] if law == "transit" else list(formulas)


_SHORT = 1e-9  # time since a dose from which laws count, so that logarithms have a value
_TWO_PI = 6.283185307179586


def _density(law: str, slot: Slot, u: Expr) -> Expr:
    """The density of the time ``u`` since the dose."""

    def p(name: str) -> Expr:
        return sym(slot.name(name))

    if law == "first-order":
        return ("mul", p("ka"), ("exp", ("neg", ("mul", p("ka"), u))))
    if law == "transit":  # Savic et al. 2007, doi 10.1007/s10928-007-9066-0
        rate = ("div", ("add", p("n"), num(1)), p("mtt"))
        log = ("sub", ("sub", ("mul", p("n"), ("ln", ("mul", rate, u))), ("mul", rate, u)), p("log_gamma"))
        return ("mul", rate, ("exp", log))
    if law == "weibull":
        ratio = ("div", u, p("scale"))
        power = ("exp", ("mul", p("shape"), ("ln", ratio)))
        return ("mul", ("div", p("shape"), u), ("mul", power, ("exp", ("neg", power))))
    # inverse Gaussian, Freijer & Post 1997
    away = ("sub", u, p("mat"))
    spread = ("mul", p("cv2"), ("mul", ("mul", u, u), u))
    front = ("sqrt", ("div", p("mat"), ("mul", num(_TWO_PI), spread)))
    inside = ("div", ("mul", away, away), ("mul", ("mul", num(2), p("cv2")), ("mul", p("mat"), u)))
    return ("mul", front, ("exp", ("neg", inside)))
