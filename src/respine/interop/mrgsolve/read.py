"""mrgsolve model text -> System: blocks of parameters, compartments, starts and equations; the rest refused by name and line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from respine.errors import InputError, Problem
from respine.interop.mrgsolve.expressions import ExpressionError, parse
from respine.model.expression import Expr, num, symbols
from respine.model.order import in_order
from respine.model.system import Quantity, System

_READ = {"PARAM", "INPUT", "FIXED", "CMT", "INIT", "MAIN", "PK", "ODE", "DES", "TABLE", "ERROR", "CAPTURE", "PROB", "SET",
         "GLOBAL", "OMEGA", "SIGMA", "THETA", "PLUGIN", "NMEXT", "PKMODEL", "EVENT", "PREAMBLE", "INCLUDE", "YAML",
         "ENV"}  # fmt: skip
_LEFT = {"PROB": "", "SET": "its settings are mrgsolve's own", "PLUGIN": "plugins are mrgsolve's own"}
_LONGEST = 4 * 2**20
_ASSIGN = re.compile(r"^(?:(double|int|bool|capture)\s+)?([A-Za-z_]\w*)\s*=\s*(.+)$", re.DOTALL)


@dataclass
class _Block:
    name: str
    line: int
    annotated: bool
    lines: list[tuple[int, str]] = field(default_factory=list)


def read_mrgsolve(source: str | Path) -> System:
    """The system of mrgsolve model text, or of a file. Raises InputError with everything that is not read, by line.

    Read: $PARAM, $CMT, $INIT, $MAIN (values, starts ``NAME_0``), $ODE, $TABLE and $CAPTURE (as rules). Refused: control
    flow, random effects in equations, analytical $PKMODEL, plugins that add words, doses that the model itself changes.
    """
    if isinstance(source, Path) or "\n" not in source:
        path = Path(source)
        try:
            if path.stat().st_size > _LONGEST:
                raise InputError(Problem(path.name, "file", "", "it is larger than 4 MB.", "Give one model."))
            text, name = path.read_text("utf-8"), path.name
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise InputError(
                Problem(str(path)[:200], "file", "", f"it cannot be read: {error}", "Name a file.")
            ) from None
    else:
        text, name = source, "model"
    return _Reader(text, name).system()


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self.name, self.problems = name, list[Problem]()
        self.values: dict[str, float] = {}
        self.labels: dict[str, tuple[str, str]] = {}
        self.states: list[str] = []
        self.starts: dict[str, Expr] = {}
        self.rules: dict[str, Expr] = {}
        self.rates: dict[str, Expr] = {}
        self.lines: dict[str, int] = {}
        self.notes: list[str] = []
        self.blocks = self._split(text)

    def fault(self, line: int, field: str, seen: str, why: str, cure: str) -> None:
        self.problems.append(Problem(f"{self.name}:{line}", field, seen[:80], why, cure))

    def _split(self, text: str) -> list[_Block]:
        text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text, flags=re.DOTALL)
        blocks: list[_Block] = []
        for number, raw in enumerate(text.splitlines(), start=1):
            line = re.sub(r"//.*|(?<!['\w])#.*", "", raw).rstrip()
            if match := re.match(r"\s*(?:\$|\[\s*)([A-Za-z]+)\s*\]?(.*)$", line):
                word = match[1].upper()
                known = [b for b in _READ if b.startswith(word)] if word not in _READ else [word]
                if len(known) != 1 and word not in _READ:
                    self.fault(number, "block", f"${word}", "this block is not read.", "Leave it out.")
                rest = match[2]
                blocks.append(_Block(known[0] if known else word, number, "@annotated" in rest))
                line = re.sub(r"@\w+(\s+\w+\s*=\s*\S+)?", "", rest)
            elif blocks and re.match(r"\s*@annotated", line):
                blocks[-1].annotated = True
                continue
            elif blocks and line.strip().startswith("@"):
                continue
            if blocks and line.strip():
                blocks[-1].lines.append((number, line.strip()))
            elif line.strip():
                self.fault(number, "text", line.strip(), "it stands before any block.", "Begin with $PARAM or so.")
        return blocks

    def system(self) -> System:
        handlers = {"PARAM": self._values, "INPUT": self._values, "FIXED": self._values, "CMT": self._cmt, "INIT": self._init,
                    "MAIN": self._code, "PK": self._code, "ODE": self._code, "DES": self._code, "TABLE": self._code,
                    "ERROR": self._code, "CAPTURE": self._capture}  # fmt: skip
        for block in self.blocks:
            if block.name in handlers:
                handlers[block.name](block)
            elif block.name in ("OMEGA", "SIGMA"):
                self.notes.append(f"${block.name} (line {block.line}) is not read: the typical subject is")
            elif block.name in _LEFT:
                if _LEFT[block.name]:
                    self.notes.append(f"${block.name} (line {block.line}) is not read: {_LEFT[block.name]}")
            elif block.name in _READ:
                why = "what this block says is not read, and the model may mean something else without it."
                self.fault(block.line, "block", f"${block.name}", why, "Write its equations under $ODE.")
        self._complete()
        if self.problems:
            raise InputError(*self.problems)
        needs = {name: [s for s in symbols(e) if s in self.rules] for name, e in self.rules.items()}
        order = in_order(needs, lambda name: f"{self.name}:{self.lines.get(name, 0)}")
        roles = (
            dict.fromkeys(self.values, "parameter") | dict.fromkeys(self.states, "state") | dict.fromkeys(order, "rule")
        )
        quantities = {n: Quantity(n, role, self.labels.get(n, ("", ""))[1], self.values.get(n), self.labels.get(n, ("", ""))[0],
                                  file=self.name, line=self.lines.get(n, 0)) for n, role in roles.items()}  # fmt: skip
        return System(
            Path(self.name).stem, "", dict(self.values), {}, {n: self.rules[n] for n in order},
            {s: self.rates[s] for s in self.states}, {s: self.starts.get(s, num(0)) for s in self.states},
            quantities=quantities, notes=tuple(self.notes),
        )  # fmt: skip

    # ---- blocks ------------------------------------------------------------------------------------------------------
    def _values(self, block: _Block) -> None:
        for number, line in block.lines:
            if block.annotated:
                self._annotated_value(number, line)
                continue
            for item in re.split(r"[,;]|(?<=[\w.)])\s+(?=[A-Za-z_]\w*\s*=)", line):
                name, sign, value = item.partition("=")
                if sign:
                    self._value(number, name.strip(), value.strip())
                elif item.strip():
                    self.fault(number, f"${block.name}", item.strip(), "it is no NAME = value.", "Write NAME = value.")

    def _annotated_value(self, number: int, line: str) -> None:
        name, _, rest = line.partition(":")
        value, _, about = rest.partition(":")
        self._value(number, name.strip(), value.strip())
        label, unit = _described(about)
        self.labels[name.strip()] = (label, unit)

    def _value(self, number: int, name: str, text: str) -> None:
        try:
            from respine.model.expression import evaluate

            self.values[name] = float(evaluate(parse(text), self.values))
            self.lines[name] = number
        except (ExpressionError, KeyError, ValueError, ArithmeticError):
            self.fault(number, "value", f"{name} = {text}", "it is no number.", "Write a number.")

    def _cmt(self, block: _Block) -> None:
        for number, line in block.lines:
            if block.annotated:
                name, _, about = line.partition(":")
                self.states.append(name.strip())
                self.labels[name.strip()] = _described(about)
                self.lines[name.strip()] = number
            else:
                for name in re.split(r"[\s,]+", line.strip()):
                    if name:
                        self.states.append(name)
                        self.lines[name] = number

    def _init(self, block: _Block) -> None:
        before = dict(self.values)
        self._values(block)
        for name in [n for n in self.values if n not in before]:
            self.states.append(name)
            self.starts[name] = num(self.values.pop(name))

    def _capture(self, block: _Block) -> None:
        for number, line in block.lines:
            names = [line.partition(":")[0]] if block.annotated else re.split(r"[\s,]+", line)
            for item in names:
                new, sign, old = (part.strip() for part in item.partition("="))
                if sign and new != old:
                    self._rule(number, new, ("sym", old))

    def _code(self, block: _Block) -> None:
        statement, first = "", 0
        for number, line in block.lines:
            first = first or number
            statement += " " + line
            while ";" in statement:
                first_statement, _, statement = statement.partition(";")
                self._statement(block, first, first_statement.strip())
                first = number
            if not statement.strip():
                statement, first = "", 0
        if statement.strip():
            self.fault(first, f"${block.name}", statement.strip(), "a statement has no end.", "Close it with ;")

    def _statement(self, block: _Block, number: int, text: str) -> None:
        if not text or re.fullmatch(r"(double|int|bool)\s+\w+(\s*,\s*\w+)*", text):
            return
        match = _ASSIGN.match(text)
        if match is None:
            why = "only assignments are read."
            self.fault(number, f"${block.name}", text, why, "Write a ? b : c in place of if, one value a name.")
            return
        name = match[2]
        try:
            expr = parse(match[3])
        except ExpressionError as error:
            self.fault(number, f"${block.name}", text, f"{error}.", "Write plain arithmetic and functions.")
            return
        if name.startswith("dxdt_"):
            self.rates[name.removeprefix("dxdt_")] = expr
            self.lines[name] = number
        elif name.endswith("_0") and block.name in ("MAIN", "PK"):
            self.starts[name.removesuffix("_0")] = expr
        elif re.match(r"(F|ALAG|R|D)_\w+$", name) and block.name in ("MAIN", "PK"):
            why = "how much of a dose arrives, and when, belongs to the data here."
            self.fault(number, f"${block.name}", text, why, "Remove it and give it as dose_parameters of the data.")
        else:
            self._rule(number, name, expr)

    def _rule(self, number: int, name: str, expr: Expr) -> None:
        if name in self.rules:
            if self.rules[name] != expr:
                self.fault(number, name, name, "it is given a second value.", "Use another name for the second.")
            return
        if name in self.values or name in self.states:
            self.fault(
                number, name, name, "it is a parameter or compartment and is given a value.", "Use another name."
            )
            return
        self.rules[name] = expr
        self.lines[name] = number

    def _complete(self) -> None:
        for name in self.states:
            if name not in self.rates:
                self.fault(self.lines.get(name, 0), "$CMT", name, "it has no dxdt_ equation.", "Add it under $ODE.")
        for name in self.rates:
            if name not in self.states:
                self.fault(
                    self.lines[f"dxdt_{name}"], "$ODE", f"dxdt_{name}", "no such compartment.", "Add it under $CMT."
                )
        known = {*self.values, *self.states, *self.rules}
        for name, expr in (
            *self.rules.items(),
            *((f"dxdt_{n}", e) for n, e in self.rates.items()),
            *self.starts.items(),
        ):
            for missing in sorted({*symbols(expr)} - known):
                random = re.fullmatch(r"(ETA|EPS|THETA)_?\w*", missing)
                why = "random effects in equations are not read." if random else "nothing gives it a value."
                self.fault(
                    self.lines.get(name, 0),
                    name,
                    missing,
                    why,
                    "Write the typical value." if random else "Add it to $PARAM.",
                )


def _described(about: str) -> tuple[str, str]:
    """Label and unit of an annotation: ``Clearance (L/h)``."""
    match = re.match(r"^(.*?)\s*\(([^()]*)\)\s*$", about.strip())
    return (match[1], match[2]) if match else (about.strip(), "")
