"""A control stream as a folder: ``problem.yaml`` for `respine fit`, ``data.csv``, and ``report.md`` on what was read."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respine.errors import InputError, Problem
from respine.fit.population import PopulationProblem
from respine.interop.control_stream import printed
from respine.interop.control_stream.assemble import Stream, read
from respine.interop.control_stream.compare import FINEST, Compared, compare, final_estimates


@dataclass(frozen=True)
class Imported:
    """``problem`` as it was written; ``compared`` with the table, where one was given; ``notes``; ``files``."""

    problem: PopulationProblem
    compared: tuple[Compared, ...]
    notes: tuple[str, ...]
    files: tuple[Path, ...]


def import_control_stream(
    path: str | Path, folder: str | Path, *, data: str | Path | None = None, estimates: str | Path | None = None,
    table: str | Path | None = None,
) -> Imported:  # fmt: skip
    """Write a NONMEM control stream and its data as a problem file in a new folder.

    ``data``: the data file, where it is not the one $DATA names; ``estimates``: an .ext file whose final estimates become the
    starts; ``table``: a table of the run ($TABLE), whose PRED and IPRED are compared. Raises InputError with every
    construct that is not read, by name and line, and nothing is written then.
    """
    path, folder = Path(path), Path(folder)
    if folder.exists():
        why = "it exists already and is left as it is."
        raise InputError(Problem(str(folder), "{folder}", "", why, "Name a folder that does not exist.", ("folder",)))
    values = final_estimates(Path(estimates)) if estimates is not None else None
    stream = read(path, Path(data).absolute() if data is not None else None, values)
    theirs = printed.read(Path(table)) if table is not None else None
    problem = problem_of(stream)
    compared = tuple(compare(problem, theirs, FINEST, ipred=stream.typical)) if theirs is not None else ()
    texts = {
        "problem.yaml": yaml_text(stream),
        "data.csv": data_text(stream),
        "report.md": report(path, stream, compared, theirs),
    }
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    made = PopulationProblem.from_yaml(folder / "problem.yaml")
    return Imported(made, compared, tuple(stream.notes), tuple(folder / name for name in texts))


def problem_of(stream: Stream) -> PopulationProblem:
    """The problem of a stream, in memory. Raises InputError."""
    import pandas as pd

    frame = pd.DataFrame({"ID": stream.labels, **stream.table})
    fields = {key: value for key, value in stream.fields.items() if key not in ("schema", "model", "data")}
    rest = {key: value for key, value in stream.fields["data"].items() if key != "file"}
    return PopulationProblem.of(data={"file": frame, **rest}, model=stream.fields.get("model"), **fields)


def data_text(stream: Stream) -> str:
    """The data as CSV; numbers in their shortest exact form."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["ID", *stream.table])
    columns = [[_number(v) for v in column.tolist()] for column in stream.table.values()]
    writer.writerows(zip(stream.labels, *columns, strict=True))
    return out.getvalue()


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


# ---- YAML ------------------------------------------------------------------------------------------------------------
def yaml_text(stream: Stream) -> str:
    """The problem file: blocks for what people read, flows for what is short."""
    lines = ["# Read from a NONMEM control stream; see report.md. Estimate: respine fit problem.yaml"]
    for key, value in stream.fields.items():
        if key == "model" and "\n" in value:
            lines += ["model: |", *(f"  {line}" for line in value.rstrip("\n").split("\n"))]
        elif isinstance(value, dict) and key not in ("data", "estimation"):
            lines.append(f"{key}:" if value else f"{key}: {{}}")
            lines += [f"  {_key(name)}: {_flow(part)}" for name, part in value.items()]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join([*lines, ""])


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) and name.lower() not in _WORDS else json.dumps(name)


_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        if set(value) == {"start"} or set(value) == {"variance"}:
            return _flow(next(iter(value.values())))
        return "{" + ", ".join(f"{_key(name)}: {_flow(part)}" for name, part in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flow(part) for part in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value) if "e" not in repr(value) or value == int(value) else _yaml_float(value)
    if isinstance(value, int):
        return str(value)
    return json.dumps(str(value))


def _yaml_float(value: float) -> str:
    """YAML wants a point before the exponent."""
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent if exponent[0] in '+-' else '+' + exponent}"


# ---- report ----------------------------------------------------------------------------------------------------------
def report(path: Path, stream: Stream, compared: Sequence[Compared], table: printed.Printed | None) -> str:
    """What was read, what was left aside, what was compared."""
    fields = stream.fields
    lines = [
        f"# {path.name}",
        "",
        f"{fields.get('title') or 'A NONMEM control stream'}: {len(set(stream.labels))} subjects, {len(stream.labels)} records.",
    ]
    lines += ["", "## Names", "", *_names(stream)]
    lines += [
        "",
        "## Read and not used, or read with a rule",
        "",
        *([f"- {note}" for note in stream.notes] or ["- nothing"]),
    ]
    lines += ["", "## Predictions", "", *_compared(compared, table)]
    method = f" --method {fields['estimation']['method']}" if "method" in fields.get("estimation", {}) else ""
    lines += [
        "",
        "## Go on",
        "",
        "    respine fit problem.yaml --maxeval 0",
        f"    respine fit problem.yaml --out fit --report fit/report.html{method}",
        "",
    ]
    return "\n".join(lines)


def _names(stream: Stream) -> list[str]:
    shown = [(theirs, ours) for theirs, ours in stream.names.items()]
    return [
        f"- {theirs} is {ours}{': ' + stream.comments[theirs] if theirs in stream.comments else ''}"
        for theirs, ours in shown
    ] or ["- none"]


def _compared(compared: Sequence[Compared], table: printed.Printed | None) -> list[str]:
    if table is None:
        return [
            "No table was given: respine import CONTROL -o FOLDER --table TABLE compares PRED and IPRED with those of NONMEM."
        ]
    if not compared:
        return [f"{table.file.name} has neither PRED nor IPRED with its random effects, so nothing was compared."]
    return [f"- {sentence(one)}" for one in compared]


def sentence(one: Compared) -> str:
    n, bad = int(one.counted.sum()), int((one.away > 1).sum())
    verdict = "the same as printed" if one.same else f"{bad} NOT the same"
    return f"{one.name}: {n} records, {verdict}; largest relative difference {one.relative:.2g}"
