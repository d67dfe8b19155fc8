"""Plots and the one-file HTML report of a run. Each plot function hands back its figure and the table behind it."""

from respine.report.chain import plot_chain
from respine.report.changes import RunComparison, compare, plot_changes
from respine.report.comparison import plot_comparison, text_table
from respine.report.drawing import Drawing
from respine.report.folder import Folder, read
from respine.report.page import html, write
from respine.report.patient import plot_patient
from respine.report.power import plot_power
from respine.report.replicates import plot_answers, plot_event, plot_responses, plot_trials
from respine.report.rules import plot_doses
from respine.report.sweep import plot_sweep
from respine.report.trials import kaplan_meier, plot_belief, plot_forest, plot_survival

__all__ = [
    "Drawing",
    "Folder",
    "RunComparison",
    "compare",
    "html",
    "kaplan_meier",
    "plot_answers",
    "plot_belief",
    "plot_chain",
    "plot_changes",
    "plot_comparison",
    "plot_doses",
    "plot_event",
    "plot_forest",
    "plot_patient",
    "plot_power",
    "plot_responses",
    "plot_survival",
    "plot_sweep",
    "plot_trials",
    "read",
    "text_table",
    "write",
]
