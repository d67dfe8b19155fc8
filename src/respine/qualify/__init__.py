"""Outside referees: does respine compute what published suites, models and stiff problems say it must?

Each module has ``qualify(folder, progress=None) -> Findings``: it runs every case of a folder in the layout of
its public source, one row a case, and raises InputError for a folder that holds no such cases.

``stiff``: stiff problems over a sweep of tolerances; ``sbml``: the SBML semantic test suite; ``models``: published SBML
models against stored trajectories; ``nonmem``: dosing records; ``petab``: PEtab test suites and problems.
"""

from __future__ import annotations

from respine.qualify.outcome import Case, Findings, by_tag

__all__ = ["Case", "Findings", "by_tag"]
