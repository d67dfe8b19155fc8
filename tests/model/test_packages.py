"""SBML packages and foreign elements: what bears on the mathematics is used or refused, the rest is named and left."""

from __future__ import annotations

from pathlib import Path

import pytest

from respine.errors import InputError
from respine.model import load, show

from .documents import assign, at_start, parameters, rate, rates_at_start, rules, sbml
from .documents import math as mathml

L3 = "http://www.sbml.org/sbml/level3/version1"


def package(name: str, required: str, version: int = 1) -> str:
    return f' xmlns:{name}="{L3}/{name}/version{version}" {name}:required="{required}"'


NOT_REQUIRED = {
    "fbc": ("fbc", 2, ' fbc:strict="false"', ""),
    "fbc, with bounds": ("fbc", 1, "", '<fbc:listOfFluxBounds><fbc:fluxBound fbc:id="b" fbc:reaction="J" fbc:operation="less" fbc:value="1"/></fbc:listOfFluxBounds>'),
    "fbc, damaged": ("fbc", 2, "", ""),  # strict is missing: an error of the package, which nobody reads
    "layout": ("layout", 1, "", '<layout:listOfLayouts><layout:layout layout:id="l"><layout:dimensions layout:width="1" layout:height="1"/></layout:layout></layout:listOfLayouts>'),
    "layout, damaged": ("layout", 1, "", "<layout:listOfLayouts><layout:layout/></layout:listOfLayouts>"),
    "render": ("render", 1, "", ""),
    "groups": ("groups", 1, "", '<groups:listOfGroups><groups:group groups:id="g" groups:kind="partonomy"/></groups:listOfGroups>'),
    "distrib": ("distrib", 1, "", ""),
    "qual": ("qual", 1, "", ""),
    "spatial": ("spatial", 1, "", ""),
    "multi": ("multi", 1, "", ""),
    "nobody knows it": ("dyn", 1, "", "<dyn:listOfThings/>"),
    "arrays": ("arrays", 1, "", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_REQUIRED)
def test_a_package_that_is_not_required_is_named_and_left(case: str) -> None:
    name, version, on_model, inside = NOT_REQUIRED[case]
    text = sbml(parameters(a=3) + inside, version=1, attributes=package(name, "false", version))
    system = load(text.replace('<model id="m">', f'<model id="m"{on_model}>'))
    assert system.parameters == {"a": 3}
    assert [note for note in system.notes if f"the package {name}" in note], system.notes
    assert f"the package {name}" in show(system)


@pytest.mark.parametrize("name", ["distrib", "qual", "multi", "arrays", "dyn", "spatial"])
def test_a_package_that_is_required_is_refused_by_name_and_line(name: str) -> None:
    with pytest.raises(InputError) as caught:
        load(sbml(parameters(a=3), version=1, attributes=package(name, "true")))
    assert any(name in str(p) and p.where == "SBML text:2" for p in caught.value.problems)


@pytest.mark.parametrize(
    "on_root",
    [' xmlns:layout="http://projects.eml.org/bcb/sbml/level2"', package("layout", "false"), package("layout", "false") + package("render", "false"),
     package("layout", "false").replace('"false"', "'false'"), package("comp", "false"), ' xmlns:x="http://x.y"'],
)  # fmt: skip
@pytest.mark.parametrize(("level", "version"), [(2, 1), (2, 3), (2, 4), (2, 5)])
def test_older_levels_may_carry_namespaces_of_packages(on_root: str, level: int, version: int) -> None:
    space = "http://www.sbml.org/sbml/level2" + ("" if version == 1 else f"/version{version}")
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<sbml xmlns="{space}" level="{level}" version="{version}"\n{on_root}>'
        '<model id="m"><listOfParameters>\n<parameter id="a" value="3"/></listOfParameters></model></sbml>'
    )
    assert load(text).parameters == {"a": 3} and load(text).quantities["a"].line == 4


# -- hierarchical models -------------------------------------------------------------------------------------------------

DECAY = (
    '<comp:modelDefinition id="decay"><listOfParameters><parameter id="x" value="8" constant="false"/>'
    '<parameter id="k" value="0.5" constant="true"/></listOfParameters>'
    f"{rules(rate('x', '<apply><times/><cn>-1</cn><ci>k</ci><ci>x</ci></apply>'))}</comp:modelDefinition>"
)


def hierarchy(inside: str, definitions: str = DECAY) -> str:
    text = sbml(inside, version=1, attributes=package("comp", "true"))
    return text.replace("</model>", f"</model><comp:listOfModelDefinitions>{definitions}</comp:listOfModelDefinitions>")


def submodels(*entries: str) -> str:
    return f"<comp:listOfSubmodels>{''.join(entries)}</comp:listOfSubmodels>"


