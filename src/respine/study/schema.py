"""The study file, field by field (``respine/study/1``). Times become hours, shares fractions, doses mg or mg/kg."""

from __future__ import annotations

import copy
import io
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr

from respine.errors import InputError, Problem, argument
from respine.files.fields import DoseAmount, Duration, DurationOrZero, Part, Time, Times, one_or_more
from respine.files.form import caller
from respine.files.html import card
from respine.files.suggest import nearest
from respine.library import BUILT_IN, Library
from respine.population import Population
from respine.population.distributions import Covariate
from respine.study.behaviour import Behaviour
from respine.study.endpoints import AnyEndpoint
from respine.study.endpoints.base import Name, Slug
from respine.study.rules import Rule
from respine.study.trial_form import TrialForm

SCHEMA = "respine/study/1"
MOST_SUBJECTS = 10_000_000
MOST_SEED = 2**63 - 1

Met = Literal["Val/Val", "Val/Met", "Met/Met"]


class Dose(Part):
    """One drug by one route: once, at a list of times, or regularly (``every`` with ``times`` or ``until``).

    In a model of one's own a dose may go straight ``into`` a state instead.
    """

    drug: Annotated[str, Field(max_length=80)] = ""
    route: Annotated[str, Field(max_length=80)] = ""
    into: Name | None = Field(None, description="A state of the model, in place of drug and route.")
    amount: DoseAmount | None = Field(None, description='Per occasion, with unit: "0.5 mg/kg", "28 mg".')
    over: DurationOrZero | None = Field(None, description="Length of an infusion; the drug file's default if left out.")
    at: Times = Field(description="First (or only) occasion; a list gives each occasion.")
    every: Duration | None = None
    times: Annotated[int, Field(ge=1, le=100_000)] | None = Field(None, description="How often, the first included.")
    until: Time | None = Field(None, description="Last moment at which a dose may still be given.")
    sprays: Annotated[int, Field(ge=1, le=100)] | None = None
    per_spray: DoseAmount | None = Field(None, alias="per-spray")
    apart: Duration | None = Field(None, description="Time between sprays; the drug file's if left out.")
    note: str = ""


class Exposure(Part):
    """Something other than a drug that acts on the model: stress, pain, ECT, exercise (``library/exposures``).

    ``level`` multiplies what the exposure file sets (1 = the protocol of the file). A pulse happens ``at`` (and
    ``every``); a level lasts ``from`` ... ``until``.
    """

    exposure: Name
    level: Annotated[float, Field(ge=0)] = 1.0
    at: Times | None = None
    every: Duration | None = None
    times: Annotated[int, Field(ge=1, le=100_000)] | None = None
    lasts: Duration | None = Field(None, description="Length of one pulse; the exposure file's if left out.")
    begin: Time | None = Field(None, alias="from")
    until: Time | None = None
    note: str = ""


class Control(Part):
    """What a control arm gets and how easily people and raters see through it."""

    kind: Literal["none", "inactive-placebo", "active-placebo", "open-label"]
    unblinding: Literal["none", "low", "high"] = "none"


class Genotype(Part):
    """Genotype of everybody in an arm; left out, it varies as in the population."""

    val66met: Met | None = None
    bdnf_gene_dose: Annotated[float, Field(ge=0, le=2)] | None = Field(
        None, description="Working copies over two: 1 wild type, 0.5 heterozygous knock-out, 0 none."
    )


class Care(Part):
    """What everybody in the study gets beside the treatments of the arms: part of what control arms gain."""

    admission: bool = Field(False, description="People are inpatients.")
    visits_per_week: Annotated[float, Field(ge=0, le=21)] = Field(
        1.0, description="Contacts with the study's staff; supervised treatments count by themselves."
    )
    new_antidepressant: bool | None = Field(
        None, description="Everybody begins one openly; read off co_medication that begins at the baseline if left out."
    )


