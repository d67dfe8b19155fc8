"""Models of users as seeds of damaged files: Antimony and SBML, what reads them, and libRoadRunner beside it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

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
