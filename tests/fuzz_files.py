"""Damaged files of users, by the thousand: each is refused in one message or accepted; anything else is counted as a fault.

    python -m tests.fuzz_files sbml 3000                 # counts; exit code 1 where there is a fault
    python -m tests.fuzz_files sbml 3000 --referee       # what is accepted is looked at by a second program, or is run
    python -m tests.fuzz_files sbml 3000 --keep folder   # faults, and what was accepted, to look at
    python -m tests.fuzz_files sbml --only 1234          # one mutant again, in this process

A kind of file is a ``Kind`` in ``KINDS``: whole files to begin with, ways to damage them, and what reads them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import queue
import sys
import tempfile
import time
import traceback
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests import fuzz_exchange, fuzz_models, fuzz_own, fuzz_texts
from tests.fuzz_damage import TABLE, TEXT, XML, YAML, Kind

HUNG_S = 20.0
STARTED_S = 600.0  # what loading libraries and compiling for whole files may take, before the first mutant
READY = (-1, "", "ready", "")
REFUSED, ACCEPTED, TRACEBACK, DIED, HUNG, WRONG = "refused", "accepted", "traceback", "died", "over 20 s", "wrong"
FAULTS = (TRACEBACK, DIED, HUNG, WRONG)
STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # what steers a terminal, or hides

KINDS = {
    "sbml": Kind(fuzz_models.sbml_seeds, "model.xml", XML, fuzz_models.read_model, fuzz_models.against_roadrunner),
    "antimony": Kind(fuzz_models.antimony_seeds, "model.ant", TEXT, fuzz_models.read_model),
    "study": Kind(fuzz_texts.study_seeds, "study.yaml", YAML, fuzz_texts.read_study, fuzz_texts.run_study),
    "population": Kind(
        fuzz_texts.population_seeds, "people.yaml", YAML, fuzz_texts.read_population, fuzz_texts.look_at_people
    ),
    "fit": Kind(fuzz_texts.fit_seeds, "fit.yaml", YAML, fuzz_texts.read_fit),
    "plan": Kind(fuzz_texts.plan_seeds, "plan.yaml", YAML, fuzz_texts.read_plan),
    "evidence": Kind(fuzz_texts.evidence_seeds, "results.csv", TABLE, fuzz_texts.read_evidence),
    "nonmem": Kind(fuzz_texts.nonmem_seeds, "records.csv", TABLE, fuzz_texts.read_nonmem_table),
    "fit data": Kind(fuzz_texts.fit_data_seeds, "data.csv", TABLE, fuzz_texts.read_fit_data),
    "people": Kind(fuzz_texts.people_seeds, "people.csv", TABLE, fuzz_texts.read_people),
    "trial": Kind(fuzz_texts.trial_seeds, "trial.csv", TABLE, fuzz_texts.read_trial),
    "drug": Kind(fuzz_own.drug_seeds, "drug.yaml", YAML, fuzz_own.read_drug),
    "exposure": Kind(fuzz_own.exposure_seeds, "exposure.yaml", YAML, fuzz_own.read_exposure),
    "scale": Kind(fuzz_own.scale_seeds, "scale.yaml", YAML, fuzz_own.read_scale),
    "parameters": Kind(fuzz_own.parameter_seeds, "parameters.csv", TABLE, fuzz_own.read_parameters),
    "own data": Kind(fuzz_own.own_data_seeds, "own.csv", TABLE, fuzz_own.read_own_data),
    "control": Kind(fuzz_exchange.control_seeds, "run.ctl", TEXT, fuzz_exchange.read_control),
    "control data": Kind(fuzz_exchange.control_data_seeds, "data.csv", TABLE, fuzz_exchange.read_control_data),
    "printed": Kind(fuzz_exchange.printed_seeds, "run.tab", TEXT, fuzz_exchange.read_printed),
    "mrgsolve": Kind(fuzz_exchange.mrgsolve_seeds, "model.cpp", TEXT, fuzz_exchange.read_mrgsolve_text),
    "omex": Kind(fuzz_exchange.omex_seeds, "model.omex", TEXT, fuzz_exchange.read_omex),
    "petab": Kind(fuzz_exchange.petab_seeds, "problem.txt", TEXT, fuzz_exchange.read_petab_problem),
}


@dataclass
class Tally:
    """How mutants ended, and every one that ended as none should."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[int, str, str, str]] = field(default_factory=list)  # number, mutation, outcome, what was seen

    @property
    def clean(self) -> bool:
        return not self.faults


def judge(kind: Kind, file: Path, referee: bool = False) -> tuple[str, str]:
    """How one file ends, here; and what was seen where it ends badly."""
    from respine.errors import InputError

    try:
        kind.read(file)
    except InputError as refusal:
        message = str(refusal)
        hidden = [c for c in message if unicodedata.category(c) in STEERING and c not in "\n\t"]
        unclear = [p for p in refusal.problems if not (p.where and p.why and p.cure)]
        if hidden or unclear or any(len(str(p)) > 10_000 for p in refusal.problems):
            return WRONG, f"an unclear message: {message[:500]!r}"
        return REFUSED, message
    except Exception:
        return TRACEBACK, traceback.format_exc()
    result = kind.referee(file) if referee and kind.referee else ""
    return (WRONG, result) if result else (ACCEPTED, "")


