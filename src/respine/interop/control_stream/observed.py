"""What a control stream observes: F by compartment, Y with its residual effects, likelihoods where F_FLAG says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from respine.interop.control_stream import formulas
from respine.interop.control_stream.flow import on_data
from respine.interop.control_stream.occasions import Activity
from respine.model.expression import Expr, num, sym, symbols

if TYPE_CHECKING:
    from respine.interop.control_stream.assemble import _Maker

MOST_NODES = 900  # of one formula; the problem file takes 4000 letters
PART, OBSERVED = "PART", "OBSCMT"
Part = tuple[tuple[str, int], tuple[Expr | None, Expr]]
"""((name, F_FLAG), (prediction, Y or log likelihood)) of one kind of observation."""


class Observed:
    """``observed`` (n,): records with an observation; ``parts``: its kinds; ``extra``: columns that tell records apart;
    ``typical``: whether IPRED of the stream is what is predicted.
    """

    def __init__(
        self, maker: _Maker, activity: Activity, of_des: set[str], fault: Callable[[str, str, str, str], None]
    ) -> None:
        self.m, self.activity, self.of_des, self.fault = maker, activity, of_des, fault
        self.definitions: Mapping[str, Expr] = activity.definitions
        self.extra: dict[str, np.ndarray] = {}
        self.typical = False
        self.observed = np.asarray((self.evid() == 0) & (self.column("MDV") == 0))
        self.parts = self._parts()

    @property
    def n_states(self) -> int:
        return len(self.m.model.states) if self.m.model is not None else 0

    def column(self, name: str, default: float = 0.0) -> np.ndarray:
        return self.m.table.get(name, np.full(self.m.n, default))

    def evid(self) -> np.ndarray:
        if not self.m.predictor:
            return np.zeros(self.m.n)
        if "EVID" in self.m.table:
            return self.m.table["EVID"]
        return np.where((self.column("AMT") != 0) | (self.column("RATE") != 0), 1.0, 0.0)

    def _amount(self) -> Expr:
        """NONMEM's F: the amount in the compartment of the record, scaled."""
        m = self.m
        assert m.model is not None
        cmt, pcmt, evid = self.column("CMT"), self.column("PCMT"), self.evid()
        at = np.where((evid == 0) & (cmt != 0), cmt, np.where(pcmt > 0, pcmt, m.model.observed))
        if (at < 0).any() or (at > self.n_states).any() or (at != np.floor(at)).any():
            bad = int(np.flatnonzero((at < 0) | (at > self.n_states) | (at != np.floor(at)))[0])
            why = f"The record in data line {int(m.read.lines[bad])} observes compartment {at[bad]:g}; there are {self.n_states}."
            self.fault(
                "DATA", f"CMT {at[bad]:g}", why, "Write a compartment of the model; the output compartment is not read."
            )
            return num(0)
        places = [int(k) for k in np.unique(at)]
        main = m.model.observed if m.model.observed in places else places[0]
        expr = self._scaled(main)
        for k in places:
            if k != main:
                self.extra[OBSERVED] = at
                m.visible.setdefault(OBSERVED, at)
                m.called.setdefault(OBSERVED, OBSERVED)
                expr = ("if", ("eq", sym(OBSERVED), num(k)), self._scaled(k), expr)
        return expr

    def _scaled(self, k: int) -> Expr:
        m = self.m
        assert m.model is not None
        scale = m.at_start.get(f"S{k}")
        if scale is None and k == m.model.observed:
            scale = m.at_start.get("SC")
        return sym(f"A({k})") if scale is None else ("div", sym(f"A({k})"), scale)

    def late(self, name: str) -> bool:
        """Whether a definition follows states or residual effects, so that it belongs into the observation itself."""
        if name not in self.definitions or name in self.of_des:
            return False
        reach = self.activity.reaches(sym(name))
        return any(r == "F" or r == "T" or r.startswith(("A(", "EPS(")) or r in self.of_des for r in reach)

    def inlined(self, expr: Expr) -> Expr:
        for _ in range(len(self.definitions) + 2):
            hit = {name: self.definitions[name] for name in set(symbols(expr)) if self.late(name)}
            if "F" in symbols(expr) and self.m.predictor and "F" not in self.m.flow.now:
                hit["F"] = self._amount()
            if not hit:
                break
            expr = formulas.renamed(expr, hit)
            if formulas.size(expr) > 20 * MOST_NODES:
                self.fault(
                    "ERROR" if self.m.predictor else "PRED",
                    "Y",
                    "The formula of Y is longer than can be written.",
                    "Write it shorter.",
                )
                return num(0)
        return expr

    def _parts(self) -> list[Part]:
        """((name, flag), (prediction, Y or log likelihood)) of each kind of observation."""
        m = self.m
        block = "ERROR" if m.predictor else "PRED"
        if "Y" not in m.flow.now:
            self.fault(block, "Y", "Nothing is given to Y.", "Write Y = F + EPS(1).")
            return []
        y = self.inlined(m.flow.now["Y"])
        flag = m.flow.now.get("F_FLAG", num(m.asked.likelihood))
        flags = on_data(flag, m.visible, self.definitions, m.n)
        if flags is None or not np.isin(flags, (0, 1, 2)).all():
            self.fault(
                block,
                "F_FLAG",
                "F_FLAG follows more than the data, or is none of 0, 1, 2.",
                "Let it follow columns of the data.",
            )
            return []
        kinds = [int(k) for k in np.unique(flags[self.observed])] or [0]
        effects = {f"EPS({k + 1})" for k in range(m.n_eps)}
        found: list[Part] = []
        for kind in kinds:
            mask = np.ones(m.n, bool) if len(kinds) == 1 else self.observed & (flags == kind)

            def truth(condition: Expr, mask: np.ndarray = mask) -> bool | None:
                values = on_data(condition, m.visible, self.definitions, m.n)
                return None if values is None else formulas.always(values[mask])

            own = formulas.folded(y, truth)
            if kind:
                likelihood = formulas.without(own, effects)
                log = formulas.logarithm(likelihood) if kind == 1 else ("mul", num(-0.5), likelihood)
                found.append((("likelihood" if kind == 1 else "deviance", kind), (None, log)))
                continue
            if not effects & set(symbols(own)):
                self.fault(
                    block,
                    "Y",
                    "Y has no residual effect EPS, and F_FLAG says that it is no likelihood.",
                    "Write Y = F + EPS(1).",
                )
                continue
            prediction = formulas.without(own, effects)
            error = formulas.replaced(own, prediction, sym("ipred")) if prediction[0] != "num" else own
            found.append((("y", kind), (prediction, error)))
            ipred = m.flow.now.get("IPRED", m.flow.now.get("IPRE"))
            self.typical = ipred is not None and formulas.folded(self.inlined(ipred), truth) == prediction
        if len(kinds) > 1:
            self.extra[PART] = np.where(self.observed, flags, kinds[0])
        return found
