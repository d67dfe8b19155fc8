"""A first look at an XML document, without building anything: its size, its depth, its numbers, what it declares.

libSBML dies of documents that nest too deeply, and reads some faulty numbers in its own way: ``<cn>1,5</cn>`` as 1,
``<cn>0x10</cn>`` as 0, an integer ``1e3`` as 1, a number of base 2 as one of base 10. Here such a document is refused,
by line, before libSBML sees it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from xml.parsers import expat

from respine.errors import InputError, Problem
from respine.model.limits import Limits

MATHML = "http://www.w3.org/1998/Math/MathML"
CORE = re.compile(r"http://www\.sbml\.org/sbml/level(\d+)(/version\d+(/core)?)?")
PACKAGE = re.compile(
    r"http://www\.sbml\.org/sbml/level3/version\d+/(\w+)/version\d+|http://projects\.eml\.org/bcb/sbml/.*"
)
_NUMBERS = frozenset({
    "value", "size", "volume", "initialAmount", "initialConcentration", "stoichiometry", "denominator", "multiplier",
    "exponent", "scale", "offset", "spatialDimensions",
})  # fmt: skip
_REAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(INF|inf)|NaN|nan", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)
_NO_NUMBER = "this is no number that SBML allows, or one beyond what a computer holds."
_WRITE_NUMBER = "Write digits with a decimal point and, if need be, an exponent: 1.5e-3."
_TOKENS = frozenset({"cn", "ci", "csymbol"})
_BESIDE = frozenset({"notes", "annotation"})
_MOST = 20  # faults of one document that are told


@dataclass
class Outline:
    """What a first look finds: elements of foreign namespaces, which nobody reads, and the root's attributes."""

    level: int = 3
    foreign: dict[str, int] = field(default_factory=dict)  # element with its namespace -> line of the first
    root_attributes: dict[str, str] = field(default_factory=dict)


def scan(data: bytes, name: str, limits: Limits) -> Outline:
    """Look through a document. Raises InputError with every fault of its form, or the first that makes it unreadable."""
    look = _Look(name, limits)
    try:
        look.parser.Parse(data, True)
    except InputError:
        raise
    except expat.ExpatError as fault:
        reason = expat.ErrorString(fault.code)
        why = f"the document is not well-formed XML: {reason}."
        cure = "Correct the document; an XML editor shows the place."
        look.problems.append(Problem(f"{name}:{fault.lineno}", "XML", "", why, cure))
    except (LookupError, ValueError) as fault:  # an encoding expat or Python does not know
        look.problems.append(Problem(f"{name}:1", "XML", "", f"{fault}.", 'Save it with encoding="UTF-8".'))
    if look.problems:
        raise InputError(*look.problems[:_MOST])
    return look.outline