def submodel(name: str, more: str = "", of: str = "decay", inside: str = "") -> str:
    return f'<comp:submodel comp:id="{name}" comp:modelRef="{of}"{more}>{inside}</comp:submodel>'


def test_submodels_come_into_their_places() -> None:
    system = load(hierarchy(submodels(submodel("a"), submodel("b"))))
    assert rates_at_start(system) == {"a__x": -4, "b__x": -4} and system.parameters == {"a__k": 0.5, "b__k": 0.5}
    assert "SUBMODEL__ID" in system.notes[0]


def test_time_and_replaced_elements_are_converted() -> None:
    """60 of the whole's time units are one of the part's; one k is replaced by a number of the whole."""
    replaced = '<comp:listOfReplacedElements><comp:replacedElement comp:idRef="k" comp:submodelRef="b"/></comp:listOfReplacedElements>'
    own = f'<listOfParameters><parameter id="slow" value="60" constant="true"/><parameter id="fast" value="2" constant="true">{replaced}</parameter></listOfParameters>'
    system = load(hierarchy(own + submodels(submodel("a", ' comp:timeConversionFactor="slow"'), submodel("b"))))
    assert rates_at_start(system) == {"a__x": -4 / 60, "b__x": -16}


def test_deleted_elements_are_gone() -> None:
    gone = '<comp:listOfDeletions><comp:deletion comp:metaIdRef="r"/></comp:listOfDeletions>'
    definitions = DECAY.replace("<rateRule", '<rateRule metaid="r"')
    system = load(hierarchy(submodels(submodel("a", inside=gone), submodel("b")), definitions))
    assert rates_at_start(system) == {"b__x": -4} and system.parameters["a__x"] == 8


def test_submodels_of_submodels() -> None:
    middle = f'<comp:modelDefinition id="middle">{submodels(submodel("in"))}</comp:modelDefinition>'
    assert rates_at_start(load(hierarchy(submodels(submodel("a", of="middle")), DECAY + middle))) == {"a__in__x": -4}


@pytest.mark.parametrize(
    ("inside", "definitions"),
    [
        (submodels(submodel("a", of="nowhere")), DECAY),
        (submodels(submodel("a", of="loop")), f'<comp:modelDefinition id="loop">{submodels(submodel("b", of="loop"))}</comp:modelDefinition>'),
        (submodels(submodel("a", ' comp:timeConversionFactor="nowhere"')), DECAY),
        (submodels(submodel("a"), submodel("a")), DECAY),
        (submodels(submodel("a")) + parameters(a__x=1), DECAY.replace('id="decay"', 'id="decay" bad="1"')),
    ],
)  # fmt: skip
def test_what_cannot_be_put_together_is_refused(inside: str, definitions: str) -> None:
    with pytest.raises(InputError):
        load(hierarchy(inside, definitions))


def external(source: str) -> str:
    text = sbml(submodels(submodel("a", of="out")), version=1, attributes=package("comp", "true"))
    outside = f'<comp:externalModelDefinition comp:id="out" comp:source="{source}" comp:modelRef="m"/>'
    return text.replace(
        "</model>", f"</model><comp:listOfExternalModelDefinitions>{outside}</comp:listOfExternalModelDefinitions>"
    )


def test_a_definition_in_a_file_beside_is_read(tmp_path: Path) -> None:
    (tmp_path / "part.xml").write_text(sbml(parameters(x=8) + rules(rate("x", "<cn>2</cn>")), version=1))
    (tmp_path / "whole.xml").write_text(external("part.xml"))
    assert rates_at_start(load(tmp_path / "whole.xml")) == {"a__x": 2}


@pytest.mark.parametrize(
    "source", ["/etc/passwd", "../part.xml", "http://127.0.0.1:1/x.xml", "missing.xml", "folder", "file:///etc/hosts"]
)
def test_a_definition_elsewhere_is_refused(source: str, tmp_path: Path) -> None:
    (tmp_path / "part.xml").write_text(sbml(parameters(x=8), version=1))
    (tmp_path / "in" / "folder").mkdir(parents=True)
    (tmp_path / "in" / "whole.xml").write_text(external(source))
    with pytest.raises(InputError) as caught:
        load(tmp_path / "in" / "whole.xml")
    assert "not in the folder" in str(caught.value) and "root:" not in str(caught.value)
    with pytest.raises(InputError):
        load(external(source))


