"""Antimony of a user -> SBML text, and where each part of it stands in what the user wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from respine.errors import InputError, Problem
from respine.model.antimony_swell import Disguise, disguise
from respine.model.limits import Limits

_REFUSAL = re.compile(r"Error in (?:model string|file [^,]*), line (\d+):\s*(.*)", re.DOTALL)
# libSBML's own complaints come as paragraphs: the rule, its reference, and the place after a space
_PLACE = re.compile(r"^ (The .*)$", re.MULTILINE)
_OWNER = re.compile(
    r"<(assignmentRule|rateRule|initialAssignment|parameter|species|compartment|reaction|event|functionDefinition)\b"
    r'[^>]*?\s(?:id|variable|symbol)="([^"]+)"'
)
_DEFINITION = re.compile(r"\b([A-Za-z_]\w*)\s*(:=|'\s*=|:(?!=)|=(?!=))|\bfunction\s+([A-Za-z_]\w*)", re.ASCII)
_SIGN = {"assignmentRule": ":=", "rateRule": "'", "reaction": ":", "event": ":", "functionDefinition": "function"}
_ODD_NUMBER = re.compile(r"(?<![\w.])(0[xX][0-9a-fA-F]+|[0-9.]+[dD][+-]?[0-9]+|[0-9.]+(?:_[0-9]+)+)\b", re.ASCII)
_HUGE_NUMBER = re.compile(r"(?<![\w.])[0-9]+\.?[0-9]*[eE][+-]?[0-9]{3,}", re.ASCII)


@dataclass
class Translation:
    """SBML made from Antimony: its text, the line of the user's text behind each of its lines, and remarks."""

    sbml: bytes
    lines: list[int]
    notes: list[str] = field(default_factory=list)
    disguise: Disguise | None = None  # definitions that stand as rates in the SBML

    def line(self, of_sbml: int) -> int:
        """The line of the user's text behind a line of the SBML, 0 where it is unknown."""
        return self.lines[of_sbml - 1] if 0 < of_sbml <= len(self.lines) else 0


def translate(data: bytes, name: str, limits: Limits, folder: Path | None) -> Translation:
    """SBML of an Antimony text; its main model, where it holds several. Raises InputError with line and cause.

    ``folder``: where files the text imports are looked for.
    """
    text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    text += "" if text.endswith("\n") else "\n"
    plain = _plain(text, name)
    _look(plain, name, limits)
    disguised = disguise(text, plain)
    sbml, main, reason = _antimony(disguised.text, folder)
    if disguised and not sbml:  # some definition cannot be a rate
        disguised = Disguise(text)
        sbml, main, reason = _antimony(text, folder)
    if not sbml:
        raise InputError(_refusal(reason, plain, name))
    if not re.search(r"<(parameter|species|compartment|reaction)\b", sbml):
        cure = "Write equations: x' = -k*x; x = 1; k = 0.1."
        raise InputError(Problem(name, "Antimony", "", "the text defines nothing.", cure))
    return Translation(sbml.encode(), _origins(sbml, plain), _notes(main, plain), disguised)


def _antimony(text: str, folder: Path | None) -> tuple[str, str, str]:
    """SBML of the main model and its name, or no SBML and the reason."""
    import antimony

    antimony.clearPreviousLoads()
    antimony.clearDirectories()
    if folder is not None:
        antimony.addDirectory(str(folder))
    if antimony.loadAntimonyString(text) < 0:
        return "", "", complaint() or "it gives no reason."
    main = antimony.getMainModuleName()
    sbml = antimony.getSBMLString(main)
    return sbml, main, "" if sbml else complaint() or "it gives no SBML and no reason."


def complaint() -> str:
    """What Antimony said last; it cuts long messages in the middle of a character."""
    import antimony

    try:
        return str(antimony.getLastError())
    except UnicodeDecodeError as error:
        return error.object.decode("utf-8", "replace")


def _notes(main: str, plain: str) -> list[str]:
    """What of the text does not count: models beside the main one, and numbers that a later line replaces."""
    return [*_several(main, plain), *_replaced(plain)]


def _replaced(plain: str) -> list[str]:
    """Names that are given a value more than once in one model; Antimony keeps the last."""
    notes = []
    for _, block in _blocks(plain):
        places: dict[str, list[int]] = {}
        for number, line in block:
            if not re.search(r"\bat\b", line):
                for name, sign, _ in _DEFINITION.findall(line):
                    if sign == "=":
                        places.setdefault(name, []).append(number)
        notes += [f"{name} is given in lines {', '.join(map(str, lines))}; the last counts"
                  for name, lines in places.items() if len(lines) > 1]  # fmt: skip
    return notes


def _blocks(plain: str) -> list[tuple[str, list[tuple[int, str]]]]:
    """The lines of each model or function of a text, numbered, and of what stands outside."""
    outside: list[tuple[int, str]] = []
    blocks: list[tuple[str, list[tuple[int, str]]]] = [("", outside)]
    inside = outside
    for number, line in enumerate(plain.split("\n"), start=1):
        opened = re.match(r"\s*(?:model|module|function)\s+\*?\s*(\w+)", line)
        if opened:
            inside = []
            blocks.append((opened[1], inside))
        inside.append((number, line))
        if re.match(r"\s*end\b", line):
            inside = outside
    return blocks


def _several(main: str, plain: str) -> list[str]:
    """Which of several models was taken, where the text holds more than one that nobody uses."""
    models = re.findall(r"^\s*(?:model|module)\s+\*?\s*(\w+)", plain, re.MULTILINE)
    used = {m for m in models if re.search(rf":\s*{m}\s*\(", plain)}
    left = [m for m in models if m != main and m not in used]
    which = "the statements outside any model" if main == "__main" else f"the model {main}"
    return [f"{which} is read; {', '.join(left)} stands beside it and is not used"] if left else []


