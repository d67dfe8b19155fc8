"""NONMEM's specific models by name: ``advan4 trans4`` -> the same equations as Antimony text.

States are ``depot`` (ADVAN2, 4, 12), ``central``, ``peripheral1``, ``peripheral2``, in the order of NONMEM's compartments, so
that CMT of the data means what it meant. Parameters have NONMEM's names (CL, V, KA, V2, Q ...); write them in ``individual``
or ``parameters``. The prediction stays yours: ``central/V``, as NONMEM's S2 = V.
"""

from __future__ import annotations

import re

ORAL = (2, 4, 12)
PERIPHERALS = {1: 0, 2: 0, 3: 1, 4: 1, 10: 0, 11: 2, 12: 2}
NAME = re.compile(r"advan\s*(\d+)(?:[\s,]+trans\s*(\d+))?", re.IGNORECASE)


def named(text: str) -> str | None:
    """The equations of a name such as ``ADVAN4 TRANS4``; None where the text is no such name. Raises ValueError for a model
    that has no equations of its own (ADVAN5 to 9, 13 ...) or a TRANS it does not have.
    """
    match = NAME.fullmatch(text.strip())
    if match is None:
        return None
    advan, trans = int(match[1]), int(match[2] or 1)
    if advan not in PERIPHERALS:
        raise ValueError(f"ADVAN{advan} has no equations of its own; write yours as Antimony text")
    known = parametrisations(advan)
    if trans not in known:
        raise ValueError(f"ADVAN{advan} has no TRANS{trans}; it has {', '.join(f'TRANS{k}' for k in known)}")
    return equations(advan, known[trans])


def parametrisations(advan: int) -> dict[int, list[str]]:
    """By TRANS, the rules that make the micro-constants of the equations from NONMEM's parameters (empty: they are these)."""
    if advan == 10:
        return {1: []}
    first = 2 if advan in ORAL else 1  # NONMEM's number of the central compartment
    n = PERIPHERALS[advan]
    c, p, t = first, first + 1, first + 2
    if n == 0:
        return {1: [], 2: ["K := CL/V"]}
    if n == 2:
        rules = [
            f"K := CL/V{c}",
            f"K{c}{p} := Q{p}/V{c}",
            f"K{p}{c} := Q{p}/V{p}",
            f"K{c}{t} := Q{t}/V{c}",
            f"K{t}{c} := Q{t}/V{t}",
        ]
        return {1: [], 4: rules, 6: _hybrid_three(c, p, t)}
    return {
        1: [],
        3: ["K := CL/V", f"K{c}{p} := Q/V", f"K{p}{c} := Q/(VSS - V)"],
        4: [f"K := CL/V{c}", f"K{c}{p} := Q/V{c}", f"K{p}{c} := Q/V{p}"],
        5: [
            f"K{p}{c} := (AOB*BETA + ALPHA)/(AOB + 1)",
            f"K := ALPHA*BETA/K{p}{c}",
            f"K{c}{p} := ALPHA + BETA - K{p}{c} - K",
        ],
        6: [f"K := ALPHA*BETA/K{p}{c}", f"K{c}{p} := ALPHA + BETA - K{p}{c} - K"],
    }


def _hybrid_three(c: int, p: int, t: int) -> list[str]:
    """Three hybrid rates and the two rates of return."""
    back, deep = f"K{p}{c}", f"K{t}{c}"
    pairs = "ALPHA*BETA + ALPHA*GAMMA + BETA*GAMMA"
    return [
        f"K := ALPHA*BETA*GAMMA/({back}*{deep})",
        f"K{c}{t} := ({pairs} + {deep}*{deep} - {deep}*(ALPHA + BETA + GAMMA) - K*{back})/({back} - {deep})",
        f"K{c}{p} := ALPHA + BETA + GAMMA - K - K{c}{t} - {back} - {deep}",
    ]


def equations(advan: int, rules: list[str]) -> str:
    """The model as Antimony text."""
    oral, n = advan in ORAL, PERIPHERALS[advan]
    c = 2 if oral else 1
    out = ["KA*depot"] if oral else []
    loss = "-VM*central/(KM + central)" if advan == 10 else "-K*central"
    flows, lines = [loss], [*rules]
    peripheral = []
    for k in range(n):
        name, number = f"peripheral{k + 1}", c + 1 + k
        flows.append(f"- K{c}{number}*central + K{number}{c}*{name}")
        peripheral.append(f"{name}' = K{c}{number}*central - K{number}{c}*{name}")
    if oral:
        lines.append("depot' = -KA*depot")
    lines.append(f"central' = {' '.join([*out, *flows])}")
    return "\n".join([*lines, *peripheral]) + "\n"
