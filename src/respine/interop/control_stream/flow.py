"""Abbreviated code as definitions: every variable by a formula of parameters, effects, columns and earlier definitions.

An assignment at the top makes a definition; an IF block makes one for each variable it changes, ``a if condition else b``.
`named` calls the last definition of a variable by its own name, those before ``TVCL_1``, ``TVCL_2``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from respine.interop.control_stream.code import Aside, Assign, If, Refused, Statement
from respine.interop.control_stream.memory import Memory
from respine.interop.faults import Faults
from respine.model.expression import Expr, num, substitute, sym, symbols

CONSTANTS = {"ICALL": 2.0, "IREP": 0.0, "NPROB": 1.0, "IPROB": 1.0, "A_0FLG": 1.0}
"""Reserved variables that are constant while predictions are made."""
_TRUE, _FALSE = num(1), num(0)
_INLINE = 12  # symbols of a formula that is kept inside of an IF block rather than named
_NEVER = ("MTIME", "MPAST", "MNEXT", "MTDIFF", "TSCALE", "TSTATE", "DOSTIM", "DOSREC", "COMACT", "COMSAV", "DELTA",
          "MIXNUM", "MIXEST", "XVID1",          "SKIP_", "S0")  # fmt: skip

Check = tuple[str, Expr, int]
"""A variable, where it surely has a value of this record, and the line that reads it."""


@dataclass
class Flow:
    """``definitions`` in order; ``now``: the formula of each variable as it stands; ``checks`` are for the data to answer."""

    leaf: Callable[[str], bool]
    memory: Memory
    faults: Faults
    block: str
    definitions: dict[str, Expr] = field(default_factory=dict)
    now: dict[str, Expr] = field(default_factory=dict)
    sure: dict[str, Expr] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    aside: list[tuple[str, int]] = field(default_factory=list)
    offset: int = 0  # keys of definitions count on from here, so that those of two flows differ

    def run(self, statements: Sequence[Statement]) -> None:
        """All statements of a block; a block that follows goes on with the same variables."""
        for name, column in self.memory.before.items():
            self.now.setdefault(name, sym(column))
            self.sure.setdefault(name, _TRUE)
        self._statements(statements, _TRUE, top=True)

    # ---- statements ---------------------------------------------------------------------------------------------------
    def _statements(self, statements: Sequence[Statement], path: Expr, top: bool) -> None:
        for statement in statements:
            if isinstance(statement, Refused):
                self.faults.add(statement.line, f"${self.block}", "", f"{statement.what[0].upper()}{statement.what[1:]}.",
                                "Write it with assignments and IF blocks.")  # fmt: skip
            elif isinstance(statement, Aside):
                self.aside.append((statement.what, statement.line))
            elif isinstance(statement, Assign):
                self._assign(statement, path, top)
            else:
                self._if(statement, path, top)

    def _assign(self, statement: Assign, path: Expr, top: bool) -> None:
        name = statement.target
        if name in _NEVER or name in CONSTANTS:
            self.faults.add(
                statement.line, f"${self.block}", name, f"{name} is not read.", "Write the model without it."
            )
        expr = self.value(statement.expr, path, statement.line)
        column = self.memory.versions.get(id(statement))
        if column is not None:
            self.now[name], self.sure[name] = sym(column), _TRUE
            return
        self.now[name] = self._named(name, expr) if top or _large(expr) else expr
        self.sure[name] = _TRUE

    def _named(self, name: str, expr: Expr) -> Expr:
        """The formula as a definition of its own; numbers, names and rates need none."""
        if expr[0] in ("num", "sym") or name.startswith("DADT("):
            return expr
        own = f"{name}#{self.offset + len(self.definitions)}"
        self.definitions[own] = expr
        return sym(own)

    def _if(self, statement: If, path: Expr, top: bool) -> None:
        begin, sure = dict(self.now), dict(self.sure)
        conditions, before = list[Expr](), path
        ends: list[tuple[dict[str, Expr], dict[str, Expr]]] = []
        for condition, body in statement.branches:
            holds = _TRUE if condition is None else constant(self.value(condition, before, statement.line))
            here = simple(("and", before, holds))
            self.now, self.sure = dict(begin), dict(sure)
            for name in self.memory.before:  # columns follow the text, whichever branch is taken
                self.now[name] = ends[-1][0][name] if ends else begin[name]
            if holds != _FALSE:
                self._statements(body, here, top=False)
            conditions.append(holds)
            ends.append((self.now, self.sure))
            before = simple(("and", before, simple(("not", holds))))
        self.now, self.sure = dict(begin), dict(sure)
        changed = dict.fromkeys(name for now, _ in ends for name, value in now.items() if begin.get(name) is not value)
        for name in changed:
            if name in self.memory.before:
                self.now[name] = ends[-1][0][name]
                continue
            value: Expr = begin.get(name, num(0))
            certain = sure.get(name, _FALSE)
            for condition, (now, known) in zip(reversed(conditions), reversed(ends), strict=True):
                value = choose(condition, now.get(name, num(0)), value)
                certain = choose(condition, known.get(name, _FALSE), certain)
            self.now[name] = self._named(name, value) if top or _large(value) else value
            self.sure[name] = certain

    # ---- formulas -----------------------------------------------------------------------------------------------------
    def value(self, expr: Expr, path: Expr, line: int) -> Expr:
        """The formula with every variable as it stands; unknown names become faults."""
        given: dict[str, Expr] = {}
        for name in set(symbols(expr)):
            if name in self.now:
                given[name] = self.now[name]
                if self.sure.get(name, _TRUE) != _TRUE:
                    self.checks.append((name, simple(("or", self.sure[name], simple(("not", path)))), line))
            elif name in CONSTANTS:
                given[name] = num(CONSTANTS[name])
            elif name in _NEVER or name.split("(")[0] in _NEVER:
                self.faults.add(line, f"${self.block}", name, f"{name} is not read.", "Write the model without it.")
            elif not self.leaf(name):
                why = "It is neither a column of $INPUT nor given a value before this line."
                self.faults.add(line, f"${self.block}", name, why, "Give it a value, or correct the name.")
        return constant(substitute(expr, given) if given else expr)


def _large(expr: Expr) -> bool:
    return sum(1 for _ in zip(range(_INLINE + 1), _leaves(expr), strict=False)) > _INLINE


def _leaves(expr: Expr) -> Iterator[Expr]:
    stack = [expr]
    while stack:
        node = stack.pop()
        if node[0] in ("num", "sym"):
            yield node
        else:
            stack.extend(node[1:])


def choose(condition: Expr, then: Expr, otherwise: Expr) -> Expr:
    if condition == _TRUE or then == otherwise:
        return then
    if condition == _FALSE:
        return otherwise
    if (then, otherwise) == (_TRUE, _FALSE):
        return condition
    return ("if", condition, then, otherwise)


def simple(expr: Expr) -> Expr:
    """Logic without what is certain."""
    op = expr[0]
    if op == "not":
        inner = expr[1]
        return _FALSE if inner == _TRUE else _TRUE if inner == _FALSE else inner[1] if inner[0] == "not" else expr
    a, b = expr[1], expr[2]
    neutral, absorbing = (_TRUE, _FALSE) if op == "and" else (_FALSE, _TRUE)
    if absorbing in (a, b):
        return absorbing
    return b if a == neutral else a if b == neutral else expr


def constant(expr: Expr) -> Expr:
    """A comparison of numbers becomes 1 or 0."""
    op = expr[0]
    if op in ("and", "or"):
        return simple((op, constant(expr[1]), constant(expr[2])))
    if op == "not":
        return simple((op, constant(expr[1])))
    if op in ("eq", "ne", "lt", "le", "gt", "ge") and expr[1][0] == "num" and expr[2][0] == "num":
        a, b = expr[1][1], expr[2][1]
        return num({"eq": a == b, "ne": a != b, "lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}[op])
    return expr


def on_data(
    expr: Expr, columns: Mapping[str, np.ndarray], definitions: Mapping[str, Expr], n: int
) -> np.ndarray | None:
    """(n,) the formula at every record; None where it depends on more than the data."""
    from respine.fit.population.dual import Dual, evaluate

    values: dict[str, Dual] = {}
    pending = [*symbols(expr)]
    order: list[str] = []
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        order.append(name)
        if name in columns:
            continue
        if name not in definitions:
            return None
        pending += symbols(definitions[name])
    for name in (*(n for n in order if n in columns), *(n for n in definitions if n in seen and n not in columns)):
        values[name] = Dual(columns[name]) if name in columns else evaluate(definitions[name], values)
    return np.broadcast_to(np.asarray(evaluate(expr, values).value, float), (n,))


def named(definitions: Mapping[str, Expr], taken: set[str]) -> dict[str, str]:
    """The final name of each definition; ``taken`` are names that mean something else."""
    last = {key.split("#")[0]: key for key in definitions}
    found: dict[str, str] = {}
    used = {name.upper() for name in taken}
    for name, key in last.items():
        plain = name.replace("(", "_").replace(")", "")
        while plain.upper() in used:
            plain += "_"
        used.add(plain.upper())
        found[key] = plain
    for key in definitions:
        if key not in found:
            base, k = key.split("#")[0].replace("(", "_").replace(")", ""), 1
            while f"{base}_{k}".upper() in used:
                k += 1
            used.add(f"{base}_{k}".upper())
            found[key] = f"{base}_{k}"
    return found
