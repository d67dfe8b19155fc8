"""respine and its peers in one run, alternating, at matched achieved error.

    python benchmarks/engine.py                         # all models, all peers that are installed
    python benchmarks/engine.py --quick --models standin --peers roadrunner copasi

Each solver runs in a process of its own. Its tolerance is set so that its median error (over subjects, of the largest
scaled error over states and times) against a 1e-11 reference is the target; then all solvers are timed in turn, five
times over (once, if ten times slower than the fastest peer), and medians are reported. Peers return full trajectories to
Python, as their users get them. `python benchmarks/install.py` installs the peers that can be had.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import accuracy
import models
import peak
import peers
import scaling
import summary
from account import account as where
from workers import PeerFailed, Worker

TARGET = 1e-5
LADDER = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
FAR_BEHIND = 10  # times the cost of the fastest peer: such a peer is timed once
JUDGED = 16  # subjects of the reference
OURS = ("respine float64", "respine float32")


@dataclass
class Entry:
    """One solver on one model: its processes, and what has been measured of it."""

    name: str
    title: str
    subjects: int
    one: Worker
    two: list[Worker]  # used together for the two-core figure: ourselves with two threads, peers as two processes
    cold: float
    cached: float = np.nan
    ladder: dict[float, float] = field(default_factory=dict)
    costs: dict[float, float] = field(default_factory=dict)
    rtol: float = np.nan
    error: float = np.nan
    worst: float = np.nan
    unsolved: int = 0  # of the subjects of the reference
    one_core: list[float] = field(default_factory=list)  # seconds a subject, one figure an alternation
    two_cores: list[float] = field(default_factory=list)
    memory: float = np.nan
    steps: float = np.nan
    gflops: float = np.nan
    account: str = ""

    @property
    def note(self) -> str:
        return f" ({self.unsolved} of the judged subjects failed)" if self.unsolved else ""

    @property
    def ours(self) -> bool:
        return self.name in OURS

    def per_second(self, cores: int) -> float:
        seconds = self.one_core if cores == 1 else self.two_cores
        return 1 / statistics.median(seconds) if seconds else np.nan

    def workers(self) -> list[Worker]:
        return list({id(w): w for w in (self.one, *self.two)}.values())


def open_entry(name: str, problem: str, subjects: int | None) -> Entry:
    """Start the processes of one solver. Raises PeerFailed with the reason a peer cannot take part."""
    if name in OURS:
        n = subjects or 1024
        with tempfile.TemporaryDirectory() as folder:
            given = {"precision": name.split()[1]}
            kept = {"RESPINE_CACHE": folder}
            one = Worker("respine", problem, n, cores=[0], arguments={**given, "threads": 1}, environment=kept)
            two = Worker("respine", problem, n, cores=[0, 1], arguments={**given, "threads": 2}, environment=kept)
        return Entry(name, name, n, one, [two], one.prepared, two.prepared)
    try:
        module = peers.peer(name)
    except ImportError as error:
        raise PeerFailed(f"not installed ({error})") from None
    n = min(subjects or module.SUBJECTS, module.SUBJECTS)
    limit = 900.0
    first = Worker(name, problem, n, cores=[0], arguments={}, limit=limit)
    second = Worker(name, problem, n, cores=[1], arguments={}, limit=limit)
    return Entry(name, module.TITLE, n, first, [first, second], first.prepared)


def climb(entry: Entry, truth: np.ndarray, ladder: tuple[float, ...], patience: float) -> None:
    """Error and cost along the tolerances, then the tolerance that meets the target."""
    for rtol in ladder:
        try:
            timed = entry.one.solve(rtol, keep=True, limit=patience)
            if not entry.ladder and timed.seconds < patience / 5:  # the first also compiled
                timed = entry.one.solve(rtol, keep=True, limit=patience)
        except PeerFailed as failed:
            if not entry.one.process.is_alive() or (rtol == ladder[-1] and not entry.ladder):
                raise
            print(f"  {entry.title}: rtol {rtol:g}: {failed}")
            continue  # some solvers fail at one tolerance and not at a tighter one
        assert timed.trajectories is not None
        entry.ladder[rtol] = float(np.median(accuracy.errors(timed.trajectories, truth)))
        entry.costs[rtol] = timed.seconds / entry.subjects
        if timed.seconds > patience / 5:  # the next rung would only take longer
            break
    for _ in range(3):
        entry.rtol = accuracy.tolerance_for(TARGET, entry.ladder)
        timed = entry.one.solve(entry.rtol, keep=True, limit=patience)
        assert timed.trajectories is not None
        result = accuracy.errors(timed.trajectories, truth)
        entry.error, entry.worst = float(np.median(result)), float(result.max())
        entry.unsolved = int(np.isinf(result).sum())
        entry.ladder[entry.rtol], entry.costs[entry.rtol] = entry.error, timed.seconds / entry.subjects
        if abs(np.log(max(entry.error, 1e-300) / TARGET)) < 0.12:
            break
    nearest = min(entry.ladder, key=lambda r: abs(np.log(max(entry.ladder[r], 1e-300) / TARGET)))
    entry.rtol, entry.error = nearest, entry.ladder[nearest]


def time_in_turn(entries: list[Entry], alternations: int) -> None:
    """Every solver on one core, then on two, again and again; what is far behind the fastest peer, once."""
    fastest = min((e.costs[e.rtol] for e in entries if not e.ours), default=0.0)
    slow = [e for e in entries if e.costs[e.rtol] > FAR_BEHIND * fastest and not e.ours]
    for round_number in range(alternations):
        entries = [e for e in entries if round_number == 0 or e not in slow]
        for entry in entries:
            entry.one_core.append(entry.one.solve(entry.rtol).seconds / entry.subjects)
        for entry in entries:
            for worker in entry.two:
                worker.start(entry.rtol, keep=False)
            longest = max(worker.wait().seconds for worker in entry.two)
            entry.two_cores.append(longest / (entry.subjects * len(entry.two)))
        print(f"  round {round_number + 1} of {alternations}: load {os.getloadavg()[0]:.1f}", flush=True)


def account(entry: Entry, problem: models.Problem, peaks: dict[str, float]) -> None:
    """Memory of every solver; steps and operations of ours."""
    entry.memory = max(worker.ask("memory") for worker in entry.workers())
    if not entry.ours:
        return
    from respine import engine

    told = entry.one.ask("account")
    entry.steps = told["steps"] / entry.subjects
    if told["settings"]["method"] == "exact":
        entry.account = (
            "Linear: in closed form from event to event, without steps and without machine code to account for."
        )
        return
    options = engine.Options(precision=entry.name.split()[1], keep_all=True)
    solver = engine.build(problem.system, outputs=problem.states, vary=problem.vary, options=options)
    ir = solver.code(solver.requirements(problem.schedule(1))).text.ir
    entry.gflops = entry.steps * peak.operations_of_a_step(ir) * entry.per_second(1) / 1e9
    seconds = solver.setup.target.lanes / (entry.steps * entry.per_second(1))
    workspace = solver.code(solver.requirements(problem.schedule(1))).layout.vectors * solver.setup.target.lanes
    division = peak.measured_division(options.precision)
    entry.account = where(ir, solver.setup.target, seconds, peaks[options.precision], division, workspace).sentence()


def measure_model(name: str, asked: argparse.Namespace) -> list[Entry]:
    """All solvers on one model."""
    problem = models.PROBLEMS[name]()
    print(f"\n{problem.title}: {len(problem.states)} states, {len(problem.vary)} parameters vary", flush=True)
    people = problem.draw(JUDGED)
    truth = accuracy.reference(problem, people)
    checked = [("Radau", 1)] if asked.quick else [("Radau", 2), ("LSODA", 2)]
    for method, n in checked:
        apart = accuracy.errors(accuracy.independent(problem, people[:n], method), truth)
        print(f"  reference against SciPy {method} at 1e-11: largest difference {apart.max():.1e}", flush=True)
    entries = []
    for peer in (*OURS, *asked.peers):
        entry = None
        try:
            entry = open_entry(peer, name, asked.subjects)
            climb(entry, truth, LADDER[1:5] if asked.quick else LADDER, asked.patience)
            print(
                f"  {entry.title}: rtol {entry.rtol:.2g}, error {entry.error:.1e}, cold start {entry.cold:.2f} s",
                flush=True,
            )
            entries.append(entry)
        except PeerFailed as failed:
            print(f"  {peer} skipped: {failed}", flush=True)
            asked.skipped.append((name, peer, str(failed)))
            if entry:
                for worker in entry.workers():
                    worker.close()
    time_in_turn(entries, 2 if asked.quick else 5)
    for entry in entries:
        account(entry, problem, asked.peaks)
        for worker in entry.workers():
            worker.close()
    return entries


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two alternations, a short ladder, populations up to 10^4")
    parser.add_argument("--models", nargs="+", choices=[*models.PROBLEMS], default=[*models.PROBLEMS])
    parser.add_argument("--peers", nargs="*", choices=peers.NAMES, default=list(peers.NAMES))
    parser.add_argument("--subjects", type=int, help="subjects of respine in the table (default 1024)")
    parser.add_argument("--patience", type=float, default=240.0, help="seconds a peer may take for one set of subjects")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--no-scaling", action="store_true", help="leave out cost and memory against population size")
    asked = parser.parse_args()
    asked.skipped = []
    return asked


def main() -> None:
    asked = arguments()
    asked.out.mkdir(exist_ok=True, parents=True)
    asked.peaks = peaks = {p: peak.measured_peak(p) for p in ("float64", "float32")}
    print(summary.machine())
    print(f"multiply-add peak of one core: {peaks['float64']:.0f} GFLOP/s float64, {peaks['float32']:.0f} float32")
    compile_times = {name: scaling.compile_times(name) for name in asked.models}
    results = {name: measure_model(name, asked) for name in asked.models}
    sizes = [] if asked.no_scaling else [1000, 10_000] if asked.quick else [1000, 3162, 10_000, 31_623, 100_000]
    grown = {name: scaling.against_population(name, sizes) for name in asked.models if sizes}
    rows = summary.rows(results, peaks, compile_times)
    with (asked.out / "engine.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    page = summary.page(rows, results, grown, peaks, asked.skipped, compile_times, quick=asked.quick)
    (asked.out / "RESULTS.md").write_text(page)
    if not asked.quick and set(asked.models) == set(models.PROBLEMS):
        (Path(__file__).parent / "RESULTS.md").write_text(page)
    import plots  # late: the workers import this file too

    plots.cost_against_error(results, asked.out / "cost-against-error.svg")
    if grown:
        plots.cost_against_population(grown, asked.out / "cost-against-population.svg")
    print("\n" + page + f"\nwritten to {asked.out}")


if __name__ == "__main__":
    main()
