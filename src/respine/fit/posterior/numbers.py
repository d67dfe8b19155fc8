"""Every uncertain number of the library as a standard normal ``z``: models, scales, expectancy, what trials have of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from respine import model
from respine.files.constants import Z90
from respine.fit import recipe as recipes
from respine.fit import values
from respine.fit.recipe import Free, Prior
from respine.fit.values import Place
from respine.library import BUILT_IN
from respine.population.posterior import name_of
from respine.population.sample import is_share
from respine.study import expectancy

MODELS = ("human", "rat", "mouse")
EXPECTANCY = "scales/_expectancy"


@dataclass(frozen=True)
class Number:
    """One uncertain number: its place, belief before the rows, and value, low and high of the library now (``basis``).

    ``half``: half of the belief is on none at all. ``block`` is the recipe whose prior it has, empty for the library's range.
    """

    free: Free
    basis: tuple[float, float, float]
    half: bool = False
    block: str = ""

    @property
    def name(self) -> str:
        """Its column in the table of draws."""
        return name_of(self.free.place.file, self.free.place.id, self.free.place.field)

    def values(self, z: np.ndarray) -> np.ndarray:
        """The number for standard normal ``z``, same shape."""
        prior = self.free.prior
        if self.half:
            return np.asarray(prior.high * np.maximum(z, 0.0) / Z90)
        width = np.where(z < 0, prior.spread(below=True), prior.spread(below=False))
        natural = np.asarray(prior.from_scale(prior.centre + width * z), float)
        return np.maximum(natural, 0.0) if prior.scale == "linear" and prior.low >= 0 else natural

    def z(self, value: float) -> float:
        """Where a value stands in the belief; 0 for one that has no place there."""
        prior = self.free.prior
        if self.half:
            return Z90 * value / prior.high
        if (prior.scale != "linear" and value <= 0) or (prior.scale == "logit" and value >= 1):
            return 0.0
        away = prior.to_scale(value) - prior.centre
        spread = prior.spread(below=away < 0)
        return float(away / spread) if spread > 0 else 0.0


def all_numbers() -> list[Number]:
    """Every number with a range, once for each file and id it stands at; a recipe's number with the recipe's prior."""
    own = {f.place: (f, block) for block in recipes.names() for f in recipes.load(block).parameters}
    numbers: dict[Place, Number] = {}
    for name in MODELS:
        system = model.load(name)
        for id, value in system.parameters.items():
            quantity = system.quantities.get(id)
            if quantity is None or not quantity.file.startswith("library/parameters/"):
                continue
            place = Place(quantity.file.removeprefix("library/").removesuffix(".csv"), id)
            low, high = quantity.low, quantity.high
            if place in numbers or place in own or low is None or high is None or low == high:
                continue
            share = is_share(quantity, value) and low > 0 and high < 1
            scale = "logit" if share else "log" if low > 0 else "linear"
            half = value == 0 and low == 0
            numbers[place] = Number(Free(place, Prior(value, low, high, scale, "")), (value, low, high), half)
    for place, (free, block) in own.items():
        now = values.read(place)
        if place.field == "variability":
            numbers[place] = Number(free, (now.value,) * 3, block=block)
            continue
        low, high = (now.value if edge is None else edge for edge in (now.low, now.high))
        numbers[place] = Number(free, (now.value, low, high), block=block)
    model_of = expectancy.load(BUILT_IN)
    for id, (low, high) in model_of.ranges.items():
        place = Place(EXPECTANCY, id)
        if place not in numbers:
            parts = id.split(".")
            value = model_of.belief[parts[1]][parts[2]] if parts[0] == "belief" else model_of.numbers[id]
            share = parts[0] == "belief" and high < 1
            if parts[0] == "belief" and high >= 1:
                middle = min(value, 0.9 + 0.1 * low)  # certainty has no place on a logit scale
                numbers[place] = Number(Free(place, Prior(middle, low, 0.99, "logit", "")), (value, low, high))
            else:
                numbers[place] = Number(
                    Free(place, Prior(value, low, high, "logit" if share else "log", "")), (value, low, high)
                )
    return sorted(numbers.values(), key=lambda number: number.name)


def trial_numbers(studies: Sequence[str]) -> list[str]:
    """What each of these trials has of its own, standard normal: setting and size of effects."""
    return [f"trial.{term}:{study}" for study in studies for term in ("setting", "effect")]
