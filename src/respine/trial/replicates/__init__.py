"""Trials = arms x replicates x parameter draws, simulated at once: who is allotted what, what people do, what is observed."""

from respine.trial.replicates.trials import Trials, simulate_trials

__all__ = ["Trials", "simulate_trials"]
