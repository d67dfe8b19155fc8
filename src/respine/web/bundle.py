"""ES modules of a folder joined into one script, so that a page asks nobody for a file.

The modules are written as browsers read them (``import { a } from "./b.js"``); each becomes a function that hands out
what it exports, in an order in which every module stands after those it uses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

_IMPORT = re.compile(r'^import\s*\{([^}]*)\}\s*from\s*"\./([\w./-]+)\.js";[ \t]*$', re.MULTILINE)
_EXPORT = re.compile(r"^export\s+(async\s+function\*?|function\*?|class|const|let)\s+([A-Za-z_$][\w$]*)", re.MULTILINE)


class BundleError(ValueError):
    """A module that is missing, that uses itself, or that is written in a way this joiner does not read."""


def bundle(entry: str, folders: Sequence[Path]) -> str:
    """The script of module ``entry`` and all it uses; modules are looked for in ``folders``, the first one first.

    Raises BundleError.
    """
    texts: dict[str, str] = {}
    order: list[str] = []

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise BundleError(f"modules use each other in a circle: {' -> '.join((*above, name))}")
        if name in texts:
            return
        texts[name] = _read(name, folders)
        for match in _IMPORT.finditer(texts[name]):
            visit(match[2], (*above, name))
        order.append(name)

    visit(entry, ())
    return "\n".join(_wrapped(name, texts) for name in order)


def _read(name: str, folders: Sequence[Path]) -> str:
    for folder in folders:
        file = folder / f"{name}.js"
        if file.is_file():
            return file.read_text(encoding="utf-8")
    raise BundleError(f"there is no module {name}.js in {', '.join(map(str, folders))}")


def _wrapped(name: str, texts: Mapping[str, str]) -> str:
    text = texts[name]

    def taken(match: re.Match[str]) -> str:
        names = ", ".join(part.strip().replace(" as ", ": ") for part in match[1].split(",") if part.strip())
        return f"const {{ {names} }} = {_variable(match[2])};"

    given = [match[2] for match in _EXPORT.finditer(text)]
    body = _EXPORT.sub(lambda match: f"{match[1]} {match[2]}", _IMPORT.sub(taken, text))
    left = re.search(r"^(import|export)\b.*$", body, re.MULTILINE)
    if left:
        raise BundleError(f"{name}.js: this form of import or export is not read: {left[0]}")
    return f"const {_variable(name)} = (() => {{\n{body}\nreturn {{ {', '.join(given)} }};\n}})();"


def _variable(name: str) -> str:
    return "module_" + re.sub(r"\W", "_", name)
