"""The one call for simulated trials of a study: trials = arms x replicates x parameter draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from respine.errors import InputError, argument
from respine.library import Library
from respine.protocol import Protocol, resolve
from respine.study import load
from respine.study.schema import Study
from respine.trial.replicates.trials import Trials, simulate_trials


def trials(
    study: Protocol | Study | str | Path, replicates: int = 1000, n: int | Mapping[str, int] | None = None, *,
    typical: bool = False, seed: int | None = None, threads: int | None = None,
    progress: Callable[[int, int], None] | None = None, library: Library | None = None,
) -> Trials:  # fmt: skip
    """Simulate trials of a study: ``replicates`` of them, each with people of its own and one draw of the uncertain parameters.

    ``n`` people an arm stand in for the study's own size; ``typical`` keeps the typical parameters. Any person keeps every random
    number whatever the arms, their order, n, replicates or threads. ``progress`` is called with people done and in all. Raises
    InputError for a study that cannot be used.
    """
    if isinstance(replicates, bool) or not isinstance(replicates, int) or not 1 <= replicates <= 1_000_000:
        raise InputError(
            argument("replicates", replicates, "It must be a whole number from 1 to 1 000 000.", "Write 1000.")
        )
    if isinstance(study, Protocol):
        protocol = study
    else:
        read = study if isinstance(study, Study) else load(study) if library is None else load(study, library)
        protocol = resolve(read, library)
    if seed is not None:
        protocol = protocol.with_study(seed=seed)
    return simulate_trials(protocol, replicates, n, typical=typical, threads=threads, progress=progress)
