"""What a page opens with: a scene of the library, or the scene made of a study, a run folder or an own model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respine import model
from respine import study as studies
from respine.errors import InputError, Problem
from respine.files import units, yaml_file
from respine.library import BUILT_IN, Library
from respine.protocol import Protocol, resolve
from respine.study.schema import Study

SCHEMA = "respine/scene/1"
MOST_OUTPUTS = 14  # panels of a model that says nothing of what matters in it
MODEL_ENDINGS = (".xml", ".sbml", ".ant")

CHAIN = (
    "plasma_ketamine", "nmdar_occupancy", "sert_occupancy", "serotonin", "glutamate", "bdnf_mrna", "bdnf_release", "trkb",
    "mtorc1", "spine_total", "spine_head_size", "dendrite_arbor", "synapse_number", "circuit", "pain_felt", "symptom",
)  # fmt: skip
"""From dose to score: what a study of the library's models shows where it does not say, in this order."""


@dataclass(frozen=True)
class Scene:
    """A study with the question it answers and what of the model is drawn.

    ``chain`` and ``side_effects`` name outputs, ``scales`` scales, ``look_at`` the outputs that matter most; ``begin`` and
    ``cursor`` are hours: where the plots begin and where the time cursor stands at first.
    """

    name: str
    title: str
    question: str
    study: Study
    chain: tuple[str, ...]
    scales: tuple[str, ...] = ()
    side_effects: tuple[str, ...] = ()
    look_at: tuple[str, ...] = ()
    begin: float | None = None
    cursor: float | None = None
    tries: tuple[str, ...] = ()


def names(library: Library = BUILT_IN) -> list[str]:
    """Names of the library's scenes."""
    return library.names("scenes")


def scene_of(source: Any, library: Library = BUILT_IN) -> Scene:
    """The scene behind a name of the library, a study (value, name or file), a run folder, or a model file.

    Raises InputError for something that is none of these, or for a mistake in it.
    """
    if isinstance(source, Scene):
        return source
    if isinstance(source, Study):
        return of_study(source)
    text = str(source)
    if text in names(library):
        return read(library, text)
    path = Path(text).expanduser()
    if path.is_dir():
        return of_run(path)
    if path.suffix.lower() in MODEL_ENDINGS:
        return of_model(path)
    try:
        return of_study(studies.load(source))
    except InputError as mistake:
        if path.exists() or text in library.names("studies"):
            raise
        why = "This is no scene, study, run folder or model file."
        cure = f"Scenes are {', '.join(names(library))}; `respine studies` lists the studies."
        raise InputError(Problem("page", "what", text, why, cure)) from mistake


def read(library: Library, name: str) -> Scene:
    """A scene of the library. Raises InputError with the mistakes of its file."""
    doc = yaml_file.read(library.path("scenes", name), "scene")
    data: dict[str, Any] = dict(doc.data)
    for key in ("name", "title", "question", "study", "chain"):
        if not data.get(key):
            doc.problem((key,), f'The field "{key}" is missing.', f'Add "{key}: ...".')
    doc.check()
    study = Study.model_validate(data["study"])

    def named(key: str) -> tuple[str, ...]:
        return tuple(data.get(key) or ())

    def hours(key: str) -> float | None:
        return None if data.get(key) is None else units.hours(data[key])

    return Scene(
        data["name"], data["title"], data["question"], study, named("chain"), named("scales"), named("side_effects"),
        named("look_at"), hours("begin"), hours("cursor"), named("try"),
    )  # fmt: skip


def of_study(study: Study) -> Scene:
    """A study as a scene: what it records, or what of the chain its model has."""
    protocol = resolve(study)
    chain, side = _outputs(protocol)
    own = [name for name in study.observe if protocol.is_scale(name)]
    scales = tuple(dict.fromkeys(protocol.scale(name).name for name in own))
    shown = tuple(name for name in scales if protocol.scale(name).rule in ("severity", "relative"))
    return Scene(study.name, study.title, study.title, study, chain, shown, side, chain[-3:])


def of_run(folder: Path) -> Scene:
    """The study of a finished run. Raises InputError where the folder holds no run."""
    from respine import run

    return of_study(run.load(folder).study)


def of_model(file: Path) -> Scene:
    """An own model: its states over time, with doses straight into them. Raises InputError for a model that cannot be used."""
    system = model.load(file)
    outputs = tuple(system.states)[:MOST_OUTPUTS]
    study = Study.model_validate({
        "schema": "respine/study/1", "name": "own-model", "title": f"The model {system.name}", "model": str(file.resolve()),
        "subjects": 1, "seed": 1, "arms": {"as written": {}}, "visits": ["0 h", "48 h"], "record": list(outputs),
        "people": [{"id": "1"}],
    })  # fmt: skip
    return Scene("own-model", f"The model {system.name}", "What does this model do when something is put into it?",
                 study, outputs, (), (), outputs[-3:])  # fmt: skip


def _outputs(protocol: Protocol) -> tuple[tuple[str, ...], tuple[str, ...]]:
    study, known = protocol.study, protocol.symbols
    side = tuple(name for name in ("cadss_drive", "systolic_pressure_rise", "sedation") if name in known)
    recorded = tuple(name for name in study.record if name in known)
    chosen = recorded if len(recorded) > 2 else tuple(name for name in CHAIN if name in known)
    return (chosen or recorded or protocol.system.states[:MOST_OUTPUTS]), side
