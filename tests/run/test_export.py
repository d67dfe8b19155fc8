"""A run for other programs: every table with its column dictionary, arrays that hold the same numbers."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray
from typer.testing import CliRunner

from respine.cli.app import app
from respine.errors import InputError
from respine.files import parquet
from respine.run.export import COLUMNS, arrays, export


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_tables_have_a_column_dictionary(whole, tmp_path, format):
    folder, _ = whole
    written = export(folder, tmp_path / "out", format)
    package = json.loads((tmp_path / "out" / "datapackage.json").read_text())
    assert {path.name for path in written} == {r["path"] for r in package["resources"]} | {"datapackage.json"}
    for resource in package["resources"]:
        path = tmp_path / "out" / resource["path"]
        table = pd.read_csv(path) if format == "csv" else parquet.read(path)
        given = [field["name"] for field in resource["schema"]["fields"]]
        assert list(table.columns) == given and resource["bytes"] == path.stat().st_size
        before = parquet.read(folder / f"{resource['name']}.parquet")
        assert len(table) == len(before)
        for field in resource["schema"]["fields"]:
            if field["type"] == "number" and len(before):
                exact = 1e-15 if before[field["name"]].dtype == float else 1e-6  # trajectories are kept in float32
                np.testing.assert_allclose(
                    table[field["name"]].to_numpy(float), before[field["name"]].to_numpy(float), rtol=exact
                )
            if field["name"] in COLUMNS:
                assert field["description"]
    units = {f["name"]: f.get("unit") for r in package["resources"] for f in r["schema"]["fields"]}
    assert units["time_h"] == "h" and units["amount_mg"] == "mg"


def test_arrays_hold_the_numbers_of_the_tables(whole, tmp_path):
    folder, _ = whole
    data = arrays(folder)
    visits = parquet.read(folder / "visits.parquet")
    for row in visits.sample(40, random_state=1).itertuples():
        cell = data[f"score_{row.scale}"].sel({"arm": row.arm, "subject": row.subject, f"time_{row.scale}": row.time_h})
        assert float(cell) == row.value
    for format, name, read in (
        ("zarr", "a.zarr", xarray.open_zarr),
        ("netcdf", "a.nc", lambda p: xarray.open_dataset(p, engine="h5netcdf")),
    ):
        export(folder, tmp_path / name, format)
        xarray.testing.assert_equal(read(tmp_path / name).load(), data)


def test_the_command_line_and_its_refusals(whole, tmp_path):
    folder, _ = whole
    run = CliRunner().invoke
    assert run(app, ["export", str(folder), "-o", str(tmp_path / "csv"), "--format", "csv"]).exit_code == 0
    assert (tmp_path / "csv" / "endpoints.csv").is_file()
    assert run(app, ["export", str(folder), "-o", str(tmp_path / "csv")]).exit_code == 2  # it exists
    assert run(app, ["export", str(folder), "-o", str(tmp_path / "x"), "--format", "sbml"]).exit_code == 2
    with pytest.raises(InputError):
        export(folder, tmp_path / "y", "xlsx")
