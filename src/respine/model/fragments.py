"""Antimony fragments -> statements, each with the file and line where it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass

from respine.errors import Problem
from respine.library import Library

# what Antimony and SBML mean by these words; everything else in a formula is a symbol of the model
FUNCTIONS = frozenset({
    "abs", "acos", "arccos", "acosh", "arccosh", "acot", "arccot", "acoth", "arccoth", "acsc", "arccsc",
    "acsch", "arccsch", "asec", "arcsec", "asech", "arcsech", "asin", "arcsin", "asinh", "arcsinh", "atan",
    "arctan", "atanh", "arctanh", "ceil", "ceiling", "cos", "cosh", "cot", "coth", "csc", "csch", "exp",
    "factorial", "floor", "geq", "gt", "implies", "leq", "ln", "log", "log10", "lt", "max", "min", "neq", "eq",
    "piecewise", "pow", "power", "quotient", "rateOf", "rem", "root", "sec", "sech", "sin", "sinh", "sqr",
    "sqrt", "tan", "tanh", "and", "or", "not", "xor",
})  # fmt: skip
CONSTANTS = frozenset({"time", "pi", "exponentiale", "avogadro", "infinity", "true", "false"})
STRUCTURE = 10  # whole numbers up to here are structure (2 sides, squares); anything else is science and has a row

_WORD = re.compile(r"[A-Za-z_]\w*")
_NUMBER = re.compile(r"(?<![\w.])(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)")
_HEAD = re.compile(r"([A-Za-z_]\w*)\s*(:=|'\s*=)\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Statement:
    """``name := formula`` (a rule) or ``name' = formula`` (a rate), on one line."""

    name: str
    rate: bool
    formula: str
    module: str
    line: int
    file: str = ""

    @property
    def where(self) -> str:
        return f"{self.file or self.module}:{self.line}"

    @property
    def text(self) -> str:
        return f"{self.name}' = {self.formula};" if self.rate else f"{self.name} := {self.formula};"

    def symbols(self) -> list[str]:
        """Names of the model the formula uses."""
        return [w for w in dict.fromkeys(_WORD.findall(self.formula)) if w not in FUNCTIONS and w not in CONSTANTS]


def statements(module: str, library: Library, problems: list[Problem]) -> list[Statement]:
    """The statements of one fragment; faults of form are appended to ``problems``."""
    kept = []
    line, file = 1, library.label("modules", module)
    for chunk in _without_comments(library.text("modules", module)).split(";"):
        body = chunk.strip()
        at = line + chunk[: len(chunk) - len(chunk.lstrip())].count("\n")
        line += chunk.count("\n")
        if body:
            made = _statement(module, body, at, problems, file)
            kept += [made] if made else []
    return kept


def _statement(module: str, body: str, line: int, problems: list[Problem], file: str) -> Statement | None:
    where = f"{file}:{line}"
    match = _HEAD.fullmatch(body)
    first = body.split("\n")[0][:70]
    if not match:
        why = "this is neither a rule nor a rate."
        problems.append(Problem(where, module, first, why, 'Write "name := formula;" or "name\' = formula;".'))
        return None
    name, sign, formula = match.groups()
    swallowed = re.search(r"\n\s*([A-Za-z_]\w*)\s*(:=|'\s*=)", formula)
    if swallowed:
        why = f"the statement runs on into the next one, {swallowed[1]}."
        problems.append(Problem(where, name, first, why, 'End it with ";".'))
        return None
    made = Statement(name, sign != ":=", " ".join(formula.split()), module, line, file)
    problems += _loose_numbers(made)
    return made


def _loose_numbers(statement: Statement) -> list[Problem]:
    why = "a number of the science stands in the equation, where it has no unit and no source."
    cure = f"Give it a name, and a row in library/parameters/{statement.module}.csv."
    loose = [n for n in _NUMBER.findall(statement.formula) if float(n) != int(float(n)) or float(n) > STRUCTURE]
    return [Problem(statement.where, statement.name, n, why, cure) for n in dict.fromkeys(loose)]


def _without_comments(text: str) -> str:
    """The text with comments blanked and every line break kept."""
    return re.sub(r"/\*.*?\*/|//[^\n]*|#[^\n]*", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.DOTALL)
