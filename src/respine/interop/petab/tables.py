"""The files of a PEtab problem, either version, as one set of values; every fault is told with its file and line."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from respine.errors import InputError, Problem
from respine.files import numbers
from respine.interop.petab.densities import KINDS, TRANSFORMS, Prior
from respine.interop.petab.formulas import FormulaError, parse
from respine.model.expression import Expr, num, sym

Targets = dict[str, Expr | None]  # what a condition sets; None: left as the model (or what went before) has it
FINITE_SIZE = 64 * 2**20  # bytes of a table


@dataclass(frozen=True)
class Parameter:
    id: str
    scale: str
    low: float
    high: float
    nominal: float
    estimate: bool
    prior: Prior | None


@dataclass(frozen=True)
class Observable:
    id: str
    formula: Expr
    noise: Expr
    transform: str  # lin | log | log10
    distribution: str  # normal | laplace
    placeholders: tuple[str, ...]
    noise_placeholders: tuple[str, ...]


@dataclass(frozen=True)
class Measurement:
    observable: str
    experiment: str
    time: float
    value: float
    overrides: Mapping[str, Expr]
    line: int


@dataclass
class Experiment:
    """``steady``: what holds while a steady state is sought before the start; ``periods``: (time, what is set then)."""

    id: str
    steady: Targets | None
    periods: list[tuple[float, Targets]]


@dataclass
class Tables:
    version: int
    model: Path
    parameters: dict[str, Parameter] = field(default_factory=dict)
    observables: dict[str, Observable] = field(default_factory=dict)
    experiments: dict[str, Experiment] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)


def read_tables(path: Path) -> Tables:
    """Everything behind a problem's YAML file. Raises InputError with all its faults."""
    return _Reader(path).tables()


