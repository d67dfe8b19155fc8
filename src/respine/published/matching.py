"""Every published row that a study names, with its arm and endpoint in the study or the reason why it has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from respine.published.reasons import NotCompared, Reason
from respine.published.rows import read_row, sign_problem
from respine.study.endpoints import Contrast, Endpoint, PercentRestored
from respine.study.schema import Compare, RowLink, Study
from respine.study.selection import Row, arms_meant, rows_compared
from respine.trial import endpoints as ep


@dataclass(frozen=True)
class Match:
    """One published row with the arm and endpoint it is shown beside, or the reason why there is none.

    ``people`` of each arm and ``trials`` of a pool are those behind the row, None where the study says nothing of its own.
    """

    row: Mapping[str, str]
    arm: str = ""
    endpoint: Endpoint | None = None
    reason: Reason | None = None
    people: int | None = None
    trials: int | None = None


def matches(study: Study) -> list[Match]:
    """Every published row the study names, with its arm and endpoint or the reason why it has none."""
    return [
        match
        for block in study.compare
        for row, links in rows_compared(study.library, block, study.endpoints)
        for match in _matched(study, block, row, links)
    ]


def _matched(study: Study, block: Compare, row: Row, links: list[RowLink]) -> list[Match]:
    arm_text = (row.get("arm") or "").strip()
    # a link by text means no row of another arm than its own
    named = arms_meant(arm_text, block.arms, study.arms)[0]
    links = [link for link in links if link.id is not None or link.arm is None or named in ("", link.arm)]
    if links:
        return [_from_link(study, block, row, link, arm_text) for link in links]

    def none(kind: NotCompared, text: str, arm: str = arm_text) -> list[Match]:
        return [Match(row, arm, reason=kind.because(text))]

    if arm_text in block.leave_out:
        return none(NotCompared.LEFT_OUT, f'arm "{arm_text}" is left out by the study')
    arm, reference = arms_meant(arm_text, block.arms, study.arms)
    if not arm:
        return none(NotCompared.NO_ARM, f'arm "{arm_text}" is none of the study: name it under compare.arms')
    reading = read_row(row, study.start, study.library)
    if reading.endpoint is None:
        return [Match(row, arm, reason=reading.reason)]
    endpoint = _as_in_study(study, reading.endpoint, reference)
    if isinstance(endpoint, Contrast) and not endpoint.arm:
        reference = reference or _only_control(study, arm)
        if not reference:
            why = "the row does not say against which arm: name an endpoint under compare.rows"
            return none(NotCompared.LEFT_OPEN, why, arm)
        if isinstance(endpoint, PercentRestored):
            why = "percent-restored needs the undamaged arm (healthy): name an endpoint under compare.rows"
            return none(NotCompared.LEFT_OPEN, why, arm)
        endpoint = endpoint.model_copy(update={"arm": reference})
    return [Match(row, arm, endpoint)]


def _from_link(study: Study, block: Compare, row: Row, link: RowLink, arm_text: str) -> Match:
    endpoint = next((e for e in ep.of_study(study) if e.name == link.endpoint), None)
    arm = link.arm or arms_meant(arm_text, block.arms, study.arms)[0]
    if endpoint is None:
        reason = NotCompared.NO_ENDPOINT.because(f'the study has no endpoint "{link.endpoint}"')
        return Match(row, arm or arm_text, reason=reason)
    if arm not in study.arms:
        why = f'arm "{arm_text}" is none of the study: give arm in compare.rows'
        return Match(row, arm_text, reason=NotCompared.NO_ARM.because(why))
    if problem := sign_problem(row, study.library, endpoint):
        return Match(row, arm, reason=NotCompared.LEFT_OPEN.because(problem))
    return Match(row, arm, endpoint, people=link.people, trials=link.trials)


def _only_control(study: Study, arm: str) -> str:
    controls = [
        n for n, a in study.arms.items() if n != arm and a.control is not None and a.control.kind != "open-label"
    ]
    return controls[0] if len(controls) == 1 else ""


def _as_in_study(study: Study, endpoint: Endpoint, reference: str) -> Endpoint:
    """The study's own endpoint of the same meaning (it may name an analysis), else the one read from the row.

    A row that names its reference arm means no endpoint against another one.
    """
    for own in ep.of_study(study):
        against = getattr(own, "arm", "")
        if _meaning(own) == _meaning(endpoint) and (not reference or not against or against == reference):
            return own
    return endpoint


def _meaning(endpoint: Endpoint) -> tuple[Any, ...]:
    at, by, drop, below = (getattr(endpoint, field, None) for field in ("at", "by", "drop", "below"))
    return (
        endpoint.of, endpoint.kind, None if at is None else round(at, 1), None if by is None else round(by, 1),
        None if drop is None else round(drop, 6), below,
    )  # fmt: skip
