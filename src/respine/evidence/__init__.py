"""Prediction against published data: every evidence row, the signed assertions, the claims of the 2012 article."""

from respine.evidence.gather import calibration, predict, reasons, summary
from respine.evidence.row import ComparedRow, systems
from respine.evidence.studies import SUBJECTS
from respine.evidence.user_data import predict as predict_user_data

__all__ = [
    "SUBJECTS",
    "ComparedRow",
    "calibration",
    "predict",
    "predict_user_data",
    "reasons",
    "summary",
    "systems",
]
