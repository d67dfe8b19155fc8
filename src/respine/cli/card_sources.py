"""What stands behind a library file: published rows and studies that name it, and its sources in full."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from respine import library
from respine.cli.card_text import fields

_ROWS_SHOWN = 6
_EVIDENCE_TEXT = {  # where a table of evidence names a drug or an exposure
    "clinical": ("drug", "comparator", "arm"), "pk": ("quantity", "dose"), "preclinical": ("intervention", "arm"),
}  # fmt: skip


def evidence_rows(names: Sequence[str], width: int) -> str:
    """Rows of the evidence tables that name one of these."""
    either = "|".join(re.escape(name) for name in names)
    pattern = re.compile(rf"(?<![\w-])(?:{either})(?![\w-])", re.IGNORECASE)  # "ketamine" is not in "S-ketamine"
    rows = []
    for table, naming in _EVIDENCE_TEXT.items():
        if table in library.names("evidence"):
            ids = [row["id"] for row in library.rows("evidence", table)
                     if any(pattern.search(row.get(field, "")) for field in naming)]  # fmt: skip
            rows.append((table, ids))
    return row_list(rows, width)


def row_list(rows: Sequence[tuple[str, Sequence[str]]], width: int) -> str:
    """How many rows of each table, and the first of them."""
    shown = []
    for table, ids in rows:
        if ids:
            more = f" and {len(ids) - _ROWS_SHOWN} more" if len(ids) > _ROWS_SHOWN else ""
            shown.append((f"{len(ids)} of {table}.csv", ", ".join(ids[:_ROWS_SHOWN]) + more))
    return "published rows (library/evidence)\n" + fields(shown, width) if shown else ""


def studies_with(field: str, names: Sequence[str], width: int) -> str:
    """Studies of the library whose ``field`` names one of these."""
    either = "|".join(re.escape(name) for name in names)
    pattern = re.compile(rf"^[^#\n]*\b{field}: *[\"']?(?:{either})[\"']? *(?:[,}}#].*)?$", re.MULTILINE)
    return study_list((s for s in library.names("studies") if pattern.search(library.text("studies", s))), width)


def study_list(names: Iterable[str], width: int) -> str:
    return fields([("studies", ", ".join(names))], width)


def cited(keys: Sequence[str]) -> str:
    return "; ".join(citation(key) for key in keys)


def citation(key: str) -> str:
    """A source as "Author and others 2021, doi"; its key alone where the bibliography lacks it."""
    entry = _references().get(key, "")
    field = {name: _bib_field(entry, name) for name in ("author", "year", "doi", "journal")}
    if not field["author"]:
        return key
    first = field["author"].split(" and ")[0].strip()
    others = " and others" if " and " in field["author"] else ""
    place = f"doi:{field['doi']}" if field["doi"] else field["journal"]
    return ", ".join(filter(None, (f"{first}{others} {field['year']}".strip(), place, key)))


def _bib_field(entry: str, name: str) -> str:
    """The text of a field of a BibTeX entry, without its braces; empty where it has none."""
    match = re.search(rf"\b{name}\s*=\s*\{{((?:[^{{}}]|\{{[^{{}}]*\}})*)\}}", entry)
    return re.sub(r"[{}\\]", "", match[1]) if match else ""


def _references() -> dict[str, str]:
    return library.references()
