"""From a control stream and its data to the fields of a problem file: equations, formulas, doses, observations, columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from respine.interop.control_stream import code, compartments, data, estimates, estimation, formulas, memory
from respine.interop.control_stream.flow import CONSTANTS, Flow, on_data
from respine.interop.control_stream.priors import priors
from respine.interop.control_stream.records import ASIDE, Record, every, first, split
from respine.interop.faults import Faults
from respine.model.expression import Expr, num, sym, symbols

_DOSE_ITEMS = ("AMT", "RATE", "II", "ADDL", "SS", "CMT", "EVID", "PCMT")
_OTHER_MEANING = ("CENS", "BLQ", "LIMIT", "DVID", "YTYPE", "YNAME")
NEW = "NEWIND"


@dataclass
class Stream:
    """What a control stream means: ``fields`` of a problem file, ``table`` of its data (column -> (n,)), ``labels`` of IDs.

    ``outputs`` are formulas that a $TABLE may list, by name; ``evaluates``: it only evaluates. ``labels_of`` maps
    ``THETA(1)`` and the like to the names of the problem file, and ``comments`` to what the stream says of them.
    """

    fields: dict[str, Any]
    table: dict[str, np.ndarray]
    labels: list[str]
    notes: list[str]
    evaluates: bool
    names: dict[str, str] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    typical: bool = False  # whether IPRED of the stream is what the observations predict


def read(path: Path, other_data: Path | None = None, values: Mapping[str, float] | None = None) -> Stream:
    """Read a control stream and its data. ``values`` are estimates by NONMEM's names in .ext files, in place of the starts.

    Raises InputError with everything that is not read, by line.
    """
    faults = Faults(path)
    maker = _Maker(path, split(path, faults), faults, other_data, values)
    try:
        return maker.stream()
    except RecursionError:
        faults.add(
            1, "code", "", "The formulas stand deeper in each other than can be read.", "Split them over several names."
        )
        faults.raise_all()
        raise


class _Maker:
    def __init__(
        self,
        path: Path,
        records: list[Record],
        faults: Faults,
        other_data: Path | None,
        values: Mapping[str, float] | None,
    ) -> None:
        self.values = values
        self.path, self.records, self.faults, self.other_data = path, records, faults, other_data
        self.notes: list[str] = []
        self.names: dict[str, str] = {}
        self.comments: dict[str, str] = {}

    # ---- the whole ----------------------------------------------------------------------------------------------------
    def stream(self) -> Stream:
        records, faults = self.records, self.faults
        self.predictor = first(records, "PRED") is None
        self.given = self._estimates()
        self.replaced = self._replacements()
        self.columns = data.columns(every(records, "INPUT"), faults)
        asked_data = data.options(first(records, "DATA"), faults)
        self.asked = estimation.asked(every(records, "ESTIMATION"), first(records, "COVARIANCE"), faults)
        self.model = compartments.model(records, faults) if self.predictor else None
        blocks = {name: self._code(name) for name in ("PK", "PRED", "DES", "ERROR")}
        if self.predictor and first(records, "ERROR") is None:
            faults.add(
                1,
                "$ERROR",
                "",
                "There is no $ERROR, so nothing says what is observed.",
                "Write $ERROR with Y = F + EPS(1).",
            )
        if faults or (self.predictor and self.model is None):
            self._collect(blocks)
            faults.raise_all()
        self.read = data.read(self.path.parent, self.columns, asked_data, faults, other=self.other_data)
        self.n = len(self.read)
        self.table = self._table()
        first_blocks = (*blocks["PK"], *blocks["PRED"])
        taken = {*self.table, *self.columns.synonyms}
        follow = memory.remember((*first_blocks, *blocks["ERROR"]), self.visible, CONSTANTS, self.n, taken)
        self.table |= follow.columns
        self.visible |= follow.columns
        self.flow = Flow(self._leaf, follow, faults, "PK" if self.predictor else "PRED")
        self.flow.run(first_blocks)
        self.at_start = dict(self.flow.now)
        self.des = self._des(blocks["DES"], follow)
        if self.predictor:
            self._error(blocks["ERROR"])
        faults.raise_all()
        self._checks()
        faults.raise_all()
        return self._made()

    def _collect(self, blocks: dict[str, tuple[code.Statement, ...]]) -> None:
        """Refused lines of code, where the whole is refused already."""
        for name, statements in blocks.items():
            stack = list(statements)
            while stack:
                statement = stack.pop()
                if isinstance(statement, code.Refused):
                    self.faults.add(statement.line, f"${name}", "", f"{statement.what[0].upper()}{statement.what[1:]}.",
                                    "Write it with assignments and IF blocks.")  # fmt: skip
                elif isinstance(statement, code.If):
                    stack += [part for _, body in statement.branches for part in body]

    def _code(self, name: str) -> tuple[code.Statement, ...]:
        found: tuple[code.Statement, ...] = ()
        for record in every(self.records, name):
            if not self.predictor and name in ("PK", "ERROR", "DES"):
                self.faults.add(
                    record.line, f"${name}", "", f"$PRED and ${name} exclude each other.", "Keep one of them."
                )
                continue
            found += code.parse(record, self.replaced)
        return found

    # ---- parameters ---------------------------------------------------------------------------------------------------
    def _estimates(self) -> estimates.Estimates:
        given, faults = estimates.Estimates(), self.faults
        for record in every(self.records, "THETA"):
            given.thetas += estimates.thetas(record, faults, given.names, len(given.thetas))
        for record in every(self.records, "OMEGA"):
            given.omega += estimates.blocks(record, faults, given.names, given.omega)
        for record in every(self.records, "SIGMA"):
            given.sigma += estimates.blocks(record, faults, given.names, given.sigma)
        self.prior_given = priors(self.records, given, faults)
        if self.values is not None:
            estimates.replaced(given, self.values)
        self.n_eta, self.n_eps = (sum(b.size for b in blocks) for blocks in (given.omega, given.sigma))
        return given

    def _replacements(self) -> dict[str, str]:
        """$ABBREVIATED REPLACE of one name by one number; other options are named or refused."""
        found = dict(self.given.names)
        for record in every(self.records, "ABBREVIATED"):
            text = record.text.upper()
            one = r"REPLACE\s+(\w+\([\w\s]+\))\s*=\s*(\w+\(\d+\))"
            for match in re.finditer(one, text):
                found[re.sub(r"\s", "", match[1])] = match[2]
            rest = re.sub(one, "", text)
            rest = re.sub(
                r"(DERIV[12]\s*=\s*\w+|COMRES\s*=\s*-?\d+|COMSAV\s*=\s*-?\d+|PROTECT|NOFASTDER|FASTDER|CHECKMU|NOCHECKMU)",
                "",
                rest,
            ).strip()
            if rest:
                self.faults.add(
                    record.line, "$ABBREVIATED", rest[:40], "This is not read.", "Write the names out in the code."
                )
        return found

    def _leaf(self, name: str) -> bool:
        """Whether a name of the code has a value from outside; effects that do not exist become faults elsewhere."""
        indexed = re.fullmatch(r"(THETA|ETA|EPS|A)\((\d+)\)", name)
        if indexed:
            k = int(indexed[2])
            most = {"THETA": len(self.given.thetas), "ETA": self.n_eta, "EPS": self.n_eps,
                    "A": len(self.model.states) if self.model else 0}[indexed[1]]  # fmt: skip
            here = indexed[1] not in ("EPS", "A") or self.flow_block != "PK"
            return k <= most and here
        if name in self.visible:
            return True
        return (name == "F" and self.flow_block == "ERROR") or (name == "T" and self.flow_block == "DES")

    @property
    def flow_block(self) -> str:
        return self.flow.block if getattr(self, "flow", None) is not None else ("PK" if self.predictor else "PRED")

    # ---- data ---------------------------------------------------------------------------------------------------------
    def _table(self) -> dict[str, np.ndarray]:
        """Columns by the names the problem file gives them; ``self.called`` maps names of the code to these."""
        values, table = self.read.values, dict[str, np.ndarray]()
        self.called: dict[str, str] = {}
        for name, column in values.items():
            own = name
            if (
                name in _OTHER_MEANING
                or (not self.predictor and name in _DOSE_ITEMS)
                or name.lower() in compartments.RESERVED - {"dv", "time"}
            ):
                own = f"{name}_"
                while own in values:
                    own += "_"
            self.called[name] = own
            table[own] = column
        n = self.n
        begins = np.array([k == 0 or self.read.labels[k] != self.read.labels[k - 1] for k in range(n)])
        new = np.where(begins, 1.0, 2.0)
        new[0] = 0.0
        self.begins = begins
        if "TIME" not in table or (not self.predictor and (np.diff(table["TIME"])[~begins[1:]] < 0).any()):
            if self.predictor:
                self.faults.add(
                    self.columns.line, "$INPUT", "", "There is no TIME.", "Name the column, as in TIME=HOURS."
                )
            if "TIME" in table:
                self.called["TIME"] = "TIME_"
                table["TIME_"] = table["TIME"]
            table["TIME"] = np.zeros(n)
        if "MDV" in table and (table["MDV"] >= 100).any():
            self.notes.append("MDV of 100 and more is read without the 100, as in estimation")
            table["MDV"] = np.where(table["MDV"] >= 100, table["MDV"] - 100, table["MDV"])
        self.visible = {
            **values,
            **{other: values[name] for other, name in self.columns.synonyms.items() if name in values},
        }
        self.visible[NEW] = new
        for other, name in self.columns.synonyms.items():
            if name in self.called:
                self.called[other] = self.called[name]
        self.called[NEW] = NEW
        table[NEW] = new
        for name in self.read.missing:
            if name not in ("DV", *_DOSE_ITEMS, "MDV", "ID", "TIME"):
                self.notes.append(f"{self.read.missing[name]} empty cells of {name} are 0, as in NONMEM")
        self.notes += self.read.notes
        return table

    # ---- code ---------------------------------------------------------------------------------------------------------
    def _des(self, statements: Sequence[code.Statement], follow: memory.Memory) -> Flow | None:
        model = self.model
        if model is None or model.named:
            if statements:
                record = first(self.records, "DES")
                assert record is not None
                self.faults.add(
                    record.line, "$DES", "", "This ADVAN has equations of its own.", "Write ADVAN13 for $DES."
                )
            return None
        empty = memory.Memory()
        flow = Flow(self._leaf, empty, self.faults, "DES", now=dict(self.flow.now), sure=dict(self.flow.sure),
                    offset=len(self.flow.definitions))  # fmt: skip
        self.flow, pk = flow, self.flow
        self.pk = pk
        if model.advan in compartments.LINEAR:
            self._linear(flow)
        else:
            flow.run(statements)
            for k in range(1, len(model.states) + 1):
                if f"DADT({k})" not in flow.now:
                    record = first(self.records, "DES")
                    assert record is not None
                    why = f"Nothing says how compartment {k} changes."
                    self.faults.add(
                        record.line, "$DES", f"DADT({k})", why, f"Write DADT({k}) = 0 where it does not change."
                    )
        self.flow = pk
        return flow

    def _linear(self, flow: Flow) -> None:
        assert self.model is not None
        n = len(self.model.states)
        record = first(self.records, "PK")
        rates = {k: num(0) for k in range(1, n + 1)}
        for name, a, b in compartments.linear_rates(n, set(flow.now), record.line if record else 1, self.faults):
            moves: Expr = ("mul", flow.now[name], sym(f"A({a})"))
            rates[a] = ("sub", rates[a], moves)
            if b:
                rates[b] = ("add", rates[b], moves)
        flow.now |= {f"DADT({k})": formulas.without(rate, set()) for k, rate in rates.items()}

    def _error(self, statements: Sequence[code.Statement]) -> None:
        """$ERROR goes on with the variables of $PK; those of $DES are rules of the model."""
        pk = self.flow
        now = dict(pk.now)
        if self.des is not None:
            fresh = {
                name: value for name, value in self.des.now.items() if name not in now and not name.startswith("DADT(")
            }
            used = {s for a in code.assigned(tuple(statements)) for s in symbols(a.expr)} & set(fresh)
            if used:
                self.notes.append(
                    f"$ERROR reads {', '.join(sorted(used))} of $DES; here they have their values at the record"
                )
            now |= fresh
        offset = pk.offset + len(pk.definitions) + (len(self.des.definitions) if self.des else 0)
        self.pk = pk
        self.flow = Flow(self._leaf, pk.memory, self.faults, "ERROR", now=now, sure=dict(pk.sure), offset=offset)
        self.flow.run(statements)
        self.flow.checks = [*pk.checks, *self.flow.checks]
        self.flow.aside = [*pk.aside, *(self.des.aside if self.des else []), *self.flow.aside]

    def _checks(self) -> None:
        """Variables that keep a value from an earlier record although they follow more than the data."""
        definitions = self.definitions
        done: set[tuple[str, int]] = set()
        for name, sure, line in [*self.flow.checks, *(self.des.checks if self.des else [])]:
            if (name, line) in done:
                continue
            done.add((name, line))
            values = on_data(sure, self.visible, definitions, self.n)
            if values is None or not (values != 0).all():
                lines = (
                    ""
                    if values is None
                    else f" (data line {int(self.read.lines[int(np.flatnonzero(values == 0)[0])])})"
                )
                why = f"{name} has no value of its own in some records{lines}; NONMEM would keep the one of an earlier record."
                self.faults.add(line, f"${self.flow.block}", name, why, "Give it a value before IF, or add ELSE.")

    @property
    def definitions(self) -> dict[str, Expr]:
        parts = [getattr(self, "pk", self.flow), self.des, self.flow]
        return {name: expr for part in parts if part is not None for name, expr in part.definitions.items()}

    # ---- the problem --------------------------------------------------------------------------------------------------
    def _made(self) -> Stream:
        from respine.interop.control_stream.problem import Problem

        for what, line in dict.fromkeys(self.flow.aside):
            self.notes.append(f"{what} in line {line} is left aside")
        for record in self.records:
            if record.name in ASIDE:
                self.notes.append(f"${record.name} in line {record.line} is left aside")
        made = Problem(self)
        fields = made.fields()
        self.faults.raise_all()
        self.comments |= {f"THETA({k})": t.label for k, t in enumerate(self.given.thetas, 1) if t.label}
        for word, blocks in (("ETA", self.given.omega), ("EPS", self.given.sigma)):
            labels = [label for block in blocks for label in block.labels]
            self.comments |= {f"{word}({k})": label for k, label in enumerate(labels, 1) if label}
        return Stream(fields, made.table(), self.read.labels, [*self.notes, *self.asked.notes], self.asked.evaluates,
                      made.names, self.comments,
                      made.typical)  # fmt: skip
