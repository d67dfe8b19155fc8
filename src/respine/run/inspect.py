"""What there is of a run: how far it is (``status``), whether it is whole (``verify``), and how it is mended (``repair``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from respine.errors import InputError
from respine.files import store
from respine.run import finish, log, manifest
from respine.run.execute import execute, folder_problem, locked, take
from respine.run.folder import refuse_links, study_of
from respine.run.plan import Plan, plan
from respine.run.results import Results
from respine.run.target import SHARDS, Folder
from respine.run.work import Job, digest_of

Progress = Callable[[int, int], None]
_RECENT = 20  # shards from which the pace is told


@dataclass(frozen=True)
class Status:
    """How far a run is: ``state`` running or complete, shards and people that are ``done`` of all, ``failed`` people,
    ``people_per_s`` of the last shards and ``seconds_left`` at that pace (None where nothing says so), ``last`` moment at
    which something happened, ``warnings``.
    """

    folder: str
    study: str
    state: str
    shards_done: int
    shards: int
    people_done: int
    people: int
    failed: int
    people_per_s: float | None
    seconds_left: float | None
    last: str
    warnings: list[str] = field(default_factory=list)


def plan_of(folder: Path, facts: dict[str, Any], threads: int | None = None) -> Plan:
    """The plan of the run in a folder, made again from its manifest. Raises InputError."""
    identity = facts["identity"]
    try:
        size, kept, precision = identity["shard_people"], identity["kept"], identity["solver"]["precision"]
    except (KeyError, TypeError):
        why = "The manifest does not say how the run was divided."
        raise InputError(folder_problem(folder, why, "Run the study again, by its name.")) from None
    return plan(study_of(folder, facts), threads=threads, shard=size, keep=kept, precision=precision)


def status(folder: str | Path) -> Status:
    """How far the run in a folder is. Reads alone. Raises InputError where there is no run."""
    out = Path(folder)
    refuse_links(out)
    facts = manifest.read(_there(out))
    arms, size = facts["arms"], max(1, int(facts["identity"].get("shard_people") or 1))
    people = facts["subjects"] * len(arms)
    total = len(arms) * -(-facts["subjects"] // size)
    complete = facts["state"] == "complete"
    names = set(facts["shards"]) if complete else set(Folder(out).shards())
    receipts = [facts["shards"].get(name) for name in names]
    lines = log.read(out)
    done_lines = {line["shard"]: line for line in lines if line.get("event") == "shard" and "first" in line}
    known = [receipt or done_lines.get(name) for name, receipt in zip(names, receipts, strict=True)]
    done = (
        people if complete else min(people, sum(shard["last"] - shard["first"] if shard else size for shard in known))
    )
    pace = _pace(lines)
    left = (people - done) / pace if pace and not complete else None
    return Status(
        folder=str(out), study=str(facts["identity"].get("name", "")), state=facts["state"], shards_done=len(names),
        shards=total, people_done=done, people=people, failed=sum(shard["failed"] for shard in known if shard),
        people_per_s=pace, seconds_left=left, last=str(lines[-1].get("when", "")) if lines else "",
        warnings=list(facts["warnings"]),
    )  # fmt: skip


def _pace(lines: list[dict[str, Any]]) -> float | None:
    """People a second of the last shards of the latest start, by the clock of the log."""
    starts = [k for k, line in enumerate(lines) if line.get("event") == "start"]
    recent = [line for line in lines[starts[-1] if starts else 0 :] if line.get("event") in ("start", "shard")][
        -_RECENT:
    ]
    try:
        first, last = (datetime.fromisoformat(recent[k]["when"]) for k in (0, -1))
        people = sum(line["last"] - line["first"] for line in recent[1:])
        seconds = (last - first).total_seconds()
    except (IndexError, KeyError, ValueError, TypeError):
        return None
    return people / seconds if seconds > 0 and people else None  # a clock that was set back says nothing


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be: ``what`` it is about, ``why``, and whether it is ``harm`` or a note."""

    what: str
    why: str
    harm: bool = True


@dataclass(frozen=True)
class Verified:
    """What a look at every byte of a run found; ``missing`` shards are those an unfinished run still has to compute."""

    folder: str
    state: str
    checked: int
    missing: list[str]
    findings: list[Finding]

    @property
    def sound(self) -> bool:
        """Whether nothing has to be mended."""
        return not any(finding.harm for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self) | {"sound": self.sound}


