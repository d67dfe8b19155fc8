"""A run in plain words: what was simulated, what each arm got, what came out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from respine.report.text import hours, subjects_word, thousands

if TYPE_CHECKING:
    import pandas as pd

    from respine.report.folder import Folder
    from respine.study.schema import Arm, Exposure


def summary(folder: Folder) -> list[str]:
    """What was simulated and what came out, in one or two short paragraphs."""
    study = folder.study
    count, who = len(study.arms), subjects_word(folder.model)
    size = f"{count} {'arm' if count == 1 else 'arms'} of {thousands(study.subjects)} virtual {who}"
    first = f"{size} were simulated for {hours(max(study.visits) - study.start)}."
    first += f" The population: {folder.population}."
    if study.observe:
        first += f" Observed: {', '.join(study.observe)} at {', '.join(hours(t) for t in study.visits)}."
    judged = folder.compared[folder.compared["inside"].notna()]
    return [first, _verdict(judged)] if len(judged) else [first]


def arms(folder: Folder) -> list[tuple[str, str]]:
    """Each arm and what it got."""
    return [(name, treatments_text(arm)) for name, arm in folder.study.arms.items()]


def _verdict(judged: pd.DataFrame) -> str:
    """How many published results lie inside, and what that is worth."""

    def inside(rows: pd.DataFrame) -> int:
        return int(rows["inside"].astype(bool).sum())

    new = judged[judged["role"] == "validate"]
    text = f"Of {len(judged)} published results, {inside(judged)} lie inside the predicted range. "
    if len(new):
        return (
            text
            + f"{len(new)} of the {len(judged)} were never used to find parameters; of these {inside(new)} lie inside."
        )
    return (
        text
        + "None of them is kept back for testing, so this shows that the model can describe them, not that it predicts."
    )


def treatments_text(arm: Arm) -> str:
    """The treatments of an arm: "ketamine 0.5 mg/kg iv over 40 min every 3.5 d, 8 times, restraint from -21 d to 0 h"."""
    parts = [_dose(dose) for dose in (*arm.doses, *arm.co_medication)]
    parts += [_exposure(exposure) for exposure in arm.exposures]
    return ", ".join(parts) if parts else "no treatment"


def _dose(dose: Any) -> str:
    amount = dose.amount or dose.per_spray
    target = dose.drug if dose.into is None else f"into {dose.into}"
    text = f"{target} {amount.text + ' ' if amount else ''}{dose.route}".rstrip()
    if dose.sprays:
        text += f", {dose.sprays} sprays"
    if dose.over:
        text += f" over {hours(dose.over)}"
    if dose.every is not None:
        ends = (
            f", {dose.times} times" if dose.times else f" until {hours(dose.until)}" if dose.until is not None else ""
        )
        text += f" every {hours(dose.every)}{ends}"
    elif len(dose.at) > 1:
        text += f", {len(dose.at)} times"
    if dose.at[0] != 0:
        text += f" {'from' if dose.every is not None or len(dose.at) > 1 else 'at'} {hours(dose.at[0])}"
    return text


def _exposure(exposure: Exposure) -> str:
    text = exposure.exposure if exposure.level == 1 else f"{exposure.exposure} at level {exposure.level:g}"
    if exposure.at is not None:
        text += f" at {', '.join(hours(t) for t in exposure.at[:4])}{' ...' if len(exposure.at) > 4 else ''}"
        if exposure.every is not None:
            text += f" every {hours(exposure.every)}" + (f", {exposure.times} times" if exposure.times else "")
        return text
    if exposure.begin is not None:
        text += f" from {hours(exposure.begin)}"
    return text + (f" to {hours(exposure.until)}" if exposure.until is not None else "")
