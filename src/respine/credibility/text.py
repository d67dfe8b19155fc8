"""What the page says in words: the verdict, the criteria, a sentence or two for each part, the numbers in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from respine.credibility import verification
from respine.credibility.tables import written
from respine.report.text import records

if TYPE_CHECKING:
    from respine.credibility.assess import Assessment


def summary(a: Assessment) -> list[str]:
    """The verdict: criteria met and not met, the test by results never fitted to, the checks that fail."""
    known = [criterion for criterion in a.criteria if criterion["met"] is not None]
    missed = [
        f"{criterion['what']} ({found_text(criterion)}, asked for {asked_text(criterion)})"
        for criterion in known
        if not criterion["met"]
    ]
    first = f"{len(known) - len(missed)} of {len(a.criteria)} criteria are met."
    if missed:
        first += f" Not met: {'; '.join(missed)}."
    if len(known) < len(a.criteria):
        first += f" {len(a.criteria) - len(known)} could not be judged in this report."
    failing = a.facts["failing"]
    third = f"{a.facts['assertions_hold']} of {a.facts['assertions']} named checks hold"
    third += f"; {', '.join(failing)} do not." if failing else "."
    return [text for text in (first, _test(a), third) if text]


def _test(a: Assessment) -> str:
    rows = {row["role"]: row for row in a.tables["by_role"].to_dict("records")}
    test = rows.get("validate")
    if not test:
        return "No published result is kept back for testing."
    text = (
        f"Of {test['rows']} published results that were never used to find a number, {test['predicted']} can be predicted, "
        f"and of {test['judged']} judged ones {test['inside']} hold."
    )
    if not test["numbers"]:
        return text
    return (
        f"{text} Of the {test['numbers']} published numbers among them, {100 * test['inside_50']:.0f} % lie inside the 50 % "
        f"interval and {100 * test['inside_90']:.0f} % inside the 90 % one; an honest model has 50 and 90."
    )


def found_text(condition: Mapping[str, Any]) -> str:
    """What was found for a criterion."""
    value, kind = condition["found"], condition["kind"]
    if value is None:
        return "not known"
    if kind == "yes":
        return "yes" if value else "no"
    if kind == "share":
        return f"{100 * value:.1f} %" if 0.99 <= value < 1 else f"{100 * value:.0f} %"
    return written(float(value))


def asked_text(condition: Mapping[str, Any]) -> str:
    """What a criterion asks for."""
    value, kind = condition["asked"], condition["kind"]
    if kind == "yes":
        return "yes"
    if isinstance(value, list | tuple):
        return f"{100 * value[0]:.0f} to {100 * value[1]:.0f} %"
    if kind == "share":
        return "100 %" if value >= 1 else f"at least {100 * value:.0f} %"
    return f"{'at most' if kind == 'at most' else 'at least'} {written(float(value))}"


def criteria(a: Assessment) -> list[dict[str, str]]:
    """Criteria as cells ``factor, what, asked, found, met``."""
    answers = {True: "yes", False: "no", None: "-"}
    return [
        {"factor": criterion["factor"], "what": criterion["what"], "asked": asked_text(criterion), "found": found_text(criterion),
         "met": answers[criterion["met"]]}
        for criterion in a.criteria
    ]  # fmt: skip


def sentences(a: Assessment) -> dict[str, str]:
    """The words of each part by its name."""
    f = a.facts
    left_out, untested = f["left_out_studies"], f["untested_systems"]
    problems = "; ".join(f"{name}: {why}" for name, why in f["block_problems"].items())
    return {
        "structure": f"The {a.system.name} model: {f['states']} differential equations, {f['rules']} rules, {f['inputs']} "
        f"inputs that studies switch, {f['parameters']} parameters, in {f['modules']} modules. Time is in hours. libSBML "
        f"checks the units of every equation whenever the model is built.",
        "provenance": _provenance(a),
        "blocks": f"Not computed: {problems}." if problems else "",
        "left_out": f"{len(left_out)} studies are left out because they are not simulated yet: {', '.join(left_out)}."
        if left_out
        else "",
        "untested": f"Systems without any judged result that was never fitted to: {', '.join(untested) or 'none'}.",
        "sensitivity": _sensitivity(a),
        "assertions": f"{f['assertions_hold']} of {f['assertions']} named, signed checks of the typical animal and person "
        f"hold.",
    }


def _provenance(a: Assessment) -> str:
    f = a.facts
    lacking = f["symbols"] - f["complete"]
    asked = "unit, and for every number status and source or, for an assumption, its reason"
    check = (
        f"Of {f['symbols']} symbols and numbers, {f['complete']} have all they should have ({asked}); the {lacking} others are "
        f"listed first in the table."
        if lacking
        else f"All {f['symbols']} symbols and numbers have what they should have: {asked}."
    )
    return (
        f"{check} In the {a.system.name} model {f['assumed']} of {f['parameters']} parameters are assumed: neither read nor "
        f"computed nor fitted."
    )


def _sensitivity(a: Assessment) -> str:
    rows = a.tables["readouts"]
    if rows.empty:
        return "Nothing was computed."
    text = (
        f"All parameters with a 90 % belief about their typical value were varied at once over that belief, in a Latin "
        f"hypercube ({span(rows['k'])} parameters, n = {span(rows['n'])} vectors, seed {a.options.seed}); read-outs are of "
        f"the typical subject. Numbers of scales and of expectation were held."
    )
    failed = a.facts["vectors_failed"]
    return text + (f" {failed} vectors could not be solved and are left out." if failed else "")


def span(values: Any) -> str:
    """The range of some whole numbers: "4096" or "233 to 260"."""
    known = sorted({int(value) for value in values})
    if not known:
        return "0"
    return str(known[0]) if known[0] == known[-1] else f"{known[0]} to {known[-1]}"


def how_to_qualify() -> list[tuple[str, str]]:
    """Commands that qualify the engine, and against what."""
    return [(f"respine qualify {name} FOLDER --json > {name}.json", purpose) for name, purpose in verification.HOW]


def not_informed(a: Assessment) -> list[tuple[str, str]]:
    """Per block the parameters that the fit rows do not inform."""
    return [(str(row.block), str(row.not_informed)) for row in records(a.tables["identifiability"]) if row.not_informed]


def weakest(a: Assessment) -> list[tuple[str, str, str]]:
    """Per block the direction that the rows say least about, and its eigenvalue."""
    rows = records(a.tables["identifiability"])
    return [
        (str(row.block), str(row.weakest), "below 1e-6" if row.smallest < 1e-6 else written(row.smallest))
        for row in rows
    ]
