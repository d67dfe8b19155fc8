"""Each claim of the 2012 article as a runnable experiment, with two verdicts: the model's and the record's."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from respine import study as studies
from respine import trial
from respine.errors import InputError, Problem
from respine.evidence import experiment, store
from respine.evidence.measures import Typicals, Value, bounded, compute, inline, rows_by_id, target
from respine.evidence.row import NAN
from respine.files.suggest import nearest
from respine.published.bars import number, published
from respine.study.endpoints import Extreme, Score, Share
from respine.study.schema import Study
from respine.trial.endpoints import per_person

SCHEMA = "respine/claims/1"
SUBJECTS = 300  # virtual people per arm where a claim is about shares of people
VERDICTS = ("supported", "partly", "contradicted", "no evidence")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Condition:
    """One condition of a verdict: a number between bounds, words of a row, or evidence that is lacking.

    ``low`` ... ``high`` is the 90 % interval of trials of the published size where the number comes from one trial.
    """

    what: str
    value: float
    unit: str
    target: str
    holds: bool
    text: str = ""
    low: float = NAN
    high: float = NAN
    source: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Keys ``what, value, low, high, unit, text, target, holds, source``."""
        numbers = {name: None if not math.isfinite(v) else v for name, v in
                   (("value", self.value), ("low", self.low), ("high", self.high))}  # fmt: skip
        return {"what": self.what} | numbers | {"unit": self.unit, "text": self.text, "target": self.target,
                                                "holds": self.holds, "source": list(self.source)}  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """A claim with the conditions of its two verdicts."""

    id: str
    claim: str
    model: tuple[Condition, ...]
    record: tuple[Condition, ...]
    note: str = ""
    model_note: str = ""
    record_note: str = ""

    @property
    def model_verdict(self) -> str:
        """What the model says."""
        return verdict(self.model)

    @property
    def record_verdict(self) -> str:
        """What the published record says."""
        return verdict(self.record)

    def to_dict(self) -> dict[str, Any]:
        """Keys ``id, claim, model_verdict, record_verdict, model, record, note, model_note, record_note``."""
        return {"id": self.id, "claim": self.claim, "model_verdict": self.model_verdict,
                "record_verdict": self.record_verdict, "model": [c.to_dict() for c in self.model],
                "record": [c.to_dict() for c in self.record], "note": self.note, "model_note": self.model_note,
                "record_note": self.record_note}  # fmt: skip


def verdict(conditions: Collection[Condition]) -> str:
    """``supported`` when all conditions hold, ``contradicted`` when none, else ``partly``; without any ``no
    evidence``.
    """
    if not conditions:
        return "no evidence"
    holds = [condition.holds for condition in conditions]
    return "supported" if all(holds) else ("partly" if any(holds) else "contradicted")


def read() -> dict[str, Any]:
    """``library/claims.yaml`` as plain values."""
    return experiment.read("claims", SCHEMA)


def evaluate(
    ids: Collection[str] = (), subjects: int = SUBJECTS, *, threads: int | None = None, progress: Progress | None = None
) -> list[Claim]:
    """All claims, or those with these ids. Raises InputError for an unknown id."""
    data = read()
    known = [claim["id"] for claim in data["claims"]]
    wrong = [id for id in ids if id not in known]
    if wrong:
        raise InputError(*(
            Problem("command line", "claim", id, "There is no claim of this name.", nearest(id, known)) for id in wrong
        ))  # fmt: skip
    chosen = [claim for claim in data["claims"] if not ids or claim["id"] in ids]
    numbers = _Model(data, subjects, threads)
    rows = rows_by_id()
    result = []
    for k, entry in enumerate(chosen):
        if progress:
            progress(entry["id"], k, len(chosen))
        result.append(_claim(entry, numbers, rows))
    return result


def record(ids: Collection[str] = ()) -> dict[str, tuple[Condition, ...]]:
    """The published record's side of the claims alone, by id; nothing is simulated."""
    rows = rows_by_id()
    return {claim["id"]: _record(claim["record"], rows) for claim in read()["claims"] if not ids or claim["id"] in ids}