class Background(Part):
    """What everybody gets besides the arms' treatments. Kept for the reader: no number depends on it, and a run says so."""

    care: Literal["outpatient", "inpatient"] = "outpatient"
    note: str = ""


class Arm(Part):
    """One arm: what its people get and how they differ from the population."""

    title: str = ""
    n_published: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="People in the published arm: the size of the simulated trials."
    )
    control: Control | None = None
    doses: Annotated[tuple[Dose, ...], Field(strict=False)] = ()
    co_medication: Annotated[tuple[Dose, ...], Field(strict=False)] = ()
    exposures: Annotated[tuple[Exposure, ...], Field(strict=False)] = ()
    genotype: Genotype = Field(default_factory=lambda: Genotype.model_validate({}))
    parameters: dict[str, Annotated[float, Field()]] = Field(
        default_factory=dict, description="Typical values that differ in this arm, in the unit of the parameter table."
    )
    background: Background | None = Field(None, description="Kept for the reader; it changes no result.")
    note: str = ""


class RowLink(Part):
    """One published row beside one endpoint of one arm, found by ``id``, or by its ``row`` text and ``time``."""

    endpoint: Name
    arm: str | None = Field(None, description="Arm of this study; all arms the rows name if left out.")
    row: str | None = Field(None, description="Text of the evidence table's `endpoint` column.")
    id: str | None = Field(None, description="Row id, for tables that have one (preclinical: KET-15).")
    time: Time | None = Field(None, description="Time of the published row if it differs from the endpoint's.")
    people: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="People of each arm behind this row, where the row counts both arms or fewer than the arm has.",
    )
    trials: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Trials behind this row of a pool; `pooled_trials` of the study if left out."
    )


class Compare(Part):
    """Published rows this study is shown against: rows of ``library/evidence/<table>.csv``."""

    table: Name = "clinical"
    study: str | None = Field(None, description='Column `study`; "Murrough 2013" means study Murrough, year 2013.')
    year: int | None = None
    arms: dict[str, str] = Field(default_factory=dict, description="Arm of this study: arm as the evidence names it.")
    leave_out: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (), description="Evidence arms that are knowingly not simulated."
    )
    rows: Annotated[tuple[RowLink, ...], Field(strict=False)] = ()


@dataclass(frozen=True)
class Origin:
    """Where a study was written: ``where`` as errors call it, the ``file`` and ``text`` it was read from."""

    where: str
    file: Path | None = None
    text: str = ""
    folder: Path | None = None
    """The folder from which the study names other files."""


def _population(value: object) -> object:
    """A population made in Python stands in the study as its plain values."""
    return value.to_dict() if isinstance(value, Population) else value


