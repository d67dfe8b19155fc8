"""One offline HTML page from a run folder."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from respine.files import store
from respine.files.html import page_bytes
from respine.report import chain, comparison, rules, theme
from respine.report.folder import Folder, folder_of
from respine.report.legend import marks
from respine.report.panels import panels
from respine.report.summary import arms, summary
from respine.report.text import hours, records, subjects_word

if TYPE_CHECKING:
    import pandas as pd

    from respine.report.drawing import Piece

_MOST_FAILURES = 50
_MOST_OPEN = 12  # rows that could not be compared are shown at once up to this many
_STATUSES = {
    "literature": "read in the source named",
    "derived": "computed from numbers that were read",
    "calibrated": "found by a recipe from published results with role fit",
    "assumed": "neither; the reason stands beside it",
}


def write(run: Any) -> Path:
    """Write ``report.html`` into the folder of a finished run; returns its path. Raises InputError if there is none."""
    folder = folder_of(run)
    target = folder.path / "report.html"
    store.write_bytes(target, page_bytes(html(folder)))  # a reader never sees half a report
    return target


def html(run: Any) -> str:
    """The page as text; it asks nothing of any network."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    folder = folder_of(run)
    environment = Environment(
        loader=PackageLoader("respine.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    study = folder.study
    failed = folder.failures
    left_out = [(r.arm, f"{r.endpoint} {hours(r.time_h)}".strip(), r.note) for r in records(folder.not_compared)]
    return environment.get_template("report.html.j2").render(
        style=(Path(__file__).parent / "templates" / "style.css").read_text(encoding="utf-8"),
        name=study.name,
        title=study.title,
        doi=study.doi,
        when=folder.when,
        summary=summary(folder),
        arms=arms(folder),
        warnings=[*folder.warnings, *folder.interval_notes],
        interval=comparison.interval_text(folder),
        heading="Predicted beside published" if folder.published else "Predicted results",
        published=folder.published,
        table=comparison.text_table(folder) if len(folder.compared) else None,
        role_words="; ".join(f"{role} - {meaning}" for role, meaning in theme.ROLE_WORDS.items()),
        left_out=left_out,
        left_out_open=len(left_out) <= _MOST_OPEN,
        plots=_plots(folder),
        rules=rules.as_text(rules.table(folder)) if study.rules else [],
        rules_header=rules.header(folder),
        failures=[_failure(row) for row in records(failed.head(_MOST_FAILURES))],
        n_failed=len(failed),
        n_people=folder.n_people,
        people=subjects_word(folder.model),
        origin=_origin(folder),
        statuses=_statuses(folder),
        parameters=folder.parameters,
        facts=folder.facts,
        study_text=study.text,
    )


def _plots(folder: Folder) -> list[dict[str, Any]]:
    """Every plot of the page with its caption, its legend, its pieces and the table behind it."""
    made = []
    run = folder.study.name
    if panels(folder):
        import pandas as pd

        table = pd.concat([panel.table() for panel in panels(folder)], ignore_index=True)
        shown = marks(folder, panels(folder))
        made.append(_plot("chain", "From dose to score", _chain_caption(folder), chain.pieces(folder), table, run)
                    | {"marks": shown})  # fmt: skip
    if not folder.compared.empty:
        title = "Predicted intervals and published results" if folder.published else "Predicted results by arm"
        name = "published" if folder.published else "results"
        made.append(_plot(name, title, _comparison_caption(folder), comparison.pieces(folder), folder.compared, run))
    if (given := rules.doses(folder)) is not None and len(given):
        caption = (
            f"Bars: share of the {subjects_word(folder.model)} of an arm by the number of doses that rules gave them; "
            "planned doses are not counted."
        )
        made.append(_plot("rule-doses", "Doses that rules gave", caption, rules.pieces(folder), given, run))
    return made


def _chain_caption(folder: Folder) -> str:
    """What the chain shows of this run, and nothing that it does not show."""
    who = subjects_word(folder.model)
    many = len(folder.arms) > theme.MOST_BANDS
    scores = bool(folder.study.observe)
    text = f"Line: median of the {who}" + (" (of scores the mean, as trials publish it)" if scores else "")
    text += "; their 5-95 % stand in the table, as more than four bands would hide each other. " if many else (
        f"; band: 5-95 % of the {who}. "
    )  # fmt: skip
    if len(folder.doses):
        text += "First hours: counted for each arm from its own first dose. "
    text += "Dotted line: the value in health, 1 where a quantity is counted in multiples of it. "
    if scores:
        text += "Scores are as a rater would write them. "
    if folder.published:
        text += "Published points are means of an arm, with 95 % error bars where the source allows one. "
        if folder.compared["p05"].notna().any():
            text += "The thick bar behind each is the range predicted for that mean."
    return text.strip()


def _comparison_caption(folder: Folder) -> str:
    text = "Tick: the predicted median. "
    if folder.compared["p05"].notna().any():
        size = "the published size" if folder.published else "the size given"
        text = f"Bar: 90 % of simulated trials of {size}; tick: their median. "
    if folder.published:
        text += "Marker: the published result with its 95 % error bar."
    return text.strip()


def _plot(
    name: str,
    title: str,
    caption: str,
    pieces: Iterable[Piece],
    table: pd.DataFrame,
    run: str,
) -> dict[str, Any]:
    data = base64.b64encode(table.to_csv(index=False, float_format="%.6g").encode()).decode()
    drawn = []
    for piece in pieces:
        text = f"{caption} The numbers can be saved as a table below the plot."
        drawn.append([theme.svg(figure, theme.identifier(f"{name}-{piece.name}-{size}"), f"{title}: {piece.title}", text)
                      for size, figure in (("wide", piece.wide), ("narrow", piece.narrow))])  # fmt: skip
    return {
        "name": name,
        "title": title,
        "caption": caption,
        "length": len(table),
        "file": f"{run}-{name}.csv",
        "pieces": drawn,
        "marks": [],
        "data": f"data:text/csv;charset=utf-8;base64,{data}",
    }


def _failure(row: Any) -> dict[str, str]:
    return {
        "subject": str(row.subject),
        "arm": row.arm,
        "status": row.status,
        "time": hours(row.time_h),
        "state": row.state,
        "value": f"{row.value:.4g}",
        "reason": f"{row.reason}. {getattr(row, 'cure', '') or ''}".strip(),
    }


def _statuses(folder: Folder) -> list[tuple[str, int, str]]:
    count = Counter(q.status for q in folder.parameters)
    return [(status, count.get(status, 0), meaning) for status, meaning in _STATUSES.items()]


def _origin(folder: Folder) -> str:
    """How much of the model is known and how much is assumed."""
    total = len(folder.parameters)
    assumed = sum(q.status == "assumed" for q in folder.parameters)
    varied = sum(q.variability > 0 for q in folder.parameters)
    return (
        f"The {folder.model} model has {total} parameters; {assumed} of them are assumed. {varied} differ "
        f"between {subjects_word(folder.model)}. What the study itself sets stands in its file below."
    )
