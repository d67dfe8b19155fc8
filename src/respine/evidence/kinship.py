"""What kind of result a row is: of an active arm, a control arm or between two, and which results are of the same class."""

from __future__ import annotations

from respine.study.endpoints import Contrast, Endpoint
from respine.study.schema import Arm, Study

TIMES = ((6.0, "hours"), (36.0, "a day"), (240.0, "a week"), (1080.0, "weeks"))
LATER = "months"
PROCEDURES = ("iv", "im", "sc", "nasal")


def arm_type(study: Study, arm: str, endpoint: Endpoint) -> str:
    """``contrast`` between arms, ``control`` for what gets a placebo or nothing, else ``active``."""
    if isinstance(endpoint, Contrast):
        return "contrast"
    control = study.arms[arm].control
    return "control" if control is not None and control.kind != "open-label" else "active"


def kin(study: Study, arm: str, endpoint: Endpoint) -> str:
    """Treatment, measure, scale and time in one line: rows with the same line are of one class."""
    of = "" if endpoint.unit("") == "%" else endpoint.of  # a share of responders is one on any symptom scale
    treatment = _treatment(study.arms[arm])
    if isinstance(endpoint, Contrast):
        treatment += f" against {_treatment(study.arms[endpoint.arm])}"
    limit = next((name for hours, name in TIMES if endpoint.time - study.start <= hours), LATER)
    return " | ".join(part for part in (treatment, endpoint.kind, of, limit) if part)


def _treatment(arm: Arm) -> str:
    if arm.control is not None and arm.control.kind in ("inactive-placebo", "active-placebo", "none"):
        way = "procedure" if any(dose.route in PROCEDURES for dose in arm.doses) else "tablet"
        return f"{arm.control.kind} {way}" if arm.control.kind != "none" else "nothing"
    names = sorted({dose.drug for dose in arm.doses} | {exposure.exposure for exposure in arm.exposures})
    course = (
        "course" if sum(len(dose.at) * (dose.times or 1) for dose in arm.doses if dose.route in PROCEDURES) > 1 else ""
    )
    return " + ".join(names or ["nothing"]) + (f" {course}" if course else "")
