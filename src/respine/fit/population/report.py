"""One offline HTML page of a fit, and its tables as files beside it."""

from __future__ import annotations

import html
import io
from pathlib import Path
from typing import TYPE_CHECKING

from respine.files import store
from respine.files.html import page_bytes
from respine.fit.population import plots
from respine.fit.population.predictive_check import vpc
from respine.fit.population.tables import table as records
from respine.fit.population.text import HEADER, headline, rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from respine.fit.population.fitted import Fit

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } td, th { padding: .2rem .7rem; text-align: right; }
td:first-child, th:first-child { text-align: left; } tr + tr { border-top: 1px solid #ddd; } .scroll { overflow-x: auto; }
.finding { border-left: 4px solid #b5473c; padding-left: .8rem; } figure { margin: 1.5rem 0; }
svg { max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #181818; } svg { background: #fff; } tr + tr { border-color: #444; }
}
@media print { figure { break-inside: avoid; } }
"""


def write(fit: Fit, file: Path, *, replicates: int = 500) -> list[Path]:
    """Write the page and, in a folder of its name, the tables behind it as CSV. Returns what was written. Raises
    OSError.
    """
    tables = {"estimates": fit.estimates, "random-effects": fit.random_effects, "shrinkage": fit.shrinkage}
    tables["records"] = records(fit, replicates=replicates)
    measured = any(model.gaussian for model in fit.problem.observations)
    if measured:
        tables["vpc"] = vpc(fit, replicates=replicates)
        tables["pcvpc"] = vpc(fit, replicates=replicates, corrected=True)
    figures: list[tuple[str, Figure | None]] = []
    if measured:
        figures += [
            ("Goodness of fit", plots.goodness(tables["records"])),
            (
                "Individuals: observed, individual prediction, population prediction (dashed)",
                plots.individuals(tables["records"]),
            ),
            ("Visual predictive check: 5, 50 and 95 %, observed lines on simulated bands", plots.check(tables["vpc"])),
            ("The same, prediction corrected", plots.check(tables["pcvpc"])),
        ]
    figures += [("Random effects beside their model", plots.effects(fit)), ("The search", plots.course(fit))]
    file.parent.mkdir(parents=True, exist_ok=True)
    folder = file.with_suffix("")
    folder.mkdir(exist_ok=True)
    written = [file]
    for name, frame in tables.items():
        path = folder / f"{name}.csv"
        store.write_bytes(path, frame.to_csv(index=False).encode())
        written.append(path)
    store.write_bytes(file, page_bytes(page(fit, figures, [path.name for path in written[1:]], folder.name)))
    return written


def page(fit: Fit, figures: list[tuple[str, Figure | None]], names: list[str], folder: str) -> str:
    """The page's text."""
    title = html.escape(fit.problem.title or "Population fit")
    parts = [f"<h1>{title}</h1>", *(f"<p>{html.escape(line)}</p>" for line in headline(fit))]
    parts += [f'<p class="finding">{html.escape(str(finding))}</p>' for finding in fit.findings]
    parts += ["<h2>Estimates</h2>", _table(HEADER, rows(fit)), "<h2>Shrinkage</h2>", _frame(fit.shrinkage)]
    for caption, figure in figures:
        if figure is not None:
            parts.append(f"<figure>{_svg(figure, caption)}<figcaption>{html.escape(caption)}</figcaption></figure>")
    parts += ["<h2>Settings</h2>", _table(["", ""], [[k, str(v)] for k, v in fit.settings.items()])]
    parts += [f"<p>Note: {html.escape(note)}</p>" for note in fit.problem.notes]
    links = ", ".join(f'<a href="{html.escape(folder)}/{html.escape(name)}">{html.escape(name)}</a>' for name in names)
    parts.append(f"<p>Tables: {links}.</p><p>Research software. Not advice for any person.</p>")
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head = f"{meta}<title>{title}</title><style>{STYLE}</style>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _svg(figure: Figure, caption: str) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Title": caption})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _table(header: list[str], cells: list[list[str]]) -> str:
    head = "".join(f"<th>{html.escape(h)}</th>" for h in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in cells)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _frame(frame: pd.DataFrame) -> str:
    cells = [[f"{v:.4g}" if isinstance(v, float) else str(v) for v in row] for row in frame.itertuples(index=False)]
    return _table(list(map(str, frame.columns)), cells)