def verify(folder: str | Path) -> Verified:
    """Compare every file of a run with its checksum, and its versions with those installed. Reads alone.

    Raises InputError where there is no run at all.
    """
    out = Path(folder)
    refuse_links(out)
    findings: list[Finding] = []
    if not (out / manifest.NAME).exists() and (manifest.copy_of(out).is_file() or (out / SHARDS).is_dir()):
        cure = "its copy is there" if manifest.copy_of(out).is_file() else "shards are there, but no copy of it"
        findings.append(Finding(manifest.NAME, f"the manifest is gone; {cure}"))
        if not manifest.copy_of(out).is_file():
            return Verified(str(out), "unknown", 0, [], findings)
        facts = manifest.read(out, manifest.copy_of(out).name)
    else:
        try:
            facts = manifest.read(_there(out))
        except InputError as fault:
            if not manifest.copy_of(out).is_file():
                raise
            findings.append(Finding(manifest.NAME, fault.problems[0].why))
            facts = manifest.read(out, manifest.copy_of(out).name)
    findings += _drift(facts)
    rests = [path.name for path in (*out.glob(".*.part"), *(out / SHARDS).glob(".*.part"))]
    findings += [Finding(name, "left by a process that was killed while writing", False) for name in sorted(rests)]
    if facts["state"] == "complete":
        findings += [Finding(name, "it is missing or differs from its checksum") for name in finish.altered(out, facts)]
        if (out / SHARDS).exists():
            findings.append(Finding(SHARDS, "shards of a finished run, whose tables hold all of them", False))
        return Verified(str(out), "complete", len(facts["files"]), [], findings)
    missing, checked = [], 0
    made = plan_of(out, facts)
    job = Job(made, Folder(out), str(facts.get("run") or digest_of(facts["identity"])))
    for shard in made.shards:
        there = job.there(shard, facts["shards"].get(shard.name))
        checked += there is not None
        if there is None:
            missing.append(shard.name)
        elif isinstance(there, str):
            findings.append(Finding(f"shard {shard.name}", there))
    strange = set(Folder(out).shards()) - {shard.name for shard in made.shards}
    findings += [Finding(f"shard {name}", "the run has no such shard") for name in sorted(strange)]
    return Verified(str(out), "running", checked, missing, findings)


def _drift(facts: dict[str, Any]) -> list[Finding]:
    """Packages whose version differs from the one the run was made with."""
    now = manifest.versions()
    return [
        Finding(name, f"the run was made with {then}, installed is {now[name]}", False)
        for name, then in facts["versions"].items()
        if name in now and now[name] != then
    ]


def repair(folder: str | Path, threads: int | None = None, progress: Progress | None = None) -> Results:
    """Mend a run: its manifest from its copy, damaged shards and tables computed again, an unfinished run finished.

    The same tables as an unbroken run. Raises InputError where the run is another version's or nobody's.
    """
    out = Path(folder)
    refuse_links(out)
    with locked(_there(out)):
        facts = restored(out)
        made = plan_of(out, facts, threads)
        for name in set(Folder(out).shards()) - {shard.name for shard in made.shards}:
            Folder(out).remove(name)
    take(out)
    return execute(made, out, resume=True, threads=threads, progress=progress)


def restored(out: Path) -> dict[str, Any]:
    """The manifest, or its copy in its place where it is gone or damaged. Raises InputError."""
    copy = manifest.copy_of(out)
    try:
        return manifest.read(out)
    except InputError:
        if not copy.is_file():
            if (out / SHARDS).is_dir():
                why = "The manifest is gone and so is its copy; the shards alone do not say which study they belong to."
                cure = "Run the study by its name with {resume} into this folder: shards that are its own are kept."
                raise InputError(folder_problem(out, why, cure)) from None
            raise
    facts = manifest.read(out, copy.name)
    store.write_bytes(out / manifest.NAME, copy.read_bytes())
    return facts


def _there(out: Path) -> Path:
    """The folder, if it is one. Raises InputError."""
    if not out.is_dir():
        raise InputError(folder_problem(out, "There is no such folder.", "Write the folder of a run."))
    return out
