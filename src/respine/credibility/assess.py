"""Everything the page says, computed: what is to be done and what it costs, the work, and the tables that come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from respine import evidence, fit, model
from respine.credibility import (
    calibration,
    failures,
    jobs,
    provenance,
    question,
    sensitivity,
    structure,
    validation,
    verification,
)
from respine.evidence.row import ComparedRow
from respine.model.system import System

DRAWS, FEW_DRAWS = 4096, 1024  # parameter vectors of the sensitivity, in full and in a quick report
SEED = 2012
STUDY_SECONDS, PERSON_SECONDS = 2.5, 0.006  # on one core: a study, and a person of an arm
BLOCK_SECONDS, ASSERTION_SECONDS, KINETICS_SECONDS, DRAW_SECONDS = 7.0, 25.0, 12.0, 0.008


@dataclass(frozen=True)
class Options:
    """``subjects`` virtual people per arm, ``draws`` parameter vectors; ``quick`` simulates no study that is not kept."""

    subjects: int = evidence.SUBJECTS
    draws: int = 0
    seed: int = SEED
    quick: bool = False
    threads: int | None = None
    processes: int = 1
    qualification: tuple[Path, ...] = ()

    @property
    def vectors(self) -> int:
        """Parameter vectors of the sensitivity."""
        return self.draws or (FEW_DRAWS if self.quick else DRAWS)


@dataclass(frozen=True)
class Work:
    """What a report will take. ``left_out``: studies a quick report does not simulate."""

    options: Options
    pieces: tuple[jobs.Piece, ...]
    left_out: tuple[str, ...]
    qualified: tuple[Mapping[str, Any], ...] = ()

    @property
    def seconds(self) -> float:
        """A guess of the time it takes."""
        left = sum(piece.seconds for piece in self.open)
        return left / max(1, min(self.options.processes, len(self.open)))

    @property
    def open(self) -> list[jobs.Piece]:
        """Pieces that are not kept already."""
        return [piece for piece in self.pieces if not piece.known and piece.kept() is None]

    def __str__(self) -> str:
        open_ = self.open
        simulated = sum(piece.call.endswith(":rows_of") for piece in open_)
        studies = sum(piece.call.endswith(":rows_of") for piece in self.pieces)
        lines = [f"{studies} studies of {self.options.subjects} virtual people per arm: {studies - simulated} kept from before, "
                 f"{simulated} to simulate"]  # fmt: skip
        if self.left_out:
            lines.append(
                f"{len(self.left_out)} more studies are left out of a quick report: they are not simulated yet"
            )
        lines.append(
            f"{len(fit.names())} calibration blocks, {self.options.vectors} parameter vectors for the sensitivity"
        )
        lines.append(f"about {_time(self.seconds)}" if open_ else "a few seconds: everything is kept from before")
        return "\n".join(lines)


@dataclass(frozen=True)
class Assessment:
    """The findings as tables by name, and the plain facts beside them."""

    options: Options
    question: question.Question
    system: System
    tables: Mapping[str, pd.DataFrame]
    lines: Sequence[ComparedRow]
    blocks: Sequence[Mapping[str, Any]]
    experiments: Sequence[Mapping[str, Any]]
    facts: Mapping[str, Any]
    criteria: Sequence[Mapping[str, Any]] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Keys ``question, criteria, facts`` and each table as a list of rows."""
        words = {name: self.question.data[name] for name in ("question", "context", "outside", "uses", "limits")}
        tables = {name: table.to_dict("records") for name, table in self.tables.items()}
        return {**words, "criteria": list(self.criteria), "facts": dict(self.facts), **tables}


