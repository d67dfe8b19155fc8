"""Plots and the one-file HTML report of a run. Each plot function hands back its figure and the table behind it."""

from respine.report.chain import plot_chain
from respine.report.comparison import plot_comparison, text_table
from respine.report.drawing import Drawing
from respine.report.folder import Folder, read
from respine.report.page import html, write
from respine.report.rules import plot_doses
from respine.report.two_runs import plot_two_runs

__all__ = [
    "Drawing",
    "Folder",
    "html",
    "plot_chain",
    "plot_comparison",
    "plot_doses",
    "plot_two_runs",
    "read",
    "text_table",
    "write",
]
