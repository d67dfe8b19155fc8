"""Ways to damage files of users: any text, XML, YAML, tables. Mutant k of a kind of file is the same on every machine."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Mutation = Callable[[random.Random, bytes], bytes]


@dataclass(frozen=True)
class Kind:
    """A kind of file: ``seeds`` by name, the name of a mutant's file, ``mutations``, and ``read``.

    ``read(file)`` returns, or raises InputError; ``referee(file)`` names what is wrong with an accepted one, or is empty.
    """

    seeds: Callable[[], dict[str, bytes]]
    file: str
    mutations: Sequence[Mutation]
    read: Callable[[Path], object]
    referee: Callable[[Path], str] | None = None

    def mutant(self, k: int) -> tuple[str, bytes]:
        """What was done to which seed, and the damaged file; most are damaged once, some up to four times."""
        rng = random.Random(f"{self.file} {k}")
        name, data = rng.choice(sorted(self.seeds().items()))
        done = []
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            mutation = rng.choice(self.mutations)
            data = mutation(rng, data)
            done.append(getattr(mutation, "__name__", "mutation"))
        return f"{name}: {', '.join(done)}", data


# -- ways to damage any text ---------------------------------------------------------------------------------------------

NUMBERS = (
    "0", "-0", "-1", "1e999", "-1e999", "1e-999", "1e308", "4.9e-324", "1e22", "NaN", "nan", "INF", "-INF", "inf", "", " ", "1,5", "1 2", "0x10",
    "1d3", "1_0", "99999999999999999999", "2147483648", "1.5", "+3", ".5", "5.", "1e", "--1", "٣", "1e5e5", "true", "None", "1/0", "0.1.2",
)  # fmt: skip
SIGNS = (
    "\0",
    "\x1b[2J",
    "\x07",
    "\u202e",
    "\u2028",
    "é",
    "\ufeff",
    "&",
    "<",
    ">",
    '"',
    "'",
    "\t",
    "\r",
    "{",
    "}",
    "%s",
    "\x85",
    "�",
    "😀",
    "\ud800",
)


def byte_flip(rng: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def byte_lost(rng: random.Random, data: bytes) -> bytes:
    at, n = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 10, 100))
    return data[:at] + data[at + n :]


def cut_short(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def sign_put_in(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(SIGNS).encode("utf-8", "surrogatepass") * rng.choice((1, 1, 1, 50)) + data[at:]


def line_lost(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    del lines[rng.randrange(len(lines))]
    return b"\n".join(lines)


def line_twice(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    return b"\n".join([*lines[:at], *[lines[at]] * rng.choice((2, 2, 3, 500)), *lines[at + 1 :]])


def lines_swapped(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return b"\n".join(lines)


def number_replaced(rng: random.Random, data: bytes) -> bytes:
    return _one_replaced(rng, data, rb"(?<![\w.])-?\d+\.?\d*(?:[eE][+-]?\d+)?(?![\w.])", rng.choice(NUMBERS).encode())


def name_replaced(rng: random.Random, data: bytes) -> bytes:
    """One name in place of another, or a name misspelt."""
    names = re.findall(rb"[A-Za-z_]\w{0,40}", data)
    if not names:
        return data
    new = rng.choice(names) if rng.random() < 0.7 else rng.choice(names) + rng.choice((b"x", b"_", b"1", b"'"))
    return _one_replaced(rng, data, rb"\b[A-Za-z_]\w{0,40}\b", new)


def part_repeated(rng: random.Random, data: bytes) -> bytes:
    a = rng.randrange(len(data) + 1)
    part = data[a : a + rng.choice((1, 5, 20, 200))]
    return data[:a] + part * rng.choice((2, 10, 1000)) + data[a:]


def _one_replaced(rng: random.Random, data: bytes, pattern: bytes, new: bytes) -> bytes:
    places = [match.span() for match in re.finditer(pattern, data)]
    if not places:
        return data
    a, b = rng.choice(places)
    return data[:a] + new + data[b:]


TEXT = (
    byte_flip,
    byte_lost,
    cut_short,
    sign_put_in,
    line_lost,
    line_twice,
    lines_swapped,
    number_replaced,
    name_replaced,
    part_repeated,
)


# -- ways to damage XML ----------------------------------------------------------------------------------------------------

ATTRIBUTE = rb'\s([\w:]+)="([^"]*)"'
SPACES = (
    b"http://www.sbml.org/sbml/level1", b"http://www.sbml.org/sbml/level2", b"http://www.sbml.org/sbml/level2/version4",
    b"http://www.sbml.org/sbml/level3/version1/core", b"http://www.sbml.org/sbml/level3/version2/core", b"http://www.sbml.org/sbml/level9/version9/core",
    b"http://www.w3.org/1998/Math/MathML", b"http://www.w3.org/1999/xhtml", b"", b"urn:x", b"http://www.sbml.org/sbml/level3/version1/comp/version1",
)  # fmt: skip


def attributes_swapped(rng: random.Random, data: bytes) -> bytes:
    places = [m.span(2) for m in re.finditer(ATTRIBUTE, data)]
    if len(places) < 2:
        return data
    (a, b), (c, d) = sorted(rng.sample(places, 2))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def attribute_lost(rng: random.Random, data: bytes) -> bytes:
    return _one_replaced(rng, data, ATTRIBUTE, b"")


def attribute_renamed(rng: random.Random, data: bytes) -> bytes:
    places = [m.span(1) for m in re.finditer(ATTRIBUTE, data)]
    names = [m[1] for m in re.finditer(ATTRIBUTE, data)]
    if not places:
        return data
    a, b = rng.choice(places)
    return data[:a] + rng.choice([*names, b"x", b"layout:id", b"xmlns:comp"]) + data[b:]


def truth_turned(rng: random.Random, data: bytes) -> bytes:
    return _one_replaced(
        rng, data, rb'(?<=")(?:true|false)(?=")', rng.choice((b"true", b"false", b"1", b"0", b"TRUE", b"yes", b""))
    )


def namespace_changed(rng: random.Random, data: bytes) -> bytes:
    return _one_replaced(rng, data, rb'(?<=xmlns=")[^"]*', rng.choice(SPACES))


def level_changed(rng: random.Random, data: bytes) -> bytes:
    return _one_replaced(
        rng, data, rb'(?<=(?:.level|ersion)=")\d+', rng.choice((b"1", b"2", b"3", b"4", b"5", b"0", b"-1", b"x"))
    )


def element_lost(rng: random.Random, data: bytes) -> bytes:
    span = _element(rng, data)
    return data if span is None else data[: span[0]] + data[span[1] :]


def element_twice(rng: random.Random, data: bytes) -> bytes:
    span = _element(rng, data)
    return data if span is None else data[: span[1]] + data[slice(*span)] * rng.choice((1, 1, 2, 300)) + data[span[1] :]


def element_moved(rng: random.Random, data: bytes) -> bytes:
    first, second = _element(rng, data), _element(rng, data)
    if first is None or second is None or not (first[1] <= second[0]):
        return data
    (a, b), (c, d) = first, second
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def nested_deeply(rng: random.Random, data: bytes) -> bytes:
    """An element inside itself, or inside an operator, a few to very many times."""
    span = _element(rng, data)
    if span is None:
        return data
    inner, n = data[slice(*span)], rng.choice((2, 10, 100, 900, 3000, 20000))
    begin, end = rng.choice((
        (b"<apply><sin/>", b"</apply>"), (b"<apply><plus/><cn>1</cn>", b"</apply>"), (b"<apply><not/>", b"</apply>"), (b"<annotation>", b"</annotation>"),
        (b"<piecewise><piece><cn>1</cn>", b"</piece></piecewise>"), (b"<lambda>", b"</lambda>"), (b"<listOfRules>", b"</listOfRules>"),
        (b'<apply><csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/rateOf">r</csymbol>', b"</apply>"),
        (b'<apply><csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/delay">d</csymbol>', b"<cn>1</cn></apply>"),
    ))  # fmt: skip
    return data[: span[0]] + begin * n + inner + end * n + data[span[1] :]


def formula_replaced(rng: random.Random, data: bytes) -> bytes:
    """A leaf of a formula becomes something else."""
    new = rng.choice((
        b"<cn>1,5</cn>", b"<cn>0x10</cn>", b'<cn type="integer">1e3</cn>', b'<cn type="rational">1<sep/>0</cn>', b'<cn type="e-notation">1<sep/>999</cn>',
        b"<ci>nowhere</ci>", b"<ci/>", b"<infinity/>", b"<notanumber/>", b"<true/>", b"<apply><divide/><cn>1</cn><cn>0</cn></apply>",
        b"<apply><ln/><cn>-1</cn></apply>", b"<apply><factorial/><ci>x</ci></apply>", b"<apply><root/><cn>-4</cn></apply>", b"<apply/>", b"<piecewise/>",
        b'<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time">t</csymbol>', b"<apply><ci>f</ci></apply>",
        b'<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/avogadro">a</csymbol>', b"<apply><times/></apply>",
    ))  # fmt: skip
    return _one_replaced(rng, data, rb"<ci>[^<]*</ci>|<cn[^>]*>[^<]*</cn>", new)


def operator_replaced(rng: random.Random, data: bytes) -> bytes:
    operators = (b"plus", b"minus", b"times", b"divide", b"power", b"root", b"ln", b"log", b"exp", b"sin", b"arcsinh", b"sec", b"gt", b"lt", b"eq", b"neq", b"and",
                 b"xor", b"not", b"implies", b"rem", b"quotient", b"min", b"max", b"floor", b"abs", b"factorial", b"selector", b"bvar", b"diff", b"nothing")  # fmt: skip
    return _one_replaced(rng, data, rb"(?<=<apply>)\s*<(\w+)\s*/>", b"<" + rng.choice(operators) + b"/>")


def doctype_put_in(rng: random.Random, data: bytes) -> bytes:
    laughs = b"".join(b'<!ENTITY l%d "%s">' % (k, b"&l%d;" % (k - 1) * 10) for k in range(1, 10))
    kinds = (
        b"<!DOCTYPE s>",
        b'<!DOCTYPE s [<!ENTITY l0 "x">' + laughs + b"]>",
        b'<!DOCTYPE s [<!ENTITY f SYSTEM "file:///etc/passwd">]>',
    )
    return re.sub(rb"(<\?xml[^>]*>)?", lambda m: m[0] + rng.choice(kinds), data, count=1).replace(
        b"</ci>", b"&l9;</ci>", rng.randrange(2)
    )


def _element(rng: random.Random, data: bytes) -> tuple[int, int] | None:
    """Begin and end of an element, its content included."""
    starts = list(re.finditer(rb"<([A-Za-z][\w:]*)\b[^>]*?(/?)>", data))
    if not starts:
        return None
    chosen = rng.choice(starts)
    if chosen[2]:
        return chosen.span()
    depth = 0
    for match in re.finditer(rb"<(/?)" + re.escape(chosen[1]) + rb"\b[^>]*?(/?)>", data[chosen.start() :]):
        depth += 0 if match[2] else (-1 if match[1] else 1)
        if depth <= 0:
            return chosen.start(), chosen.start() + match.end()
    return None


XML = (
    *TEXT, attributes_swapped, attribute_lost, attribute_renamed, truth_turned, namespace_changed, level_changed, element_lost, element_twice,
    element_moved, nested_deeply, formula_replaced, operator_replaced, doctype_put_in, number_replaced, name_replaced,
)  # fmt: skip


# -- ways to damage YAML ---------------------------------------------------------------------------------------------------

VALUES = (
    "", "~", "null", "[]", "{}", "[1, 2]", "{a: 1}", "yes", "no", "on", "0", "-1", "1e999", ".inf", "-.inf", ".nan", "0x1F", "0o17", "1_000", "12:30:45",
    "2001-12-14", "!!python/object:os.system x", "!!binary aGVsbG8=", "!!float 3", "!x y", "&a 1", "*a", "<<", "'", '"', "|", ">", "@", "`", "%", "? a",
    "1e-320", "24", "24 hours", "1 month", "-3 h", "1e9 h", "0.5mg/kg", "1e6 mg/kg", "500 ug/kg", "50 percent", "120 %", "-5 %", "../../../etc/passwd",
    "/dev/zero", "file:///etc/passwd", "\x1b[31m", "1" * 400, "ketamine", "mdd", "human", "\u202e", "true", "NaN", "1/2", "1,5", "[[[[[[]]]]]]",
)  # fmt: skip


def value_replaced(rng: random.Random, data: bytes) -> bytes:
    """What stands behind a colon, on a line or in braces, becomes something else."""
    return _one_replaced(rng, data, rb"(?<=: )[^\n,{}\[\]#]+", rng.choice(VALUES).encode())


def values_exchanged(rng: random.Random, data: bytes) -> bytes:
    places = [m.span() for m in re.finditer(rb"(?<=: )[^\n,{}\[\]#]+", data)]
    if len(places) < 2:
        return data
    (a, b), (c, d) = sorted(rng.sample(places, 2))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def key_replaced(rng: random.Random, data: bytes) -> bytes:
    keys = re.findall(rb"(?<![\w-])[\w-]+(?=:)", data)
    if not keys:
        return data
    new = rng.choice((rng.choice(keys), rng.choice(keys)[:-1], rng.choice(keys) + b"s", b"1", b"<<", b"? x", b"x"))
    return _one_replaced(rng, data, rb"(?<![\w-])[\w-]+(?=:)", new)


def key_twice(rng: random.Random, data: bytes) -> bytes:
    """An entry in braces is written once more, with another value."""
    entries = [m.span() for m in re.finditer(rb"(?<![\w-])[\w-]+: [^\n,{}\[\]#]+", data)]
    if not entries:
        return data
    a, b = rng.choice(entries)
    return data[:b] + b", " + data[a:b] + rng.choice((b"", b"0", b"x")) + data[b:]


def entry_lost(rng: random.Random, data: bytes) -> bytes:
    return _one_replaced(rng, data, rb"(?<![\w-])[\w-]+: [^\n,{}\[\]#]+,? ?", b"")


def indented(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    change = rng.choice((b" ", b"  ", b"\t", b"- ", None))
    lines[at] = lines[at].lstrip() if change is None else change + lines[at]
    return b"\n".join(lines)


def unit_replaced(rng: random.Random, data: bytes) -> bytes:
    units = (
        b"h",
        b"d",
        b"min",
        b"s",
        b"week",
        b"mg",
        b"mg/kg",
        b"ug",
        b"g",
        b"kg",
        b"lb",
        b"%",
        b"points",
        b"year",
        b"mol",
        b"",
        b"mmHg",
        b"mg/m2",
        b"x",
    )
    return _one_replaced(rng, data, rb"(?<=\d )[A-Za-z%/]+\b|(?<=unit: )[\w/^%]+", rng.choice(units))


def anchors_put_in(rng: random.Random, data: bytes) -> bytes:
    kinds = (
        b"%YAML 1.3\n---\n", b"---\n", b"...\n---\n", b"x: &a [1]\ny: *a\n", b"%TAG ! tag:x,2000:\n---\n",
        b"l0: &l0 [x]\n" + b"".join(b"l%d: &l%d [%s]\n" % (k, k, b", ".join([b"*l%d" % (k - 1)] * 10)) for k in range(1, 10)),
        b"[" * 3000, b"{a: " * 900, b"- " * 2000, b"x: &x {<<: *x}\n", b"# " + b"x" * 300_000 + b"\n", b"\xfe\xff", b"\xef\xbb\xbf",
    )  # fmt: skip
    return rng.choice(kinds) + data


YAML = (
    *TEXT, value_replaced, value_replaced, value_replaced, values_exchanged, values_exchanged, key_replaced, key_replaced, key_twice, entry_lost, indented,
    unit_replaced, unit_replaced, anchors_put_in,
)  # fmt: skip


# -- ways to damage a table ------------------------------------------------------------------------------------------------

CELLS = (
    "", ".", "NA", "x", "-1", "0", "1e999", "nan", "inf", "1,5", '"', '""', "1e-320", "1 000", "+1", "0x10", "1_0", "1d2", "=1+1", "  7 ", "2", "-2", "99", "1.5",
    "9" * 400, "TRUE", "2020-01-01", "08:30", "\x00", "\u0663", "1\t2", "a\nb",
)  # fmt: skip


def cell_replaced(rng: random.Random, data: bytes) -> bytes:
    cell = rng.choice((*CELLS, "y" * 140_000)).encode()
    return _one_replaced(rng, data, rb"(?<=[,\n])[^,\n]*", cell)


def cells_exchanged(rng: random.Random, data: bytes) -> bytes:
    places = [m.span() for m in re.finditer(rb"(?<=[,\n])[^,\n]+", data)]
    if len(places) < 2:
        return data
    (a, b), (c, d) = sorted(rng.sample(places, 2))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def cell_lost(rng: random.Random, data: bytes) -> bytes:
    return _one_replaced(rng, data, rb",[^,\n]*", b"")


def column_changed(rng: random.Random, data: bytes) -> bytes:
    """A column is lost, doubled, moved to the end, or named otherwise."""
    rows = [line.split(b",") for line in data.split(b"\n")]
    at, kind = rng.randrange(len(rows[0])), rng.randrange(4)
    for number, row in enumerate(rows):
        if at < len(row):
            if kind == 3:
                row[at] = (
                    rng.choice((row[at][:-1], row[at] + b"_", b"", b"ID", b"time_h", b"CMT"))
                    if number == 0
                    else row[at]
                )
                continue
            cell = row.pop(at) if kind != 1 else row[at]
            if kind:
                row.append(cell)
    return b"\n".join(b",".join(row) for row in rows)


def separator_changed(rng: random.Random, data: bytes) -> bytes:
    kinds = (
        (b",", b";"),
        (b",", b"\t"),
        (b",", b" "),
        (b"\n", b"\r\n"),
        (b"\n", b"\r"),
        (b".", b","),
        (b",", b"|"),
        (b"\n", b"\n\n"),
    )
    return data.replace(*rng.choice(kinds))


TABLE = (
    *TEXT, cell_replaced, cell_replaced, cell_replaced, cells_exchanged, cell_lost, column_changed, column_changed, separator_changed,
)  # fmt: skip
