"""The one offline HTML page: every table and drawing with what it says in words, and the numbers to take away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from respine import report
from respine.credibility import page_tables, structure, text
from respine.credibility.drawings import drawings
from respine.credibility.tables import Shown, csv, file_name
from respine.errors import InputError, Problem
from respine.files import store
from respine.files.html import page_bytes
from respine.library import BUILT_IN
from respine.protocol.protocol import CODE
from respine.report import theme
from respine.run import manifest

if TYPE_CHECKING:
    from respine.credibility.assess import Assessment

MARK = '<meta name="generator" content="respine credibility">'
NAME = "respine-credibility.html"


def place_for(out: str | Path | None) -> Path:
    """Where the page goes, before any work is done for it. Raises InputError for a place it must not or cannot go to."""
    path = Path(out if out is not None else NAME)
    why = cure = ""
    if path.suffix.lower() not in (".html", ".htm"):
        why, cure = "The page is an HTML file.", "Write a name that ends in .html."
    elif path.is_dir():
        why, cure = "This is a folder.", f"Write {path / NAME}."
    elif not path.parent.is_dir():
        why, cure = "The folder of this file does not exist.", f"Make {path.parent} first, or write another place."
    elif path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace")[:4000]:
        why = "A file of this name exists and is no credibility report; it would be lost."
        cure = "Write another name with --out, or move the file away."
    if why:
        raise InputError(Problem("command line", "--out", str(path), why, cure))
    return path


def write(assessment: Assessment, out: str | Path | None = None) -> Path:
    """Write the page in one step; returns its path. Raises InputError as ``place_for`` does, OSError."""
    path = place_for(out)
    store.write_bytes(path, page_bytes(html(assessment)))
    return path


def html(assessment: Assessment) -> str:
    """The page as text; it asks nothing of any network, and the same findings give the same text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("respine.credibility"), autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    style = Path(report.__file__).parent / "templates" / "style.css"
    data = assessment.question.data
    return environment.get_template("credibility.html.j2").render(
        mark=MARK, style=style.read_text(encoding="utf-8"), words=data, facts=assessment.facts,
        summary=text.summary(assessment), criteria=text.criteria(assessment), risks=data["uses"],
        equations=structure.equations(assessment.system), model=assessment.system.name,
        tables=_tables(assessment), plots={plot["name"]: plot for plot in _plots(assessment)},
        says=text.sentences(assessment), how=text.how_to_qualify(), versions=_versions(assessment),
        blind=text.not_informed(assessment), weakest=text.weakest(assessment),
    )  # fmt: skip


def _versions(assessment: Assessment) -> list[tuple[str, str]]:
    o = assessment.options
    command = f"respine credibility{' --quick' if o.quick else ''} --subjects {o.subjects} --draws {o.vectors} --seed {o.seed}"
    facts = [("command", command)]
    facts += [("science (SHA-256 of the library)", BUILT_IN.fingerprint(without=("studies",)))]
    facts += [("code", store.code_fingerprint(*CODE))]
    return facts + [(name, version) for name, version in manifest.versions().items()]


def _tables(assessment: Assessment) -> Mapping[str, Shown]:
    return {table.name: table for table in page_tables.tables(assessment)}


def _plots(assessment: Assessment) -> list[dict[str, Any]]:
    made = []
    for name, title, caption, figure, table in drawings(assessment):
        svg = theme.svg(figure, name, title, f"{caption} The numbers can be saved as a table below the plot.")
        made.append({"name": name, "title": title, "caption": caption, "svg": svg,
                     "file": file_name(f"plot-{name}"), "data": csv(table), "length": len(table)})  # fmt: skip
    return made
