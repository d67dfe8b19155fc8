"""Was the blind kept? What people would guess from their belief, the indices of James and Bang, and correct guesses over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from respine import population
from respine.trial.replicates.trials import Trials

if TYPE_CHECKING:
    import pandas as pd

DRUG, CONTROL, UNSURE = 0, 1, 2


@dataclass(frozen=True)
class Guesses:
    """Counts of guesses, ``(..., 2, 3)``: people on drug and on control who guess drug, control, or say they do not know."""

    counts: np.ndarray

    @property
    def james(self) -> np.ndarray:
        """James index: 1 all unsure, 0.5 guesses by chance, 0 all right (James et al. 1996,
        doi:10.1002/(SICI)1097-0258(19960715)15:13<1421::AID-SIM266>3.0.CO;2-H)."""
        p = self.counts / self.counts.sum(axis=(-1, -2), keepdims=True)
        unsure = p[..., UNSURE].sum(axis=-1)
        wrong = 0.5 * (p[..., 0, CONTROL] + p[..., 1, DRUG])
        guesses, rows = p.sum(axis=-2), p[..., :UNSURE].sum(axis=-1)
        chance = 0.5 * (guesses[..., CONTROL] * rows[..., 0] + guesses[..., DRUG] * rows[..., 1])
        with np.errstate(invalid="ignore", divide="ignore"):
            seen, expected = wrong / (1 - unsure), chance / (1 - unsure) ** 2
            kappa = (seen - expected) / expected
            index = (1 + unsure + (1 - unsure) * kappa) / 2
        return np.where(unsure >= 1, 1.0, index)

    @property
    def bang(self) -> np.ndarray:
        """Bang index of the drug and the control arm, ``(..., 2)``: 1 all right, 0 by chance, -1 all wrong (Bang, Ni and Davis
        2004, doi:10.1016/j.cct.2003.10.016)."""
        right = np.stack([self.counts[..., 0, DRUG], self.counts[..., 1, CONTROL]], axis=-1)
        wrong = np.stack([self.counts[..., 0, CONTROL], self.counts[..., 1, DRUG]], axis=-1)
        return np.asarray((right - wrong) / self.counts.sum(axis=-1))

    @property
    def correct(self) -> np.ndarray:
        """Share of right guesses among those who guess, by arm, ``(..., 2)``."""
        right = np.stack([self.counts[..., 0, DRUG], self.counts[..., 1, CONTROL]], axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(right / self.counts[..., :UNSURE].sum(axis=-1))


def guesses(trials: Trials, drug: str, control: str, *, unsure: float = 0.1) -> Guesses:
    """What the people of two arms would guess at every rating, counts ``(R, V, 2, 3)``.

    A person says drug with a chance equal to the belief, by a number of the person that stays the same over time, and does not
    know while the belief is within ``unsure`` of one half. Who has left is not asked.
    """
    seed = trials.protocol.study.seed
    order = np.argsort(trials.subject, axis=None)
    chance = np.empty(trials.subject.size)
    chance[order] = population.uniforms_of(seed, "guess of the arm", trials.subject.ravel()[order])[:, 0]
    mark = chance.reshape(trials.subject.shape)[..., None]
    said = np.where(np.abs(trials.belief - 0.5) < unsure, UNSURE, np.where(mark < trials.belief, DRUG, CONTROL))
    counts = np.zeros((len(trials), len(trials.times), 2, 3))
    for a, name in enumerate((drug, control)):
        who = (trials.arm == trials.arms.index(name))[..., None] & trials.seen
        for g in (DRUG, CONTROL, UNSURE):
            counts[:, :, a, g] = (who & (said == g)).sum(axis=1)
    return Guesses(counts)


def blinding(trials: Trials, drug: str, control: str, *, unsure: float = 0.1) -> pd.DataFrame:
    """The blind over time: a row a rating with both indices, the share of right guesses, and mean belief in each arm.

    Columns ``time_h, james, bang_drug, bang_control, correct_drug, correct_control, unsure, belief_drug, belief_control``; means
    over the trials.
    """
    import pandas as pd

    guessed = guesses(trials, drug, control, unsure=unsure)
    belief = [np.nanmean(trials.belief[trials.arm == trials.arms.index(name)], axis=0) for name in (drug, control)]
    with np.errstate(invalid="ignore"):
        share = guessed.counts[..., UNSURE].sum(axis=-1) / guessed.counts.sum(axis=(-1, -2))
    pooled = Guesses(guessed.counts.sum(axis=0))  # a trial in which nobody guesses has no share of its own
    return pd.DataFrame({
        "time_h": trials.times, "james": guessed.james.mean(axis=0), "bang_drug": guessed.bang[..., 0].mean(axis=0),
        "bang_control": guessed.bang[..., 1].mean(axis=0), "correct_drug": pooled.correct[:, 0],
        "correct_control": pooled.correct[:, 1], "unsure": share.mean(axis=0), "belief_drug": belief[0],
        "belief_control": belief[1],
    })  # fmt: skip
