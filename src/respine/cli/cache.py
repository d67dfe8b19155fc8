"""`respine cache`: what is kept between runs, and how to make it smaller."""

from __future__ import annotations

import re

import typer

from respine.cli.errors import report_errors

_TRIM = typer.Option(
    None,
    "--trim",
    metavar="SIZE|AGE",
    help="Remove what was used longest ago down to a size (500MB), or what is older than an age (30d).",
)
_CLEAR = typer.Option(False, "--clear", help="Remove everything.")
_JSON = typer.Option(False, "--json", help="Print JSON on stdout, everything else on stderr.")
_SIZES = {"KB": 1e3, "MB": 1e6, "GB": 1e9}


@report_errors
def cache(trim: str | None = _TRIM, clear: bool = _CLEAR, json: bool = _JSON) -> None:
    """Show the cache of compiled code, checked systems and evidence, or trim it. Nothing in it is needed: it is made again."""
    from respine.cli.screen import Screen, columns, print_json
    from respine.files import store

    screen, removed = Screen(as_json=json), []
    if clear or trim:
        size, age = (0.0, None) if clear else limits(trim or "")
        removed = store.trim_cache(size, age)
    kinds: dict[str, list[int]] = {}
    for file in store.cached():
        kinds.setdefault(file.kind, []).append(file.size)
    rows = {kind: {"files": len(sizes), "mb": round(sum(sizes) / 1e6, 2)} for kind, sizes in sorted(kinds.items())}
    if json:
        print_json({"folder": str(store.cache_folder()), "kinds": rows, "removed": len(removed)})
        return
    screen.say(str(store.cache_folder()))
    if trim or clear:
        screen.say(f" {len(removed)} files removed ({sum(file.size for file in removed) / 1e6:.1f} MB)")
    cells = [[kind, str(row["files"]), f"{row['mb']:.1f} MB"] for kind, row in rows.items()]
    screen.say(columns(cells, header=("kind", "files", "size"), right=(1, 2)) if cells else " empty")


def limits(text: str) -> tuple[float | None, float | None]:
    """Bytes to keep, or seconds to keep files for, from ``500MB`` or ``30d``. Raises InputError."""
    from respine.errors import InputError, argument

    size = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(KB|MB|GB)\s*", text, re.IGNORECASE)
    age = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(h|d)\s*", text)
    if size:
        return float(size.group(1)) * _SIZES[size.group(2).upper()], None
    if age:
        return None, float(age.group(1)) * {"h": 3600.0, "d": 86400.0}[age.group(2)]
    raise InputError(argument("trim", text, "This is neither a size nor an age.", "Write --trim 500MB or --trim 30d."))
