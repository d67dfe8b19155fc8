"""The posterior as the library's table, what it says beside the prior, and whether it can be made again."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from respine.fit.posterior import draws, workers
from respine.fit.posterior.forward import Forward
from respine.fit.posterior.make import Made, Say, even, science_of
from respine.fit.posterior.mode import Mode
from respine.fit.posterior.numbers import Number, all_numbers
from respine.fit.posterior.recipe import Joint
from respine.library import BUILT_IN
from respine.population import posterior as tables
from respine.population.posterior import Posterior

AGAIN = 12  # draws that a check makes again
ALIKE = 0.02  # prior SD: what a draw made again may differ by (rounding to float32, order of sums)
PULL = 2.0  # standard errors by which a row stays away from the median of the draws


def encode(made: Made, joint: Joint, seed: int) -> bytes:
    """The table: a column for every number, its values; settings and effects of the trials as standard normal numbers."""
    forward = made.forward
    values = {number.name: number.values(made.z[:, j]) for j, number in enumerate(forward.numbers)}
    values |= {name: made.z[:, len(forward.numbers) + k] for k, name in enumerate(forward.own)}
    basis = {number.name: number.basis for number in forward.numbers}
    return tables.encode(values, basis, facts_of(made, joint, seed))


def facts_of(made: Made, joint: Joint, seed: int) -> dict[str, Any]:
    """How the table was made and how well it meets its rows: what stands with the table."""
    forward, mode = made.forward, made.mode
    n = len(forward.numbers)
    dead = ~mode.live[:n]
    squares = made.r**2
    return {
        "recipe": joint.digest, "science": science_of(joint), "seed": seed, "draws": len(made.z),
        "distinct": len(np.unique(made.z.round(9), axis=0)), "steps": joint.settings.steps, "last_gain": made.gain,
        "rows": len(forward.targets), "residuals": made.r.shape[1],
        "chi2_mode": float(mode.r @ mode.r), "chi2_median": float(np.median(squares.sum(axis=1))),
        "cost_mode": float(mode.costs[-1]), "cost_median": float(np.median(made.costs)),
        "blocks": {block: _block(made, block) for block in dict.fromkeys(forward.blocks)},
        "uninformed": int(dead.sum()),
        "uninformed_sd": float(made.z[:, :n][:, dead].std(axis=0).mean()) if dead.any() else None,
        "informed_50": int((mode.spread()[:n] ** 2 < 0.5).sum()),
        "misfits": _misfits(made),
        "refined": made.refined, "jacobian": packed(mode.jacobian),
        "mode": dict(zip(forward.names, map(float, mode.z), strict=True)),
        "laplace_sd": {number.name: float(sd) for number, sd in zip(forward.numbers, mode.spread(), strict=False)},
    }  # fmt: skip


def packed(matrix: np.ndarray) -> str:
    """A matrix as text, float32: the draws follow from it, so it stands with the table."""
    return base64.b64encode(zlib.compress(np.asarray(matrix, np.float32).tobytes(), 9)).decode()


def unpacked(text: str, columns: int) -> np.ndarray:
    """The matrix of ``packed``, ``(n, columns)``."""
    flat = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.float32)
    return flat.reshape(-1, columns).astype(float)


def _block(made: Made, block: str) -> dict[str, float]:
    inside = np.array([b == block for b in made.forward.blocks])
    per_row = (made.r[:, inside] ** 2).sum(axis=1) / inside.sum()
    return {
        "residuals": int(inside.sum()),
        "mode": float((made.mode.r[inside] ** 2).mean()),
        "draws": float(np.median(per_row)),
    }


def _misfits(made: Made) -> list[dict[str, Any]]:
    """Rows whose median residual stays away from zero, the farthest first."""
    middle = np.median(made.r, axis=0)
    rows = []
    for k in np.argsort(-np.abs(middle)):
        if abs(middle[k]) < PULL:
            break
        target = made.forward.targets[made.forward.labels[k]]
        name = target.endpoint or f"{target.output} {target.how}"
        rows.append({"row": target.id, "study": target.study, "what": name, "z": round(float(middle[k]), 2)})
    return rows


def write(content: bytes, path: Path | None = None) -> Path:
    """Put the table into the library, or into another file."""
    from respine.files import store

    file = path or BUILT_IN.roots[0] / tables.FILE
    store.write_bytes(file, content)
    return file


def beside_prior(posterior: Posterior, numbers: list[Number] | None = None) -> pd.DataFrame:
    """Prior and posterior of every number side by side, the most informed first.

    Columns ``number, block, prior, prior_low, prior_high, median, low, high, contraction, moved``: 90 % ranges, ``contraction``
    the part of the prior's variance that the rows took away, ``moved`` the posterior median in SD of the prior.
    """
    rows = []
    for number in numbers or all_numbers():
        column = posterior.values.get(number.name)
        if column is None:
            continue
        z = np.array([number.z(float(value)) for value in column])
        low, median, high = (float(q) for q in np.quantile(column, [0.05, 0.5, 0.95]))
        prior = number.free.prior
        rows.append({
            "number": number.name, "block": number.block, "prior": prior.median, "prior_low": prior.low, "prior_high": prior.high,
            "median": median, "low": low, "high": high, "contraction": 1.0 - float(z.var()), "moved": float(np.median(z)),
        })  # fmt: skip
    return pd.DataFrame(rows).sort_values("contraction", ascending=False, ignore_index=True)


def check(joint: Joint, posterior: Posterior, processes: int, say: Say) -> list[str]:
    """What speaks against the stored table: nothing if its first draws come out again from its recipe, mode and seed."""
    facts = posterior.facts
    faults = []
    if facts.get("recipe") != joint.digest:
        faults.append("the recipe or the recipe of a block has changed since the table was made")
    if facts.get("science") != science_of(joint):
        faults.append("numbers, equations, studies or evidence have changed since the table was made")
    forward = Forward(joint)
    if set(forward.names) != set(facts["mode"]):
        return [*faults, "the table holds other numbers than the library has"]
    z = np.array([facts["mode"][name] for name in forward.names])
    with workers.shared(forward, processes, lambda count: None) as evaluate:
        r = evaluate(z[None])[0]
        say(f"rows at the mode: {r @ r:.1f}, stored {facts['chi2_mode']:.1f}")
        if abs(float(r @ r) - facts["chi2_mode"]) > 0.01 * facts["chi2_mode"]:
            faults.append(f"the mode meets its rows with {r @ r:.1f}, the table says {facts['chi2_mode']:.1f}")
        mode = Mode(z, r, unpacked(facts["jacobian"], len(z)), (facts["cost_mode"],))
        n, seed = len(posterior), int(facts["seed"])
        e, u = draws.moved(seed, 0, AGAIN, len(r), len(z))
        u = np.where(mode.live[None, :], u, even(seed, n, len(z))[:AGAIN])
        again = draws.make(evaluate, mode, e, u, int(facts["steps"]), say)
    stored = stored_z(forward, posterior)[:AGAIN]
    away = np.abs(again.z - stored)
    if float(np.quantile(away, 0.99)) > ALIKE:
        faults.append(f"draws made again differ: 99 % of their numbers by up to {np.quantile(away, 0.99):.2g} prior SD")
    return faults


def agreement(made: Made, posterior: Posterior) -> tuple[float, float]:
    """How far new draws and those of a table stand apart over all informed numbers: the distance of their means in its own
    standard error (root mean square; 1 by chance alone), and the geometric mean of the ratio of their SDs (1).
    """
    informed = made.mode.live
    mine, other = made.z[:, informed], stored_z(made.forward, posterior)[:, informed]
    error = np.sqrt(mine.var(axis=0, ddof=1) / len(mine) + other.var(axis=0, ddof=1) / len(other))
    away = (mine.mean(axis=0) - other.mean(axis=0)) / np.maximum(error, 1e-12)
    ratio = np.log(np.maximum(mine.std(axis=0), 1e-12) / np.maximum(other.std(axis=0), 1e-12))
    return float(np.sqrt(np.mean(away**2))), float(np.exp(ratio.mean()))


def stored_z(forward: Forward, posterior: Posterior) -> np.ndarray:
    """The draws of a table as standard normal numbers, ``(n, len(forward.names))``."""
    columns = [np.array([number.z(float(v)) for v in posterior.values[number.name]]) for number in forward.numbers]
    return np.column_stack([*columns, *(posterior.trials[name] for name in forward.own)])


def by_block(facts: Mapping[str, Any]) -> pd.DataFrame:
    """Chi-square per row of each block, at the mode and in the median draw."""
    rows = [{"block": block, **numbers} for block, numbers in facts["blocks"].items()]
    return pd.DataFrame(rows)
