"""What `respine fit` does beside a fit: expected information before it, profiles and bootstrap after it, posteriors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from respine.fit.population import Fit, PopulationProblem, Posterior

TITLES = {"profile": "95 % limits by likelihood profiles", "bootstrap": "bootstrap: 95 % of the answers"}


def before(problem: PopulationProblem, samples: int, people: int, json: bool) -> None:
    """Tell the expected information of a design, or of its best times. Exit code 1 where something cannot be told."""
    from respine.fit import population

    design = population.best_times(problem, samples, people=people) if samples else None
    known = design.information if design is not None else population.information(problem, people=people)
    if json:
        from respine.cli.screen import print_json

        print_json({"people": known.people, "observations": known.observations, "criterion": known.criterion,
                    "expected": known.table.to_dict("records"), "findings": [vars(f) for f in known.findings],
                    "times": None if design is None else design.table.to_dict("records"),
                    "efficiency": None if design is None else design.efficiency})  # fmt: skip
    else:
        typer.echo(str(known if design is None else design))
    if known.findings:
        raise typer.Exit(1)


def after(
    fitted: Fit, profile: bool, bootstrap: int, out: Path | None, watch: Callable[[str], None] | None
) -> dict[str, pd.DataFrame]:
    """Tables of what was asked for: profile, bootstrap (its percentiles) and replicates."""
    from respine.fit import population

    made = {}
    if profile:
        made["profile"] = population.profile(fitted, watch=watch).limits
    if bootstrap > 0:
        replicates = population.bootstrap(fitted, bootstrap, folder=out, watch=watch)
        made["bootstrap"] = population.percentiles(replicates)
        made["replicates"] = replicates
    return made


def show(tables: Mapping[str, pd.DataFrame]) -> None:
    """Print tables under their titles."""
    for name, title in TITLES.items():
        if name in tables:
            typer.echo(f"\n{title}\n" + tables[name].to_string(index=False, float_format=lambda v: f"{v:.5g}"))


def posterior(sampled: Posterior, out: Path | None, json: bool) -> None:
    """Tell and write a posterior; exit code 1 where it is no answer."""
    frames = {"posterior": sampled.summary, "draws": sampled.draws, "random-effects": sampled.random_effects}
    paths = written(frames, out) if out is not None else []
    if out is not None:
        from respine.fit.population.bayes import inference_data

        if inference_data.available():
            paths.append(inference_data.write(sampled, out / "draws.nc"))
    if json:
        from respine.cli.screen import print_json

        print_json({"title": sampled.problem.title, "method": "nuts", "answer": sampled.is_answer, "seconds": sampled.seconds,
                    "summary": sampled.summary.to_dict("records"), "divergences": sampled.divergences,
                    "priors": sampled.density.prior.table.to_dict("records"), "settings": dict(sampled.settings),
                    "findings": [vars(finding) for finding in sampled.findings],
                    "written": [str(path) for path in paths]})  # fmt: skip
    else:
        typer.echo(str(sampled))
        for path in paths:
            typer.echo(f"written: {path}")
    if not sampled.is_answer:
        raise typer.Exit(1)


def written(frames: Mapping[str, pd.DataFrame], out: Path) -> list[Path]:
    from respine.files import store

    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, frame in frames.items():
        path = out / f"{name}.csv"
        store.write_bytes(path, frame.to_csv(index=False).encode())
        paths.append(path)
    return paths
