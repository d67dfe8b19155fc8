"""A small library of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from respine import library

VARIABLES = "id,role,unit,start,label,source,note\n"
PARAMETERS = "id,value,unit,low,high,distribution,variability,status,source,where,population,note\n"

# one-compartment oral absorption: an amount in the gut (mg), an amount in the body (mg), a level (mg/L)
ABSORPTION = """// a dose leaves the gut, reaches the body, is cleared
  body_level := body / distribution_volume;   // what is measured
  absorption := ka * gut
                * (1 - block);
  gut'  = -absorption;
  body' = absorption
          - clearance * body_level;
"""
ABSORPTION_VARIABLES = (
    VARIABLES
    + """gut,state,mg,0,Amount in the gut,smith-2001,
body,state,mg,0,Amount in the body,smith-2001,
body_level,rule,mg/L,,Plasma level,smith-2001,
absorption,rule,mg/h,,Absorption,,
block,input,1,0,Absorption blocked,,fraction
"""
)
ABSORPTION_PARAMETERS = (
    PARAMETERS
    + """ka,1.5,1/h,1,2,lognormal,0.3,literature,smith-2001,Table 2,adults,
distribution_volume,20,L,15,30,lognormal,0.2,derived,smith-2001,Table 2,adults,
clearance,4,L/h,,,fixed,,assumed,,,,round number
"""
)


class Home:
    """A library folder a test may write and break."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.library = library.Library((root,))
        for kind in library.KINDS:
            (root / kind).mkdir()
        self.write("references.bib", "@article{smith-2001,\n  title = {A study},\n}\n")
        self.write(
            "models/oral.yaml", "title: Oral dose\nspecies: human\nmodules: [absorption]\nparameters: [absorption]\n"
        )
        self.write("modules/absorption.ant", ABSORPTION)
        self.write("variables/absorption.csv", ABSORPTION_VARIABLES)
        self.write("parameters/absorption.csv", ABSORPTION_PARAMETERS)

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text, encoding="utf-8")

    def change(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    root = tmp_path / "library"
    root.mkdir()
    monkeypatch.setattr("respine.library.library.ROOT", root)  # its files are called library/... in messages
    monkeypatch.setenv("RESPINE_CACHE", str(tmp_path / "cache"))
    return Home(root)
