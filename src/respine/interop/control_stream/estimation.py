"""$ESTIMATION and $COVARIANCE as the problem file's ``estimation``; what has no counterpart is named."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from respine.interop.control_stream.records import Record
from respine.interop.faults import Faults

_FLAGS = (
    "INTERACTION", "NOINTERACTION", "LAPLACIAN", "NOLAPLACIAN", "POSTHOC", "NOPOSTHOC", "LIKELIHOOD",
    "-2LOGLIKELIHOOD", "-2LLIKELIHOOD", "NOABORT", "NUMERICAL", "NONUMERICAL", "SLOW", "NOSLOW", "REPEAT", "NOREPEAT",
    "ZERO", "CONDITIONAL", "CENTERING", "NOCENTERING", "HYBRID", "OMITTED", "SORT", "NOSORT", "ETABARCHECK",
    "NOETABARCHECK", "PREDICTION", "NOPRIOR",
)  # fmt: skip
_OPTIONS = (
    "METHOD",
    "MAXEVALS",
    "PRINT",
    "NSIGDIGITS",
    "SIGDIGITS",
    "SIGL",
    "SEED",
    "NBURN",
    "NITER",
    "NSAMPLE",
    "ISAMPLE",
    "EONLY",
    "CTYPE",
)


@dataclass
class Asked:
    """``options`` for the problem file; ``likelihood`` 0 for data with residual errors, 1 or 2 for Y a likelihood or -2 log of
    it; ``evaluates``: nothing is estimated; ``notes`` name what was left aside.
    """

    options: dict[str, Any] = field(default_factory=dict)
    likelihood: int = 0
    evaluates: bool = False
    notes: list[str] = field(default_factory=list)


def asked(records: list[Record], covariance: Record | None, faults: Faults) -> Asked:
    """What the records ask for: the first step that estimates, the others by name."""
    found = Asked()
    steps = [_step(record) for record in records]
    if not records:
        found.notes.append("there is no $ESTIMATION: the method is the problem file's own (focei)")
    chosen = 0
    for k, (step, _) in enumerate(steps):
        if _method(step) in ("its",) and k + 1 < len(steps):
            chosen = k + 1
        else:
            break
    for k, (step, flags) in enumerate(steps):
        method, line = _method(step), records[k].line
        if "-2LL" in flags:
            found.likelihood = 2
        elif "LIKELIHOOD" in flags:
            found.likelihood = 1
        if flags & {"CENTERING", "HYBRID"}:
            faults.add(
                line,
                "$ESTIMATION",
                " ".join(sorted(flags & {"CENTERING", "HYBRID"})),
                "This is not read.",
                "Remove it.",
            )
        if k != chosen:
            found.notes.append(
                f"$ESTIMATION in line {line} ({method}) is left aside: use --method {_here(method, flags)}"
            )
            continue
        here = _here(method, flags)
        if here == "bayes":
            found.notes.append(f"$ESTIMATION in line {line}: Bayesian sampling is respine fit --method nuts")
            here = "focei"
        if method == "its":
            found.notes.append(f"$ESTIMATION in line {line}: iterative two stage has no counterpart; focei is written")
        found.options["method"] = here
        found.evaluates = step.get("MAXEVALS") == "0" or (method == "imp" and step.get("EONLY") == "1")
        _numbers(found, step, method)
    found.options["covariance"] = "none" if covariance is None else _matrix(covariance)
    return found


def _step(record: Record) -> tuple[dict[str, str], set[str]]:
    """Options with values, and flags, of one record."""
    given: dict[str, str] = {}
    flags: set[str] = set()
    for word in re.sub(r"\s*=\s*", "=", record.text.upper().replace(",", " ")).split():
        name, sign, value = word.partition("=")
        if sign:
            full = next((o for o in _OPTIONS if len(name) >= 3 and o.startswith(name)), None)
            full = "MAXEVALS" if name in ("MAX", "MAXEVAL", "MAXEVALUATIONS") or name.startswith("MAXEV") else full
            given[full or name] = value
            continue
        full = next((f for f in _FLAGS if len(name) >= 3 and f.startswith(name)), name)
        flags.add("-2LL" if full.startswith("-2L") else full)
    return given, flags


def _method(step: dict[str, str]) -> str:
    method = step.get("METHOD", "0")
    if method in ("0", "ZERO"):
        return "fo"
    if method == "1" or method.startswith("COND"):
        return "foce"
    return {
        "IMP": "imp",
        "IMPMAP": "imp",
        "DIRECT": "imp",
        "SAEM": "saem",
        "ITS": "its",
        "BAYES": "bayes",
        "NUTS": "bayes",
    }.get(method, "foce")


def _here(method: str, flags: set[str]) -> str:
    """The name of a method in a problem file."""
    inter = "INTERACTION" in flags
    if method == "its":
        return "focei"
    if method != "foce":
        return method
    if "LAPLACIAN" in flags:
        return "laplace" if inter else "laplace-no-interaction"
    return "focei" if inter else "foce"


def _numbers(found: Asked, step: dict[str, str], method: str) -> None:
    def whole(name: str) -> int | None:
        text = step.get(name, "")
        return int(text) if re.fullmatch(r"\d{1,9}", text) else None

    most, seed = whole("MAXEVALS"), whole("SEED")
    if most is not None and most > 0:
        found.options["max_evaluations"] = most
    if seed:
        found.options["seed"] = seed
    samples = whole("ISAMPLE")
    if method == "saem":
        given = {"burn_in": whole("NBURN"), "averaging": whole("NITER") or whole("NSAMPLE"), "chains": samples}
        found.options |= {name: value for name, value in given.items() if value}
    elif method == "imp" and samples and samples >= 10:
        found.options["samples"] = samples
    rest = sorted(set(step) - {"METHOD", "MAXEVALS", "SEED", "NBURN", "NITER", "NSAMPLE", "ISAMPLE", "EONLY"})
    if rest:
        found.notes.append(f"$ESTIMATION: {', '.join(rest)} steer NONMEM's search and are left aside")


def _matrix(record: Record) -> str:
    found = re.search(r"MATRIX\s*=\s*([RS])", record.text.upper())
    return found[1] if found else "sandwich"
