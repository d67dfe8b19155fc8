"""The tables of a finished run for other programs: Parquet or CSV with a column dictionary, or arrays by arm, subject and time.

The column dictionary is a Frictionless data package (``datapackage.json``, specs.frictionlessdata.io): each table with its
columns, their types, units and meaning. Arrays are Zarr or NetCDF by xarray (``respine[arrays]``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from respine.errors import InputError, Problem
from respine.files import store
from respine.run.folder import RunFolder, read_finished

if TYPE_CHECKING:
    import pandas as pd
    import xarray

FORMATS = ("parquet", "csv", "zarr", "netcdf")
COLUMNS = {
    "subject": ("Number of the person; the same person in every arm.", ""),
    "arm": ("Arm of the study.", ""),
    "time_h": ("Time since the first dose or the start of the study.", "h"),
    "draw": ("Number of the draw of the uncertain parameters the person belongs to.", ""),
    "scale": ("Scale, or recorded output, that was observed.", ""),
    "output": ("Recorded output of the model.", ""),
    "value": ("Value as observed, with the error of measurement.", ""),
    "true_value": ("Value without the error of measurement.", ""),
    "endpoint": ("Endpoint of the study.", ""),
    "study": ("Name of the study.", ""),
    "median": ("Median; of endpoints over simulated trials of the published size, else over people.", ""),
    "mean": ("Mean over people.", ""),
    "p05": ("5 % quantile, of the same as the median.", ""),
    "p25": ("25 % quantile.", ""),
    "p75": ("75 % quantile.", ""),
    "p95": ("95 % quantile.", ""),
    "n": ("Number of people, or of published people where a published result stands beside.", ""),
    "n_simulated": ("Number of simulated people.", ""),
    "published": ("Published result.", ""),
    "published_low": ("Lower end of the published interval.", ""),
    "published_high": ("Upper end of the published interval.", ""),
    "published_text": ("Published result as it is written.", ""),
    "inside": ("Whether the published result lies inside of the interval.", ""),
    "role": ("Role of the published row: fit, validate or reported only.", ""),
    "unit": ("Unit of the values of the row.", ""),
    "against": ("What the endpoint is a change or a difference from.", ""),
    "note": ("What the interval contains, or why there is none.", ""),
    "kind": ("Kind of endpoint.", ""),
    "sd": ("Standard deviation over people.", ""),
    "se": ("Standard error.", ""),
    "drug": ("Drug that was given.", ""),
    "route": ("Route of the dose.", ""),
    "amount": ("Amount of the dose, in the unit of its row.", ""),
    "amount_mg": ("Amount of the dose.", "mg"),
    "why": ("Why: the protocol, or the rule that asked for it.", ""),
    "status": ("How the simulation of the person ended.", ""),
    "state": ("State of the model that could not be computed.", ""),
    "reason": ("Why it ended.", ""),
    "cure": ("What to change.", ""),
    "rule": ("Rule of the study that was looked at.", ""),
    "action": ("What the rule did.", ""),
    "outcome": ("What came of it.", ""),
    "seen": ("What the rule saw.", ""),
}
"""What columns mean, and their units; columns that a model or a population names are described by these."""
_CHANGE = "Of the change from the first visit: "


def export(folder: str | Path, out: str | Path, format: str = "parquet") -> list[Path]:
    """Write the tables of a run. ``parquet`` and ``csv`` make a folder with a ``datapackage.json``; ``zarr`` a folder and
    ``netcdf`` a file with arrays. Raises InputError for a run that has not ended, or where xarray is missing.
    """
    if format not in FORMATS:
        raise InputError(
            Problem(
                "argument",
                "{format}",
                format,
                "there is no such format.",
                f"Write one of {', '.join(FORMATS)}.",
                ("format",),
            )
        )
    record, out = read_finished(folder), Path(out)
    if out.exists():
        why = "It exists already and is left as it is."
        raise InputError(Problem(str(out), "{out}", "", why, "Choose another name, or move it away.", ("out",)))
    if format in ("zarr", "netcdf"):
        made = arrays(folder)
        try:
            made.to_zarr(out, zarr_format=2) if format == "zarr" else made.to_netcdf(out, engine="h5netcdf")
        except ImportError:
            raise _missing("zarr" if format == "zarr" else "h5netcdf") from None
        return [out]
    return _tables(record, out, format)


def _tables(record: RunFolder, out: Path, format: str) -> list[Path]:
    import pyarrow.csv
    import pyarrow.parquet as pq

    out.mkdir(parents=True)
    resources, written = [], []
    for name in record.facts["files"]:
        if not name.endswith(".parquet"):
            continue
        stem, source = name.removesuffix(".parquet"), record.folder / name
        file = pq.ParquetFile(source)
        target = out / f"{stem}.{format}"
        if format == "parquet":
            target.write_bytes(source.read_bytes())
        else:
            with pyarrow.csv.CSVWriter(str(target), file.schema_arrow) as writer:
                for batch in file.iter_batches():
                    writer.write_batch(batch)
        units = _units(record)
        resources.append({
            "name": stem, "path": target.name, "format": format, "scheme": "file", "bytes": target.stat().st_size,
            "mediatype": "text/csv" if format == "csv" else "application/vnd.apache.parquet",
            "hash": f"sha256:{store.file_sha256(target)}",
            **({"encoding": "utf-8", "profile": "tabular-data-resource"} if format == "csv" else {}),
            "schema": {"fields": [_field(f.name, str(f.type), units) for f in file.schema_arrow], "missingValues": [""]},
        })  # fmt: skip
        written.append(target)
    facts = record.facts
    package = {
        "name": record.study.name, "title": facts.get("title") or record.study.title, "resources": resources,
        "profile": "tabular-data-package" if format == "csv" else "data-package",
        "description": f"A run of respine: {facts['subjects']} subjects an arm, seed {facts['seed']}, model {facts['model']}.",
        "sources": [{"title": "published trial", "path": f"https://doi.org/{facts['doi']}"}] if facts.get("doi") else [],
        "respine": {"identity": facts["identity"], "versions": facts["versions"]},
    }  # fmt: skip
    package = {key: value for key, value in package.items() if value != []}
    (out / "datapackage.json").write_text(
        json.dumps(package, indent=1, ensure_ascii=False, default=str) + "\n", encoding="utf-8"
    )
    return [*written, out / "datapackage.json"]


def _field(name: str, type_: str, units: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """One column of the dictionary."""
    kinds = (("int", "integer"), ("float", "number"), ("double", "number"), ("bool", "boolean"))
    kind = next((ours for theirs, ours in kinds if type_.startswith(theirs)), "string")
    own = name.removeprefix("change_")
    text, unit = units.get(name) or COLUMNS.get(name) or COLUMNS.get(own, ("", ""))
    text = _CHANGE + text if own != name and text else text
    field = {"name": name, "type": kind, "description": text, "unit": unit}
    return {key: value for key, value in field.items() if value}


def _units(record: RunFolder) -> dict[str, tuple[str, str]]:
    """(label, unit) of the parameters and outputs of the run's model; none where the model is not there any more."""
    from respine.model import load

    try:
        system = load(record.facts["population"].get("model") or record.facts["model"])
    except (InputError, KeyError, OSError, ValueError):
        return {}
    return {q.id: (q.label, q.unit) for q in system.quantities.values() if q.label or q.unit}