def test_published_conversion_factors() -> None:
    """SBML test suite, case 01148: three levels of time and extent conversion; s(1) = 45.1044."""
    factors = '<listOfParameters><parameter id="t" value="60" constant="true"/><parameter id="e" value="10" constant="true"/></listOfParameters>'
    both = ' comp:timeConversionFactor="t" comp:extentConversionFactor="e"'
    law = '<apply><times/><cn>1000000000</cn><ci>s</ci><csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time">t</csymbol></apply>'
    inner = (
        '<comp:modelDefinition id="one"><listOfCompartments><compartment id="C" size="1" constant="true"/></listOfCompartments>'
        '<listOfSpecies><species id="s" compartment="C" initialAmount="0.001" hasOnlySubstanceUnits="true" boundaryCondition="false" constant="false"/></listOfSpecies>'
        '<listOfReactions><reaction id="J" reversible="true" fast="false"><listOfProducts><speciesReference species="s" stoichiometry="1" constant="true"/></listOfProducts>'
        f"<kineticLaw>{mathml(law)}</kineticLaw></reaction></listOfReactions></comp:modelDefinition>"
    )  # fmt: skip
    layers = "".join(
        f'<comp:modelDefinition id="{name}">{factors}{submodels(submodel("p", both, of=part))}</comp:modelDefinition>'
        for name, part in (("two", "one"), ("three", "two"))
    )
    system = load(hierarchy(factors + submodels(submodel("p", both, of="three")), inner + layers))
    # s' = 1e9 (1/60^3) (t/60^3) s ... with extents of 10^3: s = 0.001 exp(10.7167 t^2)
    known = at_start(system)
    from respine.model.expression import evaluate

    rate_at_one = float(evaluate(system.rules["p__p__p__J"], {**known, "p__p__p__s": 45.1044}, 1.0))
    assert rate_at_one / 45.1044 == pytest.approx(2 * 10.7167, rel=1e-4)


# -- elements that are no SBML -------------------------------------------------------------------------------------------


def test_foreign_elements_are_named_with_their_lines() -> None:
    text = sbml('<x:note xmlns:x="http://x.y">k = 7</x:note>\n' + parameters(a=3) + '\n<y:z xmlns:y="http://y.z"/>')
    assert load(text).notes == (
        "<note> of http://x.y, line 4, is not SBML and is not read",
        "<z> of http://y.z, line 8, is not SBML and is not read",
    )


def test_constraints_are_told() -> None:
    constraint = f"<listOfConstraints><constraint>{mathml('<apply><gt/><ci>a</ci><cn>1</cn></apply>')}</constraint></listOfConstraints>"
    assert load(sbml(parameters(a=3) + constraint)).notes == (
        "1 constraint is not watched while the model is solved (line 6)",
    )


def test_annotations_and_notes_are_no_remark() -> None:
    beside = '<notes><p xmlns="http://www.w3.org/1999/xhtml">so</p></notes><annotation><x xmlns="http://x.y"><cn>1,5</cn></x></annotation>'
    assert load(sbml(beside + parameters(a=3))).notes == ()


def test_a_delay_in_a_time_unit_of_its_own_is_refused() -> None:
    text = (
        '<?xml version="1.0"?><sbml xmlns="http://www.sbml.org/sbml/level2" level="2" version="1"><model id="m">'
        '<listOfUnitDefinitions><unitDefinition id="minute"><listOfUnits><unit kind="second" multiplier="60"/></listOfUnits></unitDefinition></listOfUnitDefinitions>'
        '<listOfParameters><parameter id="a" value="3" constant="false"/></listOfParameters><listOfEvents><event id="E" timeUnits="minute">'
        f"<trigger>{mathml('<apply><gt/><ci>a</ci><cn>9</cn></apply>')}</trigger><delay>{mathml('<cn>2</cn>')}</delay><listOfEventAssignments>"
        f'<eventAssignment variable="a">{mathml("<cn>1</cn>")}</eventAssignment></listOfEventAssignments></event></listOfEvents></model></sbml>'
    )  # fmt: skip
    with pytest.raises(InputError, match="time unit of its own"):
        load(text)


def test_every_formula_counts_or_is_refused() -> None:
    """Attributes and elements that SBML does not know are no silent comments."""
    for wrong in (
        '<listOfParameters><parameter id="a" valu="3" constant="true"/></listOfParameters>',
        '<listOfParameter><parameter id="a" value="3" constant="true"/></listOfParameter>',
        '<listOfParameters><Parameter id="a" value="3" constant="true"/></listOfParameters>',
        '<listOfParameters><parameter id="a" value="3" constant="maybe"/></listOfParameters>',
        '<listOfParameters xmlns="http://x.y"><parameter id="a" value="3" constant="true"/></listOfParameters>',
        parameters(a=3) + parameters(b=3),
        parameters(a=3) + "some text",
        parameters(a=3, b=1) + f"<listOfRules>{assign('b', '<ci>a</ci>')}{assign('b', '<cn>2</cn>')}</listOfRules>",
        parameters(a=3, b=1) + f"<listOfRules>{assign('b', '<ci>a</ci><ci>a</ci>')}</listOfRules>",
        parameters(a=3) + "<listOfRules><assignmentRule variable='nowhere'><math/></assignmentRule></listOfRules>",
    ):
        try:
            system = load(sbml(wrong))
        except InputError:
            continue
        assert system.notes, wrong
