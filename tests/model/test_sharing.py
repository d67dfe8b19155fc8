"""Formulas that double with every line: what is shared stays shared, and the values are those of the text."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respine.errors import InputError
from respine.model import Limits, System, load, load_sbml, show, to_sbml
from respine.model.expression import LEAVES, Expr, evaluate, mentions_time, num, postorder, substitute, sym, symbols
from respine.model.sharing import DEEPEST, Shared, TooLarge, name_repeated_parts

from .documents import assign, at_start, parameters, rate, rates_at_start, rules, sbml
from .documents import math as mathml

HALF = "<apply><times/><ci>{0}</ci><cn>0.5</cn></apply>"
TWICE = f"<apply><plus/>{HALF}{HALF}</apply>"  # as large as what it is made of, written out twice


def starts(**contents: str) -> str:
    rows = "".join(f'<initialAssignment symbol="{k}">{mathml(v)}</initialAssignment>' for k, v in contents.items())
    return f"<listOfInitialAssignments>{rows}</listOfInitialAssignments>"


def functions(**bodies: str) -> str:
    rows = (f'<functionDefinition id="{name}">{mathml(f"<lambda><bvar><ci>x</ci></bvar>{body}</lambda>")}</functionDefinition>'
            for name, body in bodies.items())  # fmt: skip
    return f"<listOfFunctionDefinitions>{''.join(rows)}</listOfFunctionDefinitions>"


def call(name: str, argument: str) -> str:
    return f"<apply><ci>{name}</ci>{argument}</apply>"


def initial_assignments(n: int) -> str:
    body = parameters(a0=3, **{f"a{k}": None for k in range(1, n + 1)})
    return sbml(body + starts(**{f"a{k}": TWICE.format(f"a{k - 1}") for k in range(1, n + 1)}))


def starts_of_states(n: int) -> str:
    """Each state starts from the one before; a constant takes the last."""
    body = parameters(a0=3, k=None, **{f"a{k}": None for k in range(1, n + 1)})
    chain = {f"a{k}": TWICE.format(f"a{k - 1}") for k in range(1, n + 1)}
    return sbml(
        body + starts(k=f"<ci>a{n}</ci>", **chain) + rules(*(rate(f"a{k}", "<cn>1</cn>") for k in range(n + 1)))
    )


def rules_of_a_state(n: int) -> str:
    body = parameters(a0=3, k=None, **{f"a{k}": None for k in range(1, n + 1)})
    chain = [assign(f"a{k}", TWICE.format(f"a{k - 1}")) for k in range(1, n + 1)]
    return sbml(body + starts(k=f"<ci>a{n}</ci>") + rules(rate("a0", "<cn>-1</cn>"), *chain))


def nested_functions(n: int) -> str:
    bodies = {f"f{k}": TWICE.replace("<ci>{0}</ci>", call(f"f{k - 1}", "<ci>x</ci>")) for k in range(1, n + 1)}
    body = functions(f0="<ci>x</ci>", **bodies) + parameters(a0=3, **{f"a{n}": None})
    return sbml(body + rules(rate("a0", "<cn>-1</cn>"), assign(f"a{n}", call(f"f{n}", "<ci>a0</ci>"))))


def functions_of_functions(n: int) -> str:
    """One function, called on itself."""
    argument = "<ci>a0</ci>"
    for _ in range(n):
        argument = call("f", argument)
    body = functions(f=TWICE.format("x")) + parameters(a0=3, **{f"a{n}": None})
    return sbml(body + rules(rate("a0", "<cn>-1</cn>"), assign(f"a{n}", argument)))


def local_parameters(n: int) -> str:
    """Rate laws that use the law before twice, each with its own k."""
    reactions = "".join(
        f'<reaction id="a{k}" reversible="false"><listOfProducts><speciesReference species="S" stoichiometry="1" constant="true"/>'
        f'</listOfProducts><kineticLaw>{mathml(HALF.format(f"a{k - 1}").join(["<apply><plus/>", ""]) + "<apply><times/>"f"<ci>a{k - 1}</ci><ci>k</ci></apply></apply>")}'
        '<listOfLocalParameters><localParameter id="k" value="0.5"/></listOfLocalParameters></kineticLaw></reaction>'
        for k in range(1, n + 1)
    )  # fmt: skip
    box = (
        '<listOfCompartments><compartment id="c" size="1" spatialDimensions="3" constant="true"/></listOfCompartments>'
    )
    species = (
        '<listOfSpecies><species id="S" compartment="c" initialAmount="0" hasOnlySubstanceUnits="true" '
        'boundaryCondition="false" constant="false"/></listOfSpecies>'
    )
    return sbml(f"{box}{species}{parameters(a0=3)}<listOfReactions>{reactions}</listOfReactions>")


def event_assignments(n: int) -> str:
    argument = "<ci>a0</ci>"
    for _ in range(n):
        argument = call("f", argument)
    trigger = mathml("<apply><gt/><ci>a0</ci><cn>9</cn></apply>")
    body = (
        f'<listOfEvents><event id="E" useValuesFromTriggerTime="true"><trigger initialValue="true" persistent="true">{trigger}'
        f'</trigger><listOfEventAssignments><eventAssignment variable="a{n}">{mathml(argument)}</eventAssignment>'
        "</listOfEventAssignments></event></listOfEvents>"
    )
    pieces = functions(f=TWICE.format("x")) + parameters(a0=3, **{f"a{n}": 3}) + rules(rate("a0", "<cn>1</cn>"))
    return sbml(pieces + body)


def inverse_functions(n: int) -> str:
    """arcsinh is composed of five mentions of its argument, the remainder of four."""
    argument = "<ci>a0</ci>"
    for _ in range(n):
        argument = f"<apply><rem/><apply><arcsinh/><apply><sinh/>{argument}</apply></apply><cn>100</cn></apply>"
    return sbml(parameters(a0=3, **{f"a{n}": None}) + rules(rate("a0", "<cn>-1</cn>"), assign(f"a{n}", argument)))


def rates_of_rates(n: int) -> str:
    def rate_of(name: str) -> str:
        symbol = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/rateOf">rateOf</csymbol>'
        return f"<apply>{symbol}<ci>{name}</ci></apply>"

    body = parameters(a0=3, b0=0, **{f"b{k}": 0 for k in range(1, n + 1)}, **{f"a{n}": None})
    twice = "<apply><plus/>" + HALF.replace("<ci>{0}</ci>", "{0}") * 2 + "</apply>"
    chain = [rate(f"b{k}", twice.format(rate_of(f"b{k - 1}"))) for k in range(1, n + 1)]
    return sbml(body + rules(rate("b0", "<cn>3</cn>"), *chain, assign(f"a{n}", rate_of(f"b{n}"))))


def chained_comparisons(n: int) -> str:
    """a < b < c < ... names every operand between twice."""
    argument = "<ci>a0</ci>"
    for _ in range(n):
        small = f"<apply><lt/><cn>-1</cn>{argument}<cn>1e9</cn></apply>"
        argument = f"<piecewise><piece>{argument}<apply><and/>{small}{small}</apply></piece><otherwise><cn>0</cn></otherwise></piecewise>"
    return sbml(parameters(a0=3, **{f"a{n}": None}) + rules(rate("a0", "<cn>-1</cn>"), assign(f"a{n}", argument)))


CHAINS: dict[str, tuple[Callable[[int], str], int]] = {
    made.__name__: (made, n)
    for made, n in [
        (initial_assignments, 40), (starts_of_states, 40), (rules_of_a_state, 40), (nested_functions, 40),
        (functions_of_functions, 40), (local_parameters, 40), (event_assignments, 40), (inverse_functions, 25),
        (rates_of_rates, 40), (chained_comparisons, 6),
    ]
}  # fmt: skip


def written(expr: Expr) -> int:
    """Terms of a formula with repeats counted."""
    terms: dict[int, int] = {}
    for node in postorder(expr):
        terms[id(node)] = 1 + (sum(terms[id(part)] for part in node[1:]) if node[0] not in LEAVES else 0)
    return terms[id(expr)]


def depth(expr: Expr) -> int:
    heights: dict[int, int] = {}
    for node in postorder(expr):
        inner = node[1:] if node[0] not in LEAVES else ()
        heights[id(node)] = 1 + max((heights[id(part)] for part in inner), default=-1)
    return heights[id(expr)]


def formulas(system: System) -> list[Expr]:
    inside = [e for event in system.events for e in event.formulas().values()]
    return [*system.rules.values(), *system.rates.values(), *system.initial.values(), *inside]


@pytest.mark.parametrize("chain", CHAINS)
def test_a_chain_of_lines_stays_a_chain(chain: str) -> None:
    make, n = CHAINS[chain]
    begun = time.process_time()
    system = load_sbml(make(n))
    values = at_start(system)
    assert time.process_time() - begun < 2  # written out it would never end
    assert values[f"a{n}"] == pytest.approx(3, rel=1e-12)
    assert sum(map(written, formulas(system))) < 20_000
    assert max(map(depth, formulas(system))) <= DEEPEST + 1


@pytest.mark.parametrize("chain", CHAINS)
def test_what_follows_reading_meets_no_more_than_was_written(chain: str) -> None:
    """Text, export and another reading stay short; the copy has the same values."""
    make, n = CHAINS[chain]
    system = load_sbml(make(n))
    assert len(show(system)) < 400_000
    copy = load_sbml(to_sbml(system))
    assert at_start(copy)[f"a{n}"] == at_start(system)[f"a{n}"]


@pytest.mark.parametrize("sign", ["=", ":="])
@pytest.mark.parametrize("n", [1, 5, 20, 60])
def test_antimony_is_not_asked_to_write_a_chain_out(sign: str, n: int) -> None:
    lines = "\n".join(f"  a{k} {sign} a{k - 1}*0.5 + a{k - 1}*0.5" for k in range(1, n + 1))
    begun = time.process_time()
    system = load(f"model m\n  a0 = 1\n{lines}\n  x = a{n}; x' = -a{n}*x\nend")
    assert time.process_time() - begun < 2
    assert rates_at_start(system) == {"x": -1.0} and at_start(system)["x"] == 1.0
    assert system.states == ("x",) and system.parameters == {"a0": 1.0}


def test_a_chain_in_antimony_keeps_what_it_may_not_become() -> None:
    """Species, compartments and what events change keep their kind, whatever their starts are made of."""
    lines = "\n".join(f"  a{k} = a{k - 1}*0.5 + a{k - 1}*0.5" for k in range(1, 13))
    text = f"model m\n  compartment c = a12; species S in c = a12\n  S -> ; a12*S\n  a0 = 1\n{lines}\n  at (time > 1): a3 = 5\nend"
    system = load(text)
    assert system.species.keys() == {"S"} and at_start(system)["c"] == 1.0 and at_start(system)["S"] == 1.0
    assert [name for event in system.events for name, _ in event.assignments] == ["a3"]


def test_functions_that_cannot_be_shared_meet_a_limit() -> None:
    """Every call has another argument, so that there is nothing to share: 2 to the 40 terms."""
    bodies = {"f0": "<ci>x</ci>"}
    for k in range(1, 40):
        more = f"<apply><plus/><ci>x</ci><cn>{k}</cn></apply>"
        bodies[f"f{k}"] = (
            f"<apply><plus/>{call(f'f{k - 1}', more)}{call(f'f{k - 1}', '<apply><sin/><ci>x</ci></apply>')}</apply>"
        )
    text = sbml(functions(**bodies) + parameters(a=None, b=1) + rules(assign("a", call("f39", "<ci>b</ci>"))))
    with pytest.raises(InputError, match="more than 5,000 different terms"):
        load_sbml(text, limits=Limits(terms=5000))


def test_a_long_chain_of_functions_ends() -> None:
    n = 200
    bodies = {f"f{k}": f"<apply><plus/>{call(f'f{k - 1}', '<ci>x</ci>')}<cn>1</cn></apply>" for k in range(1, n + 1)}
    text = sbml(
        functions(f0="<ci>x</ci>", **bodies) + parameters(a=None, b=1) + rules(assign("a", call(f"f{n}", "<ci>b</ci>")))
    )
    assert at_start(load_sbml(text))["a"] == 1 + n


@pytest.mark.parametrize("n", [10, 100, 800])
def test_a_long_chain_of_starts_needs_no_recursion(n: int) -> None:
    body = parameters(a0=1, **{f"a{k}": None for k in range(1, n + 1)})
    chain = starts(**{f"a{k}": f"<apply><plus/><ci>a{k - 1}</ci><cn>1</cn></apply>" for k in range(1, n + 1)})
    values = at_start(load_sbml(sbml(body + chain)))
    assert values[f"a{n}"] == n + 1


def test_a_constant_from_a_constant_follows_it() -> None:
    """b is computed from a, c from b: a subject with another a has another c, through rules of one line each."""
    system = load_sbml(sbml(parameters(a=3, b=None, c=None) + starts(b=HALF.format("a"), c=HALF.format("b"))))
    assert system.rules == {"b": ("mul", sym("a"), num(0.5)), "c": ("mul", sym("b"), num(0.5))}


def test_ordinary_formulas_stay_as_they_are() -> None:
    law = (
        "<apply><divide/><apply><times/><ci>a</ci><ci>b</ci></apply><apply><plus/><ci>a</ci><ci>b</ci></apply></apply>"
    )
    system = load_sbml(sbml(parameters(a=3, b=4, c=None) + rules(assign("c", law))))
    assert system.rules == {"c": ("div", ("mul", sym("a"), sym("b")), ("add", sym("a"), sym("b")))}


# -- the tools, on formulas of every form --------------------------------------------------------------------------------

LEAF = st.one_of(st.sampled_from([sym("a"), sym("b"), ("time",)]), st.floats(-4, 4).map(num))
FORMULA = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["add", "sub", "mul", "min", "max", "lt"]), inner, inner),
        st.tuples(st.sampled_from(["neg", "sin", "abs", "tanh"]), inner),
        st.tuples(st.just("if"), inner, inner, inner),
    ),
    max_leaves=40,
)
VALUES = {"a": 1.25, "b": -0.5}


def doubled(expr: Expr, times: int) -> Expr:
    """The formula used twice, again and again: 2 to the ``times`` of it, in ``times`` tuples."""
    for k in range(times):
        expr = (
            ("add", ("mul", expr, num(0.5)), ("mul", num(0.5), expr)) if k % 2 else ("max", expr, ("min", expr, expr))
        )
    return expr


@given(FORMULA, st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_naming_parts_keeps_every_value(expr: Expr, times: int) -> None:
    whole = doubled(expr, times)
    named: list[str] = []

    def unique(name: str) -> str:
        named.append(name)
        return name

    written_out, parts = name_repeated_parts({("x", "rule"): whole, ("y", "rule"): ("sin", whole)}, 10_000, unique)
    known = dict(VALUES)
    for name, (_, part) in parts.items():
        known[name] = evaluate(part, known, 2.0)
    assert list(parts) == named
    for key, direct in ((("x", "rule"), whole), (("y", "rule"), ("sin", whole))):
        assert float(evaluate(written_out[key], known, 2.0)) == float(evaluate(direct, VALUES, 2.0))


@given(FORMULA, FORMULA)
@settings(max_examples=60, deadline=None)
def test_equal_formulas_are_one_tuple(first: Expr, second: Expr) -> None:
    shared = Shared(10_000)
    first_shared, two = shared.intern(first), shared.intern(second)
    assert first_shared == first and two == second
    assert (first_shared is two) == (repr(first) == repr(second))
    assert shared.intern(("neg", first)) is shared.intern(("neg", first_shared))


@given(FORMULA, FORMULA)
@settings(max_examples=60, deadline=None)
def test_substitution_is_evaluation_in_another_order(outer: Expr, inner: Expr) -> None:
    value = evaluate(inner, VALUES, 2.0)
    direct = float(evaluate(outer, {**VALUES, "a": value}, 2.0))
    shared = Shared(10_000)
    for made in (substitute(outer, {"a": inner}), shared.substitute(shared.intern(outer), {"a": shared.intern(inner)})):
        assert float(evaluate(made, VALUES, 2.0)) == direct
    assert set(symbols(substitute(outer, {"a": num(1), "b": num(1)}))) == set()


def test_walks_take_shared_formulas_once() -> None:
    whole = doubled(("add", sym("a"), ("time",)), 200)
    assert set(symbols(whole)) == {"a"} and mentions_time(whole)
    assert math.isfinite(float(evaluate(whole, VALUES, 2.0)))


def test_signed_zeros_and_nan_are_numbers_of_their_own() -> None:
    shared = Shared(100)
    zero, minus, nan = (shared.intern(num(x)) for x in (0.0, -0.0, math.nan))
    assert zero is not minus and math.copysign(1, minus[1]) == -1
    assert shared.intern(num(math.nan)) is nan


def test_the_limit_counts_different_terms() -> None:
    shared = Shared(5)
    shared.intern(("add", sym("a"), ("add", sym("a"), sym("b"))))
    with pytest.raises(TooLarge):
        shared.intern(("add", sym("c"), sym("d")))
