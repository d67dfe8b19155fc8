"""From a problem file, or from fields given in Python, to a checked problem: form, names, data; every mistake at
once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from respine.errors import Problem
from respine.files import yaml_file
from respine.files.form import model_problems
from respine.files.suggest import nearest
from respine.files.yaml_file import Document
from respine.fit.population import file_table as table
from respine.fit.population import structure
from respine.fit.population.advan import NAME
from respine.fit.population.dataset import Dataset, interpret
from respine.fit.population.dual import Dual, evaluate
from respine.fit.population.formulas import Formula, FormulaError, parse
from respine.fit.population.observation import ObservationModel, compile_observation, sigma
from respine.fit.population.problem import (
    Absorbed,
    Block,
    DoseRules,
    NormalPrior,
    PopulationProblem,
    Theta,
    WishartPrior,
    in_order,
)
from respine.fit.population.schema import Absorption, Data, Effects, FitFile, Parameter
from respine.model.expression import symbols
from respine.model.system import System

TIME_NAMES = ("t", "time", "TIME")
_LAWS: dict[str, tuple[str, ...]] = {
    "transit": ("n", "mtt"), "inverse-gaussian": ("mat", "cv2"), "weibull": ("scale", "shape"), "first-order": ("ka",),
    "zero-order": ("duration",),
}  # fmt: skip


def read(path: Path) -> PopulationProblem:
    """Read and check a problem file. Raises InputError."""
    doc = yaml_file.read(path, "fit")
    try:
        form = FitFile.model_validate(doc.data)
    except ValidationError as error:
        model_problems(doc, error, FitFile)
        doc.check()
        raise
    return _Maker(doc, form, path.parent, path).problem(None, None)


def make(*, data: Any, model: Any, fields: Mapping[str, Any]) -> PopulationProblem:
    """The same from fields given in Python. Raises InputError."""
    import pandas as pd

    given = {key: _plain(value) for key, value in fields.items()}
    frame = data if isinstance(data, (pd.DataFrame, Dataset)) else None
    given["data"] = {"file": "data"} if frame is not None else _plain(data)
    if isinstance(data, Mapping) and isinstance(data.get("file"), pd.DataFrame):
        frame = data["file"]
        given["data"] = {**_plain({k: v for k, v in data.items() if k != "file"}), "file": "data"}
    system = model if isinstance(model, System) else None
    if model is not None and system is None:
        given["model"] = str(model)
    doc = Document(Path("problem"), data=given)
    try:
        form = FitFile.model_validate(given)
    except ValidationError as error:
        model_problems(doc, error, FitFile)
        doc.check()
        raise
    return _Maker(doc, form, Path.cwd(), None).problem(system, frame)


def other_data(problem: PopulationProblem, data: Any) -> PopulationProblem:
    """The problem with other records: a file, or a pandas DataFrame. Raises InputError for what does not suit it."""
    import pandas as pd

    assert problem.form is not None
    form, frame = problem.form, data if isinstance(data, (pd.DataFrame, Dataset)) else None
    if frame is None:
        form = form.model_copy(update={"data": form.data.model_copy(update={"file": str(data), "keep": None})})
    doc = Document(Path(str(data)) if frame is None else Path("data"), data=form.model_dump())
    maker = _Maker(doc, form, Path.cwd(), problem.file)
    maker.every_kind = False
    return maker.problem(problem.system, frame)


def _plain(value: Any) -> Any:
    """Python values as a file would hold them."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value


