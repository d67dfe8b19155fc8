"""Variables of abbreviated code that follow the data alone and keep their value from record to record.

NONMEM's variables are never reset: ``IF (AMT.GT.0) TDOS = TIME`` holds until the next dose. Where such a variable depends on the
data only, its values are computed record by record, as NONMEM does, and become columns of the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from respine.interop.control_stream.code import Aside, Assign, If, Refused, Statement, assigned
from respine.model.expression import Expr, symbols


@dataclass
class Memory:
    """``versions[id(statement)]``: the column that holds a kept variable after an assignment; ``before[name]``: the one that
    holds it when a record begins; ``columns`` (n_records,) by name.
    """

    versions: dict[int, str] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    columns: dict[str, np.ndarray] = field(default_factory=dict)


def of_data(statements: Sequence[Statement], known: set[str]) -> set[str]:
    """Assigned variables whose values and conditions depend on ``known`` names alone."""
    uses: dict[str, set[str]] = {}
    for name, names in _uses(statements, set()):
        uses.setdefault(name, set()).update(names)
    found = set(uses)
    while True:
        gone = {name for name in found if not uses[name] <= (found | known)}
        if not gone:
            return found
        found -= gone


def _uses(statements: Sequence[Statement], guard: set[str]) -> list[tuple[str, set[str]]]:
    found: list[tuple[str, set[str]]] = []
    for statement in statements:
        if isinstance(statement, Assign):
            found.append((statement.target, guard | set(symbols(statement.expr))))
        elif isinstance(statement, If):
            under = set(guard)
            for condition, body in statement.branches:
                under |= set(symbols(condition)) if condition is not None else set()
                found += _uses(body, under)
    return found


def kept(statements: Sequence[Statement], candidates: set[str]) -> set[str]:
    """Those of the candidates that may be read, or end a record, before the record has given them a value."""
    open_: set[str] = set()
    sure = _surely(statements, set(), candidates, open_)
    return open_ | {name for name in candidates if name not in sure}


def _surely(statements: Sequence[Statement], sure: set[str], candidates: set[str], open_: set[str]) -> set[str]:
    """What is certainly assigned after the statements; ``open_`` gathers what is read before."""
    sure = set(sure)

    def reads(expr: Expr) -> None:
        open_.update(name for name in symbols(expr) if name in candidates and name not in sure)

    for statement in statements:
        if isinstance(statement, Assign):
            reads(statement.expr)
            sure.add(statement.target)
        elif isinstance(statement, If):
            ends: list[set[str]] = []
            for condition, body in statement.branches:
                if condition is not None:
                    reads(condition)
                ends.append(_surely(body, sure, candidates, open_))
            if statement.branches[-1][0] is None:
                sure |= set.intersection(*ends)
    return sure


def remember(
    statements: Sequence[Statement],
    known: Mapping[str, np.ndarray],
    constants: Mapping[str, float],
    n: int,
    taken: set[str],
) -> Memory:
    """The columns of kept variables that follow the data; ``known`` are columns (n,)."""
    follow = of_data(statements, {*known, *constants})
    stays = kept(statements, follow)
    made = Memory()
    if not stays:
        return made
    needed = set(stays)
    while True:
        more = {
            other for name, names in _uses(statements, set()) if name in needed for other in names if other in follow
        } - needed
        if not more:
            break
        needed |= more
    order: list[tuple[int, str, str]] = []
    for name in sorted(stays):
        made.before[name] = _column(name, 0, taken)
    for k, statement in enumerate(assigned(tuple(statements)), 1):
        if statement.target in stays:
            made.versions[id(statement)] = _column(statement.target, k, taken)
            order.append((id(statement), statement.target, made.versions[id(statement)]))
    made.columns = {column: np.zeros(n) for column in (*made.before.values(), *made.versions.values())}
    values: dict[str, float] = dict.fromkeys(needed, 0.0) | dict(constants)
    lists = {name: column.tolist() for name, column in known.items()}
    steps = _useful(statements, needed)
    wanted: set[str] = set()
    for name, names in _uses(steps, set()):
        wanted |= names | {name}
    lists = {name: column for name, column in lists.items() if name in wanted}
    for row in range(n):
        for name, column in lists.items():
            values[name] = column[row]
        for name, column_name in made.before.items():
            made.columns[column_name][row] = values[name]
        _run(steps, values, made, row)
    return made


def _column(name: str, k: int, taken: set[str]) -> str:
    found = f"{name}_{'at' if k else 'was'}{k or ''}"
    while found in taken:
        found += "_"
    taken.add(found)
    return found


def _useful(statements: Sequence[Statement], needed: set[str]) -> list[Statement]:
    """Only what assigns ``needed``."""
    found: list[Statement] = []
    for statement in statements:
        if isinstance(statement, Assign) and statement.target in needed:
            found.append(statement)
        elif isinstance(statement, If) and any(a.target in needed for a in assigned((statement,))):
            branches = tuple((c, tuple(_useful(body, needed))) for c, body in statement.branches)
            found.append(If(branches, statement.line))
    return found


def _run(steps: Sequence[Statement], values: dict[str, float], made: Memory, row: int) -> None:
    for step in steps:
        if isinstance(step, Assign):
            values[step.target] = number_of(step.expr, values)
            _note(step, values, made, row)
        elif isinstance(step, If):
            done = False
            for condition, body in step.branches:
                if not done and (condition is None or number_of(condition, values) != 0):
                    done = True
                    _run(body, values, made, row)
                else:
                    _skip(body, values, made, row)
        else:
            assert isinstance(step, (Refused, Aside))


def _skip(steps: Sequence[Statement], values: dict[str, float], made: Memory, row: int) -> None:
    """Columns behind assignments that were not done hold what was there."""
    for step in assigned(tuple(steps)):
        _note(step, values, made, row)


def _note(step: Assign, values: dict[str, float], made: Memory, row: int) -> None:
    column = made.versions.get(id(step))
    if column is not None:
        made.columns[column][row] = values[step.target]


def number_of(expr: Expr, values: Mapping[str, float]) -> float:
    """The value of a formula of plain numbers; NaN where it has none."""
    op = expr[0]
    if op == "num":
        return float(expr[1])
    if op == "sym":
        return values[expr[1]]
    if op == "if":
        return number_of(expr[2] if number_of(expr[1], values) != 0 else expr[3], values)
    parts = [number_of(part, values) for part in expr[1:]]
    try:
        return float(_OPERATIONS[op](*parts))
    except (ValueError, ZeroDivisionError, OverflowError):
        return math.nan


_OPERATIONS: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b,
    "pow": lambda a, b: math.pow(a, b), "neg": lambda a: -a, "min": min, "max": max, "exp": math.exp, "ln": math.log,
    "sqrt": math.sqrt, "abs": abs, "floor": math.floor, "ceil": math.ceil, "sin": math.sin, "cos": math.cos, "tan": math.tan,
    "asin": math.asin, "acos": math.acos, "atan": math.atan, "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh,
    "lgamma": math.lgamma, "phi": lambda x: 0.5 * math.erfc(-x / math.sqrt(2)),
    "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "and": lambda a, b: a != 0 and b != 0,
    "or": lambda a, b: a != 0 or b != 0, "not": lambda a: a == 0,
}  # fmt: skip
