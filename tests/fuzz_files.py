"""Damaged files of users, by the thousand: each is refused in one message or accepted; anything else is counted as a fault.

    python tests/fuzz_files.py sbml 3000                 # counts; exit code 1 where there is a fault
    python tests/fuzz_files.py sbml 3000 --referee       # accepted models against libRoadRunner as well
    python tests/fuzz_files.py sbml 3000 --keep folder   # faults, and what was accepted, to look at
    python tests/fuzz_files.py sbml --only 1234          # one mutant again, in this process

A kind of file is a ``Kind`` in ``KINDS``: whole files to begin with, ways to damage them, and what reads them. Mutant k of a
kind is the same on every machine.
"""

from __future__ import annotations

import argparse
import multiprocessing
import queue
import random
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

HUNG_S = 20.0
REFUSED, ACCEPTED, TRACEBACK, DIED, HUNG, WRONG = "refused", "accepted", "traceback", "died", "over 20 s", "wrong"
FAULTS = (TRACEBACK, DIED, HUNG, WRONG)

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


# -- SBML and Antimony -----------------------------------------------------------------------------------------------------

ANTIMONY = {
    "oral": "model oral\n depot' = -ka*depot; central' = ka*depot - CL/Vc*central\n level := central/Vc\n depot = 100; central = 0\n ka = 1.5; CL = 4; Vc = 20\nend\n",
    "reactions": "function mm(s, v, k)\n v*s/(k + s)\nend\nmodel enzyme\n compartment c = 2; species S in c = 10, P in c = 0\n J: S -> P; c*mm(S, Vmax, Km)\n"
                 " B: 2 P -> S; k1*P\n Vmax = 3; Km = 2; k1 = 0.1\nend\n",
    "events": "model events\n x = 1; x' = -k*x; k = 0.5; n = 0\n E1: at (x < 0.3), t0=false: x = 1, n = n + 1\n E2: at 0.5 after (time > 2), priority = 3: k = 0.25\nend\n",
    "starts": "model starts\n a = 2; b = a*3; c0 = b + a; x = c0; x' = -x/b; y := piecewise(x, time < 3, x*2); z = 1; z' = rateOf(x)\nend\n",
    "units": "model units\n unit ml = 1e-3 litre; unit per_h = 1/3600 second\n V = 3; V has ml; k = 0.2; k has per_h\n x = 5; x' = -k*x; x is \"an amount\"\nend\n",
    "parts": "model part\n x = 8; x' = -k*x; k = 0.5\nend\nmodel whole\n a: part(); b: part(); a.k = 0.25\nend\n",
    "growing": "model growing\n compartment c; c = 1; c' = 0.1\n species S in c; S = 5; S -> ; k*S*c; k = 0.3\n substanceOnly species T in c; T = 2; T -> ; k*T\nend\n",
    "functions": "model functions\n x = 0.5; x' = tanh(x) - arcsin(x/2) + max(x, 0.1) + factorial(3)*log10(x + 1) - floor(x) + x^1.5 - sqrt(x)/ln(x + 2)\nend\n",
}  # fmt: skip


@cache
def antimony_seeds() -> dict[str, bytes]:
    return {name: text.encode() for name, text in ANTIMONY.items()}


@cache
def sbml_seeds() -> dict[str, bytes]:
    """The Antimony texts as SBML of several levels, a hierarchical model, and public models where they lie beside."""
    import antimony
    import libsbml

    seeds = {}
    for name, text in ANTIMONY.items():
        antimony.clearPreviousLoads()
        assert antimony.loadAntimonyString(text) >= 0, antimony.getLastError()
        whole = antimony.getSBMLString(antimony.getMainModuleName())
        seeds[name] = whole.encode()
        for level, version in ((2, 4), (1, 2)):
            document = libsbml.readSBMLFromString(whole)
            if document.setLevelAndVersion(level, version, True):
                seeds[f"{name} L{level}"] = libsbml.writeSBMLToString(document).encode()
    antimony.clearPreviousLoads()
    antimony.loadAntimonyString(ANTIMONY["parts"])
    seeds["hierarchy"] = antimony.getCompSBMLString("whole").encode()
    return seeds | _public_models()


