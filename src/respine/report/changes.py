"""Two runs side by side: what differs in what was asked, what differs in what came out, and their curves on each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from respine.report import theme
from respine.report.comparison import labels, units
from respine.report.drawing import Drawing
from respine.report.folder import Folder, folder_of
from respine.report.layout import WIDE, Row, compose
from respine.report.panels import Panel, panels
from respine.report.text import decimals, hours, missing, plain_number, records
from respine.report.windows import Window, windows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FROM_STUDY = ("study", "seed", "subjects per arm", "study, SHA-256")  # facts that the study's own fields tell better
_ABSENT = ""
_STYLES = ("solid", (0, (4, 1.5)))  # of the first and the second run
_PANEL, _BELOW, _TITLE = 1.1, 0.44, 0.26


@dataclass(frozen=True, eq=False)
class RunComparison:
    """What differs between two runs.

    ``changed``: ``field, first, second`` for every field of the study, digest and version that differs, empty where one run
    lacks it. ``endpoints``: ``endpoint, arm, time_h, unit``, median, p05 and p95 of each run (``first``, ``first_p05`` ...)
    and ``difference`` (second minus first) for every result of either run. ``plot()`` draws the curves on each other.
    """

    first: Folder = field(repr=False)
    second: Folder = field(repr=False)
    changed: pd.DataFrame
    endpoints: pd.DataFrame

    def plot(self, only: str | Collection[str] = ()) -> Drawing:
        """The curves of both runs on each other; see `plot_changes`."""
        return plot_changes(self.first, self.second, only)

    def __repr__(self) -> str:
        moved = int((self.endpoints["difference"].abs() > 0).sum())
        return (
            f"{self.first.path} beside {self.second.path}: {len(self.changed)} settings and {moved} of "
            f"{len(self.endpoints)} results differ; .changed, .endpoints, .plot()"
        )

    def _repr_html_(self) -> str:
        from respine.files.html import card

        shown = self.endpoints[["endpoint", "arm", "first", "second", "difference", "unit"]]
        parts = [card("What was asked", (), list(self.changed.columns), self.changed.values.tolist()),
                 card("What came out", (), list(shown.columns), shown.values.tolist())]  # fmt: skip
        return "".join(parts)


def compare(first: Any, second: Any) -> RunComparison:
    """What differs between two runs, each given as its results, a `Folder`, or the path of its folder.

    Raises InputError for a folder that holds no finished run.
    """
    a, b = folder_of(first), folder_of(second)
    return RunComparison(a, b, _changed(a, b), _endpoints(a, b))


def _changed(a: Folder, b: Folder) -> pd.DataFrame:
    """Fields of the studies and facts of the runs that differ."""
    facts = [dict(_flat(folder.study.to_dict())) for folder in (a, b)]
    facts[0] |= {name: value for name, value in a.facts if name not in _FROM_STUDY}
    facts[1] |= {name: value for name, value in b.facts if name not in _FROM_STUDY}
    names = dict.fromkeys([*facts[0], *facts[1]])
    rows = [(name, *(values.get(name, _ABSENT) for values in facts)) for name in names]
    return pd.DataFrame([row for row in rows if row[1] != row[2]], columns=["field", "first", "second"])


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every field of a study by its path: ``arms.ketamine.doses[0].amount``. Lists of plain values are one field."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list, tuple)) for item in value):
        for k, item in enumerate(value):
            label = item.get("name") if isinstance(item, Mapping) else None  # endpoints and rules go by their names
            yield from _flat(item, f"{name}[{label or k}]")
    elif isinstance(value, (list, tuple)):
        yield name, ", ".join(map(str, value))
    else:
        yield name, str(value)


def _endpoints(a: Folder, b: Folder) -> pd.DataFrame:
    """Results of either run by endpoint, arm and time."""
    entries: dict[tuple[str, str, float], dict[str, Any]] = {}
    for run, folder in (("first", a), ("second", b)):
        rows = folder.compared
        for row, label, unit in zip(records(rows), labels(rows), units(folder), strict=True):
            key = (str(row.endpoint), str(row.arm), round(float(row.time_h), 6) if not missing(row.time_h) else -1e99)
            entry = entries.setdefault(
                key, {"endpoint": label, "arm": str(row.arm), "time_h": row.time_h, "unit": unit}
            )
            entry |= {run: row.median, f"{run}_p05": row.p05, f"{run}_p95": row.p95}
    columns = ["endpoint", "arm", "time_h", "unit"]
    columns += [f"{run}{end}" for run in ("first", "second") for end in ("", "_p05", "_p95")]
    table = pd.DataFrame(list(entries.values()), columns=columns).astype({c: float for c in columns[4:]})
    return table.assign(difference=table["second"] - table["first"])


def as_text(changes: RunComparison) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and cells of the table of results; the columns 2 to 4 are numbers."""
    rows = []
    for row in records(changes.endpoints):
        spans = [(row.first_p05, row.first_p95), (row.second_p05, row.second_p95)]
        digits = max(
            decimals(low, high, value) for (low, high), value in zip(spans, (row.first, row.second), strict=True)
        )
        cells = [_interval(value, *span, digits) for value, span in zip((row.first, row.second), spans, strict=True)]
        change = "-" if missing(row.difference) else plain_number(row.difference, digits)
        rows.append(
            (row.endpoint, row.arm, *cells, change if change.startswith(("-", "0")) else f"+{change}", row.unit)
        )
    return ("endpoint", "arm", "first", "second", "difference", "unit"), rows