# -- before Antimony sees it ---------------------------------------------------------------------------------------------


def _plain(text: str, name: str) -> str:
    """The text with comments and quoted texts blanked, every line break kept. Raises InputError for an open one."""
    pieces = []
    at = 0
    for match in re.finditer(r'//[^\n]*|\#[^\n]*|/\*.*?(\*/|\Z)|"[^"\n]*("|\n|\Z)', text, re.DOTALL):
        opened = match[0][:2] if match[0].startswith("/") else match[0][:1]
        line = text.count("\n", 0, match.start()) + 1
        if opened == "/*" and not match[1]:
            why, cure = (
                "the comment that begins here has no end; the rest of the text would be lost.",
                "End it with */.",
            )
            raise InputError(Problem(f"{name}:{line}", "/*", "", why, cure))
        pieces += [text[at : match.start()], re.sub(r"[^\n]", " ", match[0])]
        at = match.end()
    return "".join(pieces) + text[at:]


def _look(plain: str, name: str, limits: Limits) -> None:
    """Refuse what Antimony reads in its own way, or dies of."""
    problems: list[Problem] = []
    depth = 0
    for number, line in enumerate(plain.split("\n"), start=1):
        where = f"{name}:{number}"
        for c in line:
            depth = max(depth + (c == "(") - (c == ")"), 0)
            if depth > limits.depth:
                why = f"brackets nest more than {limits.depth:,} deep."
                raise InputError(*problems, Problem(where, "(", "", why, "Write the formula in parts."))
        odd = next((c for c in line if ord(c) > 126), None)
        if odd is not None:
            why, cure = "Antimony's names and formulas are plain ASCII.", "Use letters a to z, digits and _."
            problems.append(Problem(where, "character", odd, why, cure))
        for match in _ODD_NUMBER.finditer(line):
            why = "Antimony would read the digits before the letter or _ and take the rest for a unit."
            problems.append(Problem(where, "number", match[0], why, "Write it in decimal digits, as in 1.5e-3."))
        for match in _HUGE_NUMBER.finditer(line):
            value = float(match[0])
            if value in (0.0, float("inf")) and re.search("[1-9]", re.split("[eE]", match[0])[0]):
                why = "a computer's double does not hold this number."
                problems.append(
                    Problem(where, "number", match[0], why, "Choose a unit in which it is of ordinary size.")
                )
    problems += _twice(plain, name)
    if problems:
        raise InputError(*problems[:20])


def _twice(plain: str, name: str) -> list[Problem]:
    """Equations that are written twice in one model; Antimony would keep the last without a word."""
    problems = []
    for _, block in _blocks(plain):
        first: dict[tuple[str, str], int] = {}
        for number, line in block:
            equations = [
                (symbol, sign[0]) for symbol, sign, _ in _DEFINITION.findall(line) if sign not in ("=", ":", "")
            ]
            for equation in equations:
                if equation in first:
                    why = f"line {first[equation]} has an equation for it already, and Antimony would drop that one."
                    problems.append(
                        Problem(f"{name}:{number}", equation[0], line.strip()[:80], why, "Keep one of the two.")
                    )
                first.setdefault(equation, number)
    return problems


# -- what Antimony says ------------------------------------------------------------------------------------------------


def _refusal(message: str, plain: str, name: str) -> Problem:
    match = _REFUSAL.match(message)
    line, why = (int(match[1]), match[2]) if match else (0, message)
    if "SBML error(s)" in why:  # the line is that of the end of the model: look for what libSBML names
        places = _PLACE.findall(why)
        why = places[0] if places else why
        line = _line_of_named(why, plain)
    why = " ".join(why.split())
    seen = plain.split("\n")[line - 1].strip()[:80] if 0 < line <= plain.count("\n") + 1 else ""
    why = f"Antimony cannot read it: {why[:400]}{'' if why.endswith('.') else '.'}"
    cure = "Correct the statement; a statement ends with ; or the line, rates are x' = ..., rules x := ..., starts x = ...."
    return Problem(f"{name}:{line}" if line else name, "Antimony", seen, why, cure)


def _line_of_named(message: str, plain: str) -> int:
    """The first line that holds what a message quotes: the whole formula, else the first of its words."""
    quoted = re.findall(r"'([^']+)'", message)
    whole = [r"\s*".join(map(re.escape, re.findall(r"\w+|\S", text))) for text in quoted if len(text) > 2]
    words = [rf"\b{word}\b" for text in quoted for word in re.findall(r"[A-Za-z_]\w*", text)]
    return next((line for pattern in (*whole, *words) if (line := _first_line(pattern, plain))), 0)


def _first_line(pattern: str, plain: str) -> int:
    match = re.search(pattern, plain)
    return plain.count("\n", 0, match.start()) + 1 if match else 0


def _origins(sbml: str, plain: str) -> list[int]:
    """The line of the user's text behind every line of the SBML that Antimony made from it."""
    mentions: dict[str, int] = {}
    definitions: dict[tuple[str, str], int] = {}
    for number, line in enumerate(plain.split("\n"), start=1):
        for word in re.findall(r"[A-Za-z_]\w*", line):
            mentions.setdefault(word, number)
        for name, sign, function in _DEFINITION.findall(line):
            key = (function, "function") if function else (name, "'" if sign.startswith("'") else sign)
            definitions.setdefault(key, number)
    lines, current = [], 0
    for row in sbml.split("\n"):
        for kind, name in _OWNER.findall(row):
            current = definitions.get((name, _SIGN.get(kind, "=")), mentions.get(name, 0))
        lines.append(current)
    return lines
