"""The people of one arm: the population with the arm's genotype and parameter values; and when their story begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from respine import population
from respine.population import People, Population
from respine.study.people_table import ID
from respine.study.schema import Arm as AskedArm
from respine.study.schema import Study

if TYPE_CHECKING:
    from respine.protocol.arm import Arm

MET = {"Val/Val": 0.0, "Val/Met": 0.5, "Met/Met": 1.0}
"""Val66Met as the models read it: half the number of Met alleles."""


def people(
    arm: Arm, subjects: range | np.ndarray, draw_parameters: bool = True, *, n_draws: int = 200,
    draw: np.ndarray | None = None,
) -> People:  # fmt: skip
    """The people of one arm, by their numbers; the same in every arm but for genotype and parameters the arm sets.

    Covariates of the study's own table of people stand in place of drawn ones. Raises what ``population.sample`` raises.
    """
    protocol = arm.protocol
    table = {
        name: np.array(cells, dtype=None if isinstance(cells[0], float) else object)[np.asarray(subjects) % len(cells)]
        for name, cells in protocol.people.items()
        if name != ID
    }
    return population.sample(
        protocol.population, protocol.system, subjects, protocol.study.seed, draw_parameters, n_draws=n_draws, draw=draw,
        typical={**protocol.study.parameters, **arm.asked.parameters}, covariates={**table, **fixed_covariates(arm.asked)},
        posterior=protocol.posterior,
    )  # fmt: skip


def fixed_covariates(arm: AskedArm) -> dict[str, Any]:
    """Covariates everybody in the arm has alike: the genotype it names."""
    result: dict[str, Any] = {}
    if arm.genotype.val66met is not None:
        result["val66met"] = MET[arm.genotype.val66met]
    if arm.genotype.bdnf_gene_dose is not None:
        result["bdnf_gene_dose"] = arm.genotype.bdnf_gene_dose
    return result


def begins(study: Study, population: Population) -> float:
    """Hours at which a study starts to be simulated: before every history, dose, exposure, visit."""
    times = [study.start, study.visits[0], study.start - population.run_in]
    for arm in study.arms.values():
        times += [time for dose in (*arm.doses, *arm.co_medication) for time in dose.at]
        times += [time for exposure in arm.exposures for time in exposure.at or ()]
        times += [exposure.begin for exposure in arm.exposures if exposure.begin is not None]
    return min(times)