def _public_models(most: int = 60_000) -> dict[str, bytes]:
    import os

    folder = Path(os.environ.get("RESPINE_REFERENCE", Path(__file__).parents[2] / "shared" / "reference"))
    files = [
        *folder.glob("biomodels-neuro/models/*.xml"),
        *sorted(folder.glob("sbml-semantic/sample/*/*-sbml-*.xml"))[::4],
    ]
    return {f.stem: f.read_bytes() for f in files if f.stat().st_size <= most}


def read_model(file: Path) -> object:
    """Read, and what every user does next: print it, write it, read that."""
    from respine.errors import InputError
    from respine.model import load, show, to_sbml

    system = load(file)
    show(system)
    try:
        text = to_sbml(system)
    except InputError:  # what SBML cannot say
        return system
    load(text)
    return system


def against_roadrunner(file: Path) -> str:
    """Starts and rates at the start by libRoadRunner from the file itself; empty where they agree or it refuses the file."""
    import roadrunner

    from respine.model import load
    from respine.model.expression import evaluate, symbols

    system = load(file)
    known: dict[str, Any] = {**system.parameters, **system.inputs}
    waiting = {**system.initial, **system.rules}
    while ready := [name for name, e in waiting.items() if all(s in known for s in symbols(e))]:
        known |= {name: float(evaluate(waiting.pop(name), known, 0.0)) for name in ready}
    if waiting:
        return f"no start for {', '.join(sorted(waiting)[:3])}"
    roadrunner.Logger.disableLogging()
    try:
        runner = roadrunner.RoadRunner(file.read_bytes().decode("utf-8"))
    except (RuntimeError, ValueError):  # it refuses what we accept: no verdict
        return ""
    model = runner.model
    ids = {
        *model.getGlobalParameterIds(),
        *model.getFloatingSpeciesIds(),
        *model.getBoundarySpeciesIds(),
        *model.getCompartmentIds(),
    }
    for name in ids & known.keys():
        species = system.species.get(name)  # a species' name is its amount there
        ours = float(evaluate(species.amount, known, 0.0)) if species else known[name]
        if ours == ours and not _agree(ours, runner.getValue(name)):  # it gives sizes of 1 that no file gives
            return f"{name} starts at {ours!r}, libRoadRunner says {runner.getValue(name)!r}"
    for name in ids & system.rates.keys():
        species = system.species.get(name)
        rate = float(evaluate(system.rates[name], known, 0.0))
        if species is not None and species.means == "concentration":
            if species.compartment not in system.parameters:
                continue
            rate *= known[species.compartment]
        try:
            theirs = runner.getValue(f"{name}'")
        except RuntimeError:  # it has no rate of a symbol that only events change
            continue
        if not _agree(rate, theirs):
            return f"{name}' = {rate!r} at the start, libRoadRunner says {theirs!r}"
    return ""


def _agree(a: float, b: float) -> bool:
    return a == b or (a != a and b != b) or abs(a - b) <= 1e-9 * max(abs(a), abs(b)) + 1e-300


KINDS = {
    "sbml": Kind(sbml_seeds, "model.xml", XML, read_model, against_roadrunner),
    "antimony": Kind(antimony_seeds, "model.ant", TEXT, read_model),
}


# -- the run ---------------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """How mutants ended, and every one that ended as none should."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[int, str, str, str]] = field(default_factory=list)  # number, mutation, outcome, what was seen

    @property
    def clean(self) -> bool:
        return not self.faults


def judge(kind: Kind, file: Path, referee: bool = False) -> tuple[str, str]:
    """How one file ends, here; and what was seen where it ends badly."""
    from respine.errors import InputError

    try:
        kind.read(file)
    except InputError as refusal:
        message = str(refusal)
        hidden = [c for c in message if not c.isprintable() and c != "\n"]
        unclear = [p for p in refusal.problems if not (p.where and p.why and p.cure)]
        if hidden or unclear or len(message) > 100_000:
            return WRONG, f"an unclear message: {message[:500]!r}"
        return REFUSED, message
    except Exception:
        return TRACEBACK, traceback.format_exc()
    found = kind.referee(file) if referee and kind.referee else ""
    return (WRONG, found) if found else (ACCEPTED, "")