def arrays(folder: str | Path) -> xarray.Dataset:
    """Scores and recorded outputs of a run as an xarray Dataset over arm, subject and time (hours).

    ``score_NAME`` and ``true_NAME`` (arm, subject, visit time of that scale), recorded outputs of the people that are kept
    (arm, kept subject, time); ``draw`` (subject). Raises InputError where xarray is missing.
    """
    try:
        import xarray
    except ImportError:
        raise _missing("xarray") from None
    from respine.files import parquet

    record = read_finished(folder)
    visits = parquet.read(record.folder / "visits.parquet")
    people = (
        parquet.read(record.folder / "subjects.parquet").drop_duplicates("subject").set_index("subject").sort_index()
    )
    arms = list(record.facts["arms"])
    made: dict[str, Any] = {"draw": ("subject", people["draw"].to_numpy())}
    coordinates: dict[str, Any] = {"arm": arms, "subject": people.index.to_numpy()}
    for scale, rows in visits.groupby("scale", observed=True):
        times = np.unique(rows["time_h"])
        coordinates[f"time_{scale}"] = times
        for column, word in (("value", "score"), ("true_value", "true")):
            made[f"{word}_{scale}"] = (
                ("arm", "subject", f"time_{scale}"),
                _cube(rows, column, arms, people.index.to_numpy(), times),
            )
    path = record.folder / "trajectories.parquet"
    if path.is_file():
        table = parquet.read(path)
        kept, times = np.unique(table["subject"]), np.unique(table["time_h"])
        coordinates |= {"kept_subject": kept, "time": times}
        for name in table.columns.drop(["subject", "arm", "time_h"]):
            made[str(name)] = (("arm", "kept_subject", "time"), _cube(table, str(name), arms, kept, times))
    data = xarray.Dataset(
        made,
        coordinates,
        {
            "title": record.study.title,
            "study": record.study.name,
            "seed": record.facts["seed"],
            "model": record.facts["model"],
        },
    )
    for name in data.coords:
        if str(name).startswith("time"):
            data[name].attrs = {"units": "h", "long_name": COLUMNS["time_h"][0]}
    for name, (label, unit) in _units(record).items():
        if name in data:
            data[name].attrs = {"units": unit, "long_name": label}
    return data


def _cube(rows: pd.DataFrame, column: str, arms: list[str], subjects: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(arm, subject, time) with NaN where there is no row."""
    out = np.full((len(arms), len(subjects), len(times)), np.nan)
    which = {arm: k for k, arm in enumerate(arms)}
    a = rows["arm"].astype(str).map(which).to_numpy()
    out[a, np.searchsorted(subjects, rows["subject"]), np.searchsorted(times, rows["time_h"])] = rows[column].to_numpy(
        float
    )
    return out


def _missing(name: str) -> InputError:
    why = f"{name} is not installed."
    return InputError(Problem("installation", name, "", why, "Install it: pip install 'respine[arrays]'."))
