"""Do the units of every equation agree? Each mismatch is told with the two terms and the two units."""

from __future__ import annotations

from collections.abc import Mapping

from respine.model.expression import Expr, evaluate, symbols
from respine.model.infix import infix
from respine.model.system import System
from respine.model.units import HOUR, NONE, Unit, parse, text_of

_SAME = frozenset({"add", "sub", "min", "max", "lt", "le", "gt", "ge", "eq", "ne"})
_TRUTH = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor", "not"})
_KEEP = frozenset({"neg", "abs", "floor", "ceil"})


class _Mismatch(Exception):
    pass


def unit_faults(system: System) -> dict[str, str]:
    """For every rule, rate and start whose units do not agree: what does not, with both units."""
    texts = {name: q.unit for name, q in system.quantities.items()}
    units = {name: parse(text) for name, text in texts.items()}
    names = _Names(units, texts)
    faults: dict[str, str] = {}
    wanted = [(name, expr, units[name], texts[name], "") for name, expr in system.rules.items()]
    wanted += [(n, expr, units[n] / HOUR, f"{texts[n]} per h", "the rate of ") for n, expr in system.rates.items()]
    wanted += [(n, expr, units[n], texts[n], "the start of ") for n, expr in system.initial.items() if expr[0] != "num"]
    for name, expr, unit, text, prefix in wanted:
        try:
            derived = names.unit(expr)
        except _Mismatch as reason:
            faults.setdefault(name, str(reason))
            continue
        if not derived.same(unit):
            faults.setdefault(
                name,
                f"{prefix}{name} is declared in {text} ({text_of(unit)}), but its formula gives {text_of(derived)}.",
            )
    return faults


class _Names:
    """The units of symbols, and of formulas over them."""

    def __init__(self, units: Mapping[str, Unit], texts: Mapping[str, str]) -> None:
        self.units = units
        self.texts = texts

    def unit(self, expr: Expr) -> Unit:
        """The unit of a formula. Raises _Mismatch."""
        op = expr[0]
        if op == "num":
            return NONE
        if op == "sym":
            return self.units[expr[1]]
        if op == "time":
            return HOUR
        if op == "pow":
            return self._power(*expr[1:])
        if op == "if":
            self._pure(expr[1], "a condition")
            return self._agree(expr[2], expr[3])
        if op in ("mul", "div"):
            a, b = self.unit(expr[1]), self.unit(expr[2])
            return a * b if op == "mul" else a / b
        if op == "sqrt":
            return self.unit(expr[1]) ** 0.5
        if op in _KEEP:
            return self.unit(expr[1])
        if op in _SAME:
            unit = self._agree(expr[1], expr[2])
            return NONE if op in _TRUTH else unit
        for part in expr[1:]:
            self._pure(part, f"{op}()")
        return NONE

    def _power(self, base: Expr, exponent: Expr) -> Unit:
        self._pure(exponent, "an exponent")
        unit = self.unit(base)
        if not any(True for _ in symbols(exponent)):
            return unit ** float(evaluate(exponent, {}))
        if not unit.same(NONE):
            why = f"{self._say(base, unit)} is raised to {infix(exponent)}, which may vary; only a pure number may be"
            raise _Mismatch(f"{why}. Divide it by a reference value first.")
        return NONE

    def _pure(self, expr: Expr, role: str) -> None:
        unit = self.unit(expr)
        if not unit.same(NONE):
            raise _Mismatch(f"{role} takes a pure number, but {self._say(expr, unit)}.")

    def _agree(self, left: Expr, right: Expr) -> Unit:
        a, b = self.unit(left), self.unit(right)
        if not a.same(b):
            raise _Mismatch(f"{self._say(left, a)}, but {self._say(right, b)}; they cannot be added or compared.")
        return a

    def _say(self, expr: Expr, unit: Unit) -> str:
        known = f"{self.texts[expr[1]]}, which is " if expr[0] == "sym" else ""
        text = infix(expr)
        return f"{text if len(text) < 60 else text[:57] + '...'} is in {known}{text_of(unit)}"