class _Look:
    """The state of one pass over a document."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.name, self.limits = name, limits
        self.problems: list[Problem] = []
        self.outline = Outline()
        self.elements = self.depth = 0
        self.beside = 0  # depth at which notes or an annotation began; what stands inside is not mathematics
        self.cn: list[str] | None = None  # the text of an open number, by its parts
        self.cn_form: tuple[str, str] = ("real", "10")
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.strict: list[bool] = []  # of every open element: is text in it a fault?
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.CharacterDataHandler = self.text
        self.parser.EndElementHandler = self.end
        self.parser.StartDoctypeDeclHandler = self.doctype

    def stop(self, field: str, why: str, cure: str) -> None:
        """Refuse the document here and now."""
        raise InputError(*self.problems[: _MOST - 1], Problem(self.where(), field, "", why, cure))

    def where(self) -> str:
        return f"{self.name}:{self.parser.CurrentLineNumber}"

    def doctype(self, name: str, *_: object) -> None:
        why = "it begins with a document type declaration, which may define entities; SBML has none."
        self.stop(f"<!DOCTYPE {name}>"[:60], why, "Remove the declaration.")

    def start(self, full: str, attributes: dict[str, str]) -> None:
        space, _, local = full.rpartition(" ")
        self.elements += 1
        self.depth += 1
        if self.elements > self.limits.elements:
            why = f"it has more than {self.limits.elements:,} elements, the most respine reads."
            self.stop("size", why, "Give a smaller model, or limits=Limits(elements=..., seconds=...) if it is meant.")
        if self.depth > self.limits.depth:
            why = f"its elements nest more than {self.limits.depth:,} deep."
            self.stop(f"<{local}>", why, "Write the formula in parts, each a rule or function of its own.")
        if self.elements == 1:
            self.root(space, attributes)
        math = space == MATHML
        known = math or bool(CORE.fullmatch(space))
        self.strict.append(not self.beside and known and not (math and local in _TOKENS) and local not in _BESIDE)
        if self.beside:
            return
        if local in _BESIDE and known:
            self.beside = self.depth
        elif math:
            if local == "cn":
                self.cn, self.cn_form = [""], (attributes.get("type", "real").strip(), attributes.get("base", "10"))
            elif local == "sep" and self.cn is not None:
                self.cn.append("")
        elif known:
            for key in _NUMBERS & attributes.keys():
                if not _REAL.fullmatch(attributes[key].strip()):
                    self.complain(f"<{local}> {attributes.get('id', '')}".strip(), f'{key}="{attributes[key]}"')
        elif not PACKAGE.match(space):
            self.outline.foreign.setdefault(f"<{local}> of {space or 'no namespace'}", self.parser.CurrentLineNumber)

    def root(self, space: str, attributes: dict[str, str]) -> None:
        match = CORE.fullmatch(space)
        self.outline.level = int(match[1]) if match else 3
        self.outline.root_attributes = dict(attributes)

    def text(self, text: str) -> None:
        if self.cn is not None:
            self.cn[-1] += text
        elif self.strict and self.strict[-1] and text.strip():
            why = "text stands where SBML has elements only; a sign may be missing in front of it."
            self.complain("text", " ".join(text.split()), why, "Remove it, or make it the element it was meant to be.")

    def end(self, full: str) -> None:
        self.strict.pop()
        if self.depth == self.beside:
            self.beside = 0
        self.depth -= 1
        if self.cn is not None and full == f"{MATHML} cn":
            parts, (kind, base) = [part.strip() for part in self.cn], self.cn_form
            self.cn = None
            if not _is_number(parts, kind, base):
                of_base = f' base="{base}"' if base != "10" else ""
                self.complain(f'<cn type="{kind}"{of_base}>', " ".join(parts))

    def complain(self, where: str, seen: str, why: str = _NO_NUMBER, cure: str = _WRITE_NUMBER) -> None:
        if len(self.problems) < _MOST:
            self.problems.append(Problem(self.where(), where, seen[:80], why, cure))


def _is_number(parts: list[str], kind: str, base: str) -> bool:
    """Whether the content of a ``cn`` is a number of its kind that a double holds."""
    if base.strip() != "10":
        return False
    if kind == "real":
        return len(parts) == 1 and _held(parts[0])
    if kind == "integer":
        return len(parts) == 1 and bool(_WHOLE.fullmatch(parts[0])) and _held(parts[0])
    if kind == "rational":
        whole = len(parts) == 2 and all(_WHOLE.fullmatch(part) for part in parts)
        return bool(whole) and float(parts[1]) != 0
    if kind == "e-notation":
        return len(parts) == 2 and bool(_WHOLE.fullmatch(parts[1])) and _held(f"{parts[0]}e{parts[1]}", parts[0])
    return True  # types SBML does not know: libSBML names them


def _held(text: str, written: str | None = None) -> bool:
    """Whether a double holds what is written: it does not overflow, nor vanish."""
    if not _REAL.fullmatch(text if written is None else written):
        return False
    try:
        value = float(text)
    except ValueError:  # 1e3e5: an exponent inside the mantissa
        mantissa, _, exponent = text.rpartition("e")
        value = float(mantissa) * 10.0 ** min(max(int(float(exponent)), -400), 308)
    letters = "n" in text.lower()  # INF and NaN are written out
    vanished = value == 0 and bool(re.search(r"[1-9]", re.split("[eE]", text)[0]))
    return letters or (math.isfinite(value) and not vanished)