class _Maker:
    """Collects what is wrong in ``doc`` and builds the parts of the problem."""

    def __init__(self, doc: Document, form: FitFile, folder: Path, file: Path | None) -> None:
        self.doc, self.form, self.folder, self.file = doc, form, folder, file
        self.notes: list[str] = []
        self.texts: dict[str, tuple[str, str]] = {}
        self.every_kind = True  # each observation part must have records

    def fault(self, place: tuple[str | int, ...], why: str, cure: str, seen: str | None = None) -> None:
        self.doc.problem(place, why, cure, seen)

    def observation_fault(self, place: tuple[str, ...], why: str, cure: str) -> None:
        self.fault(("observations", *place), why, cure)

    def formula(self, place: tuple[str | int, ...], text: str | None) -> Formula | None:
        if text is None:
            return None
        try:
            parsed = parse(text)
        except FormulaError as error:
            self.fault(place, f"{error}.", "Write a formula of the names of this file.", text)
            return None
        self.texts.update(parsed.texts)
        return parsed

    def problem(self, system: System | None, frame: Any) -> PopulationProblem:
        form = self.form
        thetas = tuple(self.theta(name, part) for name, part in form.parameters.items())
        omega = self.blocks("random_effects", form.random_effects)
        iov = self.blocks("occasion_effects", form.occasion_effects)
        residual = self.blocks("residual_effects", form.residual_effects)
        if iov and form.occasion is None:
            self.fault(("occasion_effects",), "Effects between occasions need a column that numbers these.",
                       "Write occasion: OCC.", "")  # fmt: skip
        individual = self.individual()
        observations = self.observations([block.names for block in residual])
        self.doc.check()
        if system is None and form.model is not None:
            covered = {*individual, *(theta.name for theta in thetas)}
            system = structure.load(form.model, self.folder, covered)
        data = frame if isinstance(frame, Dataset) else self.dataset(frame)
        doses = self.doses(system)
        used = self.names(system, thetas, omega, iov, residual, individual, doses, observations, data)
        self.doc.check()
        covariates = self.covariates(data, used)
        dose_state = self.dose_states(data, system, doses)
        rows = self.rows(data, observations)
        normal, wishart = self.priors(thetas, (*omega, *iov))
        self.doc.check()
        order = in_order(individual)
        held = self.held(system, individual, thetas)
        if held:
            self.notes.append(f"held at the model's own values: {', '.join(held)}")
        return PopulationProblem(
            form.title, system, data, thetas, omega, iov, residual, {name: individual[name] for name in order}, doses,
            dose_state, observations, rows, covariates, normal, wishart, form.estimation, form.data.long_lag,
            (*data.notes, *self.notes), self.file, form,
        )  # fmt: skip

    # ---- parameters ---------------------------------------------------------------------------------------------------
    def theta(self, name: str, part: Parameter) -> Theta:
        place = ("parameters", name)
        lower = -np.inf if part.lower is None else part.lower
        upper = np.inf if part.upper is None else part.upper
        if not name.isidentifier():
            self.fault(place, "A parameter's name must be usable in formulas.", "Use letters, digits and _.", name)
        if not lower < upper:
            self.fault(place, f"The bounds {lower:g} and {upper:g} leave no room.", "Write lower below upper.")
        elif not part.fixed and not lower < part.start < upper:
            self.fault(place, f"The start {part.start:g} does not lie between {lower:g} and {upper:g}.",
                       "Start inside the bounds, or write fixed: true.")  # fmt: skip
        scale = part.scale
        if scale == "auto":
            scale = "log" if lower >= 0 and np.isinf(upper) and part.start > 0 else "linear"
        if scale == "log" and not ((part.start > lower and lower >= 0) or part.fixed):
            self.fault(place, "A parameter on the log scale is positive.", "Write lower: 0 and a start above it.")
        if scale == "logit" and not (np.isfinite(lower) and np.isfinite(upper)):
            self.fault(place, "The logit scale needs two bounds.", "Write lower and upper.")
        return Theta(name, part.start, lower, upper, part.fixed, scale, part.label, part.unit)

    def blocks(self, kind: str, parts: Mapping[str, Effects]) -> tuple[Block, ...]:
        blocks, seen = [], set()
        for key, part in parts.items():
            place = (kind, key)
            names = tuple(name.strip() for name in key.split(","))
            for name in names:
                if not name.isidentifier() or name in seen:
                    why = f'"{name}" stands twice.' if name in seen else f'"{name}" is no name for a random effect.'
                    self.fault(place, why, "Name each effect once, of letters, digits and _.", key)
                seen.add(name)
            matrix = self.matrix(place, names, part)
            if matrix is not None:
                blocks.append(Block(names, matrix, part.fixed or not matrix.any()))
        return tuple(blocks)

    def matrix(self, place: tuple[str | int, ...], names: Sequence[str], part: Effects) -> np.ndarray | None:
        n = len(names)
        if part.covariance is None:
            if n > 1:
                self.fault(place, f"{n} effects need a covariance matrix.", "Write the lower triangle: [[a], [b, c]].")
                return None
            value = part.variance if part.variance is not None else float(part.sd or 0.0) ** 2
            if value < 0:
                self.fault(place, f"A variance of {value:g} is impossible.", "Write 0 (no variability) or more.")
                return None
            return np.array([[value]])
        matrix = square(part.covariance, n)
        if matrix is None:
            self.fault(place, f"The matrix of {n} effects has {n} rows, of 1 to {n} numbers (lower triangle) or of {n}.",
                       "Write the lower triangle: [[a], [b, c]].", "")  # fmt: skip
            return None
        if matrix.any() and np.linalg.eigvalsh(matrix)[0] <= 0:
            self.fault(place, "The matrix is no covariance: it is not positive definite.",
                       "Make every |covariance| less than sqrt(variance * variance).", "")  # fmt: skip
            return None
        return matrix

    def individual(self) -> dict[str, Formula]:
        formulas = {}
        for name, text in self.form.individual.items():
            formula = self.formula(("individual", name), text)
            if not name.isidentifier():
                self.fault(("individual", name), "An individual parameter's name must be usable in formulas.",
                           "Use letters, digits and _.", name)  # fmt: skip
            if formula is not None:
                formulas[name] = formula
        try:
            in_order(formulas)
        except ValueError as error:
            self.fault(("individual",), f"{error}.", "Break the circle.", "")
        return formulas

    def doses(self, system: System | None) -> dict[str, DoseRules]:
        rules = {}
        for state, part in self.form.doses.items():
            place = ("doses", state)
            if system is None or state not in system.states:
                states = system.states if system is not None else ()
                self.fault(place, "The model has no such state.", nearest(state, states), state)
            formulas = {name: self.formula((*place, name), getattr(part, name)) for name in ("lag", "bioavailability",
                                                                                       "duration", "rate")}  # fmt: skip
            absorbed = tuple(self.absorbed((*place, "input"), law) for law in part.input)
            rules[state] = DoseRules(
                formulas["lag"], formulas["bioavailability"], formulas["duration"], formulas["rate"], absorbed
            )
        return rules

    def absorbed(self, place: tuple[str | int, ...], part: Absorption) -> Absorbed:
        wanted = _LAWS[part.law]
        formulas = {}
        for name in {name for names in _LAWS.values() for name in names}:
            text = getattr(part, name)
            if (text is not None) != (name in wanted):
                why = f"{part.law} needs {' and '.join(wanted)}."
                self.fault((*place, name), why, f"Write {name}: ..." if text is None else f"Remove {name}.", text or "")
            formula = self.formula((*place, name), text)
            if formula is not None:
                formulas[name] = formula
        fraction, lag = self.formula((*place, "fraction"), part.fraction), self.formula((*place, "lag"), part.lag)
        return Absorbed(part.law, formulas, fraction, lag)

    def observations(self, effects: Sequence[Sequence[str]]) -> tuple[ObservationModel, ...]:
        models = []
        for name, part in self.form.observations.items():
            model = compile_observation(name, part, effects, self.observation_fault)
            if model is not None:
                self.texts.update(model.texts)
                models.append(model)
        return tuple(models)

    # ---- names --------------------------------------------------------------------------------------------------------
    def names(
        self,
        system: System | None,
        thetas: Sequence[Theta],
        omega: Sequence[Block],
        iov: Sequence[Block],
        residual: Sequence[Block],
        individual: Mapping[str, Formula],
        doses: Mapping[str, DoseRules],
        observations: Sequence[ObservationModel],
        data: Dataset,
    ) -> set[str]:
        """Columns that formulas use; every unknown name is a fault."""
        groups = {
            "parameters": [theta.name for theta in thetas],
            "random_effects": [name for block in omega for name in block.names],
            "occasion_effects": [name for block in iov for name in block.names],
            "residual_effects": [name for block in residual for name in block.names],
        }
        owner: dict[str, str] = {}
        for group, names in groups.items():
            for name in names:
                if name in owner:
                    self.fault(
                        (group, name), f"{name} stands in {owner[name]} as well.", "Give each its own name.", name
                    )
                owner[name] = group
        for name in individual:
            if name in owner and owner[name] != "parameters":
                why = f"{name} stands in {owner[name]} as well."
                self.fault(("individual", name), why, "Give each its own name.", name)
        columns = set(data.table.names)
        base = {*owner, *individual} - set(groups["residual_effects"])
        used: set[str] = set()

        def look(place: tuple[str | int, ...], names: set[str], known: set[str], own: str = "") -> None:
            for name in sorted(names):
                if name == own and name not in owner:
                    used.add(name)
                    if name not in columns:
                        why = f"{name} is given by itself, and neither a parameter nor a column of the data has this name."
                        self.fault(place, why, "Write a formula, or name a column.", name)
                elif name in known or name in self.texts or name in TIME_NAMES:
                    continue
                elif name in columns:
                    used.add(name)
                else:
                    self.fault(place, f'"{name}" is not known here.', nearest(name, sorted(known | columns)), name)

        for name, formula in individual.items():
            look(("individual", name), set(symbols(formula.expr)), base - {name}, name)
        for state, rules in doses.items():
            for part, formula in rules.formulas.items():
                look(("doses", state, part), set(symbols(formula.expr)), base)
        of_model = set() if system is None else {*system.states, *system.rules, *system.parameters, *system.inputs}
        sigmas = {sigma(a, b) for block in residual for i, a in enumerate(block.names) for b in block.names[: i + 1]}
        for model in observations:
            look(("observations", model.name), model.names, base | of_model | sigmas)
        for name, (column, _) in self.texts.items():
            if column not in columns:
                self.fault(("individual",), f'"{column}" is no column of the data.', nearest(column, columns), name)
        used |= {name for name in self.texts if self.texts[name][0] in columns}
        unused = [name for name in owner if not self._appears(name, individual, doses, observations, system)]
        for name in unused:
            self.fault((owner[name], name), f"{name} is used in no formula.", "Use it, or remove it.", name)
        hidden = sorted(({*base} & columns) - used)
        if hidden:
            self.notes.append(
                f"the data have columns called like names of the problem, which are not used: {', '.join(hidden)}"
            )
        return used

    def _appears(
        self,
        name: str,
        individual: Mapping[str, Formula],
        doses: Mapping[str, DoseRules],
        observations: Sequence[ObservationModel],
        system: System | None,
    ) -> bool:
        every = [*individual.values(), *(f for rules in doses.values() for f in rules.formulas.values())]
        if any(name in symbols(formula.expr) for formula in every):
            return True
        if system is not None and (name in system.parameters or name in system.inputs):
            return True
        return any(name in model.names or any(name in n.split()[1:] for n in model.names if n.startswith("SIGMA "))
                   for model in observations)  # fmt: skip

    def held(self, system: System | None, individual: Mapping[str, Formula], thetas: Sequence[Theta]) -> list[str]:
        """Parameters and inputs of the model nobody gives a value to."""
        if system is None:
            return []
        given = {*individual, *(theta.name for theta in thetas)}
        return [name for name in (*system.parameters, *system.inputs) if name not in given]

    # ---- data ---------------------------------------------------------------------------------------------------------
    def dataset(self, frame: Any) -> Dataset:
        part: Data = self.form.data
        if frame is not None:
            data = table.from_frame(frame)
        else:
            path = Path(part.file).expanduser()
            data = table.read(path if path.is_absolute() else self.folder / path, part.ignore)
        if part.keep is not None:
            data = self.kept(data, part.keep)
        return interpret(data, part.columns, self.form.occasion)

    def kept(self, data: table.Table, text: str) -> table.Table:
        place = ("data", "keep")
        formula = self.formula(place, text)
        self.doc.check()
        assert formula is not None
        values = {name: Dual(column) for name, column in data.numbers.items()}
        values |= {name: Dual(_is_text(data, *pair)) for name, pair in formula.texts.items() if pair[0] in data.names}
        try:
            keep = np.broadcast_to(evaluate(formula.expr, values).value != 0, (len(data),))
        except KeyError as missing:
            self.fault(place, f"{missing} is no column of the data.", nearest(str(missing), data.names))
            self.doc.check()
        for name in sorted(set(symbols(formula.expr)) & set(data.names)):  # a comparison with text would drop its row
            cells = data.texts[name]
            wrong = [r for r in np.flatnonzero(np.isnan(data.numbers[name])) if cells[r].lower() not in table.MISSING]
            for r in wrong[:10]:
                why, cure = f'keep compares "{name}", and this is no number.', "Correct the cell, or leave it empty."
                self.doc.problems.append(Problem(data.where(int(r)), name, cells[r][:60], why, cure))
        self.doc.check()
        if not keep.any():
            self.fault(place, "This keeps no record at all.", "Correct the condition.")
            self.doc.check()
        left = int((~keep).sum())
        self.notes.append(f"{left} records were left out by keep: {text}")
        return data.only(np.flatnonzero(keep))

    def covariates(self, data: Dataset, used: set[str]) -> dict[str, np.ndarray]:
        """Columns formulas use. Missing cells and texts are faults, by line."""
        columns: dict[str, np.ndarray] = {}
        for name in sorted(used):
            if name in self.texts:
                column, text = self.texts[name]
                columns[name] = _is_text(data.table, column, text)
                if not columns[name].any() and self.every_kind:
                    cells = sorted(set(data.table.texts[column]))
                    self.fault(("individual",), f'No record has {column} "{text}".', nearest(text, cells), name)
                continue
            values = data.table.numbers[name]
            bad = np.flatnonzero(np.isnan(values))
            if len(bad):
                lines = table.listed(int(data.table.lines[r]) for r in bad)
                why = f"Column {name} has no number in {len(bad)} of {len(values)} records (lines {lines})."
                cure = f'Fill it in, or compare texts: {name} == "{data.table.texts[name][bad[0]]}".'
                self.fault(("data", "file"), why, cure, name)
            columns[name] = values
        return columns

    def dose_states(self, data: Dataset, system: System | None, doses: Mapping[str, DoseRules]) -> tuple[str, ...]:
        states = system.states if system is not None else ()
        by_number = {str(k + 1): state for k, state in enumerate(states)}
        named = {**by_number, **{state: state for state in states}, **self.form.data.compartments}
        first = len(states) == 1 or (self.form.model is not None and NAME.fullmatch(self.form.model.strip()))
        default = self.form.data.dose_into or (states[0] if states and first else None)
        for label, name in {**self.form.data.compartments, "": self.form.data.dose_into or ""}.items():
            if name and name not in states:
                place = ("data", "compartments", label) if label else ("data", "dose_into")
                self.fault(place, "The model has no such state.", nearest(name, states), name)
        dosed: list[str] = []
        unknown: dict[str, int] = {}
        for row in range(data.n_records):
            if data.evid[row] not in (1, 4):
                dosed.append("")
                continue
            label = data.cmt[row]
            state = default if label in ("", "0") else named.get(label)
            if state is None or state not in states:
                unknown.setdefault(label, row)
            dosed.append(state or "")
        for label, row in unknown.items():
            if system is None:
                why, cure = (
                    "The problem has no model with states, yet the data have doses.",
                    "Add a model, or remove the doses.",
                )
            elif label in ("", "0"):
                why, cure = "A dose names no compartment.", "Add CMT to the data, or data: {dose_into: STATE}."
            else:
                why = f"The model has no compartment {label}; by number its states are {_numbered(states)}."
                cure = f"Write data: {{compartments: {{{label}: STATE}}}}."
            self.fault(("data", "file"), why, cure, f"{data.where(row)} CMT {label}")
        return tuple(dosed)

    def rows(self, data: Dataset, observations: Sequence[ObservationModel]) -> dict[str, np.ndarray]:
        """Records of each observation part; one that belongs to none or to two is a fault."""
        taken = np.full(data.n_records, -1)
        rows = {}
        for k, model in enumerate(observations):
            if model.dvid is None and model.cmt is None:
                if len(observations) > 1:
                    why = "With several observations each must say which records are its own."
                    self.fault(
                        ("observations", model.name), why, "Write dvid: or cmt: with the values of that column.", ""
                    )
                chosen = data.observed.copy()
            else:
                chosen = data.observed.copy()
                for labels, column in ((model.dvid, data.dvid), (model.cmt, data.cmt)):
                    if labels is not None:
                        chosen &= np.array([cell in labels for cell in column])
            twice = chosen & (taken >= 0)
            if twice.any():
                other = observations[int(taken[np.flatnonzero(twice)[0]])].name
                self.fault(
                    ("observations", model.name),
                    f"Some records belong to {other} as well.",
                    "Let dvid or cmt differ.",
                    "",
                )
            taken[chosen] = k
            rows[model.name] = np.flatnonzero(chosen)
            if not chosen.any() and self.every_kind:
                self.fault(("observations", model.name), "No record of the data is such an observation.",
                           f"The data have DVID {_seen(data.dvid)} and CMT {_seen(data.cmt)}.", "")  # fmt: skip
        rest = np.flatnonzero(data.observed & (taken < 0))
        if len(rest) and observations:
            lines = table.listed(int(data.table.lines[r]) for r in rest)
            why = f"{len(rest)} observations belong to no part (lines {lines})."
            cure = "Add a part for their dvid or cmt, write MDV 1, or leave them out with data: {keep: ...}."
            self.fault(("observations",), why, cure, "")
        return rows

    # ---- priors -------------------------------------------------------------------------------------------------------
    def priors(
        self, thetas: Sequence[Theta], blocks: Sequence[Block]
    ) -> tuple[tuple[NormalPrior, ...], tuple[WishartPrior, ...]]:
        normal, wishart = [], []
        known = {theta.name for theta in thetas}
        for key, part in self.form.priors.items():
            place, names = ("priors", key), tuple(name.strip() for name in key.split(","))
            if (part.normal is None) == (part.inverse_wishart is None):
                self.fault(place, "A prior is normal or inverse_wishart.", "Write one of the two.", "")
            elif part.normal is not None:
                for name in names:
                    if name not in known:
                        self.fault(place, f"{name} is no parameter.", nearest(name, sorted(known)), name)
                scalar = len(names) == 1 and part.normal.mean is not None and part.normal.sd is not None
                mean = np.array([part.normal.mean] if scalar else part.normal.means or (), float)
                spread = (
                    np.array([[float(part.normal.sd or 0) ** 2]])
                    if scalar
                    else square(part.normal.covariance or (), len(names))
                )
                if spread is None or len(mean) != len(names) or np.linalg.eigvalsh(spread)[0] <= 0:
                    cure = "Write mean and sd, or for several parameters means and covariance."
                    self.fault(place, f"This is no normal prior of {len(names)} parameters.", cure, "")
                else:
                    normal.append(NormalPrior(names, mean, spread))
            else:
                assert part.inverse_wishart is not None
                matrix = square(part.inverse_wishart.covariance, len(names))
                if names not in [block.names for block in blocks]:
                    self.fault(
                        place,
                        f"{key} is no block of random effects.",
                        nearest(key, [", ".join(b.names) for b in blocks]),
                    )
                elif matrix is None or np.linalg.eigvalsh(matrix)[0] <= 0 or part.inverse_wishart.degrees <= 0:
                    self.fault(
                        place,
                        "This is no prior of a covariance matrix.",
                        "Write covariance: [[a], [b, c]], degrees: 20.",
                        "",
                    )
                else:
                    wishart.append(WishartPrior(names, matrix, part.inverse_wishart.degrees))
        return tuple(normal), tuple(wishart)


def square(rows: Sequence[Sequence[float]], n: int) -> np.ndarray | None:
    """A symmetric matrix from its lower triangle or from all of it; None where the shape is another."""
    if len(rows) != n:
        return None
    if all(len(row) == k + 1 for k, row in enumerate(rows)):
        matrix = np.zeros((n, n))
        for k, row in enumerate(rows):
            matrix[k, : k + 1] = matrix[: k + 1, k] = row
        return matrix
    if all(len(row) == n for row in rows):
        matrix = np.array(rows, float)
        return matrix if np.allclose(matrix, matrix.T, rtol=1e-10) else None
    return None


def _is_text(data: table.Table, column: str, text: str) -> np.ndarray:
    """1 where a column holds this text."""
    return np.array([float(cell == text) for cell in data.texts[column]])


def _numbered(states: Sequence[str]) -> str:
    return ", ".join(f"{k + 1} {state}" for k, state in enumerate(states))


def _seen(labels: Sequence[str]) -> str:
    return ", ".join(sorted({label for label in labels if label})) or "none"
