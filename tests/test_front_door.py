"""The front door: light, typed, complete, and calm about mistakes."""

from __future__ import annotations

import ast
import pydoc
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import respine

VERBS = ("load_study", "load_model", "read_nonmem", "simulate", "solve", "compile", "compare", "load_results")
SCRIPT = """
import numpy as np

import respine as rs

study: rs.Study = rs.load_study("murrough-2013").replace(subjects=20)
study = study.arm("ketamine").replace(note="changed").set("k_spine_mature", 0.004)
protocol: rs.Protocol = rs.resolve(study)
identity: str = protocol.fingerprint
results: rs.Results = rs.simulate(protocol, "runs/one", threads=1)
again: rs.Results = rs.load_results("runs/one")
system: rs.System = rs.load_model("human")
doses = rs.Schedule(1)
doses.dose("s_ketamine_central", time=0.0, amount=17.5)
solution: rs.Solution = rs.solve(system, ["plasma_ketamine"], np.linspace(0.0, 4.0, 9), doses)
solver: rs.Solver = rs.compile(system, outputs=["plasma_ketamine"])
library: rs.Library = rs.library.BUILT_IN.with_values({"k_spine_mature": 0.004})
try:
    rs.load_study("no such study")
except rs.InputError as error:
    for problem in error.problems:
        print(problem.where, problem.field, problem.why, problem.cure)
figure, table = results.plot(["plasma_ketamine"])
figure.savefig("chain.png")
first = table["median"].iloc[0]
own = rs.read_nonmem("data.csv", compartments={1: "s_ketamine_central"}, covariates={"WT": "weight_kg"})
print(rs.compare(results, again), own, first, rs.Arm(label="by hand"))
"""


@pytest.mark.parametrize("name", dir(respine))
def test_every_name_of_the_door_is_there(name: str) -> None:
    thing = getattr(respine, name)
    assert thing.__doc__, f"{name} says nothing of itself"


def test_the_verbs_are_functions_and_no_module_is_called() -> None:
    for verb in VERBS:
        assert isinstance(getattr(respine, verb), types.FunctionType), verb
    __import__("respine.protocol"), __import__("respine.run")
    assert isinstance(respine.simulate, types.FunctionType)


def test_every_room_can_be_named() -> None:
    house = Path(respine.__file__).parent
    rooms = {file.parent.name for file in house.glob("*/__init__.py")}
    for room in rooms:
        assert isinstance(getattr(respine, room), types.ModuleType), room
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = respine.nothing  # type: ignore[attr-defined]


def test_help_fits_two_screens() -> None:
    text = pydoc.plain(pydoc.render_doc(respine))
    assert text.count("\n") <= 100


def test_the_import_is_light() -> None:
    code = "import sys, respine; print(len([m for m in sys.modules if m.split('.')[0] in ('numpy', 'pandas', 'numba', 'pydantic')]))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "0"


@pytest.mark.slow
def test_a_users_script_passes_the_strict_type_checker(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(tmp_path / "script.py")]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert told.returncode == 0, told.stdout
    (tmp_path / "script.py").write_text(SCRIPT.replace("threads=1", "threads='two'"))
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "arg-type" in told.stdout, "types are lost at the door"


def test_the_script_is_python_and_names_what_there_is() -> None:
    ast.parse(SCRIPT)
    for name in set(re.findall(r"\brs\.(\w+)", SCRIPT)):
        assert hasattr(respine, name), name


def test_a_mistake_in_a_notebook_is_its_message() -> None:
    with pytest.raises(respine.InputError) as caught:
        respine.load_study("murrough-2031")
    (shown,) = caught.value._render_traceback_()
    assert "murrough-2013" in shown and "Traceback" not in shown


def test_errors_name_arguments_and_the_command_line_its_flags(tmp_path: Path) -> None:
    from respine.cli.errors import FLAGS

    (tmp_path / "file").write_text("")
    with pytest.raises(respine.InputError) as caught:
        respine.simulate("murrough-2013", tmp_path / "file", subjects=2)
    assert "--out" not in str(caught.value) and "folder" in str(caught.value)
    assert "--out" in caught.value.told(FLAGS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subjects": 0}, "at least 1"),
        ({"seed": -1}, "at least 0"),
        ({"visits": ["24"]}, "no unit"),
        ({"arms": {}}, "at least one entry"),
        ({"design": "paralel"}, "Did you mean"),
        ({"subject": 3}, "subjects"),
    ],
)
def test_a_study_made_in_python_is_refused_with_field_and_line(change: dict, words: str) -> None:
    with pytest.raises(respine.InputError, match=words) as caught:
        respine.load_study("murrough-2013").replace(**change)
    assert re.match(r"test_front_door\.py:\d+$", caught.value.problems[0].where)


def test_an_overlay_that_names_an_unknown_id_is_refused() -> None:
    with pytest.raises(respine.InputError, match="k_spine_mature"):
        respine.library.BUILT_IN.with_values({"k_spine_matur": 1.0})
    with pytest.raises(respine.InputError, match="no such folder"):
        respine.library.BUILT_IN.overlay("/no/such/folder")
