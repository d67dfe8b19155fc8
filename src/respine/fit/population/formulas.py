"""Formulas of a problem file as people write them: ``CL: TVCL*(WT/70)**0.75*exp(eta_CL)``, text to expression tuples.

Numbers, names, ``+ - * / ** ^``, comparisons, ``and or not``, ``a if condition else b``, Antimony's ``piecewise(a,
condition, b)`` and the functions of `FUNCTIONS`. ``sex == "male"`` compares a text column; it becomes the name of a
column of 0 and 1.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from respine.files.suggest import nearest
from respine.model.expression import Expr, num, sym

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow",
    ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne",
}  # fmt: skip
FUNCTIONS = {
    "exp": "exp", "ln": "ln", "log": "ln", "sqrt": "sqrt", "abs": "abs", "floor": "floor", "ceil": "ceil",
    "sin": "sin", "cos": "cos", "tan": "tan", "asin": "asin", "acos": "acos", "atan": "atan", "sinh": "sinh",
    "cosh": "cosh", "tanh": "tanh", "expit": "expit", "logit": "logit", "lgamma": "lgamma", "gammaln": "lgamma",
    "phi": "phi", "log_phi": "log_phi",
}  # fmt: skip
"""Functions of one value, by the name that is written."""
_MOST = 4000


class FormulaError(ValueError):
    """A text that is no formula; the message says why and what to write."""


@dataclass(frozen=True)
class Formula:
    """A formula and what it was made from; ``texts`` holds comparisons with texts: name -> (column, text)."""

    text: str
    expr: Expr
    texts: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def parse(text: str | float) -> Formula:
    """The formula of a number or a text. Raises FormulaError."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return Formula(str(text), num(text))
    if not isinstance(text, str) or not text.strip():
        raise FormulaError("a formula is a number or a text such as TVCL*exp(eta_CL)")
    if len(text) > _MOST:
        raise FormulaError(f"the formula is longer than {_MOST} characters; split it over several names")
    try:
        tree = ast.parse(text.strip().replace("^", "**").replace("\n", " "), mode="eval")
        reader = _Reader()
        return Formula(text.strip(), reader.expr(tree.body), reader.texts)
    except FormulaError:
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise FormulaError(f'"{text.strip()[:60]}" is not a formula; check brackets and operators') from None


