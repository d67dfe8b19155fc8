"""Files that are meant to do harm, or are no models at all: one clear refusal each, at once, and the process lives on."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from respine.errors import InputError
from respine.model import Limits, load, load_sbml

from .documents import assign, at_start, parameters, rate, rules, sbml

LIMIT_S = 20


def refusal(source: str | Path, **options: Limits) -> InputError:
    begun = time.perf_counter()
    with pytest.raises(InputError) as caught:
        load(source, **options)  # type: ignore[arg-type]
    assert time.perf_counter() - begun < LIMIT_S
    assert all(p.why and p.cure for p in caught.value.problems)
    return caught.value


def number(content: str) -> str:
    return sbml(parameters(a=None) + "\n" + rules(assign("a", content)))


# -- XML that unfolds, includes, or nests --------------------------------------------------------------------------------

LAUGHS = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10}">' for k in range(1, 12))
DECLARED = {
    "billion laughs": f'<!DOCTYPE s [<!ENTITY l0 "ha">{LAUGHS}]>\n<sbml>&l11;</sbml>',
    "quadratic": f'<!DOCTYPE s [<!ENTITY a "{"x" * 100_000}">]>\n<sbml>{"&a;" * 1000}</sbml>',
    "a file": '<!DOCTYPE s [<!ENTITY f SYSTEM "file:///etc/passwd">]>\n<sbml>&f;</sbml>',
    "a parameter entity": '<!DOCTYPE s [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x">%p;]>\n<sbml/>',
    "the net": '<!DOCTYPE s SYSTEM "http://127.0.0.1:1/x.dtd">\n<sbml/>',
    "a circle": '<!DOCTYPE s [<!ENTITY a "&b;"><!ENTITY b "&a;">]>\n<sbml>&a;</sbml>',
    "no entity at all": "<!DOCTYPE sbml>\n<sbml/>",
    "attributes": '<!DOCTYPE s [<!ATTLIST parameter value CDATA "3">]>\n<sbml/>',
    "after the head": '<?xml version="1.0"?>\n<!-- so -->\n<!DOCTYPE s []>\n<sbml/>',
    "long": f"<!DOCTYPE {'s' * 100_000}>\n<sbml/>",
}


@pytest.mark.parametrize("case", DECLARED)
def test_a_document_type_is_refused_before_anything_unfolds(case: str) -> None:
    (problem,) = refusal(DECLARED[case]).problems
    assert (
        "document type declaration" in problem.why
        and problem.where.startswith("SBML text:")
        and len(str(problem)) < 1000
    )


NESTED = {
    "functions": lambda n: number("<apply><sin/>" * n + "<cn>1</cn>" + "</apply>" * n),
    "sums": lambda n: number("<apply><plus/><cn>1</cn>" * n + "<cn>1</cn>" + "</apply>" * n),
    "piecewise": lambda n: number("<piecewise><otherwise>" * n + "<cn>1</cn>" + "</otherwise></piecewise>" * n),
    "rate of rate": lambda n: number('<apply><csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/rateOf">r</csymbol>' * n + "<ci>a</ci>" + "</apply>" * n),
    "lambda": lambda n: number("<lambda>" * n + "<cn>1</cn>" + "</lambda>" * n),
    "notes": lambda n: sbml(f'<notes>{"<p xmlns=" + chr(34) + "http://www.w3.org/1999/xhtml" + chr(34) + ">"}{"<b>" * n}{"</b>" * n}</p></notes>' + parameters(a=1)),
    "annotation": lambda n: sbml(f"<annotation>{'<x xmlns=' + chr(34) + 'http://x.y' + chr(34) + '>' if n else ''}{'<y>' * n}{'</y>' * n}</x></annotation>" + parameters(a=1)),
    "lists": lambda n: sbml("<listOfParameters>" * n + "</listOfParameters>" * n),
    "brackets": lambda n: '<sbml xmlns="http://www.sbml.org/sbml/level1" level="1" version="2"><model name="m"><listOfParameters><parameter name="a"/></listOfParameters>'
                          f'<listOfRules><parameterRule name="a" formula="{"(" * n}1{")" * n}"/></listOfRules></model></sbml>',
    "minus": lambda n: '<sbml xmlns="http://www.sbml.org/sbml/level1" level="1" version="2"><model name="m"><listOfParameters><parameter name="a"/></listOfParameters>'
                       f'<listOfRules><parameterRule name="a" formula="{"-" * n}1"/></listOfRules></model></sbml>',
    "logic": lambda n: number("<apply><not/>" * n + "<true/>" + "</apply>" * n),
}  # fmt: skip


@pytest.mark.parametrize("kind", NESTED)
@pytest.mark.parametrize("n", [3_000, 7_000, 100_000])
def test_nesting_is_refused_or_read_and_never_kills(kind: str, n: int) -> None:
    try:
        load_sbml(NESTED[kind](n))
    except InputError as fault:
        assert len(str(fault)) < 20_000
    assert load_sbml(number("<cn>4</cn>")).name == "m"  # the next document is read as ever


@pytest.mark.parametrize("kind", ["functions", "sums"])
def test_nesting_below_the_limit_is_read(kind: str) -> None:
    assert at_start(load_sbml(NESTED[kind](400)))["a"] == pytest.approx(
        {"functions": 0.0859, "sums": 401}[kind], rel=0.01
    )


# -- size ----------------------------------------------------------------------------------------------------------------


def test_a_hundred_thousand_reactions_are_refused_by_their_number() -> None:
    reaction = '<reaction id="J{0}" reversible="false"><kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML"><cn>1</cn></math></kineticLaw></reaction>'
    text = sbml(f"<listOfReactions>{''.join(map(reaction.format, range(100_000)))}</listOfReactions>")
    assert "more than 200,000 elements" in str(refusal(text))


def test_a_large_file_is_refused_by_its_size_unread(tmp_path: Path) -> None:
    file = tmp_path / "sparse.xml"
    with file.open("wb") as out:
        out.truncate(10**11)
    assert "100000 MB" in str(refusal(file))


def test_every_limit_can_be_widened() -> None:
    text = number("<apply><sin/>" * 50 + "<cn>1</cn>" + "</apply>" * 50)
    for narrow in (Limits(depth=20), Limits(elements=20), Limits(megabytes=1e-4)):
        refusal(text, limits=narrow)
    assert load(text, limits=Limits(depth=100, elements=200)).rules


def test_five_thousand_reactions_are_read() -> None:
    reaction = '<reaction id="J{0}" reversible="false"><kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML"><cn>1</cn></math></kineticLaw></reaction>'
    text = sbml(f"<listOfReactions>{''.join(map(reaction.format, range(5_000)))}</listOfReactions>")
    assert len(load(text, limits=Limits(seconds=60)).rules) == 5_000


# -- what is no file of text ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("name", ["model.xml", "model.ant", "model"])
def test_a_pipe_is_refused_and_not_waited_for(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    assert "this is a pipe" in str(refusal(tmp_path / name))


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/urandom", "/dev/tty"])
def test_a_device_is_refused(device: str) -> None:
    if not Path(device).exists():
        pytest.skip("no such device here")
    assert "this is a device" in str(refusal(Path(device)))


def test_a_folder_and_a_socket_are_refused(tmp_path: Path) -> None:
    assert "this is a folder" in str(refusal(tmp_path))
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        assert "this is a socket" in str(refusal(tmp_path / "s"))


@pytest.mark.parametrize("name", ["no.xml", "no.ant", "a/b/c.sbml", "x" * 300 + ".xml", "\0.xml", "~nobody/m.xml"])
def test_a_file_that_is_not_there_is_told(name: str) -> None:
    assert refusal(name).problems[0].field == "file"


def test_a_link_to_nowhere_and_one_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.xml").symlink_to(tmp_path / "b.xml")
    assert "no such file" in str(refusal(tmp_path / "a.xml"))
    (tmp_path / "b.xml").symlink_to(tmp_path / "a.xml")
    assert "cannot be read" in str(refusal(tmp_path / "a.xml"))


CONTENTS = {
    "empty": b"", "blank": b" \n\t\n", "mark alone": b"\xef\xbb\xbf", "zeros": b"\0" * 10_000, "noise": bytes(range(256)) * 50,
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(100), "archive": b"PK\x03\x04" + bytes(200), "latin": "<sbml>Größe</sbml>".encode("latin-1"),
    "utf-16 mark, no text": b"\xff\xfe<", "a page": b"<html><body>404</body></html>", "two roots": b"<sbml/><sbml/>",
    "cut short": sbml(parameters(a=1)).encode()[:200], "escape": b"<sbml>\x1b[2J</sbml>", "YAML": b"schema: respine/study\nname: x\n",
    "JSON": b'{"a": 1}', "CSV": b"time,a\n0,1\n", "unknown encoding": b'<?xml version="1.0" encoding="klingon"?><sbml/>',
    "wrong encoding": b'<?xml version="1.0" encoding="UTF-16"?><sbml/>',
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".xml", ".sbml", ".ant", ".txt", ""])
@pytest.mark.parametrize("case", CONTENTS)
def test_what_is_no_model_is_told_in_one_message(case: str, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"m{suffix}"
    file.write_bytes(CONTENTS[case])
    message = str(refusal(file))
    assert "\x1b" not in message and len(message) < 2_000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-mark", "latin-1"])
def test_declared_encodings_are_read(encoding: str, tmp_path: Path) -> None:
    text = sbml('<listOfParameters><parameter id="a" name="Größe" value="3" constant="true"/></listOfParameters>')
    named = {"utf-8-sig": "UTF-8", "utf-16-le-mark": "UTF-16"}.get(encoding, encoding)
    text = text.replace('<?xml version="1.0"?>', f'<?xml version="1.0" encoding="{named}"?>')
    data = b"\xff\xfe" + text.encode("utf-16-le") if encoding == "utf-16-le-mark" else text.encode(encoding)
    (tmp_path / "m.xml").write_bytes(data)
    system = load(tmp_path / "m.xml")
    assert system.parameters == {"a": 3} and system.quantities["a"].label == "Größe"


def test_text_may_declare_any_encoding() -> None:
    for declared in ("UTF-16", "latin-1", "UTF-8"):
        text = sbml(parameters(a=1)).replace(
            '<?xml version="1.0"?>', f"<?xml version='1.0' encoding='{declared}' standalone='yes'?>"
        )
        assert load(text).parameters == {"a": 1}


# -- numbers that libSBML reads in its own way ---------------------------------------------------------------------------

FAULTY = [
    "<cn>1,5</cn>", "<cn>1 2</cn>", "<cn>0x10</cn>", "<cn>1d3</cn>", "<cn>1e999</cn>", "<cn>-1e999</cn>", "<cn>1e-999</cn>", "<cn/>", "<cn>abc</cn>",
    "<cn>١</cn>", "<cn>1_000</cn>", "<cn>1.2.3</cn>", "<cn>--1</cn>", "<cn>1e</cn>", "<cn>∞</cn>", "<cn>Infinity</cn>",
    '<cn type="integer">1.5</cn>', '<cn type="integer">1e3</cn>', '<cn type="integer">99999999999</cn>', '<cn type="integer"></cn>',
    '<cn type="integer" base="2">101</cn>', '<cn type="real" base="16">FF</cn>', '<cn type="rational">1<sep/>0</cn>',
    '<cn type="rational">1</cn>', '<cn type="rational">1.5<sep/>2</cn>', '<cn type="e-notation">1<sep/>400</cn>', '<cn type="e-notation">1</cn>',
    '<cn type="e-notation">1<sep/>1.5</cn>', '<cn type="e-notation">x<sep/>3</cn>', '<cn type="complex-polar">1<sep/>2</cn>',
]  # fmt: skip


@pytest.mark.parametrize("content", FAULTY)
def test_a_faulty_number_is_refused_by_line(content: str) -> None:
    (problem, *_) = refusal(number(content)).problems
    assert problem.where == "SBML text:7"


RIGHT = {
    "<cn> 1.5 </cn>": 1.5, "<cn>-.5e+2</cn>": -50, "<cn>5.</cn>": 5, '<cn type="integer"> -7 </cn>': -7, '<cn type="integer">3.0</cn>': 3,
    '<cn type="rational">1<sep/>4</cn>': 0.25, '<cn type="e-notation">1.5<sep/>-3</cn>': 1.5e-3, '<cn type="e-notation">1e20<sep/>3</cn>': 1e23,
    '<cn type="e-notation">12345.678e-5<sep/>7</cn>': 1234567.8, "<cn>4.9e-324</cn>": 5e-324, "<cn>1.7976931348623157e308</cn>": 1.7976931348623157e308,
    "<infinity/>": float("inf"), "<cn>0e999</cn>": 0.0,
}  # fmt: skip


@pytest.mark.parametrize("content", RIGHT)
def test_a_number_is_what_is_written(content: str) -> None:
    assert at_start(load(number(content)))["a"] == RIGHT[content]


@pytest.mark.parametrize(
    "value", ["1,5", "0x10", "1e999", "1e-999", "", " ", "1 2", "one", "1e", "٣", "++1", "1d3", "1_0", "True"]
)
@pytest.mark.parametrize("element", ["parameter", "compartment", "species", "stoichiometry", "multiplier"])
def test_a_faulty_attribute_is_refused_by_line(value: str, element: str) -> None:
    given = {
        name: f'"{value}"' if name == element else '"1"'
        for name in ("parameter", "compartment", "species", "stoichiometry", "multiplier")
    }
    text = sbml(
        f'<listOfUnitDefinitions><unitDefinition id="u"><listOfUnits><unit kind="second" exponent="1" scale="0" multiplier={given["multiplier"]}/></listOfUnits></unitDefinition></listOfUnitDefinitions>\n'
        f'<listOfCompartments><compartment id="c" size={given["compartment"]} spatialDimensions="3" constant="true"/></listOfCompartments>\n'
        f'<listOfSpecies><species id="S" compartment="c" initialAmount={given["species"]} hasOnlySubstanceUnits="true" boundaryCondition="false" constant="false"/></listOfSpecies>\n'
        f'<listOfParameters><parameter id="a" value={given["parameter"]} constant="true"/></listOfParameters>\n'
        f'<listOfReactions><reaction id="J" reversible="false"><listOfReactants><speciesReference species="S" stoichiometry={given["stoichiometry"]} constant="true"/></listOfReactants>'
        '<kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML"><ci>a</ci></math></kineticLaw></reaction></listOfReactions>'
    )  # fmt: skip
    line = {"multiplier": 4, "compartment": 5, "species": 6, "parameter": 7, "stoichiometry": 8}[element]
    assert refusal(text).problems[0].where == f"SBML text:{line}"


def test_faults_of_numbers_come_all_at_once() -> None:
    text = sbml(parameters(a="x1", b="1,5") + rules(assign("c", "<cn>0x10</cn>")))
    assert [p.where for p in refusal(text).problems] == ["SBML text:5", "SBML text:6", "SBML text:7"]


def test_thousands_of_faults_are_cut_short() -> None:
    text = sbml(
        parameters(**{f"p{k}": None for k in range(3000)})
        + rules(*(rate(f"p{k}", f"<ci>q{k}</ci>") for k in range(3000)))
    )
    fault = refusal(text)
    assert 20 <= len(fault.problems) <= 60 and "more problems are not shown" in str(fault)


# -- names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "character",
    ["&#x9b;", "&#x202e;", "&#x85;", "&#x2028;", "&#x200b;", "&#x7f;", "\u202e", "\x85", "\u2066", "&#xad;"],
)
def test_no_hidden_character_of_a_file_reaches_the_terminal(character: str) -> None:
    from respine.model import show

    name = f"evil{character}[31m"
    text = sbml(f'<listOfParameters><parameter id="a" name="{name}" value="3" constant="true"/>'
                '<parameter id="b" constant="false"/></listOfParameters>' + rules(assign("b", "<ci>a</ci>")))  # fmt: skip
    shown = show(load(text))
    assert "evil" in shown
    faulty = sbml(
        f'<listOfParameters><parameter id="a{character}" name="{name}" value="3" constant="true"/></listOfParameters>'
    )
    with pytest.raises(InputError) as caught:
        load(faulty)
    for message in (shown, str(caught.value)):
        assert all(c.isprintable() or c == "\n" for c in message)