def _people(value: object) -> object:
    """A table of people: rows as they are, a data frame as its rows."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return tuple(value.to_dict("records"))
    return tuple(value) if isinstance(value, list) else value


class Study(Part):
    """What is asked, as a value: made in Python, from YAML (``Study.from_yaml``, ``load``), from an import or from a form.

    Frozen: ``replace``, ``arm(...).replace`` and ``set`` give changed copies. Names of drugs, scales and people are those of
    a library; whether they exist is checked when the study is loaded or resolved. Making one raises InputError with the
    field and the line of the caller for what no study can have.
    """

    schema_: Literal["respine/study/1"] = Field("respine/study/1", alias="schema")
    name: Slug
    title: Annotated[str, Field(min_length=1)]
    doi: str = ""
    note: str = ""
    population: Annotated[Name | dict[str, Any] | None, BeforeValidator(_population)] = Field(
        None, description="Who: a name of the library, a population file beside the study, or the population itself."
    )
    model: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="Own equations in place of the population's: a file (.ant, .xml) beside the study, or their text.",
    )
    people: Annotated[Name | tuple[dict[str, Any], ...] | None, BeforeValidator(_people)] = Field(
        None, description="A table of people beside the study (CSV: id and covariates), one row a person."
    )
    parameters: dict[str, Annotated[float, Field()]] = Field(
        default_factory=dict, description="Typical values that differ in all arms, in the unit of the parameter table."
    )
    subjects: Annotated[int, Field(ge=1, le=MOST_SUBJECTS)] = Field(description="Virtual people per arm.")
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)]
    design: Literal["parallel", "crossover", "single-arm"] = "parallel"
    washout: Duration | None = Field(
        None, description="Between the periods of a crossover (each arm is simulated as a first period)."
    )
    start: Time = Field(0.0, validate_default=False, description="Time of the baseline visit.")
    background: Background | None = Field(None, description="Kept for the reader; it changes no result.")
    covariates: dict[str, Covariate] = Field(
        default_factory=dict,
        description="Covariates that differ from the population's, such as the baseline score of this trial.",
    )
    arms: Annotated[dict[Name, Arm], Field(min_length=1)]
    visits: Annotated[tuple[Time, ...], Field(strict=False, min_length=1)]
    observe: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    record: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    record_every: Duration | None = None
    endpoints: Annotated[tuple[AnyEndpoint, ...], Field(strict=False)] = ()
    compare: Annotated[tuple[Compare, ...], BeforeValidator(one_or_more), Field(strict=False)] = ()
    rules: Annotated[tuple[Rule, ...], Field(strict=False)] = ()
    expectancy: Literal["full", "no-unblinding", "none"] = Field(
        "full", description="What belief does to scores: all of it, without what side effects give away, or nothing."
    )
    behaviour: Behaviour | None = Field(None, description="What people do: leave, stop, miss doses, need rescue.")
    trial: TrialForm | None = Field(None, description="How the trial is carried out: people, allocation, estimands.")
    uncertainty: Literal["posterior", "prior"] = Field(
        "posterior",
        description="Uncertain numbers together as the published rows leave them, or each on its own 90 % range.",
    )
    pooled_trials: Annotated[int, Field(ge=1, le=1000)] = Field(
        1,
        description="Published trials that the study stands for: a pool has a setting of each; n_published is their sum.",
    )
    care: Care = Field(
        default_factory=lambda: Care.model_validate({}),
        description="What everybody gets beside the treatments of the arms.",
    )

    _origin: Origin = PrivateAttr(default_factory=lambda: Origin(caller()))
    _library: Library = PrivateAttr(default_factory=lambda: BUILT_IN)
    _checked: bool = PrivateAttr(False)

    @property
    def origin(self) -> Origin:
        """Where the study was written: a file with its text, or a line of Python."""
        return self._origin

    @property
    def library(self) -> Library:
        """The library its names are looked up in: the built-in one, with the drug and scale files beside its own file."""
        return self._library

    @property
    def file(self) -> Path | None:
        """Where the study was read from; None for one made in Python."""
        return self._origin.file

    @property
    def text(self) -> str:
        """The study as written, comments included; as YAML for one that was made or changed in Python."""
        return self._origin.text or self.to_yaml()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is written in the study and changes no result, a sentence each."""
        whose = {"": self.background, **{f"arms.{name}.": arm.background for name, arm in self.arms.items()}}
        return tuple(
            f"{place}background.care ({background.care}) changes no result; `care:` of the study does (docs/studies.md)"
            for place, background in whose.items()
            if background is not None and "care" in background.model_fields_set
        )

    def to_yaml(self) -> str:
        """The study as a file would hold it."""
        from ruamel.yaml import YAML

        out = io.StringIO()
        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style, yaml.width, yaml.sort_base_mapping_type_on_output = None, 120, False  # type: ignore[assignment]
        yaml.dump({"schema": SCHEMA, **self.to_dict()}, out)
        return out.getvalue()

    def replace(self, **changes: Any) -> Self:
        """The study with other values in these fields, checked anew. Raises InputError."""
        made = super().replace(**changes)
        made._library, made._origin = self._library, Origin(caller(), folder=self._origin.folder)
        return made

    def arm(self, name: str) -> StudyArm:
        """One arm, to read or to change: ``study.arm("ketamine").replace(doses=[])``. Raises InputError for no such arm."""
        if name not in self.arms:
            raise InputError(
                Problem(caller(), "arm", name, "The study has no arm of this name.", nearest(name, self.arms))
            )
        return StudyArm(self, name)

    def set(self, name: str, value: Any) -> Self:
        """The study with one thing changed: a field by its path, or a parameter of the model by its id.

        ``study.set("subjects", 200)``, ``study.set("arms.ketamine.doses[0].amount", "1 mg/kg")``,
        ``study.set("k_spine_mature", 0.004)``. Raises InputError for a path that leads nowhere.
        """
        path = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", name)]
        if len(path) == 1 and path[0] not in type(self).model_fields:
            return self.replace(parameters={**self.parameters, name: value})
        data: Any = copy.deepcopy(self.to_dict())
        spot = data
        for k, part in enumerate(path):
            last = k == len(path) - 1
            held = isinstance(spot, dict) or (
                isinstance(spot, (list, tuple)) and isinstance(part, int) and part < len(spot)
            )
            if not held or (not last and isinstance(spot, dict) and part not in spot):
                known = list(spot) if isinstance(spot, dict) else []
                why = f'The study holds nothing at "{part}".'
                raise InputError(argument("set", name, why, nearest(str(part), [str(key) for key in known])))
            if last:
                spot[part] = value
            elif isinstance(spot[part], tuple):
                spot[part] = list(spot[part])
            spot = spot[part]
        return self.replace(**data)

    @classmethod
    def from_yaml(cls, text_or_path: str | Path) -> Study:
        """A checked study from YAML text or a file. Raises InputError with all problems."""
        reader = import_module("respine.study.read")  # it reads studies, so it must know them; asked for by name
        text = isinstance(text_or_path, str) and "\n" in text_or_path
        made: Study = reader.parse(text_or_path) if text else reader.load(text_or_path)
        return made

    def __repr__(self) -> str:
        arms = ", ".join(self.arms)
        return f"Study {self.name}: {self.title}\n{len(self.arms)} arms ({arms}), {self.subjects} subjects each"

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        who = self.population if isinstance(self.population, str) else "its own" if self.population else ""
        facts = [("population", who), ("model", self.model), ("subjects", f"{self.subjects} an arm"), ("seed", self.seed),
                 ("observes", ", ".join(self.observe)), ("records", ", ".join(self.record)),
                 ("endpoints", ", ".join(e.name for e in self.endpoints))]  # fmt: skip
        given = {name: [f"{d.drug or d.into} {d.route} {d.amount.text if d.amount else ''}" for d in arm.doses]
                 for name, arm in self.arms.items()}  # fmt: skip
        rows = [(name, "; ".join(given[name]) or "nothing", ", ".join(e.exposure for e in arm.exposures))
                for name, arm in self.arms.items()]  # fmt: skip
        return card(f"{self.name}: {self.title}", facts, ("arm", "gets", "exposures"), rows)


class StudyArm:
    """One arm of a study: its fields can be read, and ``replace`` gives the study with the arm changed."""

    def __init__(self, study: Study, name: str) -> None:
        self.study, self.name = study, name

    def __getattr__(self, field: str) -> Any:
        if field.startswith("_"):
            raise AttributeError(field)
        return getattr(self.study.arms[self.name], field)

    def __repr__(self) -> str:
        return f"{self.name} of {self.study.name}: {self.study.arms[self.name]!r}"

    def replace(self, **changes: Any) -> Study:
        """The study with other values in these fields of the arm. Raises InputError."""
        arm = self.study.arms[self.name].replace(**changes)
        return self.study.replace(arms={**self.study.arms, self.name: arm})


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the study file as written, units in the texts."""
    result = Study.model_json_schema(by_alias=True)
    compare = result["properties"]["compare"]  # one mapping or a list of them
    items = compare.pop("items")
    compare.pop("type", None)
    compare["anyOf"] = [items, {"type": "array", "items": items}]
    result["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    result["$id"] = SCHEMA
    return result
