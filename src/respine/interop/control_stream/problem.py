"""The fields of a problem file from what the code of a control stream means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from respine.fit.population import advan
from respine.interop.control_stream import compartments, formulas, occasions
from respine.interop.control_stream.flow import named
from respine.interop.control_stream.observed import MOST_NODES, PART, Observed, Part
from respine.interop.control_stream.records import first
from respine.model.expression import Expr, num, postorder, sym, symbols
from respine.model.infix import infix

if TYPE_CHECKING:
    from respine.interop.control_stream.assemble import _Maker

_ITEMS = ("TIME", "DV", "AMT", "RATE", "II", "ADDL", "SS", "CMT", "EVID", "MDV")
_SYNONYMS = {"K": "K{c}0", "KA": "K1{c}"}
_EQUATION_OPS = ("phi", "lgamma", "log_phi")


class Problem:
    """Builds the fields; faults are added to those of the maker."""

    def __init__(self, maker: _Maker) -> None:
        self.m = maker
        self.names: dict[str, str] = {}
        self.typical = False
        self.used: set[str] = set()
        self.extra: dict[str, np.ndarray] = {}
        self.individual: dict[str, str] = {}
        self.definitions = maker.definitions
        self.activity = occasions.Activity(maker.visible, self.definitions, maker.n)
        self.of_des = set(maker.des.definitions) if maker.des is not None else set()

    def fault(self, record: str, seen: str, why: str, cure: str) -> None:
        place = first(self.m.records, record)
        self.m.faults.add(place.line if place else 1, f"${record}", seen, why, cure)

    # ---- the whole ----------------------------------------------------------------------------------------------------
    def fields(self) -> dict[str, Any]:
        m = self.m
        self.seen = Observed(m, self.activity, self.of_des, self.fault)
        parts, self.extra, self.typical = self.seen.parts, self.seen.extra, self.seen.typical
        doses = self._dose_formulas()
        starts = {k: m.at_start[f"A_0({k})"] for k in range(1, self.n_states + 1) if f"A_0({k})" in m.at_start}
        given = self._system_parameters()
        equations = (
            [m.des.now[f"DADT({k})"] for k in range(1, self.n_states + 1)] if m.des is not None and not m.faults else []
        )
        roots = [*given.values(), *starts.values(), *(e for rules in doses.values() for e in rules.values()), *equations,
                 *(e for _, pair in parts for e in pair if e is not None)]  # fmt: skip
        self.roots = roots
        occasion = self._effects()
        self._final_names(given)
        for name, expr in given.items():
            own = self.translate(expr)
            if own != sym(name):
                self.individual[name] = self.text(own, name)
        model = self._model(equations, starts)
        fields: dict[str, Any] = {"schema": "respine/fit/1", "title": self._title()}
        if model is not None:
            fields["model"] = model
        fields["data"] = self._data(parts)
        fields["parameters"] = self._thetas()
        fields |= occasion
        observations = {name: self._observation(name, flag, *pair) for (name, flag), pair in parts}
        if len(parts) > 1:
            for (name, flag), _ in parts:
                observations[name] = {"dvid": [flag], **observations[name]}
        dose_texts = {
            self._state(k): {what: self.text(self.translate(e), what) for what, e in rules.items()}
            for k, rules in doses.items()
        }
        self._define()
        fields["individual"] = self.individual
        if dose_texts:
            fields["doses"] = dose_texts
        fields["observations"] = observations
        priors = self._priors()
        if priors:
            fields["priors"] = priors
        fields["estimation"] = self._estimation()
        used_effects = {name for text in self._all_texts(fields) for name in re.findall(r"[A-Za-z_]\w*", text)}
        self._drop_unused(fields, used_effects)
        return {key: value for key, value in fields.items() if value not in ({}, "", None) or key in ("individual",)}

    @property
    def n_states(self) -> int:
        return len(self.m.model.states) if self.m.model is not None else 0

    def _state(self, k: int) -> str:
        assert self.m.model is not None
        return self.m.model.states[k - 1]

    def _title(self) -> str:
        record = first(self.m.records, "PROBLEM")
        return record.lines[0].text.strip()[:200] if record is not None and record.lines else ""

    # ---- observations ------------------------------------------------------------------------------------------------
    def _observation(self, name: str, flag: int, prediction: Expr | None, expr: Expr) -> dict[str, Any]:
        if prediction is None:
            return {"log_likelihood": self.text(self.translate(expr), name)}
        return {
            "prediction": self.text(self.translate(prediction), name),
            "error": self.text(self.translate(expr), name),
        }

    # ---- the model ----------------------------------------------------------------------------------------------------
    def _system_parameters(self) -> dict[str, Expr]:
        """Formulas of the parameters that NONMEM's own equations need."""
        m, found = self.m, dict[str, Expr]()
        if m.model is None or not m.model.named:
            return found
        central = "2" if m.model.advan in advan.ORAL else "1"
        for name in m.model.parameters:
            value = m.at_start.get(name, m.at_start.get(_SYNONYMS.get(name, name).format(c=central)))
            if value is None:
                self.fault(
                    "PK",
                    name,
                    f"{m.model.named.upper()} needs {name}, and $PK gives it no value.",
                    f"Write {name} = ... in $PK.",
                )
            else:
                found[name] = value
        return found

    def _dose_formulas(self) -> dict[int, dict[str, Expr]]:
        m, found = self.m, dict[int, dict[str, Expr]]()
        if m.model is None:
            return found
        evid, rate, cmt = self.seen.evid(), self.seen.column("RATE"), self.seen.column("CMT")
        at = np.where(cmt > 0, cmt, m.model.dose)
        dosed = np.isin(evid, (1, 4))
        for k in range(1, self.n_states + 1):
            rules: dict[str, Expr] = {}
            for word, what in (("ALAG", "lag"), ("F", "bioavailability")):
                if f"{word}{k}" in m.at_start and (dosed & (at == k)).any():
                    rules[what] = m.at_start[f"{word}{k}"]
            for word, what, code in (("D", "duration", -2), ("R", "rate", -1)):
                asked = dosed & (at == k) & (rate == code)
                if asked.any():
                    if f"{word}{k}" not in m.at_start:
                        why = f"Doses with RATE {code} into compartment {k} need {word}{k}, and $PK gives it no value."
                        self.fault("PK", f"{word}{k}", why, f"Write {word}{k} = ... in $PK.")
                    else:
                        rules[what] = m.at_start[f"{word}{k}"]
            rules = {what: expr for what, expr in rules.items() if expr != num(1) or what != "bioavailability"}
            if rules:
                found[k] = rules
        return found

    def _model(self, equations: list[Expr], starts: dict[int, Expr]) -> str | None:
        m = self.m
        if m.model is None:
            return None
        begin = [f"{self._state(k)} = {infix(self.in_equations(expr))};" for k, expr in starts.items()]
        if m.model.named:
            text = advan.named(m.model.named)
            return m.model.named if not begin else f"{text}" + "\n".join(begin) + "\n"
        assert m.des is not None
        needed: set[str] = set()
        for expr in self.roots:
            needed |= self.activity.reaches(expr)
        lines = []
        for key, expr in m.des.definitions.items():
            if key in needed:
                lines.append(f"{self.final[key]} := {self._equation(expr)};")
        lines += [f"{self._state(k)}' = {self._equation(expr)};" for k, expr in enumerate(equations, 1)]
        return "\n".join([*lines, *begin]) + "\n"

    def _equation(self, expr: Expr) -> str:
        own = self.in_equations(expr)
        for op in _EQUATION_OPS:
            if any(node[0] == op for node in postorder(own)):
                self.fault(
                    "DES",
                    op.upper(),
                    f"{op} stands in the equations, which do not have it.",
                    "Take it in $PK, under a name.",
                )
                return "0"
        if formulas.size(own) > 20 * MOST_NODES:
            self.fault("DES", "", "A formula is longer than can be written.", "Write it shorter.")
            return "0"
        return infix(own)

    def in_equations(self, expr: Expr) -> Expr:
        """For the equations: columns and effects under names that are parameters of the individual."""
        given: dict[str, Expr] = {}
        for name in set(symbols(expr)):
            if name == "T":
                given[name] = ("time",)
            elif name.startswith("ETA(") or (name in self.m.visible):
                own = self.translate(sym(name))[1]
                alias = own if name in self.m.visible and own not in ("TIME", "DV") else f"{own}_i"
                alias = alias if alias.lower() not in compartments.RESERVED else f"{alias}_"
                self.individual[alias] = own
                given[name] = sym(alias)
        done = formulas.renamed(expr, given)
        rest = {name: self.translate(sym(name)) for name in set(symbols(done)) if name in self.final or "(" in name}
        return formulas.renamed(done, rest)

    # ---- names --------------------------------------------------------------------------------------------------------
    def _final_names(self, given: dict[str, Expr]) -> None:
        m = self.m
        reach: set[str] = set()
        for root in self.roots:
            reach |= self.activity.reaches(root)
        wanted = {key: expr for key, expr in self.definitions.items() if key in reach and not self.seen.late(key)}
        self.final: dict[str, str] = {}
        taken = {
            *m.table,
            *m.columns.synonyms,
            *self.extra,
            *self.names.values(),
            *(name.upper() for name in compartments.RESERVED),
            "TIME",
            "DV",
        }
        for name, expr in given.items():
            if expr[0] == "sym" and expr[1] in wanted and expr[1] not in self.final:
                self.final[expr[1]] = name
        taken |= set(given)
        earlier = getattr(m, "pk", m.flow)
        for part in (earlier, m.des, m.flow):
            if part is not None:
                own = {key: expr for key, expr in part.definitions.items() if key in wanted and key not in self.final}
                self.final |= named(own, {*taken, *self.final.values()})
        self.needed = wanted

    def translate(self, expr: Expr) -> Expr:
        """The formula with the names of the problem file."""
        given: dict[str, Expr] = {}
        for name in set(symbols(expr)):
            if name in self.final:
                given[name] = sym(self.final[name])
            elif name in self.names:
                given[name] = sym(self.names[name])
            elif name.startswith("A("):
                given[name] = sym(self._state(int(name[2:-1])))
            elif name == "T":
                given[name] = sym("TIME")
            elif name in self.m.visible or name in self.extra:
                own = self.m.called.get(name, name)
                self.used.add(own)
                given[name] = sym(own)
        return formulas.renamed(expr, given)

    def text(self, expr: Expr, name: str) -> str:
        try:
            found = formulas.text(expr) if formulas.size(expr) <= MOST_NODES else "x" * 5000
        except formulas.TooDeep:
            found = "x" * 5000
        if len(found) > 3900:
            self.fault(
                "ERROR" if self.m.predictor else "PRED",
                name,
                "The formula is longer than can be written.",
                "Split it over several names.",
            )
            return "0"
        return found

    def _define(self) -> None:
        """Formulas of individual parameters, those that others need first."""
        own = {self.final[key]: self.text(self.translate(expr), self.final[key])
               for key, expr in self.needed.items() if key not in self.of_des}  # fmt: skip
        self.individual = {**own, **self.individual}

    # ---- effects ------------------------------------------------------------------------------------------------------
    def _effects(self) -> dict[str, Any]:
        m = self.m
        self.names |= {f"THETA({k + 1})": f"theta{k + 1}" for k in range(len(m.given.thetas))}
        self.names |= {f"EPS({k + 1})": f"eps{k + 1}" for k in range(m.n_eps)}
        chains = occasions.chains(m.given.omega)
        number = occasions.occasions(chains, self.roots, self.activity) if chains else np.full(m.n, -1)
        repeated = {k for chain in chains for k in (chain.first,)}
        apart = False
        if isinstance(number, str):
            if all(block.fixed or not block.matrix.any() for block in m.given.omega if block.same is not None):
                apart = True  # nothing is estimated in them, so that blocks of their own say the same
            else:
                self.fault("OMEGA", "SAME", f"{number}, so the effects are not those of one occasion.",
                           "Let a column number the occasions, and each record use the effects of its own.")  # fmt: skip
        random: dict[str, Any] = {}
        at = 0
        for k, block in enumerate(m.given.omega):
            members = [f"ETA({at + j + 1})" for j in range(block.size)]
            at += block.size
            if not apart and (block.same is not None or k in repeated):
                origin = block.same if block.same is not None else k
                self.names |= {member: f"kappa{m_first(m, origin) + j}" for j, member in enumerate(members)}
                continue
            self.names |= {member: f"eta{member[4:-1]}" for member in members}
            random[", ".join(self.names[member] for member in members)] = _given(block.matrix, block.fixed)
        fields: dict[str, Any] = {"random_effects": random}
        if chains and not apart and not isinstance(number, str):
            fields["occasion"] = self._occasion(number)
            fields["occasion_effects"] = {
                ", ".join(self.names[member] for member in chain.members[0]): _given(
                    chain.block.matrix, chain.block.fixed
                )
                for chain in chains
            }
        residual = {}
        at = 0
        for block in m.given.sigma:
            if block.same is not None:
                self.fault(
                    "SIGMA", "SAME", "SAME is not read in $SIGMA.", "Use one EPS in all places that share its variance."
                )
            key = ", ".join(f"eps{at + j + 1}" for j in range(block.size))
            at += block.size
            residual[key] = _given(block.matrix, block.fixed)
        fields["residual_effects"] = residual
        return fields

    def _occasion(self, number: np.ndarray) -> str:
        m = self.m
        labels = occasions.filled(number, m.read.labels)
        candidates = [name for name in m.read.values if name not in (*_ITEMS, "ID")]
        found = occasions.column_for(number, m.visible, candidates)
        if found is not None:
            self.used.add(m.called[found])
            return str(m.called[found])
        self.extra["OCCASION"] = labels + 1.0
        m.notes.append("the column OCCASION numbers the occasions that SAME blocks of $OMEGA belong to")
        return "OCCASION"

    def _thetas(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for k, theta in enumerate(self.m.given.thetas, 1):
            part: dict[str, Any] = {"start": theta.start}
            part |= {"lower": theta.lower} if np.isfinite(theta.lower) else {}
            part |= {"upper": theta.upper} if np.isfinite(theta.upper) else {}
            part |= {"fixed": True} if theta.fixed else {}
            part |= {"label": theta.label[:120]} if theta.label else {}
            found[f"theta{k}"] = part
        return found

    def _all_texts(self, fields: dict[str, Any]) -> list[str]:
        texts = [*fields["individual"].values(), *(t for r in fields.get("doses", {}).values() for t in r.values())]
        texts += [t for part in fields["observations"].values() for t in part.values() if isinstance(t, str)]
        model = fields.get("model", "")
        return [*texts, *(model.splitlines() if "\n" in model else [])]

    def _drop_unused(self, fields: dict[str, Any], used: set[str]) -> None:
        """Parameters and effects of no formula are named and left out; a problem file has none."""
        dropped = [name for name in fields["parameters"] if name not in used]
        fields["parameters"] = {name: part for name, part in fields["parameters"].items() if name in used}
        for group in ("random_effects", "occasion_effects", "residual_effects"):
            kept: dict[str, Any] = {}
            for key, part in fields.get(group, {}).items():
                names = key.split(", ")
                stay = [k for k, name in enumerate(names) if name in used]
                dropped += [name for name in names if name not in used]
                if stay:
                    kept[", ".join(names[k] for k in stay)] = part if len(stay) == len(names) else _part(part, stay)
            if group in fields:
                fields[group] = kept
        if "occasion_effects" in fields and not fields["occasion_effects"]:
            del fields["occasion_effects"], fields["occasion"]
        for name in fields.get("priors", {}):
            if any(one.strip() in dropped for one in name.split(",")):
                self.fault("PRIOR", name, "The prior belongs to a parameter that no formula uses.", "Remove it.")
        if dropped:
            self.m.notes.append(f"no formula uses {', '.join(dropped)}: left out")

    # ---- the rest -----------------------------------------------------------------------------------------------------
    def _data(self, parts: list[Part]) -> dict[str, Any]:
        m, found = self.m, dict[str, Any]({"file": "data.csv"})
        if len(parts) > 1:
            found["columns"] = {"DVID": PART}
        if m.model is not None:
            if not m.model.named:
                found["compartments"] = {str(k): state for k, state in enumerate(m.model.states, 1)}
            found["dose_into"] = self._state(m.model.dose)
        return found

    def table(self) -> dict[str, np.ndarray]:
        """The columns of the data file, ID left out."""
        m = self.m
        items = [name for name in _ITEMS if name in m.table and (m.predictor or name in ("TIME", "DV", "MDV"))]
        every = {**m.table, **self.extra}
        rest = [name for name in every if name in self.used or name in self.extra]
        return {name: every[name] for name in dict.fromkeys([*items, *rest])}

    def _priors(self) -> dict[str, Any]:
        given = self.m.prior_given
        if given is None:
            return {}
        found: dict[str, Any] = {}
        free = [k for k in range(len(given.means)) if not self.m.given.thetas[k].fixed]
        if given.covariance is not None:
            part = given.covariance[np.ix_(free, free)]
            if np.count_nonzero(part - np.diag(np.diag(part))) == 0:
                for k in free:
                    found[f"theta{k + 1}"] = {
                        "normal": {"mean": given.means[k], "sd": float(np.sqrt(given.covariance[k, k]))}
                    }
            elif free:
                rows = [[float(part[i, j]) for j in range(i + 1)] for i in range(len(free))]
                means = [given.means[k] for k in free]
                found[", ".join(f"theta{k + 1}" for k in free)] = {"normal": {"means": means, "covariance": rows}}
        at, own = 0, []
        for block in self.m.given.omega:
            if block.same is None:
                own.append([self.names[f"ETA({at + j + 1})"] for j in range(block.size)])
            at += block.size
        for names, matrix, degrees in zip(own, given.matrices, given.degrees, strict=False):
            rows = [[float(matrix[i, j]) for j in range(i + 1)] for i in range(len(matrix))]
            found[", ".join(names)] = {"inverse_wishart": {"covariance": rows, "degrees": degrees}}
        return found

    def _estimation(self) -> dict[str, Any]:
        found = dict(self.m.asked.options)
        likelihoods = any(name in ("likelihood", "deviance") for (name, _), _ in self.seen.parts)
        if likelihoods and found.get("method", "focei") in ("fo", "foce", "focei"):
            found["method"] = "laplace"
        return found


def m_first(maker: _Maker, block: int) -> int:
    """The number of the first effect of a block."""
    return sum(b.size for b in maker.given.omega[:block]) + 1


def _given(matrix: np.ndarray, fixed: bool) -> dict[str, Any]:
    if len(matrix) == 1:
        part: dict[str, Any] = {"variance": float(matrix[0, 0])}
    else:
        part = {"covariance": [[float(matrix[i, j]) for j in range(i + 1)] for i in range(len(matrix))]}
    return part | ({"fixed": True} if fixed else {})


def _part(part: dict[str, Any], stay: list[int]) -> dict[str, Any]:
    """The block of some of its effects."""
    rows = part["covariance"]
    n = len(rows)
    full = np.zeros((n, n))
    for i in range(n):
        full[i, : i + 1] = full[: i + 1, i] = rows[i]
    return _given(full[np.ix_(stay, stay)], bool(part.get("fixed")))
