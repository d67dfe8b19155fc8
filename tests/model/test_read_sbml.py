"""What SBML says each construct means, on models small enough to know the answer."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from respine.errors import InputError
from respine.model import load_sbml
from respine.model.expression import evaluate

from .documents import assign, at_start, parameters, rate, rates_at_start, rules, sbml, simulate
from .documents import math as mathml


def species_model(compartment: str, species: str, more: str = "", reaction: str = "") -> str:
    return sbml(
        f"<listOfCompartments>{compartment}</listOfCompartments><listOfSpecies>{species}</listOfSpecies>{more}"
        + (f"<listOfReactions>{reaction}</listOfReactions>" if reaction else "")
    )


BOX = '<compartment id="c" size="4" spatialDimensions="3" constant="true"/>'
GROWING = '<compartment id="c" size="4" spatialDimensions="3" constant="false"/>'


def substance(
    name: str = "S",
    given: str = 'initialConcentration="3"',
    only: str = "false",
    boundary: str = "false",
    constant: str = "false",
    more: str = "",
) -> str:
    return (
        f'<species id="{name}" compartment="c" {given} hasOnlySubstanceUnits="{only}" boundaryCondition="{boundary}" '
        f'constant="{constant}"{more}/>'
    )


def decay(law: str = "<apply><times/><ci>k</ci><ci>S</ci></apply>", stoichiometry: str = 'stoichiometry="1"') -> str:
    return (
        '<reaction id="J" reversible="false"><listOfReactants>'
        f'<speciesReference species="S" {stoichiometry} constant="true"/></listOfReactants>'
        f'<kineticLaw>{mathml(law)}<listOfLocalParameters><localParameter id="k" value="0.5"/></listOfLocalParameters></kineticLaw></reaction>'
    )


def refusal(text: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        load_sbml(text)
    return str(caught.value)


# -- amounts and concentrations ----------------------------------------------------------------------------------------


def test_a_concentration_changes_by_the_flow_over_the_volume() -> None:
    system = load_sbml(species_model(BOX, substance(), reaction=decay()))
    assert at_start(system)["S"] == 3
    assert at_start(system)["J"] == 1.5
    assert rates_at_start(system) == {"S": -1.5 / 4}
    assert system.parameters["J_k"] == 0.5
    values = at_start(system)
    assert evaluate(system.species["S"].amount, values) == 12
    assert system.species["S"].means == "concentration"


def test_a_substance_only_species_is_an_amount() -> None:
    system = load_sbml(species_model(BOX, substance(only="true"), reaction=decay()))
    assert at_start(system)["S"] == 12  # the file gives 3 per volume
    assert rates_at_start(system) == {"S": -6}
    concentration = system.species["S"].concentration
    assert concentration is not None and evaluate(concentration, at_start(system)) == 3


def test_a_point_has_no_concentration() -> None:
    point = '<compartment id="c" spatialDimensions="0" constant="true"/>'
    system = load_sbml(species_model(point, substance(given='initialAmount="3"'), reaction=decay()))
    assert at_start(system)["S"] == 3 and rates_at_start(system) == {"S": -1.5}
    assert system.species["S"].concentration is None


def test_growth_dilutes_and_keeps_amounts() -> None:
    """dV/dt = 2 from 4: 12 units of amount are diluted, of a constant species as well as of a free one."""
    text = species_model(GROWING, substance() + substance("B", boundary="true"), rules(rate("c", "<cn>2</cn>")))
    system = load_sbml(text)
    times = np.linspace(0, 3, 4)
    ask = {"S": ("sym", "S"), "amount": system.species["S"].amount, "B": ("sym", "B")}
    values = simulate(system, times, ask)
    expected = np.column_stack([12 / (4 + 2 * times), np.full(4, 12.0), 12 / (4 + 2 * times)])
    assert values == pytest.approx(expected, rel=1e-9)


def test_reactions_in_a_growing_volume_conserve_mass() -> None:
    """A = 12, V = 4 + 2t, dA/dt = -k A / V, so A = 12 (4 / (4 + 2t))^(k/2)."""
    system = load_sbml(species_model(GROWING, substance(), rules(rate("c", "<cn>2</cn>")), decay()))
    times = np.linspace(0, 3, 4)
    values = simulate(system, times, {"amount": system.species["S"].amount})[:, 0]
    assert values == pytest.approx(12 * (4 / (4 + 2 * times)) ** 0.25, rel=1e-8)


def event(trigger: str, *changes: tuple[str, str], delay: str = "") -> str:
    body = "".join(
        f'<eventAssignment variable="{name}">{mathml(content)}</eventAssignment>' for name, content in changes
    )
    late = f"<delay>{mathml(delay)}</delay>" if delay else ""
    return (
        '<listOfEvents><event id="E" useValuesFromTriggerTime="true"><trigger initialValue="true" persistent="true">'
        f"{mathml(trigger)}</trigger>{late}<listOfEventAssignments>{body}</listOfEventAssignments></event></listOfEvents>"
    )


AT_ONE = '<apply><geq/><csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time">t</csymbol><cn>1</cn></apply>'


@pytest.mark.parametrize("how", ["free", "rate rule"])
def test_an_event_on_the_volume_keeps_amounts(how: str) -> None:
    held = rules(rate("S", "<cn>0</cn>")) if how == "rate rule" else ""
    system = load_sbml(
        sbml(
            f"<listOfCompartments>{GROWING}</listOfCompartments><listOfSpecies>{substance()}</listOfSpecies>{held}{event(AT_ONE, ('c', '<cn>8</cn>'))}"
        )
    )
    values = simulate(system, np.array([0.0, 2.0]), {"S": ("sym", "S"), "c": ("sym", "c")})
    assert values[-1] == pytest.approx([1.5, 8])


@pytest.mark.parametrize("turn", [1, -1])
def test_an_event_sets_a_concentration_in_the_volume_it_finds(turn: int) -> None:
    """SBML test suite, cases 01779 and 01780: the concentration fills the old volume, then the amount stays."""
    both = event(AT_ONE, *(("c", "<cn>8</cn>"), ("S", "<cn>5</cn>"))[::turn])
    system = load_sbml(
        sbml(f"<listOfCompartments>{GROWING}</listOfCompartments><listOfSpecies>{substance()}</listOfSpecies>{both}")
    )
    values = simulate(system, np.array([0.0, 2.0]), {"S": ("sym", "S"), "amount": system.species["S"].amount})
    assert values[-1] == pytest.approx([2.5, 20])


def test_what_only_events_change_is_an_input() -> None:
    system = load_sbml(sbml(parameters(p=2, q=3) + event(AT_ONE, ("p", "<ci>q</ci>"), delay="<cn>0.5</cn>")))
    assert system.inputs == {"p": 2} and system.parameters == {"q": 3}
    (e,) = system.events
    assert e.assignments == (("p", ("sym", "q")),) and e.delay == ("num", 0.5) and e.initial_value and e.persistent
    assert simulate(system, np.array([0.0, 1.0, 2.0]), {"p": ("sym", "p")})[:, 0].tolist() == [2, 2, 3]


def test_conversion_factors_scale_the_flow() -> None:
    more = parameters(f=10).replace('constant="false"', 'constant="true"')
    system = load_sbml(species_model(BOX, substance(more=' conversionFactor="f"'), more, decay()))
    assert rates_at_start(system) == {"S": -15 / 4}


def test_boundary_and_constant_species_do_not_react() -> None:
    for kind in ({"boundary": "true"}, {"boundary": "true", "constant": "true"}):
        system = load_sbml(species_model(BOX, substance(**kind), reaction=decay()))
        assert system.states == () and system.parameters["S"] == 3


# -- starts, rules, functions, stoichiometry -----------------------------------------------------------------------------


def starts(**contents: str) -> str:
    rows = "".join(f'<initialAssignment symbol="{k}">{mathml(v)}</initialAssignment>' for k, v in contents.items())
    return f"<listOfInitialAssignments>{rows}</listOfInitialAssignments>"


def test_computed_constants_follow_the_parameters_they_come_from() -> None:
    """A constant computed from a parameter must move with it when subjects differ."""
    body = (
        parameters(a=3, b=None, x=None)
        + starts(b="<apply><times/><cn>2</cn><ci>a</ci></apply>", x="<ci>b</ci>")
        + rules(rate("x", "<ci>b</ci>"))
    )
    system = load_sbml(sbml(body))
    assert system.rules["b"] == ("mul", ("num", 2.0), ("sym", "a"))
    assert at_start(system) == {"a": 3, "b": 6, "x": 6}


def test_a_constant_taken_from_a_state_keeps_its_start() -> None:
    body = parameters(k=None, x=5) + starts(k="<ci>x</ci>") + rules(rate("x", "<cn>1</cn>"))
    assert load_sbml(sbml(body)).parameters["k"] == 5


def test_rules_come_in_an_order_that_can_be_evaluated() -> None:
    body = parameters(a=None, b=None, c=None, d=1) + rules(
        assign("a", "<ci>b</ci>"), assign("b", "<ci>c</ci>"), assign("c", "<ci>d</ci>")
    )
    assert list(load_sbml(sbml(body)).rules) == ["c", "b", "a"]


def test_a_circle_of_rules_is_refused() -> None:
    text = refusal(sbml(parameters(a=None, b=None) + rules(assign("a", "<ci>b</ci>"), assign("b", "<ci>a</ci>"))))
    assert "circular" in text or "a -> b -> a" in text


def function(name: str, argument: str, body: str) -> str:
    return f'<functionDefinition id="{name}">{mathml(f"<lambda><bvar><ci>{argument}</ci></bvar>{body}</lambda>")}</functionDefinition>'


def test_functions_may_be_defined_in_any_order() -> None:
    twice = function("twice", "y", "<apply><plus/><ci>y</ci><ci>y</ci></apply>")
    four = function("four", "x", "<apply><ci>twice</ci><apply><ci>twice</ci><ci>x</ci></apply></apply>")
    body = (
        f"<listOfFunctionDefinitions>{four}{twice}</listOfFunctionDefinitions>"
        + parameters(p=3, a=None)
        + rules(assign("a", "<apply><ci>four</ci><ci>p</ci></apply>"))
    )
    assert at_start(load_sbml(sbml(body)))["a"] == 12


def test_variable_stoichiometry() -> None:
    reaction = decay(stoichiometry='id="n" stoichiometry="1"').replace(
        'constant="true"/></listOfReactants>', 'constant="false"/></listOfReactants>'
    )
    system = load_sbml(species_model(BOX, substance(), rules(assign("n", "<cn>3</cn>")), reaction))
    assert rates_at_start(system) == {"S": -4.5 / 4}


def rate_of(name: str) -> str:
    return f'<apply><csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/rateOf">rateOf</csymbol><ci>{name}</ci></apply>'


def test_rate_of_a_state_and_of_a_diluted_species() -> None:
    body = rules(rate("c", "<cn>2</cn>"), assign("v", rate_of("S")), assign("w", rate_of("c")))
    text = sbml(
        f"<listOfCompartments>{GROWING}</listOfCompartments><listOfSpecies>{substance()}</listOfSpecies>{parameters(v=None, w=None)}{body}<listOfReactions>{decay()}</listOfReactions>"
    )
    values = at_start(load_sbml(text))
    assert values["w"] == 2
    assert values["v"] == pytest.approx(-1.5 / 4 - 3 * 2 / 4)  # the flow out, and the dilution


def test_level_three_version_two_lets_formulas_be_absent() -> None:
    body = parameters(a=3, b=4) + '<listOfRules><rateRule variable="a"/><assignmentRule variable="b"/></listOfRules>'
    assert load_sbml(sbml(body)).parameters == {"a": 3, "b": 4}


def test_level_one() -> None:
    text = """<?xml version="1.0"?><sbml xmlns="http://www.sbml.org/sbml/level1" level="1" version="2"><model name="old">
    <listOfCompartments><compartment name="c" volume="2"/></listOfCompartments>
    <listOfSpecies><species name="S" compartment="c" initialAmount="6"/><species name="P" compartment="c" initialAmount="0"/></listOfSpecies>
    <listOfReactions><reaction name="J"><listOfReactants><speciesReference species="S" stoichiometry="3" denominator="2"/></listOfReactants>
    <listOfProducts><speciesReference species="P"/></listOfProducts><kineticLaw formula="k * S^2 + log(1)"><listOfParameters>
    <parameter name="k" value="0.1"/></listOfParameters></kineticLaw></reaction></listOfReactions></model></sbml>"""
    system = load_sbml(text)
    assert at_start(system)["S"] == 3
    assert rates_at_start(system) == {"S": pytest.approx(-1.5 * 0.9 / 2), "P": pytest.approx(0.9 / 2)}


def test_a_file_and_its_text_are_one_model(tmp_path: Path) -> None:
    text = species_model(BOX, substance(), reaction=decay())
    file = tmp_path / "decay.xml"
    file.write_text(text)
    assert load_sbml(file).rates == load_sbml(str(file)).rates == load_sbml(text).rates


# -- refusals ------------------------------------------------------------------------------------------------------------


REFUSED = {
    "algebraic": (sbml(parameters(a=1, b=2) + f"\n<listOfRules>\n<algebraicRule>{mathml('<apply><minus/><ci>a</ci><ci>b</ci></apply>')}</algebraicRule></listOfRules>"), "algebraic", 9),
    "delay": (sbml(parameters(a=1, b=2) + "\n" + rules(assign("a", '<apply><csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/delay">d</csymbol><ci>b</ci><cn>1</cn></apply>'))), "delay", 8),
    "fast": (sbml(species_model(BOX, substance(), reaction=decay()).split('<model id="m">\n')[1].split("\n</model>")[0].replace('reversible="false"', 'reversible="false" fast="true"'), version=1), "fast", 4),
    "a package that is required": (sbml(parameters(a=1), version=1, attributes=' xmlns:distrib="http://www.sbml.org/sbml/level3/version1/distrib/version1" distrib:required="true"'), "package distrib", 2),
    "unknown package": (sbml(parameters(a=1), attributes=' xmlns:arrays="http://www.sbml.org/sbml/level3/version1/arrays/version1" arrays:required="true"'), "arrays", 2),
    "undefined name": (sbml(parameters(a=1) + "\n" + rules(assign("a", "<ci>nowhere</ci>"))), "nowhere", 7),
    "undefined function": (sbml(parameters(a=1) + "\n" + rules(assign("a", "<apply><ci>f</ci><cn>1</cn></apply>"))), "f", 7),
    "no size": (species_model('<compartment id="c" spatialDimensions="3" constant="true"/>', substance(), reaction=decay()), "compartment has no value", 4),
    "no stoichiometry": (species_model(BOX, substance(), reaction=decay(stoichiometry="")), "stoichiometry", 4),
    "two of one id": (sbml(parameters(a=1) + "\n<listOfCompartments><compartment id='a' constant='true'/></listOfCompartments>"), "Duplicate 'id'", 5),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_computed_is_refused_by_name_and_line(case: str) -> None:
    text, word, line = REFUSED[case]
    with pytest.raises(InputError) as caught:
        load_sbml(text)
    problems = caught.value.problems
    assert any(word in str(p) for p in problems), problems
    assert not line or any(p.where == f"SBML text:{line}" for p in problems), [p.where for p in problems]


def test_all_refusals_come_at_once() -> None:
    text = refusal(sbml(parameters(a=1, b=2) + rules(assign("a", "<ci>x1</ci>"), assign("b", "<ci>x2</ci>"))))
    assert "x1" in text and "x2" in text


@pytest.mark.parametrize("text", ["", "no-such-file.xml", "<sbml", "<html></html>", "<?xml version='1.0'?><sbml/>"])
def test_what_is_no_sbml_is_an_input_error(text: str) -> None:
    assert refusal(text)


def test_nan_written_out_is_a_value() -> None:
    system = load_sbml(sbml(parameters(a=math.nan, b=None).replace("nan", "NaN") + rules(assign("b", "<ci>a</ci>"))))
    assert math.isnan(at_start(system)["b"])


def test_a_value_nobody_gives_is_an_error_only_where_it_is_needed() -> None:
    assert math.isnan(load_sbml(sbml(parameters(a=None))).parameters["a"])
    assert "parameter has no value" in refusal(sbml(parameters(a=None, b=None) + rules(assign("b", "<ci>a</ci>"))))


@pytest.mark.parametrize(
    "fault",
    ['<parameter id="u" value="1" units="nobody_knows" constant="true"/>',
     '<parameter id="u" value="1" constant="true"><notes><p>no namespace</p></notes></parameter>',
     '<parameter id="u" value="1" constant="true"><annotation><bare/></annotation></parameter>'],
)  # fmt: skip
def test_faults_beside_the_mathematics_do_not_stop_a_model(fault: str) -> None:
    assert load_sbml(sbml(f"<listOfParameters>{fault}</listOfParameters>")).parameters == {"u": 1}


def test_a_rate_may_use_a_species_that_its_reaction_does_not_list() -> None:
    two = substance() + substance("E")
    system = load_sbml(species_model(BOX, two, reaction=decay().replace("<ci>S</ci>", "<ci>E</ci>")))
    assert rates_at_start(system)["S"] != 0


def test_a_point_with_a_size_is_like_any_compartment_in_level_3() -> None:
    """SBML test suite, case 01809."""
    point = '<compartment id="c" spatialDimensions="0" size="4" constant="true"/>'
    system = load_sbml(species_model(point, substance(), reaction=decay()))
    assert system.species["S"].amount == ("mul", ("sym", "S"), ("sym", "c")) and at_start(system)["S"] == 3
    assert rates_at_start(system)["S"] == -0.5 * 3 / 4


DETERMINED_TWICE = {
    "two rules": parameters(a=1, b=2) + "\n" + rules(assign("b", "<ci>a</ci>"), assign("b", "<cn>2</cn>")),
    "two rates": parameters(a=1, b=2) + "\n" + rules(rate("b", "<ci>a</ci>"), rate("b", "<cn>2</cn>")),
    "rule and rate": parameters(a=1, b=2) + "\n" + rules(assign("b", "<ci>a</ci>"), rate("b", "<cn>2</cn>")),
    "two starts": parameters(a=1, b=2) + "\n" + starts(b="<ci>a</ci>") .replace("</listOfInitialAssignments>", f'<initialAssignment symbol="b">{mathml("<cn>3</cn>")}</initialAssignment></listOfInitialAssignments>'),
    "rule and start": parameters(a=1, b=2) + "\n" + starts(b="<ci>a</ci>") + rules(assign("b", "<cn>2</cn>")),
    "event": parameters(a=1, b=2) + "\n" + event(AT_ONE, ("b", "<cn>3</cn>"), ("b", "<cn>4</cn>")),
    "rule of a constant": parameters(a=1, b=2).replace('id="b" constant="false"', 'id="b" constant="true"') + "\n" + rules(assign("b", "<ci>a</ci>")),
    "event on a rule": parameters(a=1, b=2) + "\n" + rules(assign("b", "<ci>a</ci>")) + event(AT_ONE, ("b", "<cn>4</cn>")),
    "event on a constant": parameters(a=1, b=2).replace('id="b" constant="false"', 'id="b" constant="true"') + "\n" + event(AT_ONE, ("b", "<cn>4</cn>")),
    "rule of nothing": parameters(a=1, b=2) + "\n" + rules(assign("bb", "<ci>a</ci>")),
    "start of nothing": parameters(a=1, b=2) + "\n" + starts(bb="<ci>a</ci>"),
    "event on nothing": parameters(a=1, b=2) + "\n" + event(AT_ONE, ("bb", "<cn>4</cn>")),
    "a function of no argument": f"<listOfFunctionDefinitions>{function('f', 'x', '<ci>b</ci>')}</listOfFunctionDefinitions>" + parameters(a=1, b=2) + "\n" + rules(assign("a", "<apply><ci>f</ci><cn>1</cn></apply>")),
    "starts in a circle": parameters(a=1, b=2) + starts(a="<ci>b</ci>", b="<ci>a</ci>"),
    "starts of states in a circle": parameters(a=1, b=2) + starts(a="<ci>b</ci>", b="<ci>a</ci>") + rules(rate("a", "<cn>1</cn>"), rate("b", "<cn>1</cn>")),
    "a start through a rule in a circle": parameters(a=1, b=2) + starts(a="<ci>b</ci>") + rules(rate("a", "<cn>1</cn>"), assign("b", "<apply><sin/><ci>a</ci></apply>")),
    "a start of itself": parameters(a=1, b=2) + starts(a="<ci>a</ci>"),
    "many starts in a circle": parameters(**{f"a{k}": 1 for k in range(200)}) + starts(**{f"a{k}": f"<ci>a{(k + 1) % 200}</ci>" for k in range(200)}),
    "many rules in a circle": parameters(**{f"a{k}": 1 for k in range(200)}) + rules(*(assign(f"a{k}", f"<ci>a{(k + 1) % 200}</ci>") for k in range(200))),
    "functions in a circle": f"<listOfFunctionDefinitions>{function('f', 'x', '<apply><ci>g</ci><ci>x</ci></apply>')}{function('g', 'x', '<apply><ci>f</ci><ci>x</ci></apply>')}</listOfFunctionDefinitions>" + parameters(a=1, b=2),
    "a function of itself": f"<listOfFunctionDefinitions>{function('f', 'x', '<apply><ci>f</ci><ci>x</ci></apply>')}</listOfFunctionDefinitions>" + parameters(a=1, b=2),
    "two functions": f"<listOfFunctionDefinitions>{function('f', 'x', '<ci>x</ci>')}{function('f', 'x', '<cn>1</cn>')}</listOfFunctionDefinitions>" + parameters(a=1, b=2),
    "two events of a name": parameters(a=1, b=2) + "\n" + event(AT_ONE, ("b", "<cn>3</cn>")).replace("</listOfEvents>", event(AT_ONE, ("a", "<cn>3</cn>")).removeprefix("<listOfEvents>")),
}  # fmt: skip


@pytest.mark.parametrize("case", DETERMINED_TWICE)
def test_what_is_determined_twice_or_not_at_all_is_refused(case: str) -> None:
    assert refusal(sbml(DETERMINED_TWICE[case]))


SPECIES = {
    "rule beside a reaction": species_model(BOX, substance(), rules(assign("S", "<cn>1</cn>")), decay()),
    "rate beside a reaction": species_model(BOX, substance(), rules(rate("S", "<cn>1</cn>")), decay()),
    "constant that reacts": species_model(BOX, substance(constant="true"), reaction=decay()),
    "no compartment": species_model(BOX, substance().replace('compartment="c"', 'compartment="d"'), reaction=decay()),
    "no species": species_model(BOX, substance(), reaction=decay().replace('species="S"', 'species="T"')),
    "no conversion factor": species_model(BOX, substance(more=' conversionFactor="f"'), reaction=decay()),
    "two species": species_model(BOX, substance() + substance(), reaction=decay()),
    "two reactions": species_model(BOX, substance(), reaction=decay() + decay()),
    "a parameter that reacts": species_model(BOX, substance(), parameters(T=1), decay().replace('species="S"', 'species="T"')),
    "a local parameter twice": species_model(BOX, substance(), reaction=decay().replace("</listOfLocalParameters>", '<localParameter id="k" value="2"/></listOfLocalParameters>')),
}  # fmt: skip


@pytest.mark.parametrize("case", SPECIES)
def test_species_that_contradict_themselves_are_refused(case: str) -> None:
    assert refusal(SPECIES[case])
