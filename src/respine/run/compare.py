"""Two runs side by side: what their studies ask differently, and how far their endpoints lie apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from respine.files.html import card
from respine.run.results import Results, load

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RunComparison:
    """``changed``: fields of the studies that differ (``field, first, second``); ``endpoints``: one row an arm and endpoint
    that both have, with ``first``, ``second`` (medians) and their ``difference`` in the endpoint's ``unit``.
    """

    first: Results
    second: Results
    changed: pd.DataFrame
    endpoints: pd.DataFrame

    def __repr__(self) -> str:
        changed = "\n".join(f"  {r.field}: {r.first} -> {r.second}" for r in self.changed.itertuples()) or "  nothing"
        return f"{self.first.folder} against {self.second.folder}\nchanged in the study:\n{changed}\n{self.endpoints}"

    def _repr_html_(self) -> str:
        facts = [(str(r.field), f"{r.first} -> {r.second}") for r in self.changed.itertuples()]
        columns = list(self.endpoints.columns)
        rows = list(self.endpoints.itertuples(index=False))
        return card(f"{self.first.study.name} against {self.second.study.name}", facts, columns, rows)

    def plot(self, output: str) -> Any:
        """Both runs' medians and 5-95 % bands of one recorded output or scale over time, arm by arm.

        The figure shows in a notebook by itself; its numbers are ``.table``. Raises InputError for an output that one of
        the runs did not keep.
        """
        from importlib import import_module

        return import_module("respine.report").plot_two_runs(self.first, self.second, output)


def compare(first: Results | str | Path, second: Results | str | Path) -> RunComparison:
    """Two finished runs side by side, as results or as their folders. Raises InputError for a folder that holds none."""
    import pandas as pd

    one, other = (run if isinstance(run, Results) else load(run) for run in (first, second))
    ours, theirs = (dict(_flat(run.study.to_dict())) for run in (one, other))
    fields = [name for name in dict.fromkeys([*ours, *theirs]) if ours.get(name) != theirs.get(name)]
    changed = pd.DataFrame(
        {"field": fields, "first": [ours.get(f, "") for f in fields], "second": [theirs.get(f, "") for f in fields]}
    )
    keys = ["arm", "endpoint"]
    columns = [*keys, "time_h", "unit", "median"]
    kept = [run.endpoints.loc[run.endpoints["median"].notna(), columns].drop_duplicates(keys) for run in (one, other)]
    both = kept[0].merge(kept[1][[*keys, "median"]], on=keys, suffixes=("", " of the second"))
    both = both.rename(columns={"median": "first", "median of the second": "second"})
    both["difference"] = both["second"] - both["first"]
    return RunComparison(one, other, changed, both)


def _flat(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Leaves of nested values with their paths: ``arms.ketamine.doses[0].amount``."""
    if isinstance(value, dict):
        return [leaf for name, part in value.items() for leaf in _flat(part, f"{path}.{name}" if path else str(name))]
    if isinstance(value, (list, tuple)):
        return [leaf for k, part in enumerate(value) for leaf in _flat(part, f"{path}[{k}]")]
    return [(path, value)]
