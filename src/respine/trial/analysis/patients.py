"""The rows of a table as patients and visits: every mistake of the table and of the columns a plan names, at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from respine.errors import InputError, Problem
from respine.files.suggest import nearest
from respine.files.yaml_file import Document, Place
from respine.trial.analysis.arrays import Array, Flags, Ints
from respine.trial.analysis.model_matrix import Factor, Variables
from respine.trial.analysis.plan import Columns, Plan, mistake
from respine.trial.analysis.table import Table


@dataclass
class Trial:
    """A checked table. ``subject``, ``visit`` and ``arm`` (N,) are codes; arm 0 is the reference; ``y`` (N,) NaN where missing.

    ``names`` maps the words arm, visit and baseline to the columns that hold them.
    """

    table: Table
    columns: Columns
    document: Document
    subjects: tuple[str, ...]
    arms: tuple[str, ...]
    visits: tuple[str, ...]
    subject: Ints
    visit: Ints
    arm: Ints
    y: Array
    baseline: Array | None
    names: dict[str, str]
    numeric: dict[str, Array] = field(default_factory=dict)

    @property
    def n(self) -> int:
        return len(self.subjects)

    def of_subjects(self, values: Any) -> Any:
        """A column that does not change within a patient, (n,)."""
        result = np.empty(self.n, dtype=values.dtype)
        result[self.subject[::-1]] = values[::-1]
        return np.asarray(result)

    def wide(self, values: Array | None = None) -> Array:
        """A column as patients by visits, (n, m), NaN where there is no row."""
        result = np.full((self.n, len(self.visits)), np.nan)
        result[self.subject, self.visit] = self.y if values is None else values
        return result

    def resolve(self, name: str) -> str:
        """The column of a name; arm, visit and baseline may be said for the columns that hold them."""
        return name if name in self.table.columns else self.names.get(name, name)

    def is_number(self, name: str) -> bool:
        """Whether a column counts as a number rather than as labels."""
        return name in self.numeric

    def complete(self, names: Sequence[str]) -> Flags:
        """Rows with a value in every one of these columns, (N,)."""
        good = np.ones(self.table.rows, dtype=bool)
        for name in map(self.resolve, names):
            if name in self.numeric:
                good &= np.isfinite(self.numeric[name])
            else:
                good &= np.array([bool(label) for label in self.table.labels(name)])
        return good

    def variables(self, names: Sequence[str], rows: Ints) -> Variables:
        """Factors and numbers of some rows; levels that none of them has are left out."""
        factors: dict[str, Factor] = {}
        numbers: dict[str, Array] = {}
        for name in map(self.resolve, names):
            if name in self.numeric:
                numbers[name] = self.numeric[name][rows]
                continue
            labels = self.table.labels(name)
            chosen = [labels[i] for i in rows]
            levels = tuple(level for level in self.levels(name) if level in set(chosen))
            index = {level: i for i, level in enumerate(levels)}
            factors[name] = Factor(levels, np.array([index[label] for label in chosen], dtype=np.int64))
        return Variables(factors, numbers)

    def levels(self, name: str) -> tuple[str, ...]:
        """Levels of a factor, the reference first."""
        if name == self.columns.arm:
            return self.arms
        if name == self.columns.visit:
            return self.visits
        if name in self.columns.levels:
            return self.columns.levels[name]
        return tuple(sorted(set(self.table.labels(name)) - {""}, key=natural))

    def varies_within(self, name: str) -> bool:
        """Whether a column changes within a patient."""
        values = np.array(self.table.labels(self.resolve(name)))
        first = self.of_subjects(np.arange(self.table.rows))
        return bool((values != values[first[self.subject]]).any())


def natural(label: str) -> tuple[object, ...]:
    """A key that sorts numbers by value: week 2 before week 10."""
    try:
        return (0, float(label))
    except ValueError:
        parts = re.split(r"(\d+)", label)
        return (1, tuple((0, int(p)) if p.isdigit() else (1, p) for p in parts if p))


class Checker:
    """Collects the mistakes of one table under one plan."""

    def __init__(self, table: Table, plan: Plan) -> None:
        self.table, self.plan, self.doc = table, plan, plan.document
        self.problems: list[Problem] = []
        self.numeric: dict[str, Array] = {}
        self._known: set[str] = set()

    def column(self, name: str | None, place: Place) -> bool:
        """Whether the table has the column; a mistake of the plan where it has not."""
        if name is None:
            return False
        if name in self.table.columns:
            return True
        why = f"The table {self.table.file} has no column of this name."
        self.problems.append(mistake(self.doc, place, why, nearest(name, self.table.columns), name))
        return False

    def number(self, name: str) -> Array:
        """A column that must hold numbers, (N,)."""
        values, wrong = self.table.numbers(name)
        if wrong and name not in self._known:
            cure = 'Correct the cells; leave a missing value empty, or write "NA" or ".".'
            self.problems.append(self.table.problem(wrong, name, "The cell is no number.", cure))
        self._known.add(name)
        self.numeric[name] = values
        return values

    def variable(self, name: str) -> None:
        """A covariate: a number where most cells are numbers, else a factor."""
        if name in self.plan.data.factors or name in self.plan.data.levels or name in self.numeric:
            return
        values, wrong = self.table.numbers(name)
        good = int(np.isfinite(values).sum())
        if good and good > len(wrong):
            if wrong:
                cure = f'Correct the cells, or write "factors: [{name}]" under data if they are labels.'
                why = "Most cells of this column are numbers, and these are not."
                self.problems.append(self.table.problem(wrong, name, why, cure))
            self.numeric[name] = values

    def labels(self, name: str) -> list[str]:
        """A column of labels without gaps."""
        labels = self.table.labels(name)
        empty = [i for i, label in enumerate(labels) if not label]
        if empty:
            self.problems.append(self.table.problem(empty, name, "The cell is empty.", "Every row needs a value here."))
        return labels

    def constant(self, name: str, subject: Ints, subjects: Sequence[str]) -> None:
        """A column that must not change within a patient."""
        labels = self.table.labels(name)
        first: dict[int, str] = {}
        changed = [
            i
            for i, (s, label) in enumerate(zip(subject, labels, strict=True))
            if label != first.setdefault(int(s), label)
        ]
        if changed:
            i = changed[0]
            why = f"Patient {subjects[subject[i]]} has {first[int(subject[i])]!r} before, and a patient has one {name}."
            self.problems.append(self.table.problem(changed, name, why, "Give every row of a patient the same value."))


def read_trial(
    table: Table, plan: Plan, needed: Sequence[tuple[str, Place]], numbers: Sequence[tuple[str, Place]] = ()
) -> Trial:
    """The table as the plan reads it.

    ``needed`` are covariates with the place of the plan that names them, ``numbers`` columns that must be numeric. Raises
    InputError with every mistake of the table and of the plan's columns.
    """
    c, check = plan.data, Checker(table, plan)
    here = {
        field: check.column(getattr(c, field), ("data", field))
        for field in ("subject", "arm", "visit", "outcome", "baseline")
    }
    names = {word: value for word, value in (("arm", c.arm), ("visit", c.visit), ("baseline", c.baseline)) if value}
    for name, place in needed:
        resolved = name if name in table.columns else names.get(name, name)
        if check.column(resolved, place) and resolved not in (c.arm, c.visit):
            check.variable(resolved)
    for name, place in numbers:
        if check.column(name, place):
            check.number(name)
    subjects = check.labels(c.subject) if here["subject"] else [""] * table.rows
    arms = check.labels(c.arm) if here["arm"] else [c.reference] * table.rows
    visits = check.labels(c.visit) if c.visit and here["visit"] else ["only"] * table.rows
    y = check.number(c.outcome) if c.outcome and here["outcome"] else np.full(table.rows, np.nan)
    baseline = check.number(c.baseline) if c.baseline and here["baseline"] else None
    arm_levels = _arms(check, arms, here["arm"])
    visit_levels = _visits(check, visits, bool(here["visit"]))
    ids = list(dict.fromkeys(s for s in subjects if s))
    code = {s: i for i, s in enumerate(ids)}
    subject = np.array([code.get(s, 0) for s in subjects], dtype=np.int64)
    visit_code = {v: i for i, v in enumerate(visit_levels)}
    visit = np.array([visit_code.get(v, 0) for v in visits], dtype=np.int64)
    arm_code = {a: i for i, a in enumerate(arm_levels)}
    arm = np.array([arm_code.get(a, 0) for a in arms], dtype=np.int64)
    if here["subject"] and (here["visit"] or not c.visit):
        _doubled(check, subjects, visits)
    if ids and here["arm"]:
        check.constant(c.arm, subject, ids)
    if ids and c.baseline and here["baseline"]:
        check.constant(c.baseline, subject, ids)
    _possible(check, y, baseline)
    if check.problems:
        raise InputError(*dict.fromkeys(check.problems))
    return Trial(
        table,
        c,
        plan.document,
        tuple(ids),
        arm_levels,
        visit_levels,
        subject,
        visit,
        arm,
        y,
        baseline,
        names,
        check.numeric,
    )


def _arms(check: Checker, arms: Sequence[str], here: bool) -> tuple[str, ...]:
    c = check.plan.data
    present = sorted(set(arms) - {""}, key=natural)
    if here and c.reference not in present:
        why = f"No patient of the table is in this arm; the arms are: {', '.join(present)}."
        check.problems.append(mistake(check.doc, ("data", "reference"), why, nearest(c.reference, present)))
    others = [a for a in c.levels.get(c.arm, present) if a in present and a != c.reference]
    others += [a for a in present if a not in others and a != c.reference]
    return (c.reference, *others)


def _visits(check: Checker, visits: Sequence[str], here: bool) -> tuple[str, ...]:
    given = check.plan.data.visits or check.plan.data.levels.get(check.plan.data.visit or "")
    present = sorted(set(visits) - {""}, key=natural)
    numbers = sum(bool(v) and natural(v)[0] == 0 for v in visits)
    words = [i for i, v in enumerate(visits) if v and natural(v)[0] == 1 and visits.count(v) == 1]
    if given is None and here and words and numbers > len(visits) / 2:
        assert check.plan.data.visit is not None
        why, cure = (
            "Most visits are numbers, and this word stands once.",
            "Correct it, or name all visits in data.visits.",
        )
        check.problems.append(check.table.problem(words, check.plan.data.visit, why, cure))
    if given is None or not here:
        return tuple(present)
    unknown = [i for i, v in enumerate(visits) if v and v not in given]
    if unknown:
        cure = f"Add it to data.visits of the plan, or remove the rows. The plan has: {', '.join(given)}."
        why = "The plan does not know this visit."
        assert check.plan.data.visit is not None
        check.problems.append(check.table.problem(unknown, check.plan.data.visit, why, cure))
    return tuple(v for v in given if v in present)


def _doubled(check: Checker, subjects: Sequence[str], visits: Sequence[str]) -> None:
    first: dict[tuple[str, str], int] = {}
    doubled = [
        i for i, key in enumerate(zip(subjects, visits, strict=True)) if all(key) and first.setdefault(key, i) != i
    ]
    if not doubled:
        return
    c = check.plan.data
    if c.visit is None:
        cure = 'Name the column of visits under data, "visit: ...".'
        why = "A patient has more than one row, and the plan names no visit"
    else:
        i = doubled[0]
        at = check.table.lines[first[subjects[i], visits[i]]]
        cure = "Keep the right row of each visit and remove the other."
        why = f"Patient {subjects[i]} has visit {visits[i]} already in {check.table.row_word} {at}; a visit counts once"
    check.problems.append(check.table.problem(doubled, c.visit or c.subject, why, cure))


def _possible(check: Checker, y: Array, baseline: Array | None) -> None:
    """Scores inside the range of the scale."""
    c = check.plan.data
    low, high = c.range if c.range is not None else (-np.inf, np.inf)
    label = f"the range {low:g} to {high:g} of the plan"
    if c.scale is not None:
        from respine.library import BUILT_IN
        from respine.study.scales import load

        try:
            scale = load(BUILT_IN, c.scale)
        except InputError as error:
            check.problems.append(mistake(check.doc, ("data", "scale"), error.problems[0].why, error.problems[0].cure))
            return
        if c.range is None:
            low, high, label = scale.low, scale.high, f"{scale.low:g} to {scale.high:g}, the range of {scale.name}"
    for name, values in ((c.outcome, y), (c.baseline, baseline)):
        if name is None or values is None:
            continue
        with np.errstate(invalid="ignore"):
            wrong = np.flatnonzero((values < low) | (values > high)).tolist()
        if wrong:
            cure = "Correct the scores. Leave range and scale out if the column holds changes."
            check.problems.append(check.table.problem(wrong, name, f"The score lies outside of {label}", cure))