class _Row(dict[str, str]):
    where = ""
    line = 0


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path, self.problems = path, list[Problem]()
        self.names: dict[str, str] = {}  # of PEtab -> of the model

    def fault(self, where: str, field: str, seen: str, why: str, cure: str) -> None:
        self.problems.append(Problem(where, field, seen, why, cure))

    def tables(self) -> Tables:
        text = self._yaml()
        version = 2 if str(text.get("format_version", "1")).startswith("2") else 1
        files = self._files(text, version)
        if self.problems:
            raise InputError(*self.problems)
        for row in self._rows(files["mapping"]):
            if row.get("modelEntityId"):
                self.names[row["petabEntityId"]] = row["modelEntityId"]
        tables = Tables(version, files["model"][0])
        for row in self._rows(files["parameter"]):
            if parameter := self._parameter(row, version):
                tables.parameters[parameter.id] = parameter
        for row in self._rows(files["observable"]):
            if observable := self._observable(row, version):
                tables.observables[observable.id] = observable
        conditions = self._conditions(files["condition"], version)
        if version == 2:
            tables.experiments = self._experiments(files["experiment"], conditions)
        for row in self._rows(files["measurement"]):
            self._measurement(row, tables, conditions)
        if not tables.measurements and not self.problems:
            self.fault(
                str(self.path), "measurements", "", "the problem holds none.", "Add rows to its measurement table."
            )
        if self.problems:
            raise InputError(*self.problems)
        return tables

    # ---- files -------------------------------------------------------------------------------------------------------
    def _yaml(self) -> dict[str, Any]:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        try:
            text = self.path.read_text("utf-8")
            value = YAML(typ="safe").load(text) if len(text) < 2**20 else None
        except (OSError, UnicodeDecodeError, YAMLError, RecursionError, ValueError) as error:
            why = "it cannot be read: " + " ".join(str(error).split())[:200]
            raise InputError(
                Problem(str(self.path), "file", "", why, "Name the YAML file of a PEtab problem.")
            ) from None
        if not isinstance(value, dict):
            why = "it is no PEtab problem, which names tables and a model."
            raise InputError(Problem(str(self.path), "file", "", why, "Name the YAML file of a PEtab problem."))
        return value

    def _files(self, text: dict[str, Any], version: int) -> dict[str, list[Path]]:
        if version == 1:
            problems = text.get("problems") or [{}]
            if len(problems) > 1:
                self.fault(str(self.path), "problems", str(len(problems)), "more than one problem stands in one file.",
                           "Write a file for each.")  # fmt: skip
            inner = problems[0] if isinstance(problems[0], dict) else {}
            given = text.get("parameter_file")
            named = {
                kind: inner.get(f"{kind}_files") or [] for kind in ("condition", "measurement", "observable", "mapping")
            }
            named |= {"parameter": given if isinstance(given, list) else [given] if given else [], "experiment": []}
            models = inner.get("sbml_files") or [m.get("location") for m in (inner.get("model_files") or {}).values()]
        else:
            kinds = ("condition", "measurement", "observable", "mapping", "parameter", "experiment")
            named = {kind: text.get(f"{kind}_files") or [] for kind in kinds}
            described = (text.get("model_files") or {}).values()
            for model in described:
                if str(model.get("language", "sbml")).lower() != "sbml":
                    self.fault(str(self.path), "model_files", str(model.get("language")), "only SBML is read.",
                               "Convert the model to SBML.")  # fmt: skip
            models = [m.get("location") for m in described]
            for name in text.get("extensions") or {}:
                self.fault(str(self.path), "extensions", str(name), "this extension of PEtab is not read.",
                           "Leave it out, if the problem means the same without it.")  # fmt: skip
        if len(models) != 1:
            self.fault(str(self.path), "model", str(len(models)), "a problem has one model.", "Name one SBML file.")
        files = {kind: [self._inside(name) for name in (list)(names)] for kind, names in named.items()}
        return {**files, "model": [self._inside(name) for name in models]}

    def _inside(self, name: object) -> Path:
        """A file beside the problem's; one elsewhere is not opened."""
        folder = self.path.parent.resolve()
        path = (folder / str(name)).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            self.fault(str(self.path), "file", str(name), "there is no such file beside the problem.", "Put it there.")
        return path

    def _rows(self, paths: Iterable[Path]) -> Iterable[_Row]:
        for path in paths:
            if path.stat().st_size > FINITE_SIZE:
                self.fault(path.name, "table", "", f"it is larger than {FINITE_SIZE >> 20} MB.", "Split it.")
                continue
            try:
                with path.open(newline="", encoding="utf-8-sig") as lines:
                    reader = csv.DictReader(lines, delimiter="\t")
                    for row in reader:
                        kept = _Row(
                            {k.strip(): (v or "").strip() for k, v in row.items() if k and not isinstance(v, list)}
                        )
                        kept.where, kept.line = f"{path.name}:{reader.line_num}", reader.line_num
                        if any(kept.values()):
                            yield kept
            except (OSError, UnicodeDecodeError, csv.Error) as error:
                self.fault(path.name, "table", "", f"it cannot be read: {error}", "Write a tab-separated UTF-8 file.")

    # ---- rows --------------------------------------------------------------------------------------------------------
    def _formula(self, row: _Row, column: str, default: str = "") -> Expr:
        text = row.get(column) or default
        try:
            return self._renamed(parse(text))
        except FormulaError as error:
            self.fault(row.where, column, text[:80], f"{error}.", "Write a PEtab formula.")
            return num(math.nan)

    def _renamed(self, expr: Expr) -> Expr:
        from respine.model.expression import substitute

        return substitute(expr, {a: sym(b) for a, b in self.names.items()}) if self.names else expr

    def _number(self, row: _Row, column: str, default: float = math.nan) -> float:
        text = row.get(column, "")
        if not text:
            return default
        try:
            return numbers.number(text)
        except ValueError:
            self.fault(row.where, column, text[:80], "it is no number.", "Write a number.")
            return default

    def _parameter(self, row: _Row, version: int) -> Parameter | None:
        name = row.get("parameterId", "")
        if not name:
            self.fault(row.where, "parameterId", "", "the row names no parameter.", "Fill it in.")
            return None
        scale = row.get("parameterScale") or "lin"
        if scale not in TRANSFORMS:
            self.fault(row.where, "parameterScale", scale, "there is no such scale.", "Write lin, log or log10.")
        estimate = row.get("estimate", "").lower() in ("1", "1.0", "true")
        low, high = self._number(row, "lowerBound", -math.inf), self._number(row, "upperBound", math.inf)
        prior = self._prior_2(row, low, high) if version == 2 else self._prior_1(row, scale)
        return Parameter(self.names.get(name, name), scale, low, high, self._number(row, "nominalValue"), estimate,
                         prior if estimate else None)  # fmt: skip

    def _prior_2(self, row: _Row, low: float, high: float) -> Prior | None:
        """A parameter to be estimated without a prior of its own has a uniform one, where its bounds are finite."""
        kind = row.get("priorDistribution") or ("uniform" if math.isfinite(low + high) else "")
        numbers = self._numbers(row, "priorParameters") if row.get("priorDistribution") else (low, high)
        return self._checked_prior(row, kind, numbers, low, high, truncate=True)

    def _prior_1(self, row: _Row, scale: str) -> Prior | None:
        kind = row.get("objectivePriorType", "")
        if not kind:
            return None
        if kind.startswith("parameterScale"):
            own = kind.removeprefix("parameterScale").lower()
            if scale == "log10" or own == "uniform":
                own = f"{own}@{scale}"
            kind = own if scale == "lin" else own if "@" in own else f"log-{own}"
        kind = {"logNormal": "log-normal", "logLaplace": "log-laplace"}.get(kind, kind)
        numbers = self._numbers(row, "objectivePriorParameters")
        if "@" in kind:  # a density of the value on its own scale
            plain = kind.partition("@")[0]
            prior = self._checked_prior(row, plain, numbers, -math.inf, math.inf, truncate=False)
            return None if prior is None else ScaledPrior(prior.kind, prior.parameters, truncate=False, scale=scale)
        return self._checked_prior(row, kind, numbers, -math.inf, math.inf, truncate=False)

    def _numbers(self, row: _Row, column: str) -> tuple[float, ...]:
        try:
            return tuple(float(part) for part in row.get(column, "").split(";") if part.strip())
        except ValueError:
            self.fault(row.where, column, row.get(column, "")[:80], "these are no numbers.", "Write numbers and ;")
            return ()

    def _checked_prior(self, row: _Row, kind: str, numbers: tuple[float, ...], low: float, high: float, *,
                       truncate: bool) -> Prior | None:  # fmt: skip
        if not kind:
            return None
        if kind not in KINDS:
            self.fault(row.where, "prior", kind, "there is no such prior.", f"Write one of {', '.join(KINDS)}.")
        elif len(numbers) != KINDS[kind]:
            self.fault(
                row.where, "prior", kind, f"it takes {KINDS[kind]} numbers, not {len(numbers)}.", "Correct them."
            )
        else:
            return Prior(kind, numbers, low, high, truncate)
        return None

    def _observable(self, row: _Row, version: int) -> Observable | None:
        name = row.get("observableId", "")
        kind, transform = row.get("noiseDistribution") or "normal", row.get("observableTransformation") or "lin"
        if version == 2 and kind.startswith("log-"):
            kind, transform = kind.removeprefix("log-"), "log"
        if kind not in ("normal", "laplace") or transform not in TRANSFORMS:
            self.fault(row.where, "noiseDistribution", f"{kind}, {transform}", "there is no such noise.",
                       "Write normal, laplace, log-normal or log-laplace.")  # fmt: skip
            return None
        formula, noise = self._formula(row, "observableFormula"), self._formula(row, "noiseFormula", "1")
        if version == 2:
            own, own_noise = (_listed(row.get(f"{c}Placeholders", "")) for c in ("observable", "noise"))
        else:
            own, own_noise = _numbered("observableParameter", name, formula), _numbered("noiseParameter", name, noise)
        return Observable(name, formula, noise, transform, kind, own, own_noise)

    def _conditions(self, paths: list[Path], version: int) -> dict[str, Targets]:
        conditions: dict[str, Targets] = {}
        for row in self._rows(paths):
            name = row.get("conditionId", "")
            targets = conditions.setdefault(name, {})
            if version == 2:
                target = row.get("targetId", "")
                targets[self.names.get(target, target)] = self._formula(row, "targetValue", "nan")
                continue
            for column, text in row.items():
                if column not in ("conditionId", "conditionName"):
                    left = text.lower() in ("", "nan")
                    targets[self.names.get(column, column)] = None if left else self._formula(row, column)
        return conditions

    def _experiments(self, paths: list[Path], conditions: dict[str, Targets]) -> dict[str, Experiment]:
        experiments: dict[str, Experiment] = {"": Experiment("", None, [(0.0, {})])}
        periods: dict[str, dict[float, Targets]] = {}
        for row in self._rows(paths):
            time = self._number(row, "time", 0.0)
            targets = periods.setdefault(row.get("experimentId", ""), {}).setdefault(time, {})
            for condition in _listed(row.get("conditionId", "")):
                if condition not in conditions:
                    self.fault(
                        row.where, "conditionId", condition, "there is no such condition.", "Add it, or correct it."
                    )
                targets |= conditions.get(condition, {})
        for name, times in periods.items():
            steady = times.pop(-math.inf, None)
            ordered = sorted(times.items()) or [(0.0, {})]
            experiments[name] = Experiment(name, steady, ordered)
        return experiments

    def _measurement(self, row: _Row, tables: Tables, conditions: dict[str, Targets]) -> None:
        observable = tables.observables.get(row.get("observableId", ""))
        if observable is None:
            self.fault(row.where, "observableId", row.get("observableId", ""), "there is no such observable.",
                       "Name one of the observable table.")  # fmt: skip
            return
        experiment = row.get("experimentId", "") if tables.version == 2 else self._pair(row, tables, conditions)
        if experiment not in tables.experiments:
            self.fault(row.where, "experimentId", experiment, "there is no such experiment.", "Add it, or correct it.")
            return
        overrides: dict[str, Expr] = {}
        for column, names in (("observableParameters", observable.placeholders),
                              ("noiseParameters", observable.noise_placeholders)):  # fmt: skip
            given = _listed(row.get(column, ""))
            if len(given) < len(names):
                self.fault(row.where, column, row.get(column, ""), f"{len(names)} values are needed.", "Write them.")
            for name, text in zip(names, given, strict=False):
                try:
                    overrides[name] = parse(text)
                except FormulaError as error:
                    self.fault(row.where, column, text[:80], f"{error}.", "Write a number or a parameter.")
        tables.measurements.append(Measurement(
            observable.id, experiment, self._number(row, "time"), self._number(row, "measurement"), overrides, row.line
        ))  # fmt: skip

    def _pair(self, row: _Row, tables: Tables, conditions: dict[str, Targets]) -> str:
        """Version 1: an experiment is a condition, and one before it to come to rest in."""
        before, during = row.get("preequilibrationConditionId", ""), row.get("simulationConditionId", "")
        for name in (before, during):
            if name and name not in conditions:
                self.fault(row.where, "condition", name, "there is no such condition.", "Add it, or correct it.")
        key = f"{before}|{during}"
        if key not in tables.experiments:
            steady = conditions.get(before, {}) if before else None
            tables.experiments[key] = Experiment(key, steady, [(0.0, conditions.get(during, {}))])
        return key


@dataclass(frozen=True)
class ScaledPrior(Prior):
    """A prior on the value as it is on the parameter's scale."""

    scale: str = "lin"

    def log_density(self, x: Any) -> Any:
        return super().log_density(TRANSFORMS[self.scale](x))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def _numbered(prefix: str, observable: str, formula: Expr) -> tuple[str, ...]:
    from respine.model.expression import symbols

    used = {s for s in symbols(formula) if s.startswith(prefix) and s.endswith(f"_{observable}")}
    return tuple(f"{prefix}{k}_{observable}" for k in range(1, len(used) + 1))
