"""A system small enough to reason about, with the names that human studies dose, set and read."""

from __future__ import annotations

from respine.model.expression import num, sym
from respine.model.system import Quantity, System

_EFFECT = ("div", sym("drug"), ("add", sym("drug"), sym("half_level")))


def tiny_system(**changed: float) -> System:
    """Two drug compartments, an effect, and a symptom that stress brings and the effect takes away."""
    values = {
        "k_elimination": 0.3,
        "half_level": 2.0,
        "k_effect": 0.5,
        "k_symptom": 0.05,
        "relief": 0.8,
        "cadss_full": 30.0,
        "volume": 80.0,
    }
    values |= changed
    quantities = {
        "k_elimination": Quantity(
            "k_elimination", "parameter", "1/h", 0.3, low=0.2, high=0.45, distribution="lognormal", variability=0.3
        ),
        "relief": Quantity(
            "relief", "parameter", "1", 0.8, low=0.6, high=0.95, distribution="logitnormal", variability=0.8
        ),
    }
    rules = {
        "drug": ("add", sym("s_ketamine_central"), sym("r_ketamine_central")),
        "cadss_drive": ("mul", sym("cadss_full"), _EFFECT),
        "systolic_pressure_rise": ("mul", num(20.0), _EFFECT),
        "plasma_ketamine": ("div", sym("drug"), sym("volume")),
        "circuit": ("sub", num(1.0), sym("symptom")),
    }
    for name in ("nmdar_occupancy", "glutamate", "bdnf_release", "mtorc1", "synapse_number", "synapse_strength"):
        rules[name] = ("add", num(1.0), sym("effect"))
    gone = {
        name: ("neg", ("mul", sym("k_elimination"), sym(name))) for name in ("s_ketamine_central", "r_ketamine_central")
    }
    target = ("mul", sym("stress"), ("sub", num(1.0), ("mul", sym("relief"), sym("effect"))))
    rates = {
        **gone,
        "effect": ("mul", sym("k_effect"), ("sub", _EFFECT, sym("effect"))),
        "symptom": ("mul", sym("k_symptom"), ("sub", target, sym("symptom"))),
    }
    return System(
        name="tiny", time_unit="h", parameters=values, inputs={"stress": 0.0}, rules=rules, rates=rates,
        initial={name: num(0.0) for name in rates}, quantities=quantities,
    )  # fmt: skip