def plan(options: Options) -> Work:
    """What is to be done. Raises InputError for qualification files that are none, and for a library with mistakes."""
    qualified = verification.stored(options.qualification)
    room = "respine.credibility"
    asked = question.read()
    pieces, left_out = [], []
    for name, study in validation.library_studies().items():
        known = validation.kept(name, options.subjects)
        if options.quick and not known:
            left_out.append(name)
            continue
        seconds = STUDY_SECONDS + PERSON_SECONDS * options.subjects * len(study.arms)
        pieces.append(jobs.Piece(f"study {name}", f"{room}.validation:rows_of", (name, options.subjects),
                                 seconds, keep=False, known=known))  # fmt: skip
    pieces.append(jobs.Piece("assertions", f"{room}.failures:checked", (), ASSERTION_SECONDS))
    pieces.append(jobs.Piece("kinetics", f"{room}.validation:inputs_and_kinetics", (), KINETICS_SECONDS))
    pieces += [_block(name, options.quick) for name in fit.names()]
    for name in asked.experiments:
        cost = 2 + DRAW_SECONDS * options.vectors
        given = (name, options.vectors, options.seed)
        pieces.append(jobs.Piece(f"sensitivity-{name}", f"{room}.sensitivity:experiment", given, cost))
        pieces.append(jobs.Piece(f"numerical-{name}", f"{room}.verification:numerical", (name,), 3.0))
    return Work(options, tuple(pieces), tuple(left_out), tuple(qualified))


def _block(name: str, quick: bool) -> jobs.Piece:
    """A calibration block; a quick report takes the numbers of the library as they are where it is not kept."""
    piece = jobs.Piece(f"block-{name}", "respine.credibility.calibration:block", (name,), BLOCK_SECONDS)
    if quick and piece.kept() is None:
        return jobs.Piece(piece.name, "respine.credibility.calibration:outline", (name,), 0.05, keep=False)
    return piece


def assess(planned: Work | None = None, progress: jobs.Progress | None = None) -> Assessment:
    """Carry out the work and gather its findings. ``progress``: what was done, seconds of work done and in all."""
    planned = planned or plan(Options())
    options = planned.options
    results = jobs.carry_out(planned.pieces, options.processes, progress, options.threads)
    asked = question.read()
    system = model.load(asked.data["model"])
    rows = [row for name, value in results.items() if name.startswith("study ") for row in value] + results["kinetics"]
    lines = validation.gather(rows, planned.left_out)
    blocks = [results[f"block-{name}"] for name in fit.names()]
    experiments = [results[f"sensitivity-{name}"] for name in asked.experiments]
    numerical = [row for name in asked.experiments for row in results[f"numerical-{name}"]]
    tables = {
        **_structure(system), **_provenance(asked, system), **_calibration(asked, blocks),
        "numerical": pd.DataFrame(numerical), "qualification": pd.DataFrame(planned.qualified),
        "by_role": validation.by_role(lines), "by_system": validation.by_system(lines),
        "evidence": validation.table(lines), "forecasts": validation.forecast_table(lines),
        "readouts": sensitivity.readout_table(experiments, [readout.name for readout in asked.readouts]),
        "effects": sensitivity.effect_table(experiments, [readout.name for readout in asked.readouts]),
        "assertions": failures.assertion_table(results["assertions"]), "failing": failures.failing(results["assertions"]),
        "outside": failures.outside(lines),
    }  # fmt: skip
    facts = _facts(planned, system, tables, lines, blocks, experiments, results["assertions"])
    return Assessment(options, asked, system, tables, lines, blocks, experiments, facts, judge(asked, facts, tables))


def _structure(system: System) -> dict[str, pd.DataFrame]:
    return {"modules": structure.module_table(system), "links": structure.links(system)}


def _provenance(asked: question.Question, system: System) -> dict[str, pd.DataFrame]:
    recipes = calibration.recipes_of_numbers()
    tables = {system.name: provenance.symbols(system, recipes)}
    tables |= {name: provenance.symbols(model.load(name), recipes) for name in asked.data["others"]}
    tables |= {"scales, drugs, exposures, populations": provenance.other_numbers()}
    joined = pd.concat([table.assign(of=name) for name, table in tables.items()], ignore_index=True)
    return {"provenance": joined, "statuses": provenance.by_status(tables)}


def _calibration(asked: question.Question, blocks: Sequence[Mapping[str, Any]]) -> dict[str, pd.DataFrame]:
    return {
        "calibrated": calibration.parameter_table(blocks), "targets": calibration.target_table(blocks),
        "identifiability": calibration.identifiability(blocks, float(asked.data["informed"])),
    }  # fmt: skip


