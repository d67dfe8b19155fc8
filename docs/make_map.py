"""Writes the map of the code in docs/map.md from the first line of every file: ``python docs/make_map.py``."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "respine"
# the order in which a dose becomes a result; a room that is new stands at the end until it is put in its place
ROOMS = [
    *("library", "files", "model", "engine", "population", "study", "protocol", "trial", "published", "run"),
    *("fit", "evidence", "interop", "qualify", "report", "credibility", "web", "cli"),
]
BEGIN, END = "<!-- map: made by docs/make_map.py -->", "<!-- end of map -->"


def first_line(file: Path) -> str:
    """First line of a file's docstring, without its full stop."""
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring.split("\n\n")[0].replace("\n", " ").strip().rstrip(".")


def table(files: list[Path]) -> list[str]:
    """One row a file."""
    rows = [
        f"| `{file.relative_to(SOURCE).as_posix()}` | {first_line(file).replace('|', chr(92) + '|')} |"
        for file in files
    ]
    return ["| file | what it does |", "|---|---|", *rows, ""]


def code_map() -> str:
    """The whole map as Markdown."""
    rooms = sorted({file.parent.name for file in SOURCE.glob("*/*.py")}, key=lambda r: [*ROOMS, r].index(r))
    lines = ["## Top", "", *table(sorted(SOURCE.glob("*.py")))]
    for room in rooms:
        files = sorted((SOURCE / room).rglob("*.py"))
        # the door of a room is named even where it only gathers names
        lines += [f"## {room}/", "", *table([f for f in files if f.name != "__init__.py" or first_line(f)])]
    return "\n".join(lines)


def main() -> None:
    """Replace the map between its two marks."""
    file = ROOT / "docs" / "map.md"
    head, _, rest = file.read_text(encoding="utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    file.write_text(f"{head}{BEGIN}\n\n{code_map()}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