def _interval(value: float, low: float, high: float, digits: int) -> str:
    if missing(value):
        return "-"
    text = plain_number(value, digits)
    return text if missing(low) else f"{text} ({plain_number(low, digits)} … {plain_number(high, digits)})"


def plot_changes(first: Any, second: Any, only: str | Collection[str] = ()) -> Drawing:
    """The curves of two runs on each other: the first solid, the second dashed, a colour an arm.

    ``only`` names an output or scale, or several; all that both runs have when empty. The table is that of `plot_chain` with
    ``run`` (first, second) in front. Raises ValueError where the runs share nothing to draw.
    """
    runs, only = [folder_of(first), folder_of(second)], [only] if isinstance(only, str) else list(only)
    of = [{panel.name: panel for panel in panels(folder)} for folder in runs]
    shared = [name for name in of[0] if name in of[1] and (not only or name in only)]
    if not shared:
        wanted = f" named {', '.join(only)}" if only else ""
        raise ValueError(
            f"{runs[0].path} and {runs[1].path} have no output or scale{wanted} in common; nothing to draw."
        )
    arms = list(dict.fromkeys([*runs[0].arms, *runs[1].arms]))
    tables = [of[k][name].table().assign(run=run) for k, run in enumerate(("first", "second")) for name in shared]
    table = pd.concat(tables, ignore_index=True)
    spans = windows(runs[0], table["time_h"])
    parts = (1.0, 1.35)[-len(spans) :]
    with theme.drawn():
        top = 0.2 + 0.18 * -(-(len(arms) + 2) // 3)
        figure, grid = compose(WIDE, [Row(_TITLE, _PANEL, _BELOW, parts) for _ in shared], top)
        for row, name in zip(grid, shared, strict=True):
            for axes, span in zip(row, spans, strict=True):
                for k, folder in enumerate(runs):
                    _draw(axes, of[k][name], arms, _own(span, folder, table), _STYLES[k])
                axes.grid()
                axes.set_xlim(*span.limits)
                span.ticks(axes.xaxis)
                axes.set_xlabel(span.label)
            limits = [axes.get_ylim() for axes in row]
            low, high = min(low for low, _ in limits), max(high for _, high in limits)
            for axes in row:
                axes.set_ylim(low, high)
            row[0].set_title(theme.literal(of[0][name].title), pad=3)
            row[0].set_ylabel(of[0][name].y_label)
        handles = _legend(runs, arms)
        figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.07, 1.0), ncols=3, fontsize=8.5)
    return Drawing(figure, table[["run", *(c for c in table.columns if c != "run")]])


def _own(span: Window, folder: Folder, table: pd.DataFrame) -> Window:
    """The window of a run: its arms are counted from their own first doses."""
    if not span.origins:
        return span
    own = next((w for w in windows(folder, table["time_h"]) if w.origins), None)
    return Window(span.start, span.end, span.unit, span.label, own.origins if own else span.origins)


def _draw(axes: Axes, panel: Panel, arms: list[str], span: Window, dash: Any) -> None:
    for index, arm in enumerate(arms):
        lines = panel.lines[panel.lines["arm"] == arm].sort_values("time_h")
        inside = span.shown(lines, arm)
        if len(inside):
            style: dict[str, Any] = {"color": theme.arm_colour(index), "linestyle": dash}
            axes.plot(span(inside["time_h"], arm), inside[panel.middle], **style)


def _legend(runs: list[Folder], arms: list[str]) -> list[Any]:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], color=theme.arm_colour(k), linewidth=2, label=theme.literal(arm)) for k, arm in enumerate(arms)
    ]
    for word, folder, dash in zip(("first", "second"), runs, _STYLES, strict=True):
        style: dict[str, Any] = {"color": theme.INK, "linestyle": dash}
        marks.append(
            Line2D([], [], label=theme.literal(f"{word}: {folder.path.name}, {hours(_length(folder))}"), **style)
        )
    return marks


def _length(folder: Folder) -> float:
    return float(max(folder.study.visits) - folder.study.start)
