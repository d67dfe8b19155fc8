"""Study files of the first schema load as they are: twenty of the library of that time, and one with every other field."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from respine import study
from respine.protocol import resolve
from respine.trial import of_study

FILES = sorted((Path(__file__).parent / "first_schema").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_of_the_first_schema_loads(file: Path) -> None:
    written = YAML(typ="safe").load(file.read_text())
    loaded = study.load(file)
    resolve(loaded, loaded.library)
    assert loaded.name == file.stem and list(loaded.arms) == list(written["arms"])
    words = {entry["name"]: entry.get("analysis", "none") for entry in written.get("endpoints", [])}
    assert {endpoint.name: endpoint.analysis for endpoint in of_study(loaded)} == words


def test_they_name_every_analysis() -> None:
    words = {endpoint.analysis for file in FILES for endpoint in study.load(file).endpoints}
    assert words == {"none", "observed", "locf", "ancova", "mmrm"}