def _work(kind: str | Kind, folder: str, referee: bool, questions: Any, answers: Any) -> None:
    chosen = KINDS[kind] if isinstance(kind, str) else kind
    while (k := questions.get()) is not None:
        mutation, data = chosen.mutant(k)
        file = Path(folder) / f"{k}-{chosen.file}"
        file.write_bytes(data)
        answers.put((k, mutation, *judge(chosen, file, referee)))
        file.unlink()


class _Worker:
    """A process that judges mutants one after the other; it is replaced where one kills or stops it."""

    def __init__(self, kind: str | Kind, folder: str, referee: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self.questions, self.answers = context.SimpleQueue(), context.Queue()
        arguments = (kind, folder, referee, self.questions, self.answers)
        self.process = context.Process(target=_work, args=arguments, daemon=True)
        self.process.start()
        self.k = -1
        self.begun = 0.0

    def ask(self, k: int) -> None:
        self.k, self.begun = k, time.monotonic()
        self.questions.put(k)

    def ended(self, patience: float) -> tuple[int, str, str, str] | None:
        """The answer, or what became of the process; None while it is at work."""
        try:
            answer: tuple[int, str, str, str] = self.answers.get(timeout=0.02)
            return answer
        except queue.Empty:
            pass
        if not self.process.is_alive():
            return self.k, "", DIED, f"exit code {self.process.exitcode}"
        if time.monotonic() - self.begun > patience:
            return self.k, "", HUNG, f"no answer in {patience:g} s"
        return None

    def stop(self) -> None:
        self.process.kill()
        self.process.join()


def run(kind: str | Kind, mutants: Sequence[int], *, jobs: int = 1, referee: bool = False, keep: Path | None = None,
        progress: bool = False, patience: float = HUNG_S) -> Tally:  # fmt: skip
    """Judge mutants in processes of their own. ``patience``: seconds one may take (the first may also start libraries)."""
    tally, waiting = Tally(), list(reversed(mutants))
    chosen = KINDS[kind] if isinstance(kind, str) else kind
    with tempfile.TemporaryDirectory() as folder:
        start = partial(_Worker, kind, folder, referee)
        workers: list[_Worker | None] = [None] * max(1, min(jobs, len(mutants)))
        while waiting or any(w is not None for w in workers):
            for slot, worker in enumerate(workers):
                if worker is None:
                    if waiting:
                        workers[slot] = worker = start()
                        worker.ask(waiting.pop())
                    continue
                answer = worker.ended(patience)
                if answer is None:
                    continue
                _note(tally, chosen, answer, keep)
                if progress and sum(tally.counts.values()) % 100 == 0:
                    print(f"{sum(tally.counts.values())}  {dict(tally.counts)}", flush=True)
                if answer[2] in (DIED, HUNG) or not waiting:
                    worker.stop()
                    workers[slot] = None
                else:
                    worker.ask(waiting.pop())
    return tally


def _note(tally: Tally, kind: Kind, answer: tuple[int, str, str, str], keep: Path | None) -> None:
    k, mutation, outcome, seen = answer
    tally.counts[outcome] += 1
    mutation = mutation or kind.mutant(k)[0]
    if outcome in FAULTS:
        tally.faults.append((k, mutation, outcome, seen))
    if keep is not None and outcome != REFUSED:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{k}-{outcome.replace(' ', '-')}-{kind.file}").write_bytes(kind.mutant(k)[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("n", nargs="?", type=int, default=60, help="how many mutants")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--only", type=int, help="one mutant, in this process, with its text")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--referee", action="store_true", help="compare what is accepted with another program")
    parser.add_argument("--keep", type=Path, help="folder for all mutants that were not refused")
    given = parser.parse_args()
    if given.only is not None:
        kind = KINDS[given.kind]
        mutation, data = kind.mutant(given.only)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / kind.file
            file.write_bytes(data)
            print(mutation, *judge(kind, file, given.referee), sep="\n")
        return 0
    tally = run(
        given.kind,
        range(given.first, given.first + given.n),
        jobs=given.jobs,
        referee=given.referee,
        keep=given.keep,
        progress=True,
    )
    for k, mutation, outcome, seen in tally.faults:
        print(f"\n-- mutant {k}, {outcome} ({mutation})\n{seen[-1500:]}")
    print("\n" + ", ".join(f"{tally.counts[o]} {o}" for o in (REFUSED, ACCEPTED, *FAULTS)))
    return 0 if tally.clean else 1


if __name__ == "__main__":
    sys.exit(main())
