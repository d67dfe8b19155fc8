"""The trial a study stands for, as it is carried out: how many people, how they are allotted, what is estimated."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from respine.files.fields import Duration, Part, Share, Time, one_or_more, problem
from respine.study.endpoints.base import Name

MOST_PEOPLE = 100_000
Size = Annotated[int, Field(ge=2, le=MOST_PEOPLE)]
Strategy = Literal["treatment-policy", "hypothetical", "composite", "while-on-treatment"]
EVENTS = ("discontinuation", "rescue", "relapse")


class Stratum(Part):
    """A covariate by which the allocation is stratified: its words, or numbers below and from ``cut`` on."""

    covariate: Name
    cut: float | None = None


def _strata(value: object) -> object:
    many = value if isinstance(value, (list, tuple)) else [value]
    return tuple({"covariate": stratum} if isinstance(stratum, str) else stratum for stratum in many)


class Randomisation(Part):
    """How people are allotted: in permuted blocks (within strata), or each by chance alone."""

    method: Literal["blocked", "simple"] = "blocked"
    block: Annotated[int, Field(ge=2, le=1000)] | None = Field(None, description="People in a block; twice the ratio.")
    strata: Annotated[tuple[Stratum, ...], BeforeValidator(_strata), Field(strict=False)] = ()

    @model_validator(mode="after")
    def _complete(self) -> Randomisation:
        if self.method == "simple" and (self.block is not None or self.strata):
            raise problem("Simple randomisation has neither blocks nor strata.", 'Write "method: blocked".')
        return self


class TrialEstimand(Part):
    """What is estimated: by intercurrent event the strategy for the scores after it (ICH E9(R1))."""

    name: Name
    discontinuation: Strategy = "treatment-policy"
    rescue: Strategy = "treatment-policy"
    relapse: Strategy = "treatment-policy"


class Selection(Part):
    """Who of a trial goes on: responders (a ``fall`` of the score from baseline) at a visit, or those who are none."""

    scale: Name
    at: Time
    fall: Share
    who: Literal["responders", "non-responders"] = "responders"


class TrialForm(Part):
    """How the trial of a study is carried out; see ``trial/replicates``.

    ``design``: ``parallel``; ``crossover`` (the arms in every order, ``period`` long, ``washout`` of the study between);
    ``withdrawal`` (``select`` says who is randomised to go on or to stop; the arms are alike up to then);
    ``sequential-parallel`` (arms drug-drug, placebo-drug, placebo-placebo in this order; ``stage`` ends the first part).
    """

    n: Size | dict[Name, Size] | None = Field(None, description="People an arm; n_published if left out.")
    design: Literal["parallel", "crossover", "withdrawal", "sequential-parallel"] = "parallel"
    randomisation: Randomisation = Field(default_factory=lambda: Randomisation.model_validate({}))
    period: Duration | None = None
    stage: Time | None = None
    weight: Annotated[float, Field(gt=0, lt=1)] = 0.5
    select: Selection | None = None
    estimands: Annotated[tuple[TrialEstimand, ...], BeforeValidator(one_or_more), Field(strict=False)] = ()
    screening_inflation: Annotated[float, Field(ge=0)] = Field(
        0.0, alias="screening-inflation",
        description="Points by which symptom scores at the baseline visit are rated too high (raters want people to enter).",
    )  # fmt: skip

    @model_validator(mode="after")
    def _complete(self) -> TrialForm:
        needs = {"crossover": "period", "withdrawal": "select", "sequential-parallel": "stage"}.get(self.design)
        if needs is not None and getattr(self, needs) is None:
            raise problem(f'A {self.design} trial needs "{needs}".', f'Add "{needs}: ...".')
        for field, design in (("period", "crossover"), ("select", "withdrawal"), ("stage", "sequential-parallel")):
            if getattr(self, field) is not None and self.design != design:
                raise problem(f'"{field}" belongs to a {design} trial.', f'Write "design: {design}", or remove it.')
        return self
