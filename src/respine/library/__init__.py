"""The science as data: models, numbers, drugs, scales, people, studies and evidence, read as files. Imports no other room.

``Library`` is a value that is handed down; ``BUILT_IN`` is what respine ships. ``names``, ``path``, ``text``, ``rows`` and
``references`` of this module are those of ``BUILT_IN``.
"""

from respine.library.library import KINDS, ROOT, Library, Row, parse_rows

BUILT_IN = Library()
names, path, text, rows, references = (
    BUILT_IN.names,
    BUILT_IN.path,
    BUILT_IN.text,
    BUILT_IN.rows,
    BUILT_IN.references,
)

__all__ = [
    "BUILT_IN",
    "KINDS",
    "ROOT",
    "Library",
    "Row",
    "names",
    "parse_rows",
    "path",
    "references",
    "rows",
    "text",
]
