"""From the table of a trial to a result a statistician signs: plan, estimand, analysis; and the design of trials with looks.

``analyze(data, plan)`` carries out a plan. The parts stand alone too: ``mmrm.fit`` and ``mmrm.freedom`` for arrays,
``imputation`` for reference-based imputation, ``sequential`` for group-sequential designs.
"""

from respine.trial.analysis.analyze import analyze, carry_out
from respine.trial.analysis.plan import Plan
from respine.trial.analysis.results import Answer, Results, Row

__all__ = ["Answer", "Plan", "Results", "Row", "analyze", "carry_out"]