class _Reader:
    def __init__(self) -> None:
        self.texts: dict[str, tuple[str, str]] = {}

    def expr(self, node: ast.expr) -> Expr:
        match node:
            case ast.Constant(value) if type(value) in (int, float):
                return num(float(value))  # type: ignore[arg-type]
            case ast.Constant(value) if isinstance(value, bool):
                return num(float(value))
            case ast.Name(name):
                return sym(name)
            case ast.UnaryOp(ast.USub(), operand):
                return ("neg", self.expr(operand))
            case ast.UnaryOp(ast.UAdd(), operand):
                return self.expr(operand)
            case ast.UnaryOp(ast.Not(), operand):
                return ("not", self.expr(operand))
            case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
                return (_OPERATORS[type(operator)], self.expr(left), self.expr(right))
            case ast.BoolOp(operator, values):
                op = "and" if isinstance(operator, ast.And) else "or"
                result = self.expr(values[0])
                for part in values[1:]:
                    result = (op, result, self.expr(part))
                return result
            case ast.Compare(left, operators, others):
                return self.comparison(left, operators, others)
            case ast.IfExp(test, then, otherwise):
                return ("if", self.expr(test), self.expr(then), self.expr(otherwise))
            case ast.Call(ast.Name(name), arguments, []):
                return self.call(name, arguments)
        raise FormulaError(f'"{ast.unparse(node)[:60]}" cannot be used in a formula; write numbers, names, + - * / **, '
                           f"comparisons, a if b else c, or {', '.join(FUNCTIONS)}")  # fmt: skip

    def comparison(self, left: ast.expr, operators: list[ast.cmpop], values: list[ast.expr]) -> Expr:
        result: Expr | None = None
        for operator, right in zip(operators, values, strict=True):
            part = self.single_comparison(left, operator, right)
            result = part if result is None else ("and", result, part)
            left = right
        assert result is not None
        return result

    def single_comparison(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Expr:
        if isinstance(left, ast.Constant) and isinstance(left.value, str):
            left, right = right, left
        if isinstance(right, ast.Constant) and isinstance(right.value, str):
            if not isinstance(left, ast.Name) or not isinstance(operator, (ast.Eq, ast.NotEq)):
                raise FormulaError(f'a text is compared with a column by == or !=, as in sex == "{right.value}"')
            name = f'{left.id} == "{right.value}"'
            self.texts[name] = (left.id, right.value)
            return sym(name) if isinstance(operator, ast.Eq) else ("not", sym(name))
        if type(operator) not in _OPERATORS:
            raise FormulaError("a comparison is one of < <= > >= == !=")
        return (_OPERATORS[type(operator)], self.expr(left), self.expr(right))

    def call(self, name: str, arguments: list[ast.expr]) -> Expr:
        parts = [self.expr(part) for part in arguments]
        if name in FUNCTIONS:
            if len(parts) != 1:
                raise FormulaError(f"{name} takes one value, not {len(parts)}")
            return (FUNCTIONS[name], parts[0])
        if name in ("min", "max") and len(parts) >= 2:
            result = parts[0]
            for part in parts[1:]:
                result = (name, result, part)
            return result
        if name in ("min", "max", "pow") and len(parts) == 2:
            return (name, *parts)
        if name == "piecewise" and len(parts) >= 3 and len(parts) % 2 == 1:
            result = parts[-1]
            for k in range(len(parts) - 3, -1, -2):
                result = ("if", parts[k + 1], parts[k], result)
            return result
        if name in ("min", "max", "pow", "piecewise"):
            need = "value, condition, ..., otherwise" if name == "piecewise" else "two values"
            raise FormulaError(f"{name} takes {need}")
        known = [*FUNCTIONS, "min", "max", "pow", "piecewise"]
        raise FormulaError(f"there is no function {name}. {nearest(name, known)}")


def derivative(expr: Expr, name: str) -> Expr:
    """d(expr)/d(name) at any point, by the rules of differentiation; used for the weight of a residual error."""
    op = expr[0]
    if op == "num" or op == "time":
        return num(0)
    if op == "sym":
        return num(1 if expr[1] == name else 0)
    if name not in set(_names(expr)):
        return num(0)
    if op == "if":
        return ("if", expr[1], derivative(expr[2], name), derivative(expr[3], name))
    inner = [derivative(part, name) for part in expr[1:]]
    if op in ("add", "sub"):
        return _simple((op, *inner))
    if op == "neg":
        return ("neg", inner[0])
    a = expr[1]
    if op == "mul":
        return _simple(("add", _simple(("mul", inner[0], expr[2])), _simple(("mul", a, inner[1]))))
    if op == "div":
        top = ("sub", ("mul", inner[0], expr[2]), ("mul", a, inner[1]))
        return ("div", top, ("mul", expr[2], expr[2]))
    if op == "pow" and name not in set(_names(expr[2])):
        return ("mul", ("mul", expr[2], ("pow", a, ("sub", expr[2], num(1)))), inner[0])
    if op == "exp":
        return _simple(("mul", expr, inner[0]))
    if op == "ln":
        return ("div", inner[0], a)
    if op == "sqrt":
        return ("div", inner[0], ("mul", num(2), expr))
    raise FormulaError(f"{name} stands inside {op}; a residual effect may stand in + - * / exp log sqrt and powers")


def _simple(expr: Expr) -> Expr:
    """Without terms that are zero and factors that are one."""
    op, a, b = expr
    zero, one = num(0), num(1)
    if op == "add":
        return b if a == zero else a if b == zero else expr
    if op == "sub":
        return a if b == zero else expr
    if zero in (a, b):
        return zero
    return b if a == one else a if b == one else expr


def _names(expr: Expr) -> Iterable[str]:
    from respine.model.expression import symbols

    return symbols(expr)
