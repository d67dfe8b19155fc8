"""$THETA, $OMEGA, $SIGMA and their priors: starts, bounds, blocks, SAME, FIX."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from respine.interop.control_stream.records import Record
from respine.interop.faults import Faults

MOST = 2000  # thetas or random effects
LARGEST = 1e100  # of a variance
INFINITE = 1e6  # NONMEM's infinity
_WORD = re.compile(r"\(|\)|[^\s(),]+|,")
_IGNORED = ("NOABORT", "NOABORTFIRST", "ABORT", "NOTHETABOUNDTEST", "THETABOUNDTEST", "NOOMEGABOUNDTEST", "OMEGABOUNDTEST",
            "NOSIGMABOUNDTEST", "SIGMABOUNDTEST")  # fmt: skip


@dataclass(frozen=True)
class ThetaGiven:
    start: float
    lower: float = -math.inf
    upper: float = math.inf
    fixed: bool = False
    label: str = ""
    line: int = 0


@dataclass
class BlockGiven:
    """Random effects that vary together. ``same``: the position of the block whose matrix this one shares."""

    matrix: np.ndarray
    fixed: bool
    labels: list[str]
    line: int
    same: int | None = None

    @property
    def size(self) -> int:
        return len(self.matrix)


@dataclass
class Estimates:
    """Everything $THETA and $OMEGA-like records say; ``names`` maps ``THETA(CL)`` to ``THETA(1)``."""

    thetas: list[ThetaGiven] = field(default_factory=list)
    omega: list[BlockGiven] = field(default_factory=list)
    sigma: list[BlockGiven] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)


def number(text: str) -> float:
    """A number of Fortran, or INF. Raises ValueError."""
    upper = text.upper()
    if upper in ("INF", "+INF", "INFINITY", "-INF", "-INFINITY"):
        return -math.inf if upper.startswith("-") else math.inf
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([ED][+-]?\d+)?", upper):
        raise ValueError
    return float(upper.replace("D", "E"))


def tokens(record: Record) -> list[tuple[str, int, str]]:
    """Words, brackets and commas, each with its line and the comment of that line."""
    return [(found[0], line.number, line.comment) for line in record.lines for found in _WORD.finditer(line.text)]


def _is_fix(word: str) -> bool:
    return word.upper() in ("FIX", "FIXED")


# ---- thetas ----------------------------------------------------------------------------------------------------------
def thetas(record: Record, faults: Faults, names: dict[str, str], before: int) -> list[ThetaGiven]:
    """The fixed effects of a $THETA or $THETAP record."""
    found: list[ThetaGiven] = []
    words = tokens(record)
    at = 0

    def fault(line: int, seen: str, why: str) -> None:
        faults.add(
            line, f"${record.name}", seen, why, "Write start, or (lower, start, upper), with FIX where it is fixed."
        )

    while at < len(words):
        word, line, comment = words[at]
        if word.upper() == "NAMES":
            end = next((k for k in range(at, len(words)) if words[k][0] == ")"), len(words))
            given = [w for w, _, _ in words[at + 1 : end] if w not in ("(", ",")]
            names |= {
                f"{record.name}({name.upper()})": f"{record.name}({before + k + 1})" for k, name in enumerate(given)
            }
            at = end + 1
        elif (
            word.upper() in _IGNORED
            or word == ","
            or word.upper().startswith("NUMBERPOINTS")
            or word.upper().startswith("NUMPTS")
        ):
            at += 1
        elif word == "(":
            end = next((k for k in range(at, len(words)) if words[k][0] == ")"), len(words))
            inside = [w for w, _, _ in words[at + 1 : end]]
            times, fixed = 1, False
            at = end + 1
            if at < len(words) and re.fullmatch(r"[xX]\d{1,4}", words[at][0]):
                times = int(words[at][0][1:])
                at += 1
            if at < len(words) and _is_fix(words[at][0]):
                fixed, at = True, at + 1
            made = _bounds(inside, fixed, comment, line)
            if made is None or times > MOST:
                fault(line, f"({' '.join(inside)})", "This is no fixed effect with bounds.")
            else:
                found += [made] * times
        else:
            text = re.sub(r"^[A-Za-z]\w*=", "", word)
            at += 1
            try:
                start = number(text)
                if not math.isfinite(start):
                    raise ValueError
            except ValueError:
                fault(line, word, "This is no number.")
                continue
            fixed = at < len(words) and _is_fix(words[at][0])
            at += fixed
            found.append(ThetaGiven(start, fixed=fixed, label=comment, line=line))
    if before + len(found) > MOST:
        fault(record.line, str(before + len(found)), f"There are more than {MOST} of them.")
        return []
    return found


def _bounds(inside: list[str], fixed: bool, label: str, line: int) -> ThetaGiven | None:
    """(lower, start, upper) with FIX anywhere; commas may be left out."""
    fixed = fixed or any(_is_fix(word) for word in inside)
    words = [word for word in inside if not _is_fix(word)]
    while words and words[-1] == ",":
        words.pop()
    parts: list[str] = []
    if "," in words:
        current = ""
        for word in words:
            if word == ",":
                parts.append(current)
                current = ""
            elif current:
                return None
            else:
                current = word
        parts.append(current)
    else:
        parts = words
    if not 1 <= len(parts) <= 3:
        return None
    try:
        values = [number(part) if part else math.nan for part in parts]
    except ValueError:
        return None
    lower, start, upper = (values + [math.nan] * 2)[:3] if len(values) > 1 else (math.nan, values[0], math.nan)
    if not math.isfinite(start):
        return None
    lower = -math.inf if math.isnan(lower) or lower <= -INFINITE else lower
    upper = math.inf if math.isnan(upper) or upper >= INFINITE else upper
    if not lower <= start <= upper:
        return None
    return ThetaGiven(start, lower, upper, fixed or lower == upper, label, line)


# ---- covariances -----------------------------------------------------------------------------------------------------
def blocks(record: Record, faults: Faults, names: dict[str, str], known: list[BlockGiven]) -> list[BlockGiven]:
    """The blocks of an $OMEGA or $SIGMA record; ``known`` are those before it."""
    reader = _Blocks(record, faults, names, known)
    try:
        found = reader.blocks()
    except ValueError as error:
        line, seen = reader.place()
        faults.add(line, f"${record.name}", seen, f"{error}.", "Write variances, or BLOCK(n) and the lower triangle.")
        return []
    if sum(b.size for b in (*known, *found)) > MOST:
        faults.add(record.line, f"${record.name}", "", f"There are more than {MOST} random effects.", "Write fewer.")
        return []
    return found


class _Blocks:
    def __init__(self, record: Record, faults: Faults, names: dict[str, str], known: list[BlockGiven]) -> None:
        self.record, self.faults, self.names, self.known = record, faults, names, known
        self.words, self.at = tokens(record), 0

    def place(self) -> tuple[int, str]:
        if not self.words:
            return self.record.line, ""
        word, line, _ = self.words[min(self.at, len(self.words) - 1)]
        return line, word

    def peek(self) -> str:
        return self.words[self.at][0].upper() if self.at < len(self.words) else ""

    def whole(self) -> int | None:
        """The number in brackets, where there is one."""
        if self.peek() != "(":
            return None
        self.at += 1
        text = self.peek()
        if not re.fullmatch(r"[1-9]\d{0,3}", text):
            raise ValueError(f'"{text}" is no number of effects')
        self.at += 1
        if self.peek() != ")":
            raise ValueError("a bracket is not closed")
        self.at += 1
        return int(text)

    def blocks(self) -> list[BlockGiven]:
        before = sum(b.size for b in self.known)
        size, block, same, times = None, False, False, 1
        options: set[str] = set()
        values: list[tuple[float, bool, str, int]] = []
        while self.at < len(self.words):
            word = self.peek()
            line, comment = self.words[self.at][1:]
            if word in ("BLOCK", "DIAGONAL", "DIAG"):
                self.at += 1
                block = word == "BLOCK"
                size = self.whole()
            elif word == "SAME":
                self.at += 1
                same, times = True, self.whole() or 1
            elif word in ("FIX", "FIXED"):
                self.at += 1
                if values and not block:
                    values[-1] = (values[-1][0], True, *values[-1][2:])
                else:
                    options.add("FIX")
            elif word in ("SD", "STANDARD", "VARIANCE", "COVARIANCE", "CORRELATION", "CORR", "CORRELATON", "CHOLESKY"):
                self.at += 1
                options.add({"STANDARD": "SD", "CORR": "CORRELATION"}.get(word, word))
                if values and not block and word in ("SD", "STANDARD"):
                    raise ValueError("SD behind a single value is not read: write (SD 0.3)")
            elif word == "NAMES":
                end = next((k for k in range(self.at, len(self.words)) if self.words[k][0] == ")"), len(self.words))
                given = [w for w, _, _ in self.words[self.at + 1 : end] if w not in ("(", ",")]
                kind = "EPS" if self.record.name.startswith("SIGMA") else "ETA"
                self.names |= {f"{kind}({n.upper()})": f"{kind}({before + k + 1})" for k, n in enumerate(given)}
                self.at = end + 1
            elif word == "VALUES":
                values = self.filled(size, line, comment)
            elif word == "(":
                values += self.bracketed(options, block)
            elif word in (",", *_IGNORED):
                self.at += 1
            else:
                text = re.sub(r"^[A-Z]\w*=", "", word)
                values.append((self.value(text), False, comment, line))
                self.at += 1
        return self.made(block, size, same, times, options, values)

    def value(self, text: str) -> float:
        try:
            found = number(text)
        except ValueError:
            raise ValueError(f'"{text[:30]}" is no number') from None
        if not math.isfinite(found):
            raise ValueError("a variance is finite")
        return found

    def filled(self, size: int | None, line: int, comment: str) -> list[tuple[float, bool, str, int]]:
        """BLOCK(n) VALUES(diagonal, off)."""
        self.at += 1
        end = next((k for k in range(self.at, len(self.words)) if self.words[k][0] == ")"), len(self.words))
        given = [self.value(w) for w, _, _ in self.words[self.at : end] if w not in ("(", ",")]
        self.at = end + 1
        if len(given) != 2 or size is None:
            raise ValueError("VALUES needs BLOCK(n), a diagonal and an off-diagonal value")
        return [(given[0] if i == j else given[1], False, comment, line) for i in range(size) for j in range(i + 1)]

    def bracketed(self, options: set[str], block: bool) -> list[tuple[float, bool, str, int]]:
        """(0.09 FIX), (0.01)x6, (SD 0.3)."""
        start = self.at
        line, comment = self.words[start][1:]
        end = next((k for k in range(start, len(self.words)) if self.words[k][0] == ")"), None)
        if end is None:
            raise ValueError("a bracket is not closed")
        inside = [w.upper() for w, _, _ in self.words[start + 1 : end] if w != ","]
        fixed = any(_is_fix(word) for word in inside)
        own = {word for word in inside if re.fullmatch(r"[A-Z]+", word)} - {"FIX", "FIXED"}
        if not own <= {"SD", "STANDARD", "VARIANCE", "CORRELATION", "COVARIANCE", "CHOLESKY"}:
            raise ValueError(f"{', '.join(sorted(own))} is not read")
        self.at = start + 1
        numbers = [self.value(word) for word in inside if not re.fullmatch(r"[A-Z]+", word)]
        if block:
            options |= {{"STANDARD": "SD"}.get(word, word) for word in own} | ({"FIX"} if fixed else set())
        elif own & {"SD", "STANDARD"}:
            numbers = [value * value for value in numbers]
        self.at = end + 1
        times = 1
        if re.fullmatch(r"X\d{1,4}", self.peek()):
            times = int(self.peek()[1:])
            self.at += 1
        return [(value, fixed, comment, line) for value in numbers] * times

    def made(
        self, block: bool, size: int | None, same: bool, times: int, options: set[str],
        values: list[tuple[float, bool, str, int]],
    ) -> list[BlockGiven]:  # fmt: skip
        line = self.record.line
        if same:
            if not self.known or values:
                raise ValueError(
                    "SAME repeats the block before it" + (", and has no values of its own" if values else "")
                )
            position = len(self.known) - 1
            repeats = self.known[position].same
            origin = position if repeats is None else repeats
            model = self.known[origin]
            if size is not None and size != model.size:
                raise ValueError(f"SAME has {size} effects, the block before it {model.size}")
            return [BlockGiven(model.matrix, model.fixed, [""] * model.size, line, origin) for _ in range(times)]
        if not values:
            raise ValueError("the record has no value")
        if not all(abs(v) < LARGEST for v, *_ in values):
            raise ValueError(f"a value of {LARGEST:g} and more is no variance")
        if not block:
            if size is not None and size != len(values):
                raise ValueError(f"DIAGONAL({size}) has {len(values)} values")
            every = "SD" in options
            return [BlockGiven(np.array([[self.variance(v * v if every else v)]]), fixed or "FIX" in options, [c], at)
                    for v, fixed, c, at in values]  # fmt: skip
        n = size or int((math.isqrt(8 * len(values) + 1) - 1) / 2)
        if n * (n + 1) // 2 != len(values):
            raise ValueError(f"BLOCK({n}) has {n * (n + 1) // 2} values, not {len(values)}")
        matrix = _matrix(n, [v for v, *_ in values], options)
        labels = [values[(k + 1) * (k + 2) // 2 - 1][2] for k in range(n)]
        if matrix.any() and np.linalg.eigvalsh(matrix)[0] <= 0 and not self.record.name.endswith(("P", "PD", "PV")):
            raise ValueError("the matrix is no covariance: it is not positive definite")
        return [BlockGiven(matrix, "FIX" in options or any(f for _, f, *_ in values), labels, line)]

    def variance(self, value: float) -> float:
        if value < 0:
            raise ValueError(f"a variance of {value:g} is impossible")
        return value


def _matrix(n: int, values: Sequence[float], options: set[str]) -> np.ndarray:
    """The covariance matrix of a lower triangle, given as it is, as SD and correlation, or as Cholesky factor."""
    lower = np.zeros((n, n))
    lower[np.tril_indices(n)] = values
    if "CHOLESKY" in options:
        return np.asarray(lower @ lower.T)
    full = lower + np.tril(lower, -1).T
    sd = np.diag(full).copy() if "SD" in options else np.sqrt(np.abs(np.diag(full)))
    if "SD" in options:
        full[np.diag_indices(n)] = sd**2
    if "CORRELATION" in options:
        scale = np.outer(sd, sd)
        scale[np.diag_indices(n)] = 1.0
        full = full * scale
    return full


def replaced(given: Estimates, values: Mapping[str, float]) -> None:
    """With estimates by their names in .ext files (``THETA1``, ``OMEGA(2,1)``) in place of the starts."""
    given.thetas = [replace(t, start=values.get(f"THETA{k}", t.start)) for k, t in enumerate(given.thetas, 1)]
    for word, blocks_ in (("OMEGA", given.omega), ("SIGMA", given.sigma)):
        at = 0
        for block in blocks_:
            n = block.size
            new = block.matrix.copy()
            for i in range(n):
                for j in range(i + 1):
                    new[i, j] = new[j, i] = values.get(f"{word}({at + i + 1},{at + j + 1})", new[i, j])
            block.matrix = new
            at += n
