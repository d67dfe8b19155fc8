"""What a page tells of the model's record: the claims of the article with both verdicts, and every published row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from respine import evidence, library
from respine import study as studies
from respine.evidence import claims, store
from respine.evidence import studies as trials
from respine.evidence.row import ComparedRow, about
from respine.files import store as files

KEPT = "page-record"


def record(compute: bool = False, *, threads: int | None = None, progress: Any = None) -> dict[str, Any]:
    """Claims and evidence rows as a page shows them.

    What an earlier `respine page`, `respine evidence` or `respine claims` computed with this model is read; with
    ``compute`` what is missing is computed and kept (minutes). Without, rows that wait for it stand there published only.
    """
    digest = store.key("page", files.fingerprint(library.BUILT_IN.fingerprint()))
    kept = store.read(KEPT, digest)
    if kept is not None:
        return dict(kept)
    if compute:
        rows = evidence.predict(threads=threads, progress=progress)
        judged = claims.evaluate(threads=threads, progress=progress)
        made = {"complete": True, "claims": [claim.to_dict() for claim in judged], "rows": [_row(row) for row in rows]}
        store.write(KEPT, digest, made)
        return made
    there = _simulated()
    partial = store.key("page, partly", files.fingerprint(library.BUILT_IN.fingerprint()), *there.values())
    kept = store.read(f"{KEPT}-partly", partial)
    if kept is None:
        kept = {"complete": False, "claims": _claims(), "rows": _rows(there)}
        store.write(f"{KEPT}-partly", partial, kept)
    return dict(kept)


def _simulated() -> dict[str, str]:
    """Studies of which `respine evidence` kept something, with the names of those files."""
    names = library.names("studies")
    files = {name: ",".join(sorted(file.name for file in store.folder().glob(f"{name}.*.json"))) for name in names}
    return {name: kept for name, kept in files.items() if kept}


def _claims() -> list[dict[str, Any]]:
    """The claims with the verdict of the record; the model's waits for `respine claims`."""
    data, rows = claims.read(), claims.rows_by_id()
    return [
        {"id": claim["id"], "claim": claim["claim"], "model_verdict": "",
         "record_verdict": claims.verdict(claims._record(claim["record"], rows)), "note": claim.get("note", ""),
         "record_note": claim["record"].get("note", ""), "model_note": claim["model"].get("note", "")}
        for claim in data["claims"]
    ]  # fmt: skip


def _rows(there: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every row of the tables, with the prediction where a study of it was simulated before with this model."""
    kept: dict[str, ComparedRow] = {}
    for study in (studies.load(name) for name in there):
        if not study.compare or study.rules:
            continue
        completed, matched = trials.completed(study)
        wanted = repr([sorted(match.row.items()) for match in matched])
        stored = store.read(study.name, store.key(store.study_text(completed), str(evidence.SUBJECTS), wanted))
        for item in stored or ():
            compared = ComparedRow.of(item)
            if not compared.reason:
                kept.setdefault(compared.id, compared)
    rows = []
    for table in library.names("evidence"):
        for row in library.rows("evidence", table):
            facts = about(row, table)
            rows.append(_row(kept.get(facts["id"], ComparedRow(**facts))))
    return rows


def _row(compared_row: ComparedRow) -> dict[str, Any]:
    values = compared_row.to_dict()
    names = ("id", "table", "system", "what", "role", "study", "arm", "time_h", "unit", "predicted", "low", "high", "published",
             "published_low", "published_high", "published_text", "n", "inside", "reason")  # fmt: skip
    numbers = {name: float(f"{v:.4g}") if isinstance(v := values[name], float) else v for name in names}
    return {name: value for name, value in numbers.items() if value not in ("", None)}
