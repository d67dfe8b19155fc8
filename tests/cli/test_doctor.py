"""The doctor: one line a finding, a cure for every problem, exit code 1 if there is one."""

import json

import pytest

from respine.cli import doctor

from .conftest import Respine


def test_this_machine_is_well(respine: Respine) -> None:
    result = respine("doctor", "--json")
    answer = {check["what"]: check for check in json.loads(result.stdout)}
    assert {
        "Python",
        "numpy",
        "ruamel.yaml",
        "python-libsbml",
        "processor",
        "engine",
        "cache folder",
        "disk",
        "library",
    } <= {name.replace("ruamel-yaml", "ruamel.yaml") for name in answer}
    assert [value for value in answer.values() if not value["ok"]] == []
    assert result.exit_code == 0


def test_a_problem_comes_with_its_cure(respine: Respine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> tuple[bool, str]:
        raise PermissionError(13, "Permission denied", "/nowhere")

    monkeypatch.setattr(doctor, "_LOOKS", (("cache folder", broken, "point RESPINE_CACHE elsewhere"),))
    result = respine("doctor")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if "cache folder" in line)
    assert lines[at].startswith("problem") and "Permission denied" in lines[at]
    assert lines[at + 1].strip() == "-> point RESPINE_CACHE elsewhere"
    assert lines[-1] == "1 problem."


@pytest.mark.parametrize(
    ("required", "ok", "cure"),
    [
        ("numpy>=2.0", True, ""),
        ("numpy>=99.0", False, "pip install -U 'numpy>=99.0'"),
        ("not-a-package-at-all>=1.0", False, "pip install 'not-a-package-at-all>=1.0'"),
    ],
)
def test_packages(monkeypatch: pytest.MonkeyPatch, required: str, ok: bool, cure: str) -> None:
    monkeypatch.setattr("importlib.metadata.requires", lambda name: [required, 'pytest>=8; extra == "test"'])
    (result,) = doctor._packages()
    assert (result.ok, result.cure) == (ok, cure)


def test_a_wrong_answer_of_the_engine_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    monkeypatch.setattr(np, "exp", lambda x: np.cosh(x))  # the known answer is made wrong instead of the engine
    assert doctor._engine()[0] is False
