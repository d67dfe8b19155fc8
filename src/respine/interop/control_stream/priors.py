"""$PRIOR NWPRI: normal priors of fixed effects, inverse Wishart priors of blocks of random effects."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from respine.interop.control_stream import compartments
from respine.interop.control_stream.estimates import BlockGiven, Estimates, ThetaGiven, blocks, thetas
from respine.interop.control_stream.records import Record, every, first
from respine.interop.faults import Faults


@dataclass
class PriorGiven:
    """``means`` of the first fixed effects with their ``covariance``; ``matrices`` of the first blocks with ``degrees``."""

    means: list[float] = field(default_factory=list)
    covariance: np.ndarray | None = None
    matrices: list[np.ndarray] = field(default_factory=list)
    degrees: list[float] = field(default_factory=list)


def priors(records: list[Record], given: Estimates, faults: Faults) -> PriorGiven | None:
    """What $PRIOR says, in records of its own or behind the estimates, which are taken out of ``given`` then."""
    counts = compartments.prior_counts(records, faults)
    record = first(records, "PRIOR")
    if counts is None or record is None:
        for other in every(records, "THETAP", "THETAPV", "OMEGAP", "OMEGAPD"):
            faults.add(
                other.line, f"${other.name}", "", "It belongs to $PRIOR, which is missing.", "Write $PRIOR NWPRI."
            )
        return None

    def fault(why: str) -> None:
        cure = "Write $THETAP with $THETAPV, and $OMEGAP with $OMEGAPD."
        faults.add(record.line, "$PRIOR", record.text[:60], why, cure)

    means, spread = list[ThetaGiven](), list[BlockGiven]()
    matrices, degrees = list[BlockGiven](), list[ThetaGiven]()
    for part in every(records, "THETAP"):
        means += thetas(part, faults, {}, 0)
    for part in every(records, "THETAPV"):
        spread += blocks(part, faults, {}, spread)
    for part in every(records, "OMEGAP"):
        matrices += blocks(part, faults, {}, matrices)
    for part in every(records, "OMEGAPD"):
        degrees += thetas(part, faults, {}, 0)
    if not means and not matrices:
        n = counts.get("NTHETA", len(given.thetas))
        several = counts.get("NTHP", 0)
        means, degrees = given.thetas[n : n + several], given.thetas[n + several :]
        given.thetas = given.thetas[:n]
        size, at = 0, 0
        while at < len(given.omega) and size < counts.get("NETA", 0):
            size += given.omega[at].size
            at += 1
        rest = given.omega[at:]
        given.omega = given.omega[:at]
        size, k = 0, 0
        while k < len(rest) and size < several:
            size += rest[k].size
            k += 1
        spread, matrices = rest[:k], rest[k:]
    found = PriorGiven(
        [t.start for t in means], _diagonal(spread), [b.matrix for b in matrices], [t.start for t in degrees]
    )
    if len(means) != (0 if found.covariance is None else len(found.covariance)) or len(means) > len(given.thetas):
        fault(
            f"There are {len(means)} prior means and a matrix of {0 if found.covariance is None else len(found.covariance)}."
        )
    elif means and found.covariance is not None and np.linalg.eigvalsh(found.covariance)[0] <= 0:
        fault("The variances of the prior means are not positive definite.")
    if len(degrees) != len(matrices) or any(d.start <= 0 for d in degrees):
        fault(f"There are {len(matrices)} prior matrices and {len(degrees)} degrees of freedom.")
    own = [block.size for block in given.omega if block.same is None]
    if [len(m) for m in found.matrices] != own[: len(found.matrices)]:
        fault("The prior matrices do not fit the blocks of $OMEGA.")
    return found


def _diagonal(spread: list[BlockGiven]) -> np.ndarray | None:
    """Blocks along the diagonal of one matrix."""
    if not spread:
        return None
    n = sum(block.size for block in spread)
    out, at = np.zeros((n, n)), 0
    for block in spread:
        out[at : at + block.size, at : at + block.size] = block.matrix
        at += block.size
    return out
