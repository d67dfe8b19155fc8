"""The study file, field by field (``respine/study/1``). Times become hours, shares fractions, doses mg or mg/kg."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr

from respine.files.fields import DoseAmount, Duration, DurationOrZero, Part, Share, Time, Times, one_or_more
from respine.population import Population
from respine.population.distributions import Covariate
from respine.study.rules import Rule

SCHEMA = "respine/study/1"
MOST_SUBJECTS = 10_000_000

Name = Annotated[str, Field(min_length=1, max_length=80)]
Slug = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
Met = Literal["Val/Val", "Val/Met", "Met/Met"]

EndpointKind = Literal[
    "score", "change", "percent-change", "response", "remission", "time-to-relapse", "relapse-free", "peak", "trough",
    "difference", "difference-in-change", "percent-of-control", "percent-restored", "effect-size",
    "response-difference", "response-ratio", "response-odds-ratio",
    "remission-difference", "remission-ratio", "remission-odds-ratio",
]  # fmt: skip


class Dose(Part):
    """One drug by one route: once, at a list of times, or regularly (``every`` with ``times`` or ``until``)."""

    drug: Name
    route: Name
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


class Background(Part):
    """What everybody in the study gets besides the arms' treatments and that lies outside the biology."""

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
    background: Background | None = None
    note: str = ""


class Endpoint(Part):
    """One number per arm: what is measured (``of`` a scale or a model output), how (``kind``) and when.

    ``at``: the visit (the response visit for ``time-to-relapse`` and ``relapse-free``). ``by``: instead of ``at``, met
    at any visit up to then.
    ``drop``: fall from baseline that counts as response. ``below``: a score at or under it is remission. ``above`` or
    ``lost``: a responder has relapsed at this score, or after losing this share of the improvement. ``until``: end of
    follow-up, or end of the window of ``peak`` and ``trough``. ``arm``: the reference arm of differences and percents;
    ``response-difference`` (percentage points), ``response-ratio`` and ``response-odds-ratio`` set the share of responders
    against that of ``arm``, those of ``remission`` alike; ``effect-size``: the difference in change over the SD of both arms.
    ``healthy``: the undamaged arm of ``percent-restored``. ``from``: start of a window, or the baseline of a change.
    """

    name: Slug
    of: Name
    kind: EndpointKind
    at: Time | None = None
    by: Time | None = None
    begin: Time | None = Field(None, alias="from")
    until: Time | None = None
    drop: Share | None = None
    below: float | None = None
    above: float | None = None
    lost: Share | None = None
    arm: str | None = None
    healthy: str | None = None
    analysis: Literal["none", "observed", "ancova", "mmrm", "locf"] = "none"
    note: str = ""


class Tie(Part):
    """One published row beside one endpoint of one arm, found by ``id``, or by its ``row`` text and ``time``."""

    endpoint: Name
    arm: str | None = Field(None, description="Arm of this study; all arms the rows name if left out.")
    row: str | None = Field(None, description="Text of the evidence table's `endpoint` column.")
    id: str | None = Field(None, description="Row id, for tables that have one (preclinical: KET-15).")
    time: Time | None = Field(None, description="Time of the published row if it differs from the endpoint's.")


class Compare(Part):
    """Published rows this study is shown against: rows of ``library/evidence/<table>.csv``."""

    table: Name = "clinical"
    study: str | None = Field(None, description='Column `study`; "Murrough 2013" means study Murrough, year 2013.')
    year: int | None = None
    arms: dict[str, str] = Field(default_factory=dict, description="Arm of this study: arm as the evidence names it.")
    leave_out: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (), description="Evidence arms that are knowingly not simulated."
    )
    rows: Annotated[tuple[Tie, ...], Field(strict=False)] = ()


class Study(Part):
    """A checked study. ``study.load`` makes one; ``file`` and ``text`` are what it was read from."""

    schema_: Literal["respine/study/1"] = Field(alias="schema")
    name: Slug
    title: Annotated[str, Field(min_length=1)]
    doi: str = ""
    note: str = ""
    population: Name
    subjects: Annotated[int, Field(ge=1, le=MOST_SUBJECTS)] = Field(description="Virtual people per arm.")
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)]
    design: Literal["parallel", "crossover", "single-arm"] = "parallel"
    washout: Duration | None = Field(
        None, description="Between the periods of a crossover (each arm is simulated as a first period)."
    )
    start: Time = Field(0.0, validate_default=False, description="Time of the baseline visit.")
    background: Background = Background()
    covariates: dict[str, Covariate] = Field(
        default_factory=dict,
        description="Covariates that differ from the population's, such as the baseline score of this trial.",
    )
    arms: Annotated[dict[Name, Arm], Field(min_length=1)]
    visits: Annotated[tuple[Time, ...], Field(strict=False, min_length=1)]
    observe: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    record: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    record_every: Duration | None = None
    endpoints: Annotated[tuple[Endpoint, ...], Field(strict=False)] = ()
    compare: Annotated[tuple[Compare, ...], BeforeValidator(one_or_more), Field(strict=False)] = ()
    rules: Annotated[tuple[Rule, ...], Field(strict=False)] = ()

    _file: Path | None = PrivateAttr(None)
    _text: str = PrivateAttr("")
    _people: Population | None = PrivateAttr(None)

    @property
    def people(self) -> Population:
        """The population, loaded and checked, with the study's own covariates."""
        if self._people is None:
            raise ValueError("a study made by hand has no population; use study.load")
        return self._people

    @property
    def model(self) -> str:
        """Name of the library model its population lives in."""
        return self.people.model

    @property
    def file(self) -> Path | None:
        """Where the study was read from."""
        return self._file

    @property
    def text(self) -> str:
        """The study as written, comments included."""
        return self._text


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
