"""$SUBROUTINES and $MODEL: which equations there are, what the compartments are called, where doses go and what is observed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from respine.fit.population import advan
from respine.interop.control_stream.records import Record, every, first
from respine.interop.faults import Faults

LINEAR = (5, 7)  # rates between compartments by $PK
EQUATIONS = (6, 8, 9, 13, 14, 15, 16, 17, 18)  # $DES
MOST = 500
RESERVED = frozenset(
    [
        "time",
        "t",
        "pi",
        "exponentiale",
        "avogadro",
        "inf",
        "infinity",
        "nan",
        "notanumber",
        "true",
        "false",
        "delay",
        "rateof",
        "exp",
        "ln",
        "log",
        "log10",
        "sqrt",
        "abs",
        "floor",
        "ceil",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "max",
        "min",
        "pow",
        "root",
        "piecewise",
        "if",
        "and",
        "or",
        "not",
        "xor",
        "plus",
        "minus",
        "times",
        "divide",
        "factorial",
        "model",
        "module",
        "function",
        "end",
        "import",
        "at",
        "after",
        "in",
        "is",
        "const",
        "var",
        "species",
        "compartment",
        "formula",
        "unit",
        "event",
        "gene",
        "operator",
        "ext",
        "dna",
        "hasonly",
        "delete",
        "maxtime",
        "subs",
        "container",
        "has",
        "substanceonly",
        "ipred",
        "dv",
        "phi",
        "lgamma",
        "expit",
        "logit",
    ]
)
"""Names, in small letters, that mean something else in the equations or in formulas."""


@dataclass
class Model:
    """``states`` in NONMEM's order; ``dose`` and ``observed`` count from 1; ``named``: the name of NONMEM's own equations."""

    advan: int
    trans: int
    states: list[str]
    dose: int
    observed: int
    named: str = ""
    parameters: tuple[str, ...] = ()


def model(records: list[Record], faults: Faults) -> Model | None:
    """The model of a control stream with $PK; None where it has none, or one that is not read."""
    subroutines, given = every(records, "SUBROUTINES"), every(records, "MODEL")
    if not subroutines:
        faults.add(
            1, "$SUBROUTINES", "", "There is $PK and no $SUBROUTINES.", "Write $SUBROUTINES ADVAN2 TRANS2, or another."
        )
        return None
    number, trans = 0, 1
    line = subroutines[0].line
    for record in subroutines:
        for part in record.lines:
            for word in re.sub(r"\s*=\s*", "=", part.text.upper().replace(",", " ")).split():
                value = word.partition("=")[2] or word
                if re.fullmatch(r"ADVAN\d{1,2}", value):
                    number = int(value[5:])
                elif re.fullmatch(r"TRANS\d", value):
                    trans = int(value[5:])
                elif re.fullmatch(r"(TOL|ATOL|SSTOL|SSATOL|ORDER)=[-+\d.,E]+", word) or re.fullmatch(
                    r"S?SS?\d*=?\d*", word
                ):
                    continue
                else:
                    faults.add(
                        part.number, "$SUBROUTINES", word, "This subroutine is not read.", "Write the model without it."
                    )
    if number in advan.PERIPHERALS:
        return _named(number, trans, line, given, faults)
    if number in LINEAR or number in EQUATIONS:
        made = _of_model(number, trans, given, line, faults)
        if number in LINEAR and trans != 1:
            faults.add(line, "$SUBROUTINES", f"TRANS{trans}", f"ADVAN{number} has TRANS1 only.", "Write TRANS1.")
        if number in EQUATIONS and not every(records, "DES"):
            faults.add(
                line, "$SUBROUTINES", f"ADVAN{number}", "Its equations stand in $DES, which is missing.", "Write $DES."
            )
        return made
    faults.add(line, "$SUBROUTINES", f"ADVAN{number}", "There is no such ADVAN.", "Write one of ADVAN1 to ADVAN15.")
    return None


def _named(number: int, trans: int, line: int, given: list[Record], faults: Faults) -> Model | None:
    name = f"advan{number} trans{trans}"
    try:
        text = advan.named(name)
    except ValueError as error:
        faults.add(line, "$SUBROUTINES", name.upper(), f"{error}.", "Correct TRANS.")
        return None
    assert text is not None
    for record in given:
        faults.add(record.line, "$MODEL", "", f"ADVAN{number} has its own compartments.", "Remove $MODEL.")
    states = ["depot", "central"] if number in advan.ORAL else ["central"]
    states += [f"peripheral{k + 1}" for k in range(advan.PERIPHERALS[number])]
    ruled = set(re.findall(r"^(\w+) :=", text, re.MULTILINE))
    names = tuple(dict.fromkeys(word for word in re.findall(r"[A-Z][A-Z0-9]*", text) if word not in ruled))
    return Model(number, trans, states, 1, 2 if number in advan.ORAL else 1, name, names)


def _of_model(number: int, trans: int, given: list[Record], line: int, faults: Faults) -> Model | None:
    names: list[str] = []
    dose = observed = 0
    count = 0
    for record in given:
        text = record.text.upper()
        for found in re.finditer(
            r"\s*(?:(COMP\w*)\s*=?\s*\(([^()]*)\)|(COMP\w*)\s*=\s*(\w+)|(N\w+)\s*=\s*(\d+)|(\S+))", text
        ):
            words = [word for word in re.split(r"[\s,]+", found[2] or "") if word]
            if found[1] or found[3]:
                words = words or ([found[4]] if found[4] else [])
                if words and re.match(r"(INITIALOFF|NODOSE|NOOFF|DEFDOSE|DEFOBS)", words[0]):
                    words.insert(0, "")
                names.append(words[0].strip("'\"") if words else "")
                for word in words[1:]:
                    if word.startswith("DEFD"):
                        dose = len(names)
                    elif word.startswith("DEFO"):
                        observed = len(names)
                    elif word not in ("NODOSE", "NOOFF"):
                        faults.add(
                            record.line,
                            "$MODEL",
                            word,
                            "This option of a compartment is not read.",
                            "Write the model without it.",
                        )
            elif found[5]:
                if found[5].startswith("NCOM"):
                    count = int(found[6])
            elif re.fullmatch(r"COMP\w*", found[7] or ""):
                names.append("")
            elif found[7]:
                faults.add(
                    record.line,
                    "$MODEL",
                    found[7][:30],
                    "This is not read.",
                    "Write COMP=(NAME) for each compartment, or NCOMP=n.",
                )
    n = max(len(names), count)
    if not 1 <= n <= MOST:
        why = f"A model has 1 to {MOST} compartments, not {n}."
        faults.add(
            given[0].line if given else line, "$MODEL", "", why, "Write $MODEL with COMP=(NAME) for each compartment."
        )
        return None
    names += [""] * (n - len(names))
    dose = dose or (names.index("DEPOT") + 1 if "DEPOT" in names else 1)
    observed = observed or (names.index("CENTRAL") + 1 if "CENTRAL" in names else 1)
    return Model(number, trans, _states(names), dose, observed)


def _states(names: list[str]) -> list[str]:
    """Names for the equations: small letters, each once."""
    found: list[str] = []
    for k, name in enumerate(names, 1):
        small = name.lower()
        usable = re.fullmatch(r"[a-z]\w*", small) and small not in RESERVED and names.count(name) == 1
        usable = usable and not re.fullmatch(r"(theta|eta|eps|kappa|a)\d+.*", small)
        found.append(small if usable else f"a{k}")
    return found


def linear_rates(compartments: int, names: set[str], line: int, faults: Faults) -> list[tuple[str, int, int]]:
    """(rate constant, from, to) of ADVAN5 and ADVAN7; 0 is the outside."""
    found = []
    for name in sorted(names):
        match = re.fullmatch(r"K(\d)(\d)|K(\d{1,2})T(\d{1,2})", name)
        if match is None:
            continue
        a, b = int(match[1] or match[3]), int(match[2] or match[4])
        b = 0 if b == compartments + 1 else b
        if not 1 <= a <= compartments or b > compartments or a == b:
            faults.add(
                line, "$PK", name, "The model has no such compartments.", "Correct the name of the rate constant."
            )
            continue
        found.append((name, a, b))
    return found


def prior_counts(records: list[Record], faults: Faults) -> dict[str, int] | None:
    """The numbers of $PRIOR NWPRI; None where there is no $PRIOR."""
    record = first(records, "PRIOR")
    if record is None:
        return None
    text = record.text.upper()
    if "NWPRI" not in text:
        faults.add(
            record.line, "$PRIOR", record.text[:40], "Only NWPRI is read.", "Write $PRIOR NWPRI, or remove the prior."
        )
        return {}
    found: dict[str, int] = {}
    for word in re.sub(r"\s*=\s*", "=", text.replace(",", " ")).split():
        name, sign, value = word.partition("=")
        if word == "NWPRI":
            continue
        if (
            sign
            and re.fullmatch(r"\d{1,4}", value)
            and name in ("NTHETA", "NETA", "NTHP", "NETP", "NPEXP", "NEPS", "NEPP", "ITYP", "PLEV", "ISS", "IVAR")
        ):
            found[name] = int(value)
        elif not (name == "PLEV" and sign):
            faults.add(record.line, "$PRIOR", word, "This is not read.", "Write NTHETA, NETA, NTHP, NETP and NPEXP.")
    if found.get("NEPP") or (found.get("NEPS", 0) and found.get("NEPP", 0)):
        faults.add(record.line, "$PRIOR", "NEPP", "Priors of SIGMA are not read.", "Write the prior without SIGMA.")
    return found
