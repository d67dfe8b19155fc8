"""The analysis plan, field by field (``respine/analysis/1``): what the columns of a table are, and what is done with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError

from respine.errors import Problem
from respine.files.fields import Part, one_or_more, problem
from respine.files.form import model_problems
from respine.files.suggest import nearest
from respine.files.yaml_file import Document, Place, read
from respine.trial.analysis.mmrm.covariance import BY_NAME
from respine.trial.analysis.mmrm.freedom import ALIASES as FREEDOM_ALIASES
from respine.trial.analysis.mmrm.freedom import METHODS

SCHEMA = "respine/analysis/1"

Name = Annotated[str, Field(min_length=1, max_length=80)]


def _label(value: object) -> object:
    """A label may look like a number in YAML (visit 4)."""
    return f"{value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _labels(value: object) -> object:
    return tuple(_label(item) for item in value) if isinstance(value, (list, tuple)) else (_label(value),)


Label = Annotated[str, BeforeValidator(_label), Field(min_length=1, max_length=120)]
Labels = Annotated[tuple[Label, ...], BeforeValidator(_labels)]
Names = Annotated[tuple[Name, ...], BeforeValidator(one_or_more), Field(strict=False)]


def _covariance(value: object) -> object:
    texts = value if isinstance(value, (list, tuple)) else [value]
    return tuple(_known(text, {k: s.name for k, s in BY_NAME.items()}, "covariance structure") for text in texts)


def _freedom(value: object) -> object:
    return _known(value, {**{m: m for m in METHODS}, **FREEDOM_ALIASES}, "method for degrees of freedom")


def _known(value: object, known: Mapping[str, str], role: str) -> str:
    text = str(value).strip().lower()
    for form in (text, text.replace("_", "-"), text.replace(" ", "-"), text.replace("-", "_")):
        if form in known:
            return known[form]
    raise problem(f'There is no {role} "{value}".', nearest(text, dict.fromkeys(known.values())))


Covariance = Annotated[tuple[str, ...], BeforeValidator(_covariance), Field(min_length=1)]
Freedom = Annotated[str, BeforeValidator(_freedom)]
Strategy = Literal["treatment-policy", "hypothetical", "composite", "while-on-treatment", "principal-stratum"]


class Columns(Part):
    """Which column of the table is what. ``visit`` may be left out where every patient has one row."""

    subject: Name
    arm: Name
    reference: Label
    outcome: Name | None = None
    visit: Name | None = None
    visits: Labels | None = Field(None, description="Visits in their order; else numbers ascending, or as they come.")
    baseline: Name | None = None
    factors: Names = Field((), description="Columns whose numbers are labels.")
    levels: dict[str, Labels] = Field({}, description="Levels of a factor in their order, the reference first.")
    range: Annotated[tuple[float, float], Field(strict=False)] | None = Field(
        None, description="Lowest and highest score."
    )
    scale: Name | None = Field(None, description="A scale of the library, for its range.")


class Event(Part):
    """An intercurrent event: ``column`` is 1 in the rows from the event on, 0 before it."""

    event: Name
    column: Name
    strategy: Strategy
    time: Name | None = Field(None, description="Time of the event, for analyses of times.")


class Estimand(Part):
    """What is estimated: which intercurrent events there are and what becomes of the scores after them."""

    name: Name
    events: tuple[Event, ...] = Field((), strict=False)
    note: str = ""


class Analysis(Part):
    """What every analysis may say."""

    name: Name
    estimand: Name | None = None
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    note: str = ""


class AtVisits(Analysis):
    visits: Labels | None = Field(None, description="Visits to report; all if left out.")


class Mmrm(AtVisits):
    """Mixed model for repeated measures."""

    method: Literal["mmrm"]
    model: Names | None = Field(None, description="Terms, such as arm*visit; [] is the mean alone.")
    covariates: Names = ()
    covariance: Covariance = ("unstructured",)
    covariance_for_each: Name | None = Field(None, description="A factor whose levels have covariances of their own.")
    coordinates: Names = Field((), description="Numbers that tell distances, for spatial structures.")
    weights: Name | None = None
    estimation: Literal["REML", "ML"] = "REML"
    df: Freedom = "kenward-roger"
    robust: bool = False
    means: Literal["equal", "observed"] = "equal"
    report: Annotated[
        tuple[Literal["differences", "means", "coefficients", "tests", "overall"], ...],
        BeforeValidator(one_or_more), Field(strict=False),
    ] = ("differences", "means")  # fmt: skip


class Clda(AtVisits):
    """Constrained longitudinal data analysis: the baseline is an outcome whose mean all arms share."""

    method: Literal["clda"]
    covariates: Names = ()
    covariance: Covariance = ("unstructured",)
    estimation: Literal["REML", "ML"] = "REML"
    df: Freedom = "kenward-roger"


class Ancova(AtVisits):
    """Analysis of covariance at each visit, of those with a score there."""

    method: Literal["ancova"]
    covariates: Names = ()
    robust: bool = Field(False, description="Heteroscedasticity-consistent standard errors (HC3).")


class Wilcoxon(AtVisits):
    """Rank-sum test at each visit, with the Hodges-Lehmann shift."""

    method: Literal["wilcoxon"]


class Response(Part):
    """Who responds: one of these rules."""

    column: Name | None = Field(None, description="A column of 0 and 1.")
    fall: Annotated[float, Field(gt=0, le=100)] | None = Field(
        None, description="Fall from baseline by at least this per cent."
    )
    at_most: float | None = Field(None, description="A score of at most this (remission).")
    at_least: float | None = None


class Responders(AtVisits):
    """Shares of responders: risk difference, risk ratio and odds ratio."""

    method: Literal["responders"]
    response: Response
    missing: Literal["non-response", "observed"] = "non-response"
    interval: Literal["newcombe", "wald", "agresti-caffo", "score"] = "newcombe"
    strata: Names = Field((), description="Mantel-Haenszel over these factors.")
    covariates: Names = Field(
        (), description="Logistic regression, and the risk difference standardised over patients."
    )


class Times(Analysis):
    """What the analyses of times have in common: one time for each patient, and whether the event happened."""

    time: Name
    event: Name


class KaplanMeier(Times):
    """Survival by arm at named times, and medians."""

    method: Literal["kaplan-meier"]
    at: Annotated[tuple[float, ...], Field(strict=False)] = ()


class LogRank(Times):
    """Log-rank test."""

    method: Literal["log-rank"]
    strata: Name | None = None
    weights: Literal["log-rank", "gehan-breslow", "tarone-ware"] = "log-rank"


class Cox(Times):
    """Proportional hazards."""

    method: Literal["cox"]
    covariates: Names = ()
    strata: Name | None = None
    ties: Literal["efron", "breslow"] = "efron"


class Delta(Part):
    """A shift of imputed scores after the event: of one arm or of all."""

    add: float
    arm: Label | None = None
    each_visit: bool = Field(False, description="Grows by as much with every visit after the event.")


class TippingPoint(Part):
    """Search for the shift of an arm's imputed scores at which the result is lost."""

    arm: Label
    limit: float = Field(description="How far to look; its sign is the direction that hurts.")
    each_visit: bool = False


