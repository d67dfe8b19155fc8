"""One offline HTML page from a run folder."""

from __future__ import annotations

import base64
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from respine.report import rules, theme
from respine.report.chain import plot_chain
from respine.report.comparison import HEADER, interval_words, plot_comparison, words
from respine.report.folder import Folder, read
from respine.report.text import hours, records, thousands

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_MOST_FAILURES = 50
_CHAIN = (
    "Line: median; band: 5-95 % of people. Left the first hours after the first dose, right the whole study, on one "
    "time axis for all plots. Triangles at the top: doses. Scores are as a rater would write them. "
    "Published points are means of an arm, with 95 % error bars where the source allows one; the thick bar behind each "
    "is the range predicted for that mean."
)
_PUBLISHED = (
    "Bar: 90 % of simulated trials of the published size; tick: their median. Marker: the published result with its "
    "95 % error bar."
)
_RULES = (
    "Bars: share of the people of an arm by the number of doses that rules gave them; planned doses are not counted."
)
_STATUSES = {
    "literature": "read in the source named",
    "derived": "computed from numbers that were read",
    "calibrated": "found by a recipe from published results with role fit",
    "assumed": "neither; the reason stands beside it",
}


def write(run: Folder | str | Path) -> Path:
    """Write ``report.html`` into the folder of a finished run; returns its path. Raises InputError if there is none."""
    folder = run if isinstance(run, Folder) else read(run)
    target = folder.path / "report.html"
    unfinished = target.with_suffix(".html.tmp")
    unfinished.write_text(html(folder), encoding="utf-8")
    unfinished.replace(target)  # a reader never sees half a report
    return target


def html(folder: Folder) -> str:
    """The page as text; it asks nothing of any network."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

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
        warnings=folder.warnings,
        interval=interval_words(),
        header=HEADER,
        rows=words(folder.compared),
        role_words="; ".join(f"{role} - {meaning}" for role, meaning in theme.ROLE_WORDS.items()),
        left_out=left_out,
        plots=[_plot(*made, folder.study.name) for made in _plots(folder)],
        rules=rules.words(rules.table(folder)) if study.rules else [],
        rules_header=rules.HEADER,
        failures=[_failure(row) for row in records(failed.head(_MOST_FAILURES))],
        n_failed=len(failed),
        n_people=folder.n_people,
        origin=_origin(folder),
        statuses=_statuses(folder),
        parameters=folder.parameters,
        facts=folder.facts,
        study_text=study.text,
    )


def summary(folder: Folder) -> list[str]:
    """What was simulated and what came out, in plain words: one or two short paragraphs."""
    study = folder.study
    count, who = len(study.arms), _people_word(folder.model)
    size = f"{count} {'arm' if count == 1 else 'arms'} of {thousands(study.subjects)} virtual {who}"
    given = "; ".join(f"{name} got {treatments_text(arm)}" for name, arm in study.arms.items())
    first = (
        f"{size} were simulated for {hours(max(study.visits) - study.start)}, from the dose in the body on: {given}."
    )
    first += f" The population: {folder.population}."
    if study.observe:
        first += f" Observed: {', '.join(study.observe)} at {', '.join(hours(t) for t in study.visits)}."
    judged = folder.compared[folder.compared["inside"].notna()]
    return [first, _verdict(judged)] if len(judged) else [first]


def _verdict(judged: pd.DataFrame) -> str:
    """How many published results lie inside, and what that is worth."""

    def inside(rows: pd.DataFrame) -> int:
        return int(rows["inside"].astype(bool).sum())

    new = judged[judged["role"] == "validate"]
    text = f"Of {len(judged)} published results, {inside(judged)} lie inside the predicted range. "
    if len(new):
        return (
            text
            + f"{len(new)} of the {len(judged)} were never used to find parameters; of these {inside(new)} lie inside."
        )
    return (
        text
        + "None of them is kept back for testing, so this shows that the model can describe them, not that it predicts."
    )


def _people_word(model: str) -> str:
    return {"human": "people", "rat": "rats", "mouse": "mice"}.get(model, "subjects")


def treatments_text(arm: Any) -> str:
    """The treatments of an arm in words."""
    parts = []
    for dose in (*arm.doses, *arm.co_medication):
        amount = dose.amount or dose.per_spray
        what, way = (dose.drug, dose.route) if dose.into is None else (f"into {dose.into}", "")
        text = f"{what} {amount.text + ' ' if amount else ''}{way}".strip()
        if dose.over:
            text += f" over {hours(dose.over)}"
        if dose.every is not None:
            text += f" every {hours(dose.every)}" + (f", {dose.times} times" if dose.times else "")
        elif len(dose.at) > 1:
            text += f", {len(dose.at)} times"
        parts.append(text)
    parts += [one.exposure for one in arm.exposures]
    return ", ".join(parts) if parts else "no treatment"


def _plots(folder: Folder) -> list[tuple[str, str, str, Figure, pd.DataFrame]]:
    """Name, title, caption, figure and table of every plot of the page."""
    made = []
    if not folder.chain.empty or not folder.visits.empty:
        made.append(("chain", "From dose to score", _CHAIN, *plot_chain(folder)))
    if not folder.compared.empty:
        made.append(("published", "Predicted intervals and published results", _PUBLISHED, *plot_comparison(folder)))
    if drawn := rules.plot_doses(folder):
        made.append(("rule-doses", "Doses that rules gave", _RULES, *drawn))
    return made


def _plot(name: str, title: str, caption: str, figure: Figure, table: pd.DataFrame, run: str) -> dict[str, Any]:
    data = base64.b64encode(table.to_csv(index=False, float_format="%.6g").encode()).decode()
    return {
        "name": name,
        "title": title,
        "caption": caption,
        "length": len(table),
        "file": f"{run}-{name}.csv",
        "svg": theme.svg(
            figure, name, f"{title}: {run}", f"{caption} The numbers can be saved as a table below the plot."
        ),
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
        f"between {_people_word(folder.model)}. What the study itself sets stands in its file below."
    )
