"""COMBINE archives: a model in SBML with a simulation in SED-ML, written and read.

SED-ML Level 1 Version 3, one uniform time course; OMEX: doi:10.1186/s12859-014-0369-z.
"""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from respine.errors import InputError, Problem

_OMEX = "http://identifiers.org/combine.specifications/omex"
_MANIFEST = "http://identifiers.org/combine.specifications/omex-manifest"
_SBML = "http://identifiers.org/combine.specifications/sbml.level-3.version-2"
_SEDML = "http://identifiers.org/combine.specifications/sed-ml.level-1.version-3"
_SED = "http://sed-ml.org/sed-ml/level1/version3"
_LARGEST = 256 * 2**20  # bytes of an archive's model, unpacked
_MOST_FILES = 10_000


def archive(sbml: str, outputs: Sequence[str], until: float, points: int, name: str) -> bytes:
    """An archive of one model and one time course from 0 to ``until`` in ``points`` steps, with a report and a plot."""
    files = {
        "manifest.xml": _manifest(),
        "model.xml": sbml,
        "simulation.sedml": sed_ml(outputs, until, points, name),
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as out:
        for file, text in files.items():
            out.writestr(zipfile.ZipInfo(file, (2000, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _manifest() -> str:
    root = ElementTree.Element("omexManifest", xmlns=_MANIFEST)
    for location, kind, master in ((".", _OMEX, ""), ("./manifest.xml", _MANIFEST, ""), ("./model.xml", _SBML, ""),
                                   ("./simulation.sedml", _SEDML, "true")):  # fmt: skip
        facts = {"location": location, "format": kind} | ({"master": master} if master else {})
        ElementTree.SubElement(root, "content", facts)
    return _text(root)


def sed_ml(outputs: Sequence[str], until: float, points: int, name: str) -> str:
    """SED-ML text: one uniform time course by CVODE (KISAO:0000019), with what it gives as a report."""
    root = ElementTree.Element("sedML", xmlns=_SED, level="1", version="3")
    root.set("xmlns:sbml", "http://www.sbml.org/sbml/level3/version2/core")
    simulations = ElementTree.SubElement(root, "listOfSimulations")
    course = ElementTree.SubElement(simulations, "uniformTimeCourse", {
        "id": "course", "initialTime": "0", "outputStartTime": "0", "outputEndTime": repr(float(until)),
        "numberOfPoints": str(points),
    })  # fmt: skip
    algorithm = ElementTree.SubElement(course, "algorithm", kisaoID="KISAO:0000019")
    settings = ElementTree.SubElement(algorithm, "listOfAlgorithmParameters")
    for kind, value in (("KISAO:0000209", "1e-9"), ("KISAO:0000211", "1e-12")):  # relative and absolute tolerance
        ElementTree.SubElement(settings, "algorithmParameter", kisaoID=kind, value=value)
    models = ElementTree.SubElement(root, "listOfModels")
    ElementTree.SubElement(
        models, "model", id="model", name=name, language="urn:sedml:language:sbml", source="model.xml"
    )
    tasks = ElementTree.SubElement(root, "listOfTasks")
    ElementTree.SubElement(tasks, "task", id="task", modelReference="model", simulationReference="course")
    generators = ElementTree.SubElement(root, "listOfDataGenerators")
    report = ElementTree.Element("report", id="report", name=name)
    sets = ElementTree.SubElement(report, "listOfDataSets")
    for k, output in enumerate(["time", *outputs]):
        where = {"symbol": "urn:sedml:symbol:time"} if k == 0 else {
            "target": f"/sbml:sbml/sbml:model/sbml:listOfParameters/sbml:parameter[@id='{output}']"}  # fmt: skip
        made = ElementTree.SubElement(generators, "dataGenerator", id=f"data_{k}", name=output)
        variables = ElementTree.SubElement(made, "listOfVariables")
        ElementTree.SubElement(variables, "variable", {"id": f"v_{k}", "taskReference": "task", **where})
        math = ElementTree.SubElement(made, "math", xmlns="http://www.w3.org/1998/Math/MathML")
        ElementTree.SubElement(math, "ci").text = f"v_{k}"
        ElementTree.SubElement(sets, "dataSet", id=f"set_{k}", label=output, dataReference=f"data_{k}")
    ElementTree.SubElement(root, "listOfOutputs").append(report)
    return _text(root)


def _text(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def model_in(path: Path) -> bytes:
    """The SBML document of an archive: what the manifest calls SBML, the first where there are several.

    Nothing is unpacked to the disk. Raises InputError for what is no archive, or not one with a model, or is a bomb.
    """
    try:
        with zipfile.ZipFile(path) as held:
            infos = held.infolist()
            if len(infos) > _MOST_FILES:
                raise _refused(path, f"it holds {len(infos):,} files.")
            for info in infos:
                if PurePosixPath(info.filename.replace("\\", "/")).is_absolute() or ".." in Path(info.filename).parts:
                    raise _refused(path, f"it holds a file outside itself ({info.filename[:80]}).")
            name = _sbml_name(path, held, {info.filename for info in infos})
            if held.getinfo(name).file_size > _LARGEST:
                raise _refused(path, f"its model, unpacked, is larger than {_LARGEST >> 20} MB.")
            with held.open(name) as file:
                data = file.read(_LARGEST + 1)
    except (zipfile.BadZipFile, KeyError, OSError, NotImplementedError, RuntimeError, EOFError, ValueError,
            zlib.error, lzma.LZMAError) as error:  # fmt: skip
        if isinstance(error, InputError):
            raise
        raise _refused(path, f"it cannot be read as an archive: {error}") from None
    if len(data) > _LARGEST:
        raise _refused(path, f"its model, unpacked, is larger than {_LARGEST >> 20} MB.")
    return data


def _sbml_name(path: Path, held: zipfile.ZipFile, names: set[str]) -> str:
    """By the manifest where there is one, else the only XML file."""
    if "manifest.xml" in names and held.getinfo("manifest.xml").file_size < 2**20:
        text = held.read("manifest.xml")
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise _refused(path, "its manifest declares a document type of its own.")
        try:
            contents = ElementTree.fromstring(text)
        except ElementTree.ParseError:
            raise _refused(path, "its manifest is no XML.") from None
        for content in contents:
            location = str(content.get("location", "")).removeprefix("./")
            if "sbml" in str(content.get("format", "")).lower() and location in names:
                return location
    plain = sorted(n for n in names if n.lower().endswith((".xml", ".sbml")) and n != "manifest.xml")
    if len(plain) != 1:
        raise _refused(path, "its manifest names no SBML model.")
    return plain[0]


def _refused(path: Path, why: str) -> InputError:
    return InputError(Problem(path.name, "archive", "", why, "Give a COMBINE archive with one SBML model."))
