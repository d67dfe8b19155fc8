"""A scale of a run item by item."""

from __future__ import annotations

from pathlib import Path

import pytest

from respine.errors import InputError
from respine.files import parquet
from respine.run.plan import Plan
from respine.run.results import load


def test_items_of_a_run_add_up_to_its_scores(whole: tuple[Path, Plan]) -> None:
    results = load(whole[0])
    items = results.items("MADRS")
    visits = parquet.read(whole[0] / "visits.parquet")
    totals = visits[visits["scale"] == "MADRS"].set_index(["arm", "subject", "time_h"])["value"].sort_index()
    summed = items.groupby(["arm", "subject", "time_h"])["value"].sum().sort_index()
    assert summed.index.tolist() == totals.index.tolist() and summed.tolist() == totals.tolist()
    assert items["value"].between(0, 6).all() and items["item"].nunique() == 10
    for name in ("CADSS", "MDRS"):
        with pytest.raises(InputError):
            results.items(name)
