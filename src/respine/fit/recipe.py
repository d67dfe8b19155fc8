"""A recipe: which numbers are calibrated on which published rows, as data (``library/recipes/BLOCK.yaml``).

Roles are law: a target whose row is not of role ``fit`` is refused here, before anything is simulated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from respine import library
from respine.errors import InputError
from respine.files import units, yaml_file
from respine.files.constants import Z90, Z95
from respine.files.suggest import nearest
from respine.files.yaml_file import Document
from respine.files.yaml_file import Place as Where
from respine.fit.values import Place
from respine.model.system import System
from respine.published.bars import published

SCHEMA = "respine/recipe/1"
SCALES = ("log", "linear", "logit")
READ_AS = (
    "value", "ratio", "percent", "change", "restored", "mean", "peak", "area", "time-of-peak", "lag", "share", "curve",
)  # fmt: skip
_FIELDS = {
    "schema", "block", "title", "note", "settings", "parameters", "targets", "experiments",
}  # fmt: skip
_SETTINGS = {"seed", "starts", "polish", "people", "replicates", "difference", "most_steps", "tolerance", "still"}
_PARAMETER = {"id", "in", "field", "prior", "note"}
_PRIOR = {"median", "low", "high", "scale", "source", "note"}
_TARGET = {
    "row", "table", "study", "arm", "against", "healthy", "output", "as", "at", "from", "until", "endpoint", "statistic",
    "value", "tolerance", "at_most", "at_least", "of", "over", "after", "compare", "why", "curve", "times", "weight",
    "parameters", "floors",
}  # fmt: skip


@dataclass(frozen=True)
class Prior:
    """Belief before the fit, on a scale on which it is normal: ``median`` and the 5 % and 95 % points."""

    median: float
    low: float
    high: float
    scale: str
    source: str

    def to_scale(self, value: float) -> float:
        """A value on the fitting scale."""
        if self.scale == "log":
            return math.log(value)
        return math.log(value / (1 - value)) if self.scale == "logit" else value

    def from_scale(self, x: Any) -> Any:
        """Values from the fitting scale; arrays or numbers."""
        import numpy as np

        if self.scale == "log":
            return np.exp(x)
        return 1 / (1 + np.exp(-np.asarray(x))) if self.scale == "logit" else x

    @property
    def centre(self) -> float:
        """The median on the fitting scale."""
        return self.to_scale(self.median)

    def spread(self, below: bool) -> float:
        """Standard deviation on the fitting scale, of its own on either side."""
        edge = self.low if below else self.high
        return abs(self.to_scale(edge) - self.centre) / Z90


@dataclass(frozen=True)
class Free:
    """One calibrated number: where it stands and what was believed of it."""

    place: Place
    prior: Prior

    @property
    def name(self) -> str:
        """Its name in results."""
        return self.place.name

    def moves(self, system: System) -> bool:
        """Whether this model reads the number here: a table of another species may replace it."""
        quantity = system.quantities.get(self.place.id)
        return quantity is not None and quantity.file == f"library/{self.place.file}.csv"


@dataclass(frozen=True)
class Target:
    """One published number and how the model is asked for it.

    ``value`` with ``tolerance`` (one standard error) or a bound ``at_most`` / ``at_least`` with its tolerance; times in
    hours. ``endpoint`` targets are read over virtual people, ``output`` targets from the typical subject, ``held`` with
    model parameters held at other values (a knock-out). A lag is the time from half of the greatest rise of the output
    ``after`` to half of that of ``output``. ``floors``: for the statistic ``hardly-ill``, under how many floors of the scale.
    """

    row: Mapping[str, str]
    study: str
    arm: str
    value: float
    tolerance: float
    bound: str = ""
    how: str = "value"
    output: str = ""
    endpoint: str = ""
    statistic: str = "estimate"
    against: str = ""
    healthy: str = ""
    at: float = math.nan
    begin: float = math.nan
    until: float = math.nan
    of: float = math.nan
    times: tuple[float, ...] = ()
    curve: Mapping[str, Any] = field(default_factory=dict)
    logarithm: bool = False
    weight: float = 1.0
    why: str = ""
    floors: float = 1.0
    held: tuple[tuple[str, float], ...] = ()
    after: str = ""

    @property
    def id(self) -> str:
        """The evidence row."""
        return self.row["id"]


@dataclass(frozen=True)
class Settings:
    """How a fit is carried out. ``people`` virtual people, each observed ``replicates`` times, for endpoint targets.

    A descent ends when a step lowers the cost by less than ``tolerance`` times (1 + cost): fine enough that numbers which the
    rows hardly inform come out the same within the 2 % that a table is held to. ``still`` 1 holds everybody's illness where it is
    at the first visit: for control arms, whose people get nothing that reaches the biology.
    """

    seed: int = 1
    starts: int = 8
    polish: int = 1
    people: int = 200
    replicates: int = 6
    difference: float = 0.02
    most_steps: int = 30
    tolerance: float = 1e-6
    still: int = 0


@dataclass(frozen=True)
class Recipe:
    """A checked recipe."""

    block: str
    title: str
    note: str
    parameters: tuple[Free, ...]
    targets: tuple[Target, ...]
    settings: Settings


def names() -> list[str]:
    """Names of the blocks."""
    return library.names("recipes")


def load(name_or_path: str | Path) -> Recipe:
    """The recipe of a block, or of a file. Raises InputError with every mistake, among them every row not for fitting."""
    path = Path(name_or_path)
    file = path if path.suffix == ".yaml" else library.path("recipes", str(name_or_path))
    doc = yaml_file.read(file, "recipe")
    data = doc.data
    _known(doc, (), data, _FIELDS)
    if data.get("schema") != SCHEMA:
        doc.problem(("schema",), "This is not a recipe of this version.", f'Write "schema: {SCHEMA}".')
    parameters = list(_parameters(doc))
    if not parameters:
        doc.problem(("parameters",), "A recipe calibrates at least one number.", "Add parameters: [...].", seen="")
    twice = {p.name for p in parameters if [q.name for q in parameters].count(p.name) > 1}
    for name in sorted(twice):
        doc.problem(("parameters",), f'"{name}" is calibrated twice.', "Keep one of them.", seen=name)
    targets = list(targets_of(doc))
    if not targets:
        doc.problem(("targets",), "Nothing is fitted to.", "Add targets: [...] with rows of role fit.", seen="")
    settings = _settings(doc)
    doc.check()
    return Recipe(str(data["block"]), str(data.get("title", "")), str(data.get("note", "")), tuple(parameters),
                  tuple(targets), settings)  # fmt: skip


def experiment(study: str) -> str | Path:
    """What ``study.load`` takes for the study of a target: a file beside the recipes, or a study of the library."""
    own = library.ROOT / "recipes" / "experiments" / f"{study}.yaml"
    return own if own.is_file() else study


def _known(doc: Document, place: Where, block: Any, fields: set[str]) -> None:
    for name in block if isinstance(block, dict) else ():
        if name not in fields:
            doc.problem(
                (*place, name), "There is no such field here.", nearest(str(name), sorted(fields)), seen=str(name)
            )


def _settings(doc: Document) -> Settings:
    raw = doc.data.get("settings") or {}
    _known(doc, ("settings",), raw, _SETTINGS)
    good: dict[str, Any] = {}
    for name, value in raw.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            doc.problem(("settings", name), "This is not a number of zero or more.", "Write a number.")
        elif name in _SETTINGS:
            good[name] = float(value) if name in ("difference", "tolerance") else int(value)
    return Settings(**good)


def _parameters(doc: Document) -> Iterator[Free]:
    for i, raw in enumerate(doc.data.get("parameters") or []):
        at: Where = ("parameters", i)
        if (
            not isinstance(raw, dict)
            or not isinstance(raw.get("prior"), dict)
            or not raw.get("id")
            or not raw.get("in")
        ):
            doc.problem(at, "A calibrated number has an id, a file (in) and a prior.",
                        "Write {id: ..., in: parameters/..., prior: {...}}.", seen="")  # fmt: skip
            continue
        _known(doc, at, raw, _PARAMETER)
        prior = _prior(doc, (*at, "prior"), raw["prior"])
        place = Place(str(raw["in"]), str(raw["id"]), str(raw.get("field", "value")))
        if place.field not in ("value", "variability"):
            doc.problem((*at, "field"), "A row has no such number.", "Write value or variability.")
        try:
            from respine.fit import values

            values.read(place)
        except (InputError, KeyError):
            doc.problem(at, f"library/{place.file} has no number {place.id}.", "Correct id or in.", seen=place.id)
        if prior is not None:
            yield Free(place, prior)


def _prior(doc: Document, at: Where, raw: dict[str, Any]) -> Prior | None:
    _known(doc, at, raw, _PRIOR)
    numbers = [raw.get(k) for k in ("low", "median", "high")]
    if not all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in numbers):
        doc.problem(at, "A prior has low, median and high.", "Write three finite numbers.", seen="")
        return None
    low, median, high = (float(x) for x in numbers if x is not None)
    scale = str(raw.get("scale", "log"))
    if scale not in SCALES:
        doc.problem((*at, "scale"), "There is no such scale.", f"Write one of {', '.join(SCALES)}.")
        return None
    if not low < median < high:
        doc.problem(
            at, "low, median and high are not in this order.", "Correct the prior.", seen=f"{low}, {median}, {high}"
        )
        return None
    if (scale == "log" and low <= 0) or (scale == "logit" and not (low > 0 and high < 1)):
        doc.problem(at, f"These numbers do not lie on a {scale} scale.", "Choose another scale.", seen=f"{low}, {high}")
        return None
    if not raw.get("source") and not raw.get("note"):
        doc.problem(at, "A prior has a source or a reason.", "Add source: key or note: why.", seen="")
    for key in str(raw.get("source") or "").split(";"):
        if key.strip() and key.strip() not in library.references():
            doc.problem((*at, "source"), f'references.bib has no entry "{key.strip()}".', "Correct the key.")
    return Prior(median, low, high, scale, str(raw.get("source") or ""))


def targets_of(doc: Document) -> Iterator[Target]:
    for i, raw in enumerate(doc.data.get("targets") or []):
        at: Where = ("targets", i)
        if not isinstance(raw, dict):
            doc.problem(at, "A target is a mapping.", "Write {row: ..., study: ..., ...}.", seen="")
            continue
        _known(doc, at, raw, _TARGET)
        row = _row(doc, at, raw)
        if row is None:
            continue
        before = len(doc.problems)
        target = _target(doc, at, raw, row)
        if len(doc.problems) == before and target is not None:
            yield target


def _row(doc: Document, at: Where, raw: dict[str, Any]) -> dict[str, str] | None:
    """The evidence row, if it may be fitted to; rows named in a curve count as well."""
    table = str(raw.get("table", "clinical"))
    if table not in library.names("evidence"):
        doc.problem((*at, "table"), "There is no such evidence table.", nearest(table, library.names("evidence")))
        return None
    rows = {row["id"]: row for row in library.rows("evidence", table)}
    ids = [("row", str(raw.get("row", "")))]
    ids += [("curve", word) for word in _texts(raw.get("curve")) if re.fullmatch(r"G?PK\d+", word)]
    for where, id in ids:
        if id not in rows:
            doc.problem(
                (*at, where), f"library/evidence/{table}.csv has no row of this id.", nearest(id, rows), seen=id
            )
            return None
        if rows[id]["role"] != "fit":
            why = f'The row {id} has the role "{rows[id]["role"]}": nothing may be tuned to it.'
            doc.problem((*at, where), why, "Take a row of role fit, or leave the target out.", seen=id)
            return None
    return rows[ids[0][1]]


def _texts(block: Any) -> list[str]:
    if isinstance(block, dict):
        return [word for item in block.values() for word in _texts(item)]
    if isinstance(block, list):
        return [word for item in block for word in _texts(item)]
    return [block] if isinstance(block, str) else []


def _target(doc: Document, at: Where, raw: dict[str, Any], row: dict[str, str]) -> Target | None:
    for name in ("study", "arm"):
        if not raw.get(name):
            doc.problem(at, f'The target lacks "{name}".', f"Add {name}: ...", seen="")
    if bool(raw.get("endpoint")) == bool(raw.get("output")):
        doc.problem(at, "A target reads either an output or an endpoint.", "Keep one of output and endpoint.", seen="")
    how = str(raw.get("as", "value"))
    if how not in READ_AS:
        doc.problem((*at, "as"), "This is no way to read an output.", f"Write one of {', '.join(READ_AS)}.")
    if (how == "lag") != bool(raw.get("after")):
        doc.problem((*at, "after"), "A lag, and nothing else, has an earlier output.", "Write after: OUTPUT.", seen="")
    if "floors" in raw and raw.get("statistic") != "hardly-ill":
        doc.problem((*at, "floors"), "Floors of a scale count who is hardly ill.", "Remove it.")
    times = {name: _hours(doc, (*at, name), raw.get(name)) for name in ("at", "from", "until", "of")}
    if how == "lag" and not times["from"] < times["until"]:
        doc.problem((*at, "from"), "A lag is read over a window.", "Write from: 0 h, until: 6 h.", seen="")
    bounds = [name for name in ("at_most", "at_least") if raw.get(name) is not None]
    number = published(row)
    bar = (
        (number.high - number.low) / 2 / Z95
        if number and math.isfinite(number.high) and number.high > number.low
        else None
    )
    value = raw.get(bounds[0]) if bounds else raw.get("value", number.value if number else None)
    if how == "curve":
        value = 0.0
    if len(bounds) > 1 or (bounds and raw.get("value") is not None):
        doc.problem(at, "A target has one value or one bound.", "Keep one.", seen="")
    if not isinstance(value, int | float) or isinstance(value, bool):
        doc.problem(
            at,
            f'The row says "{row["value"]}", which is not one number.',
            "Give value, at_most or at_least, and why.",
            seen="",
        )
        return None
    tolerance = raw.get("tolerance", bar)
    if not isinstance(tolerance, int | float) or isinstance(tolerance, bool) or not tolerance > 0:
        doc.problem(
            at,
            "The row prints no error and the target gives none.",
            "Add tolerance: one standard error, and why.",
            seen="",
        )
        return None
    if ("tolerance" in raw or "value" in raw or bounds) and not raw.get("why"):
        doc.problem(at, "A number or an error that the row does not print needs its reason.", "Add why: ...", seen="")
    return Target(
        row=row, study=str(raw.get("study")), arm=str(raw.get("arm")), value=float(value), tolerance=float(tolerance),
        bound=bounds[0] if bounds else "", how=how, output=str(raw.get("output") or ""),
        endpoint=str(raw.get("endpoint") or ""), statistic=str(raw.get("statistic", "estimate")),
        against=str(raw.get("against") or ""), healthy=str(raw.get("healthy") or ""),
        at=times["at"], begin=times["from"], until=times["until"], of=times["of"],
        times=tuple(_hours(doc, (*at, "times", k), t) for k, t in enumerate(raw.get("times") or [])),
        curve=dict(raw.get("curve") or {}), logarithm=str(raw.get("compare", "linear")) == "log",
        weight=float(raw.get("weight", 1.0)), why=str(raw.get("why") or ""), floors=float(raw.get("floors", 1.0)),
        held=tuple(sorted((str(id), float(x)) for id, x in (raw.get("parameters") or {}).items())),
        after=str(raw.get("after") or ""),
    )  # fmt: skip


def _hours(doc: Document, at: Where, raw: Any) -> float:
    if raw is None:
        return math.nan
    try:
        return units.hours(raw)
    except units.UnitError as error:
        doc.problem(at, error.why, error.cure, seen=str(raw))
        return math.nan
