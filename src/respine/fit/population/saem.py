"""SAEM: stochastic approximation of the EM algorithm (Kuhn & Lavielle 2005, doi 10.1016/j.csda.2004.07.002).

Several chains a subject draw random effects by Metropolis steps: independent ones from a normal approximation at the
mode (Karimi et al. 2020, doi 10.1016/j.csda.2019.106840), then walks. Fixed effects that only shift random effects
and all covariances have a closed form; the others follow their exact slopes (Fisher scoring with falling weights).
Two independent banks are run; they have to agree. Random numbers belong to seed, bank and step, so that a run that
was killed goes on from its last checkpoint to the same bits.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from respine.files import store
from respine.fit.population.centred import shifting
from respine.fit.population.conditional import Conditional, conditional
from respine.fit.population.covariances import Blocks
from respine.fit.population.objective import Objective, Point, start_point
from respine.fit.population.prediction import Predictor
from respine.fit.population.problem import PopulationProblem
from respine.fit.population.vector import Vector

Watch = Callable[[str], None]
FEWEST_LANES = 200  # chains times subjects
COOLING = 0.95  # variances fall by no more a step in the first half of the burn-in
LONGEST = 0.5  # of a step of the scored parameters, in x
REFRESH = 40  # steps after which the normal approximations are made anew
AIM = 0.35  # share of accepted walks
EVERY = 20  # steps between checkpoints


@dataclass
class Bank:
    """One run's state; everything a checkpoint holds.

    ``random`` (C, n, Q) the chains, ``value`` (C, n) -2 log p(y | random); ``mean`` (n, Q) and ``square`` (Q, Q) the
    averaged shifts and products; ``information`` the averaged curvature of the scored parameters; ``centre``,
    ``root`` the normal approximations.
    """

    step: int
    x: np.ndarray
    random: np.ndarray
    value: np.ndarray
    mean: np.ndarray
    square: np.ndarray
    information: np.ndarray
    centre: np.ndarray
    root: np.ndarray
    scale: float
    accepted: float
    path: np.ndarray

    def to_bytes(self) -> bytes:
        out = io.BytesIO()
        np.savez(out, **{name: np.asarray(value) for name, value in vars(self).items()})  # type: ignore[arg-type]
        return out.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Bank:
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            fields: dict[str, Any] = {name: kept[name] for name in kept.files}
        fields |= {"step": int(fields["step"]), "scale": float(fields["scale"]), "accepted": float(fields["accepted"])}
        return Bank(**fields)


class Saem:
    """The algorithm for one problem. ``folder`` keeps checkpoints, if given."""

    def __init__(self, problem: PopulationProblem, folder: Path | None = None) -> None:
        self.problem, self.options, self.folder = problem, problem.estimation, folder
        self.predictor = Predictor(problem, rtol=max(problem.estimation.rtol, 1e-8))
        self.objective = Objective(problem, "focei", predictor=self.predictor)
        self.d = self.predictor.directions
        self.blocks = Blocks.of(self.d)
        self.vector = Vector(self.d, self.blocks)
        self.begin = start_point(self.objective)
        self.n, self.q = problem.data.n_subjects, self.d.n_random
        self.chains = max(self.options.chains, -(-FEWEST_LANES // self.n))
        self.subjects = np.tile(np.arange(self.n), self.chains)
        self.places, self.weights = shifting(self.objective, self.vector, self.begin)
        random = [k for k, entry in enumerate(self.vector.entries) if entry.kind == "random"]
        self.scored = [k for k in range(self.vector.size) if k not in self.places and k not in random]

    # ---- steps --------------------------------------------------------------------------------------------------------
    def point(self, x: np.ndarray) -> Point:
        return self.vector.unpack(x, self.begin)

    def likelihood(self, point: Point, random: np.ndarray, want: str = "nothing") -> Conditional:
        """-2 log p(y | random) of all chains; ``random`` (C, n, Q)."""
        k = {"nothing": 0, "all": self.q + self.d.n_free}[want]
        prediction = self.predictor.predict(self.subjects, point.fixed, random.reshape(-1, self.q), want)
        return conditional(self.problem, prediction, k)

    def values(self, point: Point, random: np.ndarray) -> np.ndarray:
        at = self.likelihood(point, random)
        return np.where(at.bad, np.inf, at.value).reshape(self.chains, self.n)

    def start(self, bank: int) -> Bank:
        point = self.begin
        shape = (self.chains, self.n, self.q)
        centre, root = self._approximation(point)
        chance = self._chance(bank, 0)
        z = chance.standard_normal(shape)
        random = centre + np.einsum("nij,cnj->cni", root, z)
        value = self.values(point, random)
        lost = ~np.isfinite(value)
        random[lost] = np.broadcast_to(centre, shape)[lost]
        value = self.values(point, random)
        count = len(self.scored)
        return Bank(0, self.vector.pack(point), random, value, random.mean(axis=0), np.zeros((self.q, self.q)),
                    np.zeros((count, count)), centre, root, 0.5, AIM, np.zeros((0, self.vector.size)))  # fmt: skip

    def _chance(self, bank: int, step: int) -> np.random.Generator:
        key = np.array([np.uint64(self.options.seed), np.uint64(bank * 1_000_003 + step)], np.uint64)
        return np.random.Generator(np.random.Philox(key=key))

    def _approximation(self, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """Modes (n, Q) and roots (n, Q, Q) of the covariances of normal approximations."""
        self.objective.forget()
        at = self.objective.at(point)
        omega = self.blocks.whole(point.blocks)
        good = np.isfinite(at.each) & np.isfinite(at.curvature).all(axis=(1, 2))
        covariance = np.where(
            good[:, None, None], np.linalg.inv(np.where(good[:, None, None], at.curvature, np.eye(self.q))), omega
        )
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 1e-12))[:, None, :]
        return np.where(good[:, None], at.random, 0.0), root

    def advance(self, bank: int, state: Bank) -> None:
        """One step: draw, average, maximise."""
        state.step += 1
        chance = self._chance(bank, state.step)
        point = self.point(state.x)
        if state.step > 1 and (state.step % REFRESH == 1 or state.accepted < 0.1) and state.step < self.options.burn_in:
            state.centre, state.root = self._approximation(point)
        precision = np.linalg.inv(self.blocks.whole(point.blocks))
        self._independent(state, point, precision, chance)
        for part in (None, *range(self.q)) if self.q > 1 else (None,):
            self._walk(state, point, precision, chance, part)
        self._maximise(state, point)
        state.path = np.vstack([state.path, state.x])

    def _prior(self, random: np.ndarray, precision: np.ndarray) -> np.ndarray:
        return np.einsum("cni,ij,cnj->cn", random, precision, random)

    def _independent(self, state: Bank, point: Point, precision: np.ndarray, chance: np.random.Generator) -> None:
        """Draws from the normal approximations, widened."""
        wide = 1.2

        def log_density(random: np.ndarray) -> np.ndarray:
            z = np.einsum("nij,cnj->cni", np.linalg.inv(state.root), random - state.centre) / wide
            return -0.5 * np.sum(z * z, axis=2)

        for _ in range(2):
            z = chance.standard_normal(state.random.shape)
            trial = state.centre + wide * np.einsum("nij,cnj->cni", state.root, z)
            value = self.values(point, trial)
            with np.errstate(invalid="ignore"):
                old = -0.5 * (state.value + self._prior(state.random, precision)) - log_density(state.random)
                new = -0.5 * (value + self._prior(trial, precision)) - log_density(trial)
                accept = np.log(chance.random(value.shape)) < new - old
            self._take(state, trial, value, accept)
            state.accepted = 0.8 * state.accepted + 0.2 * float(accept.mean())

    def _walk(
        self, state: Bank, point: Point, precision: np.ndarray, chance: np.random.Generator, part: int | None
    ) -> None:
        """A random walk of all effects of a subject, or of one of them."""
        step = np.einsum("nij,cnj->cni", state.root, chance.standard_normal(state.random.shape))
        if part is not None:
            only = np.zeros(self.q)
            only[part] = 1.5
            step = step * only
        trial = state.random + state.scale * step
        value = self.values(point, trial)
        with np.errstate(invalid="ignore"):
            change = value - state.value + self._prior(trial, precision) - self._prior(state.random, precision)
            accept = np.log(chance.random(value.shape)) < -0.5 * change
        self._take(state, trial, value, accept)
        if part is None and state.step < self.options.burn_in:
            state.scale = float(np.clip(state.scale * np.exp(0.4 * (accept.mean() - AIM)), 0.01, 3.0))

    @staticmethod
    def _take(state: Bank, trial: np.ndarray, value: np.ndarray, accept: np.ndarray) -> None:
        accept = accept & np.isfinite(value)
        state.random[accept], state.value[accept] = trial[accept], value[accept]

    # ---- maximisation -------------------------------------------------------------------------------------------------
    def weight(self, step: int) -> float:
        """How much the newest draws count."""
        late = step - self.options.burn_in
        return 1.0 if late <= 0 else 1.0 / (late + 1)

    def _maximise(self, state: Bank, point: Point) -> None:
        gamma, x = self.weight(state.step), state.x.copy()
        shift = np.einsum("nqm,m->nq", self.weights, x[self.places])
        phi = state.random + shift
        mean, square = phi.mean(axis=0), np.einsum("cni,cnj->ij", phi, phi) / (self.chains * self.n)
        if state.step == 1:
            state.mean, state.square = mean, square
        state.mean += gamma * (mean - state.mean)
        state.square += gamma * (square - state.square)
        if self.scored:
            x = self._score(state, point, x, gamma)
        omega = self.blocks.whole(point.blocks)
        precision = np.linalg.inv(omega)
        if self.places:
            left = np.einsum("nqm,qp,npk->mk", self.weights, precision, self.weights)
            right = np.einsum("nqm,qp,np->m", self.weights, precision, state.mean)
            x[self.places] = np.linalg.solve(left, right)
        moved = np.einsum("nqm,m->nq", self.weights, x[self.places])
        cross = np.einsum("ni,nj->ij", moved, state.mean) / self.n
        whole = state.square - cross - cross.T + np.einsum("ni,nj->ij", moved, moved) / self.n
        blocks = self._blocks(whole, point, state.step)
        fixed = self.vector.unpack(x, self.begin).fixed
        state.x = self.vector.pack(Point(fixed, blocks))
        state.random += (shift - moved)[None]  # the individual parameters stay what they are

    def _blocks(self, whole: np.ndarray, point: Point, step: int) -> tuple[np.ndarray, ...]:
        """New matrices of the free blocks; in the first half of the burn-in variances fall slowly."""
        result = []
        for k, (matrix, copies) in enumerate(zip(point.blocks, self.blocks.places, strict=True)):
            if self.blocks.fixed[k]:
                result.append(matrix)
                continue
            new = np.mean([whole[np.ix_(at, at)] for at in copies], axis=0)
            if step <= self.options.burn_in // 2:
                least = COOLING * np.diag(matrix)
                grow = np.sqrt(np.maximum(np.diag(new), least) / np.maximum(np.diag(new), 1e-300))
                new = new * np.outer(grow, grow)
            values, vectors = np.linalg.eigh(0.5 * (new + new.T))
            floor = 1e-8 * max(float(values[-1]), 1e-12)
            result.append((vectors * np.maximum(values, floor)) @ vectors.T)
        return tuple(result)

    def _score(self, state: Bank, point: Point, x: np.ndarray, gamma: float) -> np.ndarray:
        """A scoring step of the parameters without a closed form."""
        at = self.likelihood(point, state.random, "all")
        slope = at.slope[self.q :]
        usable = ~at.bad
        by_x = self.vector.slopes(
            point, np.where(usable, slope, 0.0).T, [np.zeros((len(usable), *b.shape)) for b in point.blocks]
        )
        gradient = by_x[:, self.scored].sum(axis=0) / self.chains
        information = self._information(point, at, usable)[np.ix_(self.scored, self.scored)] / self.chains
        state.information += gamma * (information - state.information)
        size = np.sqrt(np.maximum(np.diag(state.information), 1e-12))
        scaled = state.information / np.outer(size, size) + 1e-8 * np.eye(len(size))
        step = -gamma * np.linalg.solve(scaled, gradient / size) / size
        if not np.isfinite(step).all():
            return x
        step *= min(1.0, LONGEST / max(float(np.max(np.abs(step))), 1e-300))
        if state.step <= self.options.burn_in // 2:  # residual variances cool slowly as well
            residual = [i for i, k in enumerate(self.scored) if self.vector.entries[k].kind == "residual"]
            step[residual] = np.maximum(step[residual], 0.5 * np.log(COOLING))
        x = x.copy()
        x[self.scored] += step
        return x

    def _information(self, point: Point, at: Conditional, usable: np.ndarray) -> np.ndarray:
        """Expected second derivatives of -2 log p(y | random) by x."""
        m = self.d.n_free
        total = np.zeros((m, m))
        for rows in at.rows:
            good = usable[rows.lane]
            f, v, w = rows.mean_slope[self.q :, good], rows.variance_slope[self.q :, good], 1.0 / rows.variance[good]
            total += 2 * (f * w) @ f.T + (v * w * w) @ v.T
        other = np.where(usable, at.rest[self.q :], 0.0)
        total += 0.5 * other @ other.T
        stretch = self._stretch(point)
        return stretch.T @ total @ stretch

    def _stretch(self, point: Point) -> np.ndarray:
        """d(free fixed values)/dx, (M, n_x)."""
        jacobian, place = self.vector.jacobian(point), {k: i for i, k in enumerate(self.d.free)}
        out = np.zeros((self.d.n_free, self.vector.size))
        rows = [k for k, _ in self.vector.thetas]
        for first, n in self.vector.sigmas:
            rows += list(range(first, first + n * (n + 1) // 2))
        names = [k for k, entry in enumerate(self.vector.entries) if entry.kind != "random"]
        for row, k in zip(rows, names, strict=True):
            out[place[row]] = jacobian[k]
        return out

    # ---- runs ---------------------------------------------------------------------------------------------------------
    def run(self, bank: int, watch: Watch | None = None) -> Bank:
        """All steps of one bank, from its checkpoint if there is one."""
        total = self.options.burn_in + self.options.averaging
        state = self._kept_state(bank) or self.start(bank)
        while state.step < total:
            self.advance(bank, state)
            if self.folder is not None and (state.step % EVERY == 0 or state.step == total):
                store.write_bytes(self.folder / f"bank-{bank}.npz", state.to_bytes())
            if watch is not None and (state.step % 25 == 0 or state.step == total):
                watch(f"bank {bank + 1}, step {state.step} of {total}: {self._shown(state.x)}")
        return state

    def _shown(self, x: np.ndarray) -> str:
        values = self.vector.natural(self.point(x))
        return ", ".join(f"{name} {value:.4g}" for name, value in list(zip(self.vector.names, values, strict=True))[:6])

    def _kept_state(self, bank: int) -> Bank | None:
        if self.folder is None:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        mark, name = self.folder / "problem.json", fingerprint(self.problem)
        if mark.exists() and json.loads(mark.read_text())["fingerprint"] != name:
            for old in self.folder.glob("bank-*.npz"):
                old.unlink()
        store.write_json(mark, {"fingerprint": name})
        path = self.folder / f"bank-{bank}.npz"
        return Bank.from_bytes(path.read_bytes()) if path.exists() else None


def fingerprint(problem: PopulationProblem) -> str:
    """What decides the result of a run: the problem, its data and options."""
    data = problem.data
    arrays = [
        data.time,
        data.dv,
        data.amt,
        data.evid,
        data.rate,
        data.ii,
        data.addl,
        data.ss,
        data.cens,
        *problem.covariates.values(),
    ]
    parts = [repr((problem.system, problem.thetas, problem.omega, problem.iov, problem.sigma, problem.estimation))]
    parts += [repr(sorted((name, f.text) for name, f in problem.individual.items())), repr(problem.observations)]
    return store.fingerprint(*parts, repr(problem.doses), *(np.ascontiguousarray(a).tobytes() for a in arrays))


def average(saem: Saem, banks: list[Bank]) -> np.ndarray:
    """The estimate of several banks: their mean on the search's scale."""
    return np.mean([bank.x for bank in banks], axis=0)
