"""What an observation part of a problem means: one formula for the prediction, one for the variance or the log
likelihood.

Every residual model becomes ``prediction`` and ``variance`` over the names of the problem, ``ipred`` (the prediction
on its natural scale) and, for NONMEM's way, ``SIGMA a b`` (covariances of residual effects). Transforms of both sides
are formulas as well, so that derivatives need no case of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from respine.fit.population.formulas import Formula, FormulaError, derivative, parse
from respine.fit.population.schema import Observation, Transform
from respine.model.expression import Expr, num, substitute, sym, symbols

PREDICTION, DATUM = "ipred", "DV"
_GAUSSIAN = ("additive", "proportional", "power", "sd", "error")
_LIKELIHOOD = ("log_likelihood", "binary", "count", "ordinal", "hazard")
_ONE, _HALF = num(1), num(0.5)


def sigma(a: str, b: str) -> str:
    """The name of a covariance of two residual effects."""
    return f"SIGMA {a} {b}"


@dataclass(frozen=True)
class Scale:
    """A transform of both sides: its kind, the formula of its parameter, and the ends of logit."""

    kind: str
    by: Expr | None = None
    low: float = 0.0
    high: float = 1.0

    def back(self, value: np.ndarray, by: np.ndarray | float) -> np.ndarray:
        """From the scale of the transform to the natural one; ``by`` is the value of its parameter."""
        with np.errstate(all="ignore"):
            if self.kind == "log":
                return np.exp(value)
            if self.kind == "logit":
                return self.low + (self.high - self.low) / (1.0 + np.exp(-value))
            if self.kind == "box-cox":
                return np.where(
                    np.asarray(by) == 0, np.exp(value), np.power(np.maximum(1.0 + by * value, 0.0), 1.0 / by)
                )
            above = np.where(np.asarray(by) == 0, np.exp(value), np.power(1.0 + by * value, 1.0 / by)) - 1.0
            other = 2.0 - np.asarray(by)
            below = 1.0 - np.where(other == 0, np.exp(-value), np.power(1.0 - other * value, 1.0 / other))
            return np.where(value >= 0, above, below)


@dataclass(frozen=True)
class ObservationModel:
    """A compiled observation part.

    Gaussian: ``prediction``, ``variance``, and with a transform (``scale``) ``mean`` (of ipred), ``datum`` (of DV)
    and ``log_slope`` (log |d datum/d DV|). Otherwise ``log_likelihood``. ``texts`` are columns of 0 and 1 that
    compare texts. ``parts`` are the terms of the variance, each a covariance times two weights of residual effects.
    """

    name: str
    dvid: tuple[str, ...] | None
    cmt: tuple[str, ...] | None
    prediction: Expr | None
    variance: Expr | None
    log_likelihood: Expr | None
    mean: Expr | None
    datum: Expr | None
    log_slope: Expr | None
    blq: str | None
    limit: Expr | None
    texts: Mapping[str, tuple[str, str]]
    scale: Scale | None = None
    parts: tuple[tuple[Expr, Expr, Expr], ...] = ()

    @property
    def gaussian(self) -> bool:
        return self.log_likelihood is None

    @property
    def names(self) -> set[str]:
        """Every name its formulas need."""
        every = (self.prediction, self.variance, self.log_likelihood, self.mean, self.datum, self.log_slope, self.limit)
        return {name for expr in every if expr is not None for name in symbols(expr)} - {PREDICTION, DATUM}


Fault = Callable[[tuple[str, ...], str, str], None]
"""(field path, why, cure)."""


def compile_observation(
    name: str, part: Observation, effects: Sequence[Sequence[str]], fault: Fault
) -> ObservationModel | None:
    """The model of one part; ``effects`` are the blocks of residual effects. None where a fault was noted."""
    return _Compiler(name, part, effects, fault).model()


class _Compiler:
    def __init__(self, name: str, part: Observation, effects: Sequence[Sequence[str]], fault: Fault) -> None:
        self.name, self.part, self.effects, self.note = name, part, effects, fault
        self.texts: dict[str, tuple[str, str]] = {}
        self.parts: list[tuple[Expr, Expr, Expr]] = []
        self.bad = False

    def fault(self, field: str, why: str, cure: str) -> None:
        self.bad = True
        self.note((self.name, field) if field else (self.name,), why, cure)

    def read(self, field: str, text: str | None) -> Expr | None:
        if text is None:
            return None
        try:
            formula: Formula = parse(text)
        except FormulaError as error:
            self.fault(field, f"{error}.", "Write a formula of the names of this file.")
            return None
        self.texts.update(formula.texts)
        return formula.expr

    def model(self) -> ObservationModel | None:
        part = self.part
        given = [field for field in (*_GAUSSIAN, *_LIKELIHOOD) if getattr(part, field) is not None]
        kinds = [field for field in given if field in _LIKELIHOOD]
        if kinds and (len(kinds) > 1 or len(given) > len(kinds)):
            self.fault("", f"{' and '.join(given)} exclude each other.", "Keep one way to say how data scatter.")
        if not given:
            cure = (
                "Add additive, proportional, power, sd or error, or a likelihood (binary, count, ordinal, hazard ...)."
            )
            self.fault("", "Nothing says how the data scatter about the prediction.", cure)
        prediction = self.read("prediction", part.prediction)
        if not kinds and part.prediction is None:
            self.fault("prediction", "An observation with an error needs a prediction.", "Write prediction: central/V.")
        variance = self.variance(given) if given and not kinds else None
        likelihood = self.likelihood(kinds[0]) if kinds else None
        if part.error is not None and variance is not None:
            prediction, variance = self.error(prediction, variance)
        mean, datum, slope = self.transform(part.transform) if part.transform else (None, None, None)
        if kinds and (part.transform or part.blq):
            self.fault("", "A likelihood of its own takes no transform and no BLQ rule.", "Remove them.")
        limit = self.read("blq", part.blq.limit if part.blq else None)
        scale = None
        if part.transform is not None:
            by = self.read("transform", part.transform.parameter)
            scale = Scale(part.transform.kind, by, part.transform.low, part.transform.high)
        if self.bad:
            return None
        return ObservationModel(
            self.name, part.dvid, part.cmt, prediction, variance, likelihood, mean, datum, slope,
            part.blq.method if part.blq else None, limit, self.texts, scale, tuple(self.parts),
        )  # fmt: skip

    def variance(self, given: list[str]) -> Expr | None:
        part = self.part
        if "error" in given or "sd" in given:
            if len(given) > 1:
                self.fault("", f"{' and '.join(given)} exclude each other.", "Write sd or error alone.")
                return None
            if "sd" in given:
                expr = self.read("sd", part.sd)
                return None if expr is None else self.squares([expr])
            return self.read("error", part.error)
        of = self.read("of", part.of) or sym(PREDICTION)
        terms: list[Expr] = []
        additive, proportional = self.read("additive", part.additive), self.read("proportional", part.proportional)
        power = self.read("power", part.power)
        terms += [additive] if additive is not None else []
        terms += [("mul", proportional, of)] if proportional is not None else []
        if part.power is not None:
            exponent = self.read("exponent", part.exponent)
            if exponent is None:
                self.fault("exponent", "power needs an exponent.", "Write exponent: 0.5, or the name of a parameter.")
                return None
            if power is not None:
                terms.append(("mul", power, ("pow", of, exponent)))
        elif part.exponent is not None:
            self.fault("exponent", "An exponent belongs to power.", "Write power: instead of proportional:.")
        if not terms or self.bad:
            return None
        if part.combine == "sds":
            total = terms[0]
            for term in terms[1:]:
                total = ("add", total, term)
            terms = [total]
        return self.squares(terms)

    def squares(self, terms: list[Expr]) -> Expr:
        """The sum of squares of standard deviations."""
        self.parts = [(_ONE, term, term) for term in terms]
        result: Expr = ("mul", terms[0], terms[0])
        for term in terms[1:]:
            result = ("add", result, ("mul", term, term))
        return result

    def error(self, prediction: Expr | None, expr: Expr) -> tuple[Expr | None, Expr | None]:
        """Prediction and variance of NONMEM's Y: its value and its slopes by the residual effects where these are 0."""
        own = [name for block in self.effects for name in block if name in set(symbols(expr))]
        if not own:
            cure = "Name them in residual_effects and use them, as in ipred*(1 + eps1) + eps2."
            self.fault("error", "The formula has no residual effect.", cure)
            return prediction, None
        zero = {name: num(0) for name in own}
        typical = substitute(expr, zero)
        try:
            weight = {name: substitute(derivative(expr, name), zero) for name in own}
        except FormulaError as problem:
            self.fault("error", f"{problem}.", "Write the effect where its slope can be taken.")
            return prediction, None
        variance: Expr | None = None
        for block in self.effects:
            names = [name for name in block if name in own]
            for i, a in enumerate(names):
                for j, b in enumerate(names[: i + 1]):
                    first, second = (a, b) if block.index(a) >= block.index(b) else (b, a)
                    self.parts.append((sym(sigma(first, second)) if i == j else ("mul", num(2), sym(sigma(first, second))),
                                       weight[a], weight[b]))  # fmt: skip
                    product = ("mul", ("mul", weight[a], weight[b]), sym(sigma(first, second)))
                    term = product if i == j else ("mul", num(2), product)
                    variance = term if variance is None else ("add", variance, term)
        if prediction is None:
            self.fault("prediction", "ipred is not known.", "Write prediction: ... beside error.")
            return None, None
        if typical == sym(PREDICTION):
            return prediction, variance

        # where the formula shifts or scales ipred itself, what is predicted is the formula's typical value
        def natural(e: Expr) -> Expr:
            return substitute(e, {PREDICTION: prediction})

        self.parts = [(c, natural(a), natural(b)) for c, a, b in self.parts]
        return natural(typical), natural(variance) if variance is not None else None

    def likelihood(self, kind: str) -> Expr | None:
        part, datum = self.part, sym(DATUM)
        event = ("gt", datum, _HALF)
        if kind == "log_likelihood":
            return self.read(kind, part.log_likelihood)
        if kind == "binary":
            p = self.read(kind, part.binary)
            return None if p is None else ("if", event, ("ln", p), ("ln", ("sub", _ONE, p)))
        if kind == "count":
            mean, alpha = self.read(kind, part.count), self.read("overdispersion", part.overdispersion)
            return None if mean is None else _count(mean, alpha)
        if kind == "ordinal":
            levels = [self.read(kind, text) for text in part.ordinal or ()]
            return _ordinal([e for e in levels if e is not None]) if levels else None
        hazard, total = self.read(kind, part.hazard), self.read("cumulative_hazard", part.cumulative_hazard)
        if total is None:
            cure = "Add a state H with H' = hazard to the model and write cumulative_hazard: H."
            self.fault("cumulative_hazard", "An event time needs the cumulative hazard.", cure)
            return None
        return None if hazard is None else ("sub", ("if", event, ("ln", hazard), num(0)), total)

    def transform(self, part: Transform) -> tuple[Expr | None, Expr | None, Expr | None]:
        """Prediction and datum on the other scale, and the log of the datum's slope."""
        by = self.read("transform", part.parameter)
        if part.kind in ("box-cox", "yeo-johnson") and by is None:
            self.fault(
                "transform",
                f"{part.kind} needs its parameter.",
                "Write transform: {kind: box-cox, parameter: lambda_}.",
            )
            return None, None, None
        if not part.low < part.high:
            self.fault("transform", "low must be less than high.", "Write e.g. low: 0, high: 100.")
        function = {"log": _log, "logit": _logit, "box-cox": _box_cox, "yeo-johnson": _yeo_johnson}[part.kind]
        mean, _ = function(sym(PREDICTION), by, part)
        datum, slope = function(sym(DATUM), by, part)
        return mean, datum, slope