def _work(kind: str | Kind, folder: str, referee: bool, questions: Any, answers: Any) -> None:
    chosen = KINDS[kind] if isinstance(kind, str) else kind
    for data in list(chosen.seeds().values())[:2] if isinstance(kind, str) else ():  # loads libraries, compiles
        file = Path(folder) / f"whole-{os.getpid()}-{chosen.file}"
        file.write_bytes(data)
        judge(chosen, file, referee)
        file.unlink()
    answers.put(READY)
    while (k := questions.get()) is not None:
        mutation, data = chosen.mutant(k)
        file = Path(folder) / f"{k}-{chosen.file}"
        file.write_bytes(data)
        answers.put((k, mutation, *judge(chosen, file, referee)))
        file.unlink()


class _Worker:
    """A process that judges mutants one after the other; it is replaced where one kills or stops it."""

    def __init__(self, kind: str | Kind, folder: str, referee: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self.questions, self.answers = context.SimpleQueue(), context.Queue()
        arguments = (kind, folder, referee, self.questions, self.answers)
        self.process = context.Process(target=_work, args=arguments, daemon=True)
        self.process.start()
        self.k = -1
        self.begun = time.monotonic()
        self.ready = False

    def ask(self, k: int) -> None:
        self.k, self.begun = k, time.monotonic()
        self.questions.put(k)

    def ended(self, patience: float, wait: float) -> tuple[int, str, str, str] | None:
        """The answer, or what became of the process; None while it is at work for ``wait`` seconds more."""
        try:
            answer: tuple[int, str, str, str] = self.answers.get(timeout=wait)
            if answer == READY:
                self.ready, self.begun = True, time.monotonic()
                return None
            return answer
        except queue.Empty:
            pass
        if not self.process.is_alive():
            return self.k, "", DIED, f"exit code {self.process.exitcode}"
        if time.monotonic() - self.begun > (patience if self.ready else max(patience, STARTED_S)):
            return self.k, "", HUNG, f"no answer in {patience:g} s"
        return None

    def stop(self) -> None:
        self.process.kill()
        self.process.join()


def run(kind: str | Kind, mutants: Sequence[int], *, jobs: int = 1, referee: bool = False, keep: Path | None = None,
        progress: bool = False, patience: float = HUNG_S) -> Tally:  # fmt: skip
    """Judge mutants in processes of their own. ``patience``: seconds one may take, its process having read whole files."""
    tally, waiting = Tally(), list(reversed(mutants))
    chosen = KINDS[kind] if isinstance(kind, str) else kind
    with tempfile.TemporaryDirectory() as folder:
        start = partial(_Worker, kind, folder, referee)
        workers: list[_Worker | None] = [None] * max(1, min(jobs, len(mutants)))
        while waiting or any(w is not None for w in workers):
            for slot, worker in enumerate(workers):
                if worker is None:
                    if waiting:
                        workers[slot] = worker = start()
                        worker.ask(waiting.pop())
                    continue
                answer = worker.ended(patience, 0.5 / len(workers))
                if answer is None:
                    continue
                _note(tally, chosen, answer, keep)
                if progress and sum(tally.counts.values()) % 100 == 0:
                    print(f"{sum(tally.counts.values())}  {dict(tally.counts)}", flush=True)
                if answer[2] in (DIED, HUNG) or not waiting:
                    worker.stop()
                    workers[slot] = None
                else:
                    worker.ask(waiting.pop())
    return tally


def _note(tally: Tally, kind: Kind, answer: tuple[int, str, str, str], keep: Path | None) -> None:
    k, mutation, outcome, seen = answer
    tally.counts[outcome] += 1
    mutation = mutation or kind.mutant(k)[0]
    if outcome in FAULTS:
        tally.faults.append((k, mutation, outcome, seen))
    if keep is not None and outcome != REFUSED:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{k}-{outcome.replace(' ', '-')}-{kind.file}").write_bytes(kind.mutant(k)[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("n", nargs="?", type=int, default=60, help="how many mutants")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--only", type=int, help="one mutant, in this process, with its text")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--referee", action="store_true", help="compare what is accepted with another program")
    parser.add_argument("--keep", type=Path, help="folder for all mutants that were not refused")
    given = parser.parse_args()
    if given.only is not None:
        kind = KINDS[given.kind]
        mutation, data = kind.mutant(given.only)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / kind.file
            file.write_bytes(data)
            print(mutation, *judge(kind, file, given.referee), sep="\n")
        return 0
    tally = run(
        given.kind,
        range(given.first, given.first + given.n),
        jobs=given.jobs,
        referee=given.referee,
        keep=given.keep,
        progress=True,
    )
    for k, mutation, outcome, seen in tally.faults:
        print(f"\n-- mutant {k}, {outcome} ({mutation})\n{seen[-1500:]}")
    print("\n" + ", ".join(f"{tally.counts[o]} {o}" for o in (REFUSED, ACCEPTED, *FAULTS)))
    return 0 if tally.clean else 1


if __name__ == "__main__":
    sys.exit(main())
