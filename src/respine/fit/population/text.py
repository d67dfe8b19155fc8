"""A fit as text and as a small HTML table."""

from __future__ import annotations

import html as escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from respine.fit.population.fitted import Fit


def number(value: float, digits: int = 5) -> str:
    """A number with some significant digits, empty where there is none."""
    return "" if value is None or not np.isfinite(value) else f"{value:.{digits}g}"


def rows(fit: Fit) -> list[list[str]]:
    """Estimates as cells: name, estimate, se, rse, 95 %, start."""
    rows = []
    for row in fit.estimates.to_dict("records"):
        limits = f"{number(row['low'], 4)} to {number(row['high'], 4)}" if np.isfinite(row["low"]) else ""
        shown = "fixed" if row["fixed"] else number(row["se"], 4)
        rse = f"{row['rse']:.1f} %" if np.isfinite(row["rse"]) else ""
        spread = number(row["sd"], 4) if np.isfinite(row["sd"]) else ""
        rows.append([str(row["name"]), number(row["estimate"], 6), shown, rse, limits, spread, number(row["start"])])
    return rows


HEADER = ["parameter", "estimate", "se", "rse", "95 %", "sd", "start"]


def headline(fit: Fit) -> list[str]:
    """What came out, in lines."""
    error = f" (+- {fit.objective_error:.2g} by sampling)" if fit.objective_error else ""
    evaluated = fit.settings.get("max_evaluations") == 0
    lines = [f"{fit.problem.title or 'population fit'}: {fit.method}, objective {fit.objective:.6f}{error}"]
    if fit.method in ("agq", "imp", "saem") and np.isfinite(fit.objective_focei):
        lines.append(f"FOCEI objective at the same point {fit.objective_focei:.6f}")
    data = fit.problem.data
    lines.append(f"{data.n_subjects} subjects, {int(data.observed.sum())} observations, {fit.seconds:.1f} s")
    if evaluated:
        lines.append("evaluated at the start values; nothing was estimated")
    elif fit.is_answer:
        lines.append(f"converged: {fit.optimum.why}")
    else:
        lines.append("THIS IS NO ANSWER YET; see the findings")
    if fit.certain is not None and fit.certain.problem:
        lines.append(f"standard errors: {fit.certain.problem}")
    elif fit.certain is not None:
        lines.append(f"standard errors by {fit.certain.kind}, condition number {number(fit.certain.condition, 4)}")
    return lines


def text(fit: Fit) -> str:
    """Everything a reader needs first, in plain text."""
    table = [HEADER, *rows(fit)]
    widths = [max(len(r[k]) for r in table) for k in range(len(HEADER))]
    lines = [*headline(fit), ""]
    for cells in table:
        first = cells[0].ljust(widths[0])
        lines.append("  ".join([first, *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]).rstrip())
    shrunk = fit.shrinkage
    if len(shrunk):
        lines += [
            "",
            "shrinkage: " + ", ".join(f"{r['name']} {r['shrinkage']:.0f} %" for r in shrunk.to_dict("records")),
        ]
    if fit.findings:
        lines += ["", *(str(finding) for finding in fit.findings)]
    if fit.problem.notes:
        lines += ["", *(f"note: {note}" for note in fit.problem.notes)]
    return "\n".join(lines)


def html(fit: Fit) -> str:
    """One table for a notebook."""
    head = "".join(f"<th>{escape.escape(h)}</th>" for h in HEADER)
    body = "".join("<tr>" + "".join(f"<td>{escape.escape(c)}</td>" for c in cells) + "</tr>" for cells in rows(fit))
    lines = "<br>".join(escape.escape(line) for line in [*headline(fit), *map(str, fit.findings)])
    return f"<p>{lines}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
