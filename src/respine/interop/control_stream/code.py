"""Abbreviated code ($PK, $ERROR, $PRED, $DES) as statements: assignments and IF blocks over formulas (`model.expression`).

Symbols are upper case; ``THETA(1)``, ``ETA(2)``, ``A(3)``, ``DADT(1)`` are symbols of that name. Constants are real numbers, as
NM-TRAN reads them. What is not read becomes a ``Refused`` statement: it counts only where it can be reached.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from respine.interop.control_stream.records import Line, Record, joined
from respine.model.expression import Expr, num, sym

MOST_LETTERS = 20_000  # of a statement
DEEPEST = 50  # brackets in brackets, blocks in blocks
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.(?!(?:EQN?|NEN?|GT|GE|LT|LE|AND|OR|NOT|EQV|NEQV)\.)\d*)?|\.\d+)(?:[ED][+-]?\d+)?)"
    r"|(?P<word>\.(?:EQN?|NEN?|GT|GE|LT|LE|AND|OR|NOT)\.)|(?P<name>[A-Z_][A-Z0-9_]*)|(?P<sign>\*\*|==|/=|>=|<=|[-+*/()=<>,]))"
)
_COMPARE = {".EQ.": "eq", ".EQN.": "eq", "==": "eq", ".NE.": "ne", ".NEN.": "ne", "/=": "ne", ".GT.": "gt", ">": "gt",
            ".GE.": "ge",            ">=": "ge", ".LT.": "lt", "<": "lt", ".LE.": "le", "<=": "le"}  # fmt: skip
UNARY = {"EXP": "exp", "DEXP": "exp", "LOG": "ln", "DLOG": "ln", "ALOG": "ln", "SQRT": "sqrt", "DSQRT": "sqrt", "ABS": "abs",
         "DABS": "abs", "SIN": "sin", "COS": "cos", "TAN": "tan", "ASIN": "asin", "ACOS": "acos", "ATAN": "atan", "SINH": "sinh",
         "COSH": "cosh", "TANH": "tanh", "PHI": "phi", "GAMLN": "lgamma"}  # fmt: skip
INDEXED = ("THETA", "ETA", "EPS", "ERR", "A", "A_0", "DADT")
_STARTS = re.compile(
    r"^(CALL|WRITE|PRINT|OPEN|CLOSE|READ|DO|DOWHILE|WHILE|ENDDO|RETURN|GOTO|GO\s+TO|INCLUDE|USE)\b", re.IGNORECASE
)


class CodeError(ValueError):
    """A line that is not read; the message says why."""


@dataclass(frozen=True)
class Assign:
    target: str
    expr: Expr
    line: int


@dataclass(frozen=True)
class If:
    """Branches in order; the condition of ELSE is None."""

    branches: tuple[tuple[Expr | None, tuple[Statement, ...]], ...]
    line: int


@dataclass(frozen=True)
class Refused:
    """Something that is not read, where it stands."""

    what: str
    line: int


@dataclass(frozen=True)
class Aside:
    """Something that changes no prediction."""

    what: str
    line: int


Statement = Assign | If | Refused | Aside


def parse(record: Record, renamed: dict[str, str]) -> tuple[Statement, ...]:
    """The statements of a record; ``renamed`` are the replacements of $ABBREVIATED, ``THETA(CL)`` -> ``THETA(1)``."""
    lines = list(joined(record))
    statements, rest = _block(iter(lines), renamed, 0)
    if rest is not None:
        statements = (*statements, Refused(f'"{rest.text[:60]}" ends no IF block', rest.number))
    return statements


def _block(lines: Iterator[Line], renamed: dict[str, str], depth: int) -> tuple[tuple[Statement, ...], Line | None]:
    """Statements up to a line that ends or divides the block, and that line."""
    found: list[Statement] = []
    for line in lines:
        text = line.text.upper().strip()
        head = re.sub(r"\s+", "", text)
        if head.startswith(("ELSE", "ENDIF")) and not re.match(r"^(ELSE|ENDIF)\w*=", head):
            return tuple(found), line
        opens = re.match(r"^IF\s*\(", text)
        if opens and head.endswith("THEN"):
            found.append(_if_block(line, lines, renamed, depth))
        else:
            found.append(_statement(line, renamed))
    return tuple(found), None


def _if_block(line: Line, lines: Iterator[Line], renamed: dict[str, str], depth: int) -> Statement:
    if depth >= DEEPEST:
        for _ in lines:
            pass
        return Refused(f"IF blocks stand more than {DEEPEST} deep", line.number)
    branches: list[tuple[Expr | None, tuple[Statement, ...]]] = []
    at: Line | None = line
    while True:
        assert at is not None
        head = re.sub(r"\s+", "", at.text.upper())
        try:
            if head == "ELSE":
                condition = None
            else:
                inside = re.sub(r"^\s*(ELSE\s*)?IF", "", at.text.upper()).strip()
                if not inside.endswith("THEN"):
                    raise CodeError("THEN is missing")
                condition = _Reader(inside[:-4], renamed).whole()
        except CodeError as error:
            condition = None
            branches.append((num(1), (Refused(f"{at.text.strip()[:60]}: {error}", at.number),)))
        body, end = _block(lines, renamed, depth + 1)
        branches.append((condition, body))
        if end is None:
            return Refused("the IF block has no ENDIF", line.number)
        at = end
        if re.sub(r"\s+", "", at.text.upper()) == "ENDIF":
            return If(tuple(branches), line.number)
        if head == "ELSE":
            return Refused(f'"{at.text[:40]}" stands after ELSE', at.number)


def _statement(line: Line, renamed: dict[str, str]) -> Statement:
    text = line.text.strip()
    if text.startswith('"'):
        return Refused("verbatim code is not read", line.number)
    upper = text.upper()
    if re.match(r"^EXIT\b", upper):
        return Aside("EXIT", line.number)
    begins = _STARTS.match(upper)
    if begins and not re.match(r"^\w+\s*=", upper):
        return Refused(f"{' '.join(begins[1].split())} is not read", line.number)
    pseudo = re.match(
        r"^\(?\s*(CALLFL|COMRES|CALL(?:\s+\w+)*|OBS\w*(?:\s+\w+)*|ONLY\s+\w+)\s*(=\s*(-?\d+))?\s*\)?$", upper
    )
    if pseudo and (text.startswith("(") or pseudo[1] in ("CALLFL", "COMRES")):
        usual = pseudo[1] == "COMRES" or (pseudo[1] == "CALLFL" and pseudo[3] in ("0", "-1"))
        if usual or pseudo[1].startswith("OBS"):
            return Aside(upper, line.number)
        return Refused(f"{upper} is not read: the block is called with every event record", line.number)
    conditional = re.match(r"^IF\s*(?=\()", upper)
    try:
        if conditional:
            reader = _Reader(upper[conditional.end() :], renamed)
            condition = reader.bracket()
            rest = reader.rest()
            inner = _statement(Line(line.number, rest), renamed)
            return If(((condition, (inner,)),), line.number)
        reader = _Reader(upper, renamed)
        return Assign(reader.target(), reader.whole(), line.number)
    except CodeError as error:
        return Refused(f'"{text[:60]}": {error}', line.number)


class _Reader:
    """A formula from text, by recursive descent."""

    def __init__(self, text: str, renamed: dict[str, str]) -> None:
        self.text, self.renamed, self.at, self.depth = text, renamed, 0, 0
        self.tokens: list[tuple[str, int, int]] = []
        text = self.text = text.rstrip()
        if len(text) > MOST_LETTERS:
            raise CodeError(f"the statement is longer than {MOST_LETTERS} letters")
        place = 0
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise CodeError(f'"{text[place:].strip()[:12]}" is no part of a formula')
            self.tokens.append((found[0].strip(), place, found.end()))
            place = found.end()

    # ---- tokens -------------------------------------------------------------------------------------------------------
    def peek(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def take(self, want: str = "") -> str:
        token = self.peek()
        if not token or (want and token != want):
            raise CodeError(f'"{want or "a value"}" is missing' + (f' before "{token}"' if token else " at the end"))
        self.at += 1
        return token

    def rest(self) -> str:
        """The text after what was taken."""
        return self.text[self.tokens[self.at][1] :].strip() if self.at < len(self.tokens) else ""

    def whole(self) -> Expr:
        expr = self.logic()
        if self.peek():
            raise CodeError(f'"{self.peek()}" is left over')
        return expr

    def target(self) -> str:
        name = self.take()
        if not re.match(r"^[A-Z_]", name):
            raise CodeError("a statement is NAME = formula, or IF")
        if self.peek() == "(":
            name = self.indexed(name)
        self.take("=")
        return name

    def bracket(self) -> Expr:
        self.take("(")
        self.depth += 1
        if self.depth > DEEPEST:
            raise CodeError(f"brackets stand more than {DEEPEST} deep")
        expr = self.logic()
        self.depth -= 1
        self.take(")")
        return expr

    # ---- operators, from the loosest ----------------------------------------------------------------------------------
    def logic(self) -> Expr:
        left = self.both()
        while self.peek() == ".OR.":
            self.take()
            left = ("or", left, self.both())
        return left

    def both(self) -> Expr:
        left = self.negation()
        while self.peek() == ".AND.":
            self.take()
            left = ("and", left, self.negation())
        return left

    def negation(self) -> Expr:
        if self.peek() != ".NOT.":
            return self.comparison()
        count = 0
        while self.peek() == ".NOT.":
            self.take()
            count += 1
        expr = self.comparison()
        return ("not", expr) if count % 2 else expr

    def comparison(self) -> Expr:
        left = self.sum()
        if self.peek() in _COMPARE:
            op = _COMPARE[self.take()]
            return (op, left, self.sum())
        return left

    def sum(self) -> Expr:
        sign = 1
        while self.peek() in ("+", "-"):
            sign = -sign if self.take() == "-" else sign
        left = self.product()
        left = ("neg", left) if sign < 0 else left
        while self.peek() in ("+", "-"):
            op = "add" if self.take() == "+" else "sub"
            left = (op, left, self.product())
        return left

    def product(self) -> Expr:
        left = self.power()
        while self.peek() in ("*", "/"):
            op = "mul" if self.take() == "*" else "div"
            left = (op, left, self.power())
        return left

    def power(self) -> Expr:
        parts, signs = [self.atom()], []
        while self.peek() == "**":
            self.take()
            sign = 1
            while self.peek() in ("+", "-"):
                sign = -sign if self.take() == "-" else sign
            signs.append(sign)
            parts.append(self.atom())
        expr = parts[-1]
        for part, sign in zip(reversed(parts[:-1]), reversed(signs), strict=True):
            expr = ("pow", part, ("neg", expr) if sign < 0 else expr)
        return expr

    def atom(self) -> Expr:
        token = self.peek()
        if token == "(":
            return self.bracket()
        self.take()
        if token[0].isdigit() or token[0] == ".":
            if not any(letter.isdigit() for letter in token):
                raise CodeError(f'"{token}" stands where a value is meant')
            return num(float(token.replace("D", "E")))
        if not re.match(r"^[A-Z_]", token):
            raise CodeError(f'"{token}" stands where a value is meant')
        if self.peek() != "(":
            return sym(token)
        if token in INDEXED:
            name = self.indexed(token)
            return sym(name.replace("ERR(", "EPS(")) if name.startswith("ERR(") else sym(name)
        return self.call(token)

    def indexed(self, name: str) -> str:
        self.take("(")
        inside = ""
        while self.peek() and self.peek() != ")":
            inside += self.take()
        self.take(")")
        name = self.renamed.get(f"{name}({inside})", f"{name}({inside})")
        if name.split("(")[0] not in INDEXED:
            raise CodeError(f"{name} is not read")
        if not re.fullmatch(r"\w+\([1-9]\d{0,4}\)", name):
            raise CodeError(f"{name} needs a whole number, or a name that $ABBREVIATED REPLACE or NAMES gives it")
        return name

    def call(self, name: str) -> Expr:
        self.take("(")
        self.depth += 1
        if self.depth > DEEPEST:
            raise CodeError(f"brackets stand more than {DEEPEST} deep")
        parts = [self.logic()]
        while self.peek() == ",":
            self.take()
            parts.append(self.logic())
        self.take(")")
        self.depth -= 1
        if name in UNARY and len(parts) == 1:
            return (UNARY[name], parts[0])
        if name in ("LOG10", "DLOG10") and len(parts) == 1:
            return ("div", ("ln", parts[0]), num(2.302585092994046))
        if name == "INT" and len(parts) == 1:
            return whole_part(parts[0])
        if name == "MOD" and len(parts) == 2:
            a, b = parts
            return ("sub", a, ("mul", b, whole_part(("div", a, b))))
        if name in ("MIN", "MAX") and len(parts) > 1:
            expr = parts[0]
            for part in parts[1:]:
                expr = (name.lower(), expr, part)
            return expr
        raise CodeError(f"{name}({', '.join('.' * len(parts))}) is no function that is read")


def whole_part(expr: Expr) -> Expr:
    """Cut towards zero, as Fortran's INT."""
    return ("if", ("ge", expr, num(0)), ("floor", expr), ("ceil", expr))


def assigned(statements: tuple[Statement, ...]) -> Iterator[Assign]:
    """Every assignment, also inside of blocks, in the order of the text."""
    for statement in statements:
        if isinstance(statement, Assign):
            yield statement
        elif isinstance(statement, If):
            for _, body in statement.branches:
                yield from assigned(body)