def _claim(entry: Mapping[str, Any], numbers: _Model, rows: Mapping[str, dict[str, str]]) -> Claim:
    side = entry["model"]
    values = {name: numbers.value(raw) for name, raw in (side.get("values") or {}).items()}
    sources = {name: raw.get("study") or raw.get("experiment", "") for name, raw in (side.get("values") or {}).items()}
    model = []
    for raw in side.get("checks") or ():
        if "lacks" in raw:
            model.append(Condition(raw["what"], NAN, "", "evidence", False, raw["lacks"]))
            continue
        used = _names(raw["formula"], values)
        spread = values.get(raw["formula"], (NAN, NAN, NAN))
        value = compute(raw["formula"], {name: triple[0] for name, triple in values.items()})
        model.append(_number(raw, value, spread[1], spread[2], tuple(dict.fromkeys(sources[n] for n in used))))
    return Claim(entry["id"], entry["claim"], tuple(model), _record(entry["record"], rows), entry.get("note", ""),
                 side.get("note", ""), entry["record"].get("note", ""))  # fmt: skip


def _names(formula: str, known: Mapping[str, Any]) -> list[str]:
    return [name for name in dict.fromkeys(re.findall(r"[A-Za-z_]\w*", formula)) if name in known]


def _number(
    raw: Mapping[str, Any], value: float, low: float, high: float, source: tuple[str, ...], text: str = ""
) -> Condition:
    bounds = raw.get("low"), raw.get("high")
    return Condition(raw["what"], value, raw.get("unit", ""), target(*bounds), bounded(value, *bounds), text, low, high,
                     source)  # fmt: skip


def _record(side: Mapping[str, Any], rows: Mapping[str, dict[str, str]]) -> tuple[Condition, ...]:
    ids = side.get("rows") or {}
    results = {name: published(rows[id]) for name, id in ids.items()}
    values = {name: _first_number(rows[ids[name]]) if value is None else value.value for name, value in results.items()}
    conditions = []
    for raw in side.get("checks") or ():
        if "lacks" in raw:
            conditions.append(Condition(raw["what"], NAN, "", "evidence", False, raw["lacks"]))
        elif "row" in raw:
            conditions.append(_text_condition(raw, rows[ids[raw["row"]]]))
        else:
            used = [ids[name] for name in _names(raw["formula"], ids)]
            value = compute(raw["formula"], values)
            alone = results.get(raw["formula"])
            low, high = (alone.low, alone.high) if alone is not None else (NAN, NAN)
            conditions.append(_number(raw, value, low, high, tuple(used)))
    return tuple(conditions)


def _first_number(row: Mapping[str, str]) -> float:
    """The number of a row that prints it with a word or sign beside it ("~2", "~2 fold")."""
    match = re.match(r"\s*[~<>=]*\s*([-+]?\d+(?:\.\d+)?)", row.get("value", "").replace("−", "-"))
    plain = number(row.get("value", ""))
    return plain if plain is not None else (float(match[1]) if match else NAN)


def _text_condition(raw: Mapping[str, Any], row: Mapping[str, str]) -> Condition:
    """A condition on the words of a row."""
    text = row.get(raw.get("column", "value")) or ""
    shown = text if "column" not in raw or raw["column"] == "quantity" else f"{text} ({row.get('value')})"
    if "found" in raw:
        holds = bool(re.search(raw["found"], text))
        wanted = "as claimed"
    else:
        holds = bool(text) and not re.search(raw["lacks_words"], text)
        wanted = f'not "{raw["lacks_words"]}"'
    return Condition(raw["what"], NAN, raw.get("unit", ""), wanted, holds, shown, source=(row["id"],))


