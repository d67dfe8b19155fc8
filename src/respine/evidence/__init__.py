"""Prediction against published data: every evidence row, the signed assertions, the claims of the 2012 article."""

from respine.evidence.gather import calibration, predict, reason_of, reasons, summary
from respine.evidence.line import Line, systems
from respine.evidence.own import predict as predict_own
from respine.evidence.studies import SUBJECTS

__all__ = [
    "SUBJECTS",
    "Line",
    "calibration",
    "predict",
    "predict_own",
    "reason_of",
    "reasons",
    "summary",
    "systems",
]