class Imputation(AtVisits):
    """Multiple imputation under a named assumption, then ANCOVA and Rubin's rules."""

    method: Literal["imputation"]
    strategy: Literal[
        "missing-at-random", "jump-to-reference", "copy-reference", "copy-increments-in-reference", "retrieved-dropout"
    ]
    by: Literal["bayesian", "bootstrap", "conditional-mean"] = "bayesian"
    imputations: Annotated[int, Field(ge=2, le=5000)] = 200
    covariates: Names = ()
    covariance_for_each_arm: bool = False
    delta: Delta | None = None
    tipping_point: TippingPoint | None = None


METHODS_OF_ANALYSIS: dict[str, type[Analysis]] = {
    "mmrm": Mmrm, "clda": Clda, "ancova": Ancova, "wilcoxon": Wilcoxon, "responders": Responders,
    "kaplan-meier": KaplanMeier, "log-rank": LogRank, "cox": Cox, "imputation": Imputation,
}  # fmt: skip


class Plan(Part):
    """The plan as written; ``analyses`` are checked by their method and kept as ``parts``."""

    schema_: Literal["respine/analysis/1"] = Field(alias="schema")
    title: str = ""
    data: Columns
    seed: Annotated[int, Field(ge=0)] = 1
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    estimands: tuple[Estimand, ...] = Field((), strict=False)
    analyses: tuple[dict[str, Any], ...] = Field(strict=False, min_length=1)
    _parts: tuple[Analysis, ...] = PrivateAttr(())
    _document: Document | None = PrivateAttr(None)

    @property
    def parts(self) -> tuple[Analysis, ...]:
        return self._parts

    @property
    def document(self) -> Document:
        assert self._document is not None
        return self._document


def mistake(doc: Document, place: Place, why: str, cure: str, seen: str | None = None) -> Problem:
    """A mistake of the plan that comes to light with the data."""
    doc.problem(place, why, cure, seen)
    return doc.problems.pop()


def load(file: str | Path) -> Plan:
    """Read and check a plan. Raises InputError with every mistake of the file."""
    doc = read(Path(file).expanduser(), "analysis plan")
    plan: Plan | None = None
    try:
        plan = Plan.model_validate(doc.data)
    except ValidationError as error:
        model_problems(doc, error, Plan)
    parts = _analyses(doc)
    if plan is not None:
        _names(doc, plan, parts)
    doc.check()
    assert plan is not None
    plan._parts, plan._document = tuple(parts), doc
    return plan


def _analyses(doc: Document) -> list[Analysis]:
    entries = doc.data.get("analyses") if isinstance(doc.data, dict) else None
    parts: list[Analysis] = []
    for i, entry in enumerate(entries if isinstance(entries, list) else []):
        place: Place = ("analyses", i)
        if not isinstance(entry, dict):
            continue
        method = entry.get("method")
        if not isinstance(method, str) or method not in METHODS_OF_ANALYSIS:
            known = list(METHODS_OF_ANALYSIS)
            if method is None:
                doc.problem(place, 'The field "method" is missing.', f"Add one of: {', '.join(known)}.", seen="")
            else:
                doc.problem((*place, "method"), "There is no analysis of this name.", nearest(str(method), known))
            continue
        try:
            parts.append(METHODS_OF_ANALYSIS[method].model_validate(entry))
        except ValidationError as error:
            model_problems(doc, error, METHODS_OF_ANALYSIS[method], place)
    return parts


def _names(doc: Document, plan: Plan, parts: list[Analysis]) -> None:
    """Names that are given twice, or that nothing has."""
    for kind, names in (("analyses", [p.name for p in parts]), ("estimands", [e.name for e in plan.estimands])):
        for i, name in enumerate(names):
            if name in names[:i]:
                doc.problem((kind, i, "name"), "This name is used twice.", "Give each its own name.")
    known = [e.name for e in plan.estimands]
    for i, part in enumerate(parts):
        if part.estimand is not None and part.estimand not in known:
            doc.problem(("analyses", i, "estimand"), "No estimand has this name.", nearest(part.estimand, known))
