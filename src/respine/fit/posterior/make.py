"""Make the posterior: mode, then draws in batches that are kept, so that a stopped run goes on; then the library's table."""

from __future__ import annotations

import hashlib
import time as clock
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from respine import population
from respine.files import store
from respine.fit.posterior import draws, workers
from respine.fit.posterior import mode as modes
from respine.fit.posterior.forward import Forward
from respine.fit.posterior.mode import Mode
from respine.fit.posterior.recipe import Joint
from respine.fit.recipe import experiment
from respine.library import BUILT_IN
from respine.protocol.protocol import CODE

Say = Callable[[str], None]
AT_ONCE = 128  # draws made together and kept: batches large enough for every process
KINDS = ("models", "modules", "variables", "parameters", "drugs", "exposures", "scales", "populations", "recipes")


@dataclass(frozen=True)
class Made:
    """The joint mode and the draws of a recipe, ``z`` (n_draws, n_numbers), residuals ``r`` (n_draws, n_rows); ``gain`` is
    the share by which the last step still lowered the moved cost, ``refined`` how many draws went beyond the straight line.
    """

    forward: Forward
    mode: Mode
    z: np.ndarray
    r: np.ndarray
    costs: np.ndarray
    seconds: float
    gain: float
    refined: int = 0


def key(joint: Joint) -> str:
    """What the mode and draws depend on: recipes, science, evidence and code."""
    return store.fingerprint(joint.digest, science_of(joint), store.code_fingerprint(*CODE, "fit"))[:16]


def science_of(joint: Joint) -> str:
    """Digest of the library's science, of the rows that are fitted to and of their studies."""
    root = BUILT_IN.roots[0]
    files = [file for kind in KINDS for file in (root / kind).iterdir() if file.is_file()]
    used = {target.study for _, target in joint.targets}
    files += [study if isinstance(study, Path) else BUILT_IN.path("studies", study) for study in map(experiment, used)]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    rows = sorted({(t.id, t.value, t.tolerance) for _, t in joint.targets})
    return hashlib.sha256(digest.digest() + repr(rows).encode()).hexdigest()


def make(
    joint: Joint, *, draws_wanted: int | None = None, seed: int | None = None, processes: int = 1, folder: Path | None = None,
    say: Say = lambda text: None, start: Mapping[str, float] | None = None,
) -> Made:  # fmt: skip
    """The posterior of a joint recipe. What is finished lies in ``folder`` (the cache) and is taken from there.

    The search for the mode begins at the library's values, or, where ``start`` has a number by its name, at that ``z``: from
    the mode of an earlier table it takes fewer steps.

    Raises ValueError where the model cannot be computed at the library's values.
    """
    begun, settings = clock.perf_counter(), joint.settings
    n = settings.draws if draws_wanted is None else draws_wanted
    seed = settings.seed if seed is None else seed
    forward = Forward(joint)
    place = folder or store.cache_folder() / "posterior" / key(joint)
    place.mkdir(parents=True, exist_ok=True)
    say(f"{len(forward.numbers)} numbers, {len(forward.own)} of trials, {len(forward.targets)} rows; kept in {place}")
    done = [0]

    def progress(count: int) -> None:
        done[0] += count
        if done[0] // 100 != (done[0] - count) // 100:
            say(f"  {done[0]} vectors, {clock.perf_counter() - begun:.0f} s")

    with workers.shared(forward, processes, progress) as evaluate:
        mode = _mode(forward, evaluate, place / "mode.npz", settings.jacobians, say, start)
        parts, gains = [], []
        for first in range(0, n, AT_ONCE):
            last = min(first + AT_ONCE, n)
            file = place / f"draws-{seed}-{first}-{last}.npz"
            if not file.is_file():
                say(f"draws {first + 1} to {last} of {n}")
                e, u = draws.moved(seed, first, last, len(mode.r), len(mode.z))
                u = np.where(mode.live[None, :], u, even(seed, n, len(mode.z))[first:last])
                chain = draws.make(evaluate, mode, e, u, settings.steps, say)
                _save(file, z=chain.z, r=chain.r, costs=chain.costs, gain=np.array(chain.gain))
            held = np.load(file)
            parts.append((held["z"], held["r"], held["costs"]))
            gains.append(float(held["gain"]))
    z, r, costs = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not forward.labels:  # all was kept: the labels of the rows are needed still
        forward(mode.z[None])
    return Made(forward, mode, z, r, costs, clock.perf_counter() - begun, float(np.mean(gains)), n)


def even(seed: int, n: int, width: int) -> np.ndarray:
    """Standard normal numbers at even quantiles, in an order of their own in each column, ``(n, width)``."""
    order = np.argsort(population.uniforms(seed, "order of uninformed numbers", 0, n, width), axis=0, kind="stable")
    return population.inverse_normal((order + 0.5) / n)


def _mode(
    forward: Forward, evaluate: Any, file: Path, jacobians: int, say: Say, start: Mapping[str, float] | None
) -> Mode:  # fmt: skip
    begun = None
    if file.is_file():
        held = np.load(file)
        begun = Mode(held["z"], held["r"], held["jacobian"], tuple(held["costs"]))
        if bool(held["done"]):
            say(f"mode from before: cost {begun.costs[-1]:.1f}")
            return begun
    library = dict.fromkeys(forward.own, 0.0) | {number.name: number.z(number.basis[0]) for number in forward.numbers}
    first = np.array([(start or {}).get(name, library[name]) for name in forward.names])
    first = np.clip(first, -2.5, 2.5)

    def keep(mode: Mode, done: bool = False) -> None:
        _save(file, z=mode.z, r=mode.r, jacobian=mode.jacobian, costs=np.array(mode.costs), done=np.array(done))

    mode = modes.find(evaluate, first, jacobians, say, keep, begun)
    keep(mode, done=True)  # with the latest Jacobian and its updates: each draw goes on updating it
    return mode


def _save(file: Path, **arrays: np.ndarray) -> None:
    beside = file.with_suffix(".part.npz")
    np.savez(beside, **arrays)  # type: ignore[arg-type]
    beside.replace(file)
