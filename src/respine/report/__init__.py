"""Plots and the one-file HTML report of a run. Each plot function hands back its figure and the table behind it."""

from respine.report.chain import plot_chain
from respine.report.comparison import plot_comparison, words
from respine.report.folder import Folder, read
from respine.report.page import html, write

__all__ = ["Folder", "html", "plot_chain", "plot_comparison", "read", "words", "write"]