class _Model:
    """Numbers of the model: of typical subjects, of trials, and of shares of people; each study simulated once."""

    def __init__(self, data: Mapping[str, Any], subjects: int, threads: int | None) -> None:
        self.experiments = data.get("experiments") or {}
        self.subjects, self.threads = subjects, threads
        self.claims = data["claims"]
        self.typicals = Typicals(self.experiments)
        self._trials: dict[str, dict[str, Any]] = {}
        self._typical_values: dict[str, float] | None = None

    def value(self, raw: Mapping[str, Any]) -> tuple[float, float, float]:
        """Value with its 90 % interval (NaN where there is none)."""
        where = raw.get("study") or raw.get("experiment") or ""
        if "output" in raw:
            return self._typical(Value.of(raw, where)), NAN, NAN
        trial = self._trial(where)
        name = f"{raw['arm']} {raw['endpoint']}"
        if "among" in raw:  # of the same virtual people, those without response in another arm
            first = np.array(trial["people"][f"{raw['among']['arm']} {raw['among']['endpoint']}"], float)
            second = np.array(trial["people"][name], float)
            failed = (first == 0) & np.isfinite(second)
            return (100 * float(second[failed].mean()) if failed.any() else NAN), NAN, NAN
        if "above" in raw:
            people = np.array(trial["people"][name], float)
            return 100 * float((people[np.isfinite(people)] > raw["above"]).mean()), NAN, NAN
        interval = trial["endpoints"][name]
        return tuple(NAN if x is None else float(x) for x in interval)  # type: ignore[return-value]

    def _typical(self, value: Value) -> float:
        """Typical values of all claims are computed together and kept."""
        if self._typical_values is None:
            self._typical_values = dict(store.read("claims-typical", store.key("claims-typical")) or {})
        if repr(value) not in self._typical_values:
            wanted = [
                Value.of(raw, "") for claim in self.claims for raw in (claim["model"].get("values") or {}).values()
                if "output" in raw and (raw.get("study") or raw.get("experiment")) == value.study
            ]  # fmt: skip
            self.typicals.solve(wanted)
            self._typical_values |= {repr(v): self.typicals[v] for v in wanted}
            store.write("claims-typical", store.key("claims-typical"), self._typical_values)
        return self._typical_values[repr(value)]

    def _trial(self, name: str) -> dict[str, Any]:
        if name not in self._trials:
            study = inline(name, self.experiments[name]) if name in self.experiments else studies.load(name)
            digest = store.key(store.study_text(study), str(self.subjects), "claims")
            kept = store.read(f"claims-{name}", digest)
            if kept is None:
                kept = self._simulate(study)
                store.write(f"claims-{name}", digest, kept)
            self._trials[name] = kept
        return self._trials[name]

    def _simulate(self, study: Study) -> dict[str, Any]:
        results = store.simulate(study, self.subjects, self.threads)
        table = trial.predict(study, results.panel)
        endpoints = {
            f"{row['arm']} {row['endpoint']}": [_finite(row[c]) for c in ("median", "p05", "p95")]
            for row in table.to_dict("records")
        }
        people = {}
        for endpoint in trial.of_study(study):
            if not isinstance(endpoint, Share | Extreme | Score):
                continue
            for arm in study.arms:
                values = per_person(endpoint, results.panel, arm)
                people[f"{arm} {endpoint.name}"] = [_finite(x) for x in values]
        store.forget(results)
        return {"endpoints": endpoints, "people": people}


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(float(value)) else None


HEADER = """# Claims of the 2012 article

What "Ketamine Rapidly Relieves Depression by Restoring Brain Connections" (2012) and the debate around it claim, and
two verdicts on each: what this model says when the experiment is run, and what published results say. This page is
written by `respine claims --markdown docs/claims.md`; the experiments, conditions and rows stand in
`library/claims.yaml`. *Supported*: every condition holds. *Contradicted*: none does. *Partly*: some do. *No evidence*:
nothing speaks to the claim. A model that agrees with a claim is no evidence for it.

Research software. Not advice for any person.

| claim | model | published record |
|---|---|---|
"""


def markdown(claims: Collection[Claim]) -> str:
    """The table of claims as a Markdown page, then every condition with its number and source."""
    rows = [f"| {c.claim} | {c.model_verdict} | {c.record_verdict} |" for c in claims]
    return HEADER + "\n".join(rows) + "\n\n" + "\n".join(_section(c) for c in claims)


def _section(claim: Claim) -> str:
    lines = [f"## {claim.claim}", ""]
    for title, conditions, said, note in (
        ("Model", claim.model, claim.model_verdict, claim.model_note),
        ("Published record", claim.record, claim.record_verdict, claim.record_note),
    ):
        lines += [f"**{title}: {said}.**" + (f" {note}" if note else ""), ""]
        lines += [f"- {condition_text(c)}" for c in conditions]
        lines += [""] if conditions else []
    return "\n".join([*lines, *([claim.note, ""] if claim.note else [])])


def condition_text(condition: Condition) -> str:
    """One condition in a line: what, its number, what was asked for, whether it holds, where the number is from."""
    holds = "holds" if condition.holds else "does not hold"
    source = f" ({', '.join(condition.source)})" if condition.source else ""
    if condition.target == "evidence":
        return f"{condition.what}: {condition.text} - {holds}"
    if not math.isfinite(condition.value):
        return f'{condition.what}: "{condition.text}" - {holds}{source}'
    unit = f" {condition.unit}" if condition.unit else ""
    spread = f" [{condition.low:.3g} to {condition.high:.3g}]" if math.isfinite(condition.low) else ""
    return f"{condition.what}: {condition.value:.3g}{spread}{unit}, asked for {condition.target} - {holds}{source}"
