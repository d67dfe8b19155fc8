"""The joint recipe (``library/posterior.yaml``): the blocks whose rows count, further rows, and how the fit is carried out."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

from respine.files import yaml_file
from respine.files.suggest import nearest
from respine.fit import recipe as recipes
from respine.fit.recipe import Target, targets_of
from respine.library import BUILT_IN

SCHEMA = "respine/joint/1"
_FIELDS = ("schema", "title", "blocks", "floors", "settings", "targets")


@dataclass(frozen=True)
class Settings:
    """How it is made: at most ``jacobians`` on the way to the mode, ``draws`` after ``steps`` steps each, virtual ``people`` each
    rated ``replicates`` times.
    """

    seed: int = 1
    draws: int = 500
    people: int = 50
    replicates: int = 4
    steps: int = 5
    jacobians: int = 4


@dataclass(frozen=True)
class Joint:
    """A checked joint recipe: ``targets`` of every block under its name, those of its own under ``trials``."""

    title: str
    targets: tuple[tuple[str, Target], ...]
    settings: Settings
    digest: str


def load(path: Path | None = None) -> Joint:
    """The joint recipe of the library or of a file. Raises InputError with every mistake, among them rows not for fitting."""
    file = path or BUILT_IN.top("posterior.yaml")
    doc = yaml_file.read(file, "joint recipe")
    data = doc.data
    for name in data:
        if name not in _FIELDS:
            doc.problem((name,), "There is no such field here.", nearest(str(name), _FIELDS), seen=str(name))
    if data.get("schema") != SCHEMA:
        doc.problem(("schema",), "This is not a joint recipe of this version.", f'Write "schema: {SCHEMA}".')
    known = recipes.names()
    for k, block in enumerate(data.get("blocks") or []):
        if block not in known:
            doc.problem(("blocks", k), "There is no such block.", nearest(str(block), known), seen=str(block))
    fields = {field.name: field.type for field in dataclasses.fields(Settings)}
    for name, value in (data.get("settings") or {}).items():
        if name not in fields:
            doc.problem(
                ("settings", name), "There is no such setting.", nearest(str(name), list(fields)), seen=str(name)
            )
        elif isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            doc.problem(("settings", name), "This is not a number of zero or more.", "Write a number.", seen=str(value))
    own = [("trials", target) for target in targets_of(doc)]
    doc.check()
    floors = {str(block): float(percent) / 100 for block, percent in (data.get("floors") or {}).items()}
    blocks = [str(block) for block in data.get("blocks") or []]
    targets = [(block, target) for block in blocks for target in recipes.load(block).targets]
    targets = [(block, _floored(target, floors.get(block, 0.0))) for block, target in [*targets, *own]]
    texts = [file.read_bytes(), *(BUILT_IN.path("recipes", block).read_bytes() for block in blocks)]
    digest = hashlib.sha256(b"\0".join(texts)).hexdigest()
    return Joint(str(data.get("title", "")), tuple(targets), Settings(**(data.get("settings") or {})), digest)


def _floored(target: Target, share: float) -> Target:
    least = share * abs(target.value)
    return dataclasses.replace(target, tolerance=least) if target.tolerance < least else target