def _log(x: Expr, by: Expr | None, part: Transform) -> tuple[Expr, Expr]:
    return ("ln", x), ("neg", ("ln", x))


def _logit(x: Expr, by: Expr | None, part: Transform) -> tuple[Expr, Expr]:
    low, high = num(part.low), num(part.high)
    up, down = ("sub", x, low), ("sub", high, x)
    slope = ("sub", ("ln", ("sub", high, low)), ("add", ("ln", up), ("ln", down)))
    return ("ln", ("div", up, down)), slope


def _box_cox(x: Expr, by: Expr | None, part: Transform) -> tuple[Expr, Expr]:
    assert by is not None
    value = ("if", ("eq", by, num(0)), ("ln", x), ("div", ("sub", ("pow", x, by), _ONE), by))
    return value, ("mul", ("sub", by, _ONE), ("ln", x))


def _yeo_johnson(x: Expr, by: Expr | None, part: Transform) -> tuple[Expr, Expr]:
    assert by is not None
    up, down, other = ("add", x, _ONE), ("sub", _ONE, x), ("sub", num(2), by)
    above = ("if", ("eq", by, num(0)), ("ln", up), ("div", ("sub", ("pow", up, by), _ONE), by))
    below = ("if", ("eq", by, num(2)), ("neg", ("ln", down)),
             ("neg", ("div", ("sub", ("pow", down, other), _ONE), other)))  # fmt: skip
    positive = ("ge", x, num(0))
    slope = ("if", positive, ("mul", ("sub", by, _ONE), ("ln", up)), ("mul", ("sub", _ONE, by), ("ln", down)))
    return ("if", positive, above, below), slope


def _count(mean: Expr, alpha: Expr | None) -> Expr:
    """Poisson, or negative binomial with variance mean + alpha mean^2."""
    y = sym(DATUM)
    factorial = ("lgamma", ("add", y, _ONE))
    if alpha is None:
        return ("sub", ("sub", ("mul", y, ("ln", mean)), mean), factorial)
    size = ("div", _ONE, alpha)
    total = ("add", size, mean)
    ways = ("sub", ("sub", ("lgamma", ("add", y, size)), ("lgamma", size)), factorial)
    none = ("mul", size, ("ln", ("div", size, total)))
    return ("add", ("add", ways, none), ("mul", y, ("ln", ("div", mean, total))))


def _ordinal(cumulative: list[Expr]) -> Expr:
    """Log probability of DV = 0, 1, ... from P(DV <= 0), P(DV <= 1), ..."""
    bounds = [*cumulative, _ONE]
    result: Expr = ("ln", ("sub", bounds[-1], bounds[-2]))
    for k in range(len(cumulative) - 1, -1, -1):
        p = bounds[k] if k == 0 else ("sub", bounds[k], bounds[k - 1])
        result = ("if", ("le", sym(DATUM), num(k + 0.5)), ("ln", p), result)
    return result
