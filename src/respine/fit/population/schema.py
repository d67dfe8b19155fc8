"""The problem file of a population fit, field by field (``respine/fit/1``)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from respine.files.fields import Part, problem

SCHEMA = "respine/fit/1"
Method = Literal["fo", "foce", "focei", "laplace", "laplace-no-interaction", "agq", "imp", "saem"]


def _number(value: object) -> object:
    """A whole number may stand where a number is meant."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _formula(value: object) -> object:
    """A number may stand where a formula is meant."""
    return repr(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


Number = Annotated[float, BeforeValidator(_number)]
Text = Annotated[str, BeforeValidator(_formula), Field(min_length=1, max_length=4000)]
Matrix = tuple[tuple[Number, ...], ...]


def _lists(value: object) -> object:
    """Lists become tuples, also inside, as strict validation wants them."""
    return tuple(_lists(part) for part in value) if isinstance(value, list) else value


Triangle = Annotated[Matrix, BeforeValidator(_lists)]
Numbers = Annotated[tuple[Number, ...], BeforeValidator(_lists)]


class Data(Part):
    """Where the records come from and what their columns mean."""

    file: str = Field(description="CSV, or columns apart by blanks, with a header; beside the problem file.")
    columns: dict[str, str] = Field(
        default_factory=dict, description="Item -> column, where it is not called ID, TIME, DV ..."
    )
    ignore: str = Field("", description='Leave out lines that start with this; "@": that start with a letter.')
    keep: Text | None = Field(None, description="Keep only records for which this holds, e.g. TIME < 100.")
    compartments: dict[str, str] = Field(default_factory=dict, description="CMT as written -> state of the model.")
    dose_into: str | None = Field(None, description="State that takes doses without CMT.")
    long_lag: Literal["nonmem", "periodic"] = Field(
        "nonmem", description="Steady state with a lag of an interval or more: as NONMEM has it, or truly periodic."
    )


class Parameter(Part):
    """A fixed effect. ``scale``: on which scale the search walks (log and logit need bounds that allow them)."""

    start: Number
    lower: Number | None = None
    upper: Number | None = None
    fixed: bool = False
    scale: Literal["auto", "linear", "log", "logit"] = "auto"
    label: str = ""
    unit: str = ""


class Effects(Part):
    """Variance of one random effect, or the lower triangle of the covariance of several."""

    variance: Number | None = None
    sd: Number | None = None
    covariance: Triangle | None = None
    fixed: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Effects:
        given = [name for name in ("variance", "sd", "covariance") if getattr(self, name) is not None]
        if len(given) != 1:
            raise problem(
                "Random effects need exactly one of variance, sd and covariance.",
                'Write "eta_CL: 0.09", or "eta_CL, eta_V: [[0.09], [0.01, 0.04]]".',
            )
        return self


class Absorption(Part):
    """A dose enters its state over time, by a density of the time since the dose.

    ``transit``: Savic's chain, ``n`` and ``mtt``; ``inverse-gaussian``: ``mat`` and ``cv2``; ``weibull``: ``scale``
    and ``shape``; ``first-order``: ``ka``; ``zero-order``: ``duration``.
    """

    law: Literal["transit", "inverse-gaussian", "weibull", "first-order", "zero-order"]
    n: Text | None = None
    mtt: Text | None = None
    mat: Text | None = None
    cv2: Text | None = None
    scale: Text | None = None
    shape: Text | None = None
    ka: Text | None = None
    duration: Text | None = None
    fraction: Text | None = None
    lag: Text | None = None


class DoseForm(Part):
    """What happens to doses into one state; formulas of individual parameters."""

    lag: Text | None = None
    bioavailability: Text | None = None
    duration: Text | None = Field(None, description="Length of the infusion of records with RATE -2.")
    rate: Text | None = Field(None, description="Rate of the infusion of records with RATE -1.")
    input: Annotated[tuple[Absorption, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else (v,))] = (
        Field((), description="Doses enter by this law, or by several with fractions, instead of at once.")
    )


class BelowLimit(Part):
    """What is done with values below the limit of quantification.

    M1 leaves them out (the likelihood is not conditioned); M2 leaves them out and conditions the rest on being above;
    M3 takes the probability of being below; M4 as M3 given that values are above zero.
    """

    method: Literal["M1", "M2", "M3", "M4"]
    limit: Text | None = Field(None, description="A number or a column; DV itself where CENS is 1 if left out.")


class Transform(Part):
    """Both sides, data and prediction, on another scale. ``parameter`` is the lambda of box-cox and yeo-johnson."""

    kind: Literal["log", "logit", "box-cox", "yeo-johnson"]
    parameter: Text | None = None
    low: Number = 0.0
    high: Number = 1.0


class Observation(Part):
    """One kind of observation: what is predicted and how data scatter about it."""

    prediction: Text | None = None
    dvid: Annotated[tuple[str, ...] | None, BeforeValidator(lambda v: _texts(v))] = None
    cmt: Annotated[tuple[str, ...] | None, BeforeValidator(lambda v: _texts(v))] = None
    additive: Text | None = Field(None, description="SD that is the same everywhere.")
    proportional: Text | None = Field(None, description="SD as a share of the prediction.")
    power: Text | None = Field(None, description="SD = power * prediction ** exponent.")
    exponent: Text | None = None
    of: Text | None = Field(None, description="What proportional and power multiply, if not the prediction.")
    combine: Literal["variances", "sds"] = "variances"
    sd: Text | None = Field(None, description="Any formula for the SD; ipred is the prediction.")
    error: Text | None = Field(None, description="Observation as formula of ipred and residual_effects.")
    log_likelihood: Text | None = Field(None, description="Formula; DV is the datum.")
    binary: Text | None = Field(None, description="Probability that DV is 1.")
    count: Text | None = Field(None, description="Mean of a Poisson count.")
    overdispersion: Text | None = Field(None, description="Of a count: variance = mean + overdispersion * mean**2.")
    ordinal: Annotated[tuple[Text, ...] | None, BeforeValidator(_lists)] = Field(
        None, description="Probabilities of DV <= 0, <= 1, ... (the last is 1 and left out)."
    )
    hazard: Text | None = Field(None, description="Hazard at the time of the event (DV 1) or censoring (DV 0).")
    cumulative_hazard: Text | None = None
    transform: Annotated[Transform | None, BeforeValidator(lambda v: {"kind": v} if isinstance(v, str) else v)] = None
    blq: Annotated[BelowLimit | None, BeforeValidator(lambda v: {"method": v} if isinstance(v, str) else v)] = None


def _texts(value: object) -> object:
    """Numbers and texts, one or several, as texts."""
    if value is None:
        return None
    many = value if isinstance(value, (list, tuple)) else [value]
    return tuple(f"{v:g}" if isinstance(v, (int, float)) and not isinstance(v, bool) else v for v in many)


class Normal(Part):
    """A normal prior: one parameter with ``mean`` and ``sd``, or several with ``means`` and ``covariance``."""

    mean: Number | None = None
    sd: Number | None = None
    means: Numbers | None = None
    covariance: Triangle | None = None


class InverseWishart(Part):
    """A prior of a covariance matrix: the matrix it is centred on and how many subjects it is worth."""

    covariance: Annotated[Triangle, BeforeValidator(lambda v: [[v]] if isinstance(v, (int, float)) else v)]
    degrees: Number


class Prior(Part):
    """What is believed of parameters before the data are seen."""

    normal: Normal | None = None
    inverse_wishart: InverseWishart | None = None


class Estimation(Part):
    """How to estimate; every field has a default that is named in the result."""

    method: Method = "focei"
    max_evaluations: Annotated[int, Field(ge=0)] = 1000
    starts: Annotated[int, Field(ge=1, le=1000)] = 1
    seed: int = 1
    rtol: Annotated[Number, Field(gt=0, le=1e-3)] = 1e-10
    covariance: Literal["none", "R", "S", "sandwich"] = "sandwich"
    nodes: Annotated[int, Field(ge=1, le=101)] = 5
    samples: Annotated[int, Field(ge=10)] = 1000
    burn_in: Annotated[int, Field(ge=1)] = 300
    averaging: Annotated[int, Field(ge=1)] = 200
    chains: Annotated[int, Field(ge=1)] = 3
    accept: Annotated[tuple[str, ...], BeforeValidator(_lists)] = Field(
        (), description="Kinds of findings that do not stand in the way of an answer, e.g. flip-flop."
    )


def _number_or_mapping(name: str) -> Any:
    def convert(value: object) -> object:
        if isinstance(value, dict):
            return {key: _single(part, name) for key, part in value.items()}
        return value

    return convert


def _single(part: object, name: str) -> object:
    if isinstance(part, (int, float)) and not isinstance(part, bool):
        return {name: float(part)}
    if isinstance(part, list) and name == "variance":
        return {"covariance": part}
    return part


Thetas = Annotated[dict[str, Parameter], BeforeValidator(_number_or_mapping("start"))]
EffectBlocks = Annotated[dict[str, Effects], BeforeValidator(_number_or_mapping("variance"))]


class FitFile(Part):
    """A population problem as a file; see docs/fitting.md."""

    schema_: Literal["respine/fit/1"] = Field("respine/fit/1", alias="schema")
    title: str = ""
    model: str | None = Field(None, description="Antimony text, a file (.ant, .txt, .xml, .sbml) or a library model.")
    data: Annotated[Data, BeforeValidator(lambda v: {"file": v} if isinstance(v, str) else v)]
    parameters: Thetas = Field(default_factory=dict)
    random_effects: EffectBlocks = Field(default_factory=dict)
    occasion: str | None = Field(None, description="Column that numbers the occasions.")
    occasion_effects: EffectBlocks = Field(default_factory=dict)
    residual_effects: EffectBlocks = Field(default_factory=dict)
    individual: dict[str, Text] = Field(default_factory=dict)
    doses: dict[str, DoseForm] = Field(default_factory=dict)
    observations: Annotated[dict[str, Observation], Field(min_length=1)]
    priors: dict[str, Prior] = Field(default_factory=dict)
    estimation: Estimation = Estimation()