def _facts(
    planned: Work, system: System, tables: Mapping[str, pd.DataFrame], lines: Sequence[ComparedRow],
    blocks: Sequence[Mapping[str, Any]], experiments: Sequence[Mapping[str, Any]], assertions: Sequence[Any],
) -> dict[str, Any]:  # fmt: skip
    own = tables["provenance"]
    human = own[(own["of"] == system.name) & (own["role"] == "parameter")]
    calibrated = tables["calibrated"]
    blind = calibrated[calibrated["informed"] < question.read().data["informed"]] if len(calibrated) else calibrated
    return {
        **structure.counts(system), "modules": len(tables["modules"][tables["modules"]["module"] != structure.NO_MODULE]),
        "complete": int((own["lacks"] == "").sum()), "symbols": len(own),
        "assumed": int((human["status"] == "assumed").sum()), "calibrated": len(calibrated),
        "not_informed": list(blind["parameter"]) if len(blind) else [],
        "block_problems": {block["block"]: block["problem"] for block in blocks if block["problem"]},
        "assertions": len(assertions), "assertions_hold": sum(bool(assertion["holds"]) for assertion in assertions),
        "failing": [assertion["label"] for assertion in assertions if not assertion["holds"]],
        "untested_systems": validation.untested_systems(lines), "left_out_studies": list(planned.left_out),
        "reasons": evidence.reasons(lines), "seed": planned.options.seed, "subjects": planned.options.subjects,
        "vectors": planned.options.vectors, "quick": planned.options.quick,
        "vectors_failed": sum(len(experiment["failures"]) for experiment in experiments),
    }  # fmt: skip


def judge(
    asked: question.Question, facts: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]
) -> list[dict[str, Any]]:
    """Each criterion with what was found: ``factor, what, asked, found, met``; ``met`` is None where nothing is known."""
    roles = {row["role"]: row for row in tables["by_role"].to_dict("records")}
    fitted, kept_back = roles.get("fit", {}), roles.get("validate", {})
    numerical, blocks = tables["numerical"], tables["calibrated"]
    share = facts["complete"] / facts["symbols"] if facts["symbols"] else None
    holds = float(facts["assertions_hold"]) if facts["assertions"] else None
    known = [abs(float(x)) for x in blocks["step"].dropna()] if len(blocks) else []
    steps = max(known) if known else None
    same = bool(numerical["same_bits"].all()) if len(numerical) else None

    def at_least(name: str, value: float | None) -> bool | None:
        return None if value is None or value != value else bool(value >= asked.criterion(name))

    def at_most(name: str, value: float | None) -> bool | None:
        return None if value is None or value != value else bool(value <= asked.criterion(name))

    def between(name: str, value: float | None) -> bool | None:
        low, high = asked.criterion(name)
        return None if value is None or value != value else bool(low <= value <= high)

    worst = float(numerical["relative"].max()) if len(numerical) else None
    made = [
        ("Model inputs", "symbols and numbers with unit, status and source", asked.criterion("provenance"), share,
         at_least("provenance", share), "share"),
        ("Calculation verification", "largest relative error of a read-out through the solver's tolerance",
         asked.criterion("numerical"), worst, at_most("numerical", worst), "at most"),
        ("Calculation verification", "same bits with one and two threads", True, same, same, "yes"),
        ("Calibration", "largest distance of a library value from its recipe's optimum, in standard errors",
         asked.criterion("standard_errors"), steps, at_most("standard_errors", steps), "at most"),
        ("Calibration", "fit rows inside their 90 % interval or stated tolerance", asked.criterion("fit_inside"),
         fitted.get("share"), at_least("fit_inside", fitted.get("share")), "share"),
        ("Output comparison", "assertions that hold", asked.criterion("assertions"), holds,
         at_least("assertions", holds), "count"),
        ("Output comparison", "published validate results inside their 90 % interval", asked.criterion("interval_90"),
         kept_back.get("inside_90"), between("interval_90", kept_back.get("inside_90")), "share"),
        ("Output comparison", "published validate results inside their 50 % interval", asked.criterion("interval_50"),
         kept_back.get("inside_50"), between("interval_50", kept_back.get("inside_50")), "share"),
    ]  # fmt: skip
    keys = ("factor", "what", "asked", "found", "met", "kind")
    rows = [dict(zip(keys, row, strict=True)) for row in made]
    if facts["left_out_studies"]:  # a part of the rows is no verdict on all of them
        return [
            row | {"met": None} if row["kind"] == "share" and row["factor"] != "Model inputs" else row for row in rows
        ]
    return rows


def _time(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{seconds / 60:.0f} min"
