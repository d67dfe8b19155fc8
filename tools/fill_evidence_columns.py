"""Fill the columns of the evidence tables that say what a row is: measure, scale, drop, below, sign, counts.

    python tools/fill_evidence_columns.py [--check]

respine reads columns alone; a paper prints sentences. This script reads the text of newly transcribed rows once and writes
what it takes from it into blank cells, to be looked at in the diff before it is committed. What is filled is never changed. With
``--check`` nothing is written and the exit status is 1 where a cell would be filled.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from pathlib import Path

from respine import library
from respine import study as studies
from respine.published.bars import number
from respine.published.measures import MEASURES
from respine.study import scales, selection

Row = dict[str, str]
NEW = {"clinical": ("sign",), "population": ("counts",)}  # columns a table gets, behind the one named in AFTER
AFTER = {"sign": "below", "counts": "unit"}
RENAMED = {"difference", "ratio", "standardised-difference", "share"}  # words that stood for more than one thing
FALLS = re.compile(r"reduc|decreas|improv|decline|\bfall\b|\bdrop\b")


def fill(name: str, row: Row, default_scale: str) -> Row:
    """The row with its blank cells filled from its text."""
    text = row.get("endpoint") or row.get("quantity") or ""
    if name == "population" and not row["counts"] and row["unit"] == "%":
        return row | {"counts": "people"}
    if name != "clinical":
        return row
    result = dict(row)
    if not row["measure"] or (row["measure"] in RENAMED and not row["sign"]):
        result["measure"] = measure_of(row, text)
    measure = MEASURES.get(result["measure"])
    if measure is None:
        return result
    if measure.of_scale and not row["scale"]:
        result["scale"] = scale_in(text) or default_scale
    if measure.cutoff == "drop" and not row["drop"] and (match := re.search(r">=\s*(\d+(?:\.\d+)?)\s*%", text)):
        result["drop"] = match[1]
    if measure.cutoff == "below" and not row["below"] and (match := re.search(r"<=\s*(\d+(?:\.\d+)?)", text)):
        result["below"] = match[1]
    if measure.signed and not row["sign"]:
        result["sign"] = sign_of(result, text)
    return result


def measure_of(row: Row, text: str) -> str:
    """The word of the column ``measure`` for a row that has none, or one that meant several things."""
    low, unit = text.lower(), row["unit"].strip().lower()
    word = row["measure"] or measure_in(text)
    share = "remission" if "remi" in low else "response" if re.search(r"respon|>=\s*\d+\s*%", low) else ""
    if word == "ratio" and unit in ("min", "weeks"):
        return "time"
    if word == "ratio" and share and unit in ("rr", "or") and "odds of" not in low:
        return f"{share}-{'ratio' if unit == 'rr' else 'odds-ratio'}"
    if word == "difference" and re.search("score|end", low):
        return "score-difference"
    if word == "standardised-difference" and re.search(r"pre.?post|within", low):
        return "standardised-change"
    if word == "share" and re.search(r"^share of .*(effect|improvement)", low):
        return "share-of-effect"
    return word


def measure_in(text: str) -> str:
    """The measure that a row's text names."""
    low = text.lower()
    for pattern, word in (
        ("correlation", "correlation"), ("dose cut-off", "dose"), ("onset|duration of relief", "time"),
        ("^relapse", "relapsed"), ("not relapsed", "relapse-free"), ("plasma bdnf", "two-values"),
        ("serum", "level"), ("prevalence|score 0|falls to 0|sustained improvement|symptoms|dependent|clinically", "share"),
        ("some point|any time", "response-any-time"), ("difference", "difference"), ("remission", "remission"),
        ("response", "response"), ("change|reduction|increase|rise", "change"), ("baseline|score|total|mean", "score"),
    ):  # fmt: skip
        if re.search(pattern, low):
            return word
    return ""


def sign_of(row: Row, text: str) -> str:
    """``benefit`` where a fall of symptoms is printed as a positive number, else ``measured``."""
    value, of = number(row["value"]), row["scale"]
    symptoms = scales.is_scale(library.BUILT_IN, of) and scales.load(library.BUILT_IN, of).rule == "severity"
    if value is None or value <= 0 or not symptoms:
        return "measured"
    return "benefit" if row["measure"] == "standardised-difference" or FALLS.search(text.lower()) else "measured"


def scale_in(text: str) -> str:
    """The library scale that a text names, the longest name first, or an empty text."""
    plain = re.sub(r"[^a-z0-9]+", " ", text.lower())
    known = [
        (alias, name)
        for name in library.names("scales")
        for alias in (name, *scales.load(library.BUILT_IN, name).aliases)
    ]
    for alias, name in sorted(known, key=lambda pair: -len(pair[0])):
        if re.search(rf"\b{re.sub(r'[^a-z0-9]+', ' ', alias.lower()).strip()}\b", plain):
            return name
    return ""


def default_scales() -> dict[str, str]:
    """Row id: the scale of the endpoint that a library study ties the row to, or the first symptom scale of that study."""
    entries: dict[str, str] = {}
    for name in library.names("studies"):
        study = studies.load(name)
        observed = [scales.load(study.library, scale) for scale in study.observe]
        first = next((scale.name for scale in observed if scale.rule in ("severity", "relative")), "")
        of = {endpoint.name: endpoint.of for endpoint in study.endpoints}
        for block in study.compare:
            for row, links in selection.rows_compared(study.library, block, study.endpoints):
                entries.setdefault(row["id"], of[links[0].endpoint] if links else first)
    return entries


def main(check: bool) -> int:
    """Fill, or look for, blank cells of all tables; 1 where ``check`` finds one."""
    defaults, changed = default_scales(), 0
    for name in library.names("evidence"):
        file = Path(library.ROOT) / "evidence" / f"{name}.csv"
        text = file.read_text(encoding="utf-8")
        header, *cells = list(csv.reader(io.StringIO(text)))
        columns = list(header)
        for new in NEW.get(name, ()):
            if new not in columns:
                columns.insert(columns.index(AFTER[new]) + 1, new)
        rows = [dict.fromkeys(columns, "") | dict(zip(header, row, strict=True)) for row in cells]
        filled = [fill(name, row, defaults.get(row["id"], "")) for row in rows]
        count = sum(before != after for before, after in zip(rows, filled, strict=True))
        changed += count
        if (count or columns != header) and not check:
            out = io.StringIO()
            writer = csv.DictWriter(out, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(filled)
            file.write_text(out.getvalue(), encoding="utf-8")
        print(f"{name}: {count} rows {'would be ' if check else ''}filled")
    return int(check and changed > 0)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
