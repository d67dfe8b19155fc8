"""Draws of a posterior with what says whether they can be trusted: R-hat, effective sample sizes, divergences.

The gates follow Vehtari et al. (2021, doi 10.1214/20-BA1221): rank-normalised split R-hat at most 1.01, bulk and tail
effective sample sizes of at least 400 together, no divergence. Draws that miss one are no answer.
"""

from __future__ import annotations

import time as clock
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from respine.files import store
from respine.fit.population.bayes.chains import Chain, chain, library
from respine.fit.population.bayes.density import Density
from respine.fit.population.findings import Finding
from respine.fit.population.problem import PopulationProblem

if TYPE_CHECKING:
    import pandas as pd

MOST_RHAT, FEWEST_EFFECTIVE = 1.01, 400.0
Watch = Callable[[str], None]


@dataclass(frozen=True)
class Posterior:
    """Draws of a problem's posterior. ``x`` (chains, draws, P) on the search's scale, ``random`` (chains, draws, n, Q)."""

    problem: PopulationProblem
    density: Density
    x: np.ndarray
    random: np.ndarray
    divergences: int
    evaluations: int
    seconds: float
    settings: Mapping[str, Any]

    @cached_property
    def values(self) -> np.ndarray:
        """(chains, draws, P) values as reported: parameters, variances and covariances."""
        vector, begin = self.density.vector, self.density.begin
        return np.array([[vector.natural(vector.unpack(x, begin)) for x in own] for own in self.x])

    @property
    def draws(self) -> pd.DataFrame:
        """One row a draw: chain, draw, and every parameter by name."""
        import pandas as pd

        chains, draws, p = self.values.shape
        frame = pd.DataFrame(self.values.reshape(-1, p), columns=self.density.vector.names)
        frame.insert(0, "draw", np.tile(np.arange(draws), chains))
        frame.insert(0, "chain", np.repeat(np.arange(chains), draws))
        return frame

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row a parameter: name, kind, mean, sd, median, low and high (95 %), rhat, ess_bulk, ess_tail."""
        import pandas as pd

        rows = []
        for k, entry in enumerate(self.density.vector.entries):
            own = self.values[:, :, k]
            low, middle, high = np.quantile(own, (0.025, 0.5, 0.975))
            rows.append({"name": entry.name, "kind": entry.kind, "mean": own.mean(), "sd": own.std(ddof=1),
                         "median": middle, "low": low, "high": high, **_quality(own)})  # fmt: skip
        columns = ["name", "kind", "mean", "sd", "median", "low", "high", "rhat", "ess_bulk", "ess_tail"]
        return pd.DataFrame(rows, columns=columns)

    @cached_property
    def random_effects(self) -> pd.DataFrame:
        """One row a subject and random effect: ID, name, mean, sd, low, high (95 %), rhat, ess_bulk."""
        import pandas as pd

        names, labels = self.density.objective.d.random_names(), self.problem.data.labels
        rows = []
        for s, label in enumerate(labels):
            for k, name in enumerate(names):
                own = self.random[:, :, s, k]
                low, high = np.quantile(own, (0.025, 0.975))
                quality = _quality(own)
                rows.append({"ID": label, "name": name, "mean": own.mean(), "sd": own.std(ddof=1), "low": low,
                             "high": high, "rhat": quality["rhat"], "ess_bulk": quality["ess_bulk"]})  # fmt: skip
        return pd.DataFrame(rows, columns=["ID", "name", "mean", "sd", "low", "high", "rhat", "ess_bulk"])

    @cached_property
    def findings(self) -> list[Finding]:
        """What stands in the way of an answer."""
        results: list[Finding] = []
        table = self.summary
        apart = table[~(table["rhat"] <= MOST_RHAT)]
        if len(apart):
            worst = ", ".join(f"{r['name']} {r['rhat']:.3f}" for r in apart.to_dict("records")[:5])
            results.append(Finding("chains-disagree", tuple(apart["name"]), f"R-hat is above {MOST_RHAT}: {worst}.",
                                 "Draw more, tune longer, or give priors to what the data do not tell."))  # fmt: skip
        few = table[~((table["ess_bulk"] >= FEWEST_EFFECTIVE) & (table["ess_tail"] >= FEWEST_EFFECTIVE))]
        if len(few):
            least = few[["ess_bulk", "ess_tail"]].min(axis=1)
            text = ", ".join(f"{n} {e:.0f}" for n, e in list(zip(few["name"], least, strict=True))[:5])
            results.append(Finding("few-draws", tuple(few["name"]), f"Fewer than {FEWEST_EFFECTIVE:.0f} effective draws: {text}.",
                                 "Draw more."))  # fmt: skip
        if self.divergences:
            why = (
                f"{self.divergences} of {self.x.shape[0] * self.x.shape[1]} steps diverged: a corner was not explored."
            )
            cure = "Raise accept (0.95), give a prior to variances near 0, or remove these effects."
            results.append(Finding("divergences", (), why, cure))
        return results

    @property
    def is_answer(self) -> bool:
        """Whether the chains agree, are long enough and did not diverge."""
        return not self.findings

    def __repr__(self) -> str:
        state = "an answer" if self.is_answer else "no answer"
        return f"Posterior({self.problem.title or 'problem'}, {self.x.shape[0]} x {self.x.shape[1]} draws, {state})"

    def __str__(self) -> str:
        lines = [f"{self.problem.title or 'population fit'}: nuts, {self.x.shape[0]} chains of {self.x.shape[1]} draws",
                 f"{self.problem.data.n_subjects} subjects, {int(self.problem.data.observed.sum())} observations, "
                 f"{self.seconds:.1f} s, {self.evaluations} evaluations"]  # fmt: skip
        lines.append("chains agree, none diverged" if self.is_answer else "THIS IS NO ANSWER YET; see the findings")
        lines += ["", self.summary.to_string(index=False, float_format=lambda v: f"{v:.5g}"), ""]
        lines += [str(finding) for finding in self.findings]
        lines += [
            "priors:",
            *(f"  {r['parameters']}: {r['prior']}" for r in self.density.prior.table.to_dict("records")),
        ]
        return "\n".join(lines)


def _quality(values: np.ndarray) -> dict[str, float]:
    """R-hat and effective sample sizes of (chains, draws)."""
    library()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import arviz

        if not values.std() > 0:
            return {"rhat": np.nan, "ess_bulk": np.nan, "ess_tail": np.nan}
        return {"rhat": float(arviz.rhat(values)), "ess_bulk": float(arviz.ess(values, method="bulk")),
                "ess_tail": float(arviz.ess(values, method="tail"))}  # fmt: skip


def posterior(
    problem: PopulationProblem, *, draws: int = 1000, tune: int = 500, chains: int = 4, accept: float = 0.9,
    seed: int | None = None, folder: str | Path | None = None, watch: Watch | None = None,
) -> Posterior:  # fmt: skip
    """Draw the posterior of a problem by NUTS. ``folder`` keeps what was computed: a killed run goes on to the same draws.

    ``accept`` is the share of accepted steps the sampler aims at. Chains differ by their seeds alone. Raises InputError
    where nutpie is missing (``respine[bayes]``), and ValueError where the start values have no likelihood.
    """
    begun = clock.perf_counter()
    library()
    own = problem.estimation.seed if seed is None else seed
    density = Density(problem, watch)
    settings = {"draws": draws, "tune": tune, "chains": chains, "accept": accept, "seed": own,
                "rtol": density.objective.predictor.rtol}  # fmt: skip
    place = _place(folder, density, settings)
    made: list[Chain] = []
    for k in range(chains):
        made.append(
            chain(density, density.size, k, draws=draws, tune=tune, seed=own, accept=accept, folder=place, watch=watch)
        )
        if watch is not None:
            watch(f"chain {k + 1} of {chains} is done: {made[-1].evaluations} evaluations")
    ends = [[density.frame.out(y) for y in c.draws] for c in made]
    x = np.array([[place.x for place in chain] for chain in ends])
    random = np.array([[place.random for place in chain] for chain in ends])
    return Posterior(problem, density, x, random, int(sum(c.diverged.sum() for c in made)),
                     sum(c.evaluations for c in made), clock.perf_counter() - begun, settings)  # fmt: skip


def _place(folder: str | Path | None, density: Density, settings: Mapping[str, Any]) -> Path | None:
    """The folder of this very run: its name comes from the problem, the data, the options and the frame."""
    if folder is None:
        return None
    from respine.fit.population.saem import fingerprint

    parts = [fingerprint(density.problem), repr(sorted(settings.items())), density.prior.table.to_csv()]
    arrays = (density.frame.centre, density.frame.root, density.frame.told, density.frame.pull)
    place = (
        Path(folder) / f"nuts-{store.fingerprint(*parts, *(np.ascontiguousarray(a).tobytes() for a in arrays))[:16]}"
    )
    place.mkdir(parents=True, exist_ok=True)
    return place
