"""The drug chains of the library, solved by libRoadRunner: mass balance, bioavailability, published exposures."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import Any

import antimony
import numpy as np
import pytest
import roadrunner
from ruamel.yaml import YAML

from respine import library

TABLES = {
    "human": ("ketamine_human", "citalopram_human"),
    "rat": ("ketamine_rodent", "ketamine_rat", "fluoxetine_rodent"),
    "mouse": ("ketamine_rodent", "ketamine_mouse", "fluoxetine_rodent"),
}
MODULES = {"human": TABLES["human"], "rat": TABLES["rat"][::2], "mouse": TABLES["mouse"][::2]}
MINE = sorted({name for names in TABLES.values() for name in names})
FORMS = {"s": "ss", "r": "rr"}
# what leaves each chain for good, in mmol; with what is still in the body it must add up to the dose
LEFT = """
  {e}_left' = {h}_hnk_CL * {h}_hnk_central / hnk_V / hnk_molar_mass \
+ dhnk_CL * {e}_dhnk_central / dhnk_V / dhnk_molar_mass \
+ (1 - fraction_to_norketamine) * ({e}_ketamine_metabolism + (1 - gut_escape) * {gut}) / ketamine_molar_mass \
+ (1 - fraction_to_hnk - fraction_to_dhnk) * {e}_norketamine_metabolism / norketamine_molar_mass;
"""


@cache
def values(species: str) -> dict[str, float]:
    return {row["id"]: float(row["value"]) for table in TABLES[species] for row in library.rows("parameters", table)}


@cache
def compiled(species: str) -> tuple[Any, list[str]]:
    """The solver of one species' chains, every state with an infusion of its own, and the states' names."""
    text = "\n".join(library.text("modules", name) for name in MODULES[species])
    gut = "{e}_ketamine_into_gut" if species == "human" else "oral_ka * {e}_ketamine_oral_depot"
    text += "".join(LEFT.replace("{gut}", gut).format(e=e, h=h) for e, h in FORMS.items())
    states = re.findall(r"^\s*(\w+)'", text, re.M)
    text = re.sub(r"^(\s*)(\w+)'(\s*=)", r"\1\2'\3 infuse_\2 +", text, flags=re.M)
    numbers = values(species) | dict.fromkeys(states, 0.0) | {f"infuse_{s}": 0.0 for s in states}
    text += "\n" + "\n".join(f"{name} = {value!r};" for name, value in numbers.items())
    antimony.clearPreviousLoads()
    assert antimony.loadAntimonyString(f"model m\n{text}\nend\n") >= 0, antimony.getLastError()
    solver = roadrunner.RoadRunner(antimony.getSBMLString("m"))
    solver.integrator.relative_tolerance, solver.integrator.absolute_tolerance = 1e-9, 1e-12
    return solver, states


class Body:
    """One species' drug chains; doses are read from the drug files."""

    def __init__(self, species: str, **changed: float) -> None:
        self.species, self.values = species, values(species) | changed
        self.solver, self.states = compiled(species)
        self.doses: list[tuple[float, str, float, float]] = []

    def give(self, drug: str, route: str, mg: float, at: float = 0.0, over: float = 0.0, sprays: int = 1) -> Body:
        """A dose by the words of the drug file; hours."""
        way = yaml_drug(drug)["species"][self.species][route]
        for i in range(sprays):
            for part in way["into"]:
                share = self.number(part["later"] if i and "later" in part else part["fraction"])
                start = at + i / 12 + self.number(part.get("lag", 0))
                length = self.number(part["duration"]) if "duration" in part else over
                self.doses.append((start, part["state"], share * mg / sprays, length))
        return self

    def number(self, formula: str | float) -> float:
        return float(eval(str(formula), {"__builtins__": {}}, self.values))

    def follow(self, hours: float, *read: str, points: int = 2000) -> tuple[np.ndarray, ...]:
        """Times and each quantity read."""
        solver, doses = self.solver, self.doses
        solver.resetAll()
        for name, value in self.values.items():
            solver[name] = value
        stops = {0.0, hours} | {t for d in doses for t in (d[0], d[0] + d[3]) if t < hours}
        tables = []
        for first, last in pairwise(sorted(stops)):
            for start, state, mg, over in doses:
                if over == 0 and start == first:
                    solver[state] = solver[state] + mg
            for state in {d[1] for d in doses}:
                here = [(start, mg, over) for start, name, mg, over in doses if name == state and over > 0]
                rate = sum(mg / over for start, mg, over in here if start <= first < start + over - 1e-12)
                solver[f"infuse_{state}"] = rate
            count = max(20, int(points * (last - first) / hours))
            tables.append(np.array(solver.simulate(first, last, count, ["time", *read])))
        return tuple(np.concatenate(tables).T)

    def area(self, name: str, hours: float = 120.0) -> float:
        t, y = self.follow(hours, name, points=6000)
        return float(np.trapezoid(y, t))

    def peak(self, name: str, hours: float = 24.0) -> tuple[float, float]:
        t, y = self.follow(hours, name, points=6000)
        return float(y.max()), float(t[y.argmax()])


@cache
def yaml_drug(name: str) -> Any:
    return YAML(typ="safe").load(library.text("drugs", name))


def evidence(row: str) -> float:
    return next(float(r["value"]) for r in library.rows("evidence", "pk") if r["id"] == row)


def routes(drug: str) -> list[tuple[str, str]]:
    return [(species, route) for species, ways in yaml_drug(drug)["species"].items() for route in ways]


@pytest.mark.parametrize(("species", "route"), routes("ketamine"))
@pytest.mark.parametrize("hours", [1.0, 30.0])
def test_every_milligram_is_in_the_body_or_has_left_it(species: str, route: str, hours: float) -> None:
    how = {"iv": {"over": 2 / 3}, "nasal": {"sprays": 5}}.get(route, {})
    body = Body(species).give("ketamine", route, 35.0, **how)  # type: ignore[arg-type]
    mass = {f"{drug}_": body.values[f"{drug}_molar_mass"] for drug in ("ketamine", "norketamine", "hnk", "dhnk")}
    place = "depot|swallowed|central|shallow|deep|liver|peripheral"
    held = [s for s in body.states if re.search(rf"(ketamine|hnk)_\w*({place})$", s)]
    lost = body.values[f"{route}_fraction"] if route in ("im", "sc") else 1.0
    amounts = np.array(body.follow(hours, *held, "s_left", "r_left"))[1:, -1]
    weights = [1 / next(m for name, m in mass.items() if f"_{name}" in state) for state in held] + [1.0, 1.0]
    assert amounts @ weights == pytest.approx(35.0 * lost / body.values["ketamine_molar_mass"], rel=2e-6)


@pytest.mark.parametrize("species", TABLES)
def test_nothing_moves_without_a_dose_and_every_rule_is_finite(species: str) -> None:
    rules = [r["id"] for m in MODULES[species] for r in library.rows("variables", m) if r["role"] == "rule"]
    body = Body(species)
    table = np.array(body.follow(100.0, *body.states, *rules, points=20))[1:]
    assert np.isfinite(table).all()
    assert (table[: len(body.states)] == 0).all()


def bioavailability(drug: str, route: str, form: str, **how: Any) -> float:
    name = f"{form}_ketamine_plasma"
    vein = Body("human").give(drug, "iv", 28.0, over=2 / 3)
    return Body("human").give(drug, route, 28.0, **how).area(name) / vein.area(name)


def test_bioavailability_follows_from_the_flows() -> None:
    v = values("human")
    escape = v["gut_escape"] * v["ketamine_Qh_70kg"] / (v["ketamine_Qh_70kg"] + v["ketamine_CLint_70kg"])
    assert bioavailability("esketamine", "oral", "s") == pytest.approx(escape, rel=1e-3)
    assert 0.08 * 0.6 < escape < 0.08 * 1.4  # Fanta 2015, 40 % allowed
    nose = v["nasal_fraction_first"]
    assert bioavailability("esketamine", "nasal", "s") == pytest.approx(nose + (1 - nose) * escape, rel=1e-3)
    assert bioavailability("ketamine", "im", "r") == pytest.approx(v["im_fraction"], rel=1e-3)
    assert bioavailability("ketamine", "sc", "s") == pytest.approx(v["sc_fraction"], rel=1e-3)
    assert bioavailability("ketamine", "sublingual", "s") == pytest.approx(0.263, rel=0.01)  # Simons 2022
    assert bioavailability("arketamine", "oral", "r") > 1.5 * escape  # R passes the liver more easily


@pytest.mark.parametrize(("sprays", "row"), [(1, 36), (3, 44)])
def test_nasal_esketamine_gives_the_published_exposure(sprays: int, row: int) -> None:
    body = Body("human").give("esketamine", "nasal", 28.0 * sprays, sprays=sprays)
    for start, name, within in ((row, "s_ketamine_plasma", 0.01), (row + 2, "plasma_norketamine", 0.05)):
        got = [body.peak(name)[0], body.area(name, 24.0)]
        assert got == pytest.approx([evidence(f"PK{start + i:03d}") for i in range(2)], rel=within)


def test_clearance_and_metabolite_ratios_after_a_vein() -> None:
    body = Body("human").give("ketamine", "iv", 35.0, over=2 / 3)
    s, r = body.area("s_ketamine_plasma", 200.0), body.area("r_ketamine_plasma", 200.0)
    assert 17.5e3 / s == pytest.approx(evidence("GPK002"), rel=0.01)
    assert s / r == pytest.approx(15.8 / 18.4, rel=0.01)  # Wang 2019
    assert body.area("ss_hnk_plasma", 200.0) / s == pytest.approx(evidence("PK222"), rel=0.05)
    assert body.area("rr_hnk_plasma", 200.0) / r == pytest.approx(evidence("PK223"), rel=0.05)


def test_the_arm_delays_and_flattens_but_loses_nothing() -> None:
    vein = Body("human").give("ketamine", "iv", 35.0, over=2 / 3)
    artery = Body("human", venous_sampling=0.0).give("ketamine", "iv", 35.0, over=2 / 3)
    assert artery.peak("plasma_ketamine")[0] > vein.peak("plasma_ketamine")[0]
    assert artery.peak("plasma_ketamine")[1] < vein.peak("plasma_ketamine")[1]
    assert artery.area("plasma_ketamine") == pytest.approx(vein.area("plasma_ketamine"), rel=1e-3)


def test_size_and_age_change_clearance_as_stated() -> None:
    def clearance(**changed: float) -> float:
        body = Body("human", **changed).give("esketamine", "iv", 35.0, over=2 / 3)
        return 35e3 / body.area("s_ketamine_plasma", 200.0)

    assert clearance(weight_kg=140.0) / clearance() == pytest.approx(2**0.75, rel=1e-3)
    assert clearance(age_y=50.0) == pytest.approx(clearance(age_y=20.0), rel=1e-9)
    assert clearance(age_y=80.0) < 0.8 * clearance()


def test_rat_brain_is_reached_at_once_and_left_by_three_hours() -> None:
    iv = Body("rat").give("ketamine", "iv", 3.0)
    t, s, r = iv.follow(3.0, "s_ketamine_brain_free", "r_ketamine_brain_free", points=6000)
    brain = s + r
    assert t[brain.argmax()] < 2 / 60
    assert np.interp(0.5, t, brain) < 0.3 * brain.max()
    assert brain[-1] < 0.03 * brain.max()
    ip = Body("rat").give("ketamine", "ip", 3.0)
    t, s, r = ip.follow(3.0, "s_ketamine_brain_free", "r_ketamine_brain_free", points=6000)
    assert 0.05 < t[(s + r).argmax()] < 0.34
    assert (s + r)[-1] < 0.06 * (s + r).max()
    assert (s + r).max() < 0.5 * brain.max()  # the liver takes its share before the brain sees it


def test_mouse_brain_after_skin_and_hydroxynorketamine_after_peritoneum() -> None:
    skin = Body("mouse").give("ketamine", "sc", 30 * 0.025)
    t, s, r = skin.follow(1.0, "s_ketamine_brain_free", "r_ketamine_brain_free", points=4000)
    assert t[(s + r).argmax()] <= 0.25
    assert (s + r)[-1] < 0.2 * (s + r).max()
    hnk = Body("mouse").give("2r6r-hydroxynorketamine", "ip", 10 * 0.025)
    assert hnk.peak("rr_hnk_brain_free")[0] == pytest.approx(evidence("PK296"), rel=0.1)


@pytest.mark.parametrize(("species", "per_kg"), [("rat", 83.0), ("mouse", 154.0)])
def test_rodent_clearance_is_that_of_people_by_weight(species: str, per_kg: float) -> None:
    weight = values(species)["weight_kg"]
    body = Body(species).give("ketamine", "iv", 10 * weight)
    assert 10 * weight * 1e6 / body.area("plasma_ketamine", 60.0) / 60 / weight == pytest.approx(per_kg, rel=0.15)


def test_rats_show_more_ss_and_people_more_rr_hydroxynorketamine() -> None:
    for species, more, less in (("rat", "ss", "rr"), ("human", "rr", "ss")):
        body = Body(species).give("ketamine", "iv", 1.0)
        assert body.area(f"{more}_hnk_plasma", 200.0) > body.area(f"{less}_hnk_plasma", 200.0)


def daily(body: Body, drug: str, route: str, mg: float, days: int) -> Body:
    for day in range(days):
        body.give(drug, route, mg, at=24.0 * day)
    return body


def test_citalopram_and_escitalopram_hold_the_transporter() -> None:
    s = daily(Body("human"), "escitalopram", "oral", 10.0, 21)
    t, level, occupied = s.follow(21 * 24.0, "plasma_ssri", "sert_occupancy", points=4000)
    last = t > 20 * 24
    assert np.trapezoid(level[last], t[last]) / np.ptp(t[last]) == pytest.approx(10e3 / 19 / 24, rel=0.03)
    assert np.mean(occupied[last]) == pytest.approx(evidence("GPK095") / 100, abs=0.03)
    racemate = daily(Body("human"), "citalopram", "oral", 20.0, 21)
    t, total, same = racemate.follow(21 * 24.0, "plasma_ssri", "sert_occupancy", points=4000)
    assert same == pytest.approx(occupied, abs=1e-5)
    assert total[last].mean() > 2.3 * level[last].mean()  # the R-form stays longer
    assert same.min() >= 0 and same.max() < 0.86


def test_fluoxetine_and_its_metabolite_in_the_rat() -> None:
    body = Body("rat").give("fluoxetine", "oral", 5 * 0.3)
    parent, metabolite = body.area("fluoxetine_plasma", 200.0), body.area("norfluoxetine_plasma", 200.0)
    assert metabolite / parent == pytest.approx(5, rel=0.35)  # Caccia 1990: 2.5 into a vein, about 5 by mouth
    t, fluoxetine, norfluoxetine = body.follow(72.0, "fluoxetine_plasma", "norfluoxetine_plasma")
    for start, level, half_life in ((24, fluoxetine, 5), (58, norfluoxetine, 15)):
        fall = np.log(np.interp(start, t, level) / np.interp(start + 12, t, level))
        assert 12 * np.log(2) / fall == pytest.approx(half_life, rel=0.1)
    treated = daily(Body("mouse"), "fluoxetine", "oral", 18 * 0.025, 7)
    assert 0.7 < treated.follow(7 * 24.0, "sert_occupancy")[1][-1] < 0.86


def test_every_route_leads_to_states_and_parameters_that_exist() -> None:
    for name in library.names("drugs"):
        file = yaml_drug(name)
        assert file["drug"] == name and file["title"]
        for species, ways in file["species"].items():
            body = Body(species)
            for route, way in ways.items():
                assert "into" in way or "sets" in way, (name, route)
                for part in way.get("into", []):
                    assert part["state"] in body.states, (name, route, part["state"])
                    assert body.number(part.get("later", 1)) > 0
                if way.get("into") and route not in ("im", "sc"):  # what does not enter here enters there
                    for which in ("fraction", "later"):
                        shares = [body.number(part.get(which, part["fraction"])) for part in way["into"]]
                        assert sum(shares) == pytest.approx(1), (name, route)
                for dose in way.get("dose", []):
                    assert 0 < dose["low"] < dose["high"]


@pytest.mark.parametrize("table", MINE)
def test_every_number_has_unit_status_and_source(table: str) -> None:
    known = re.findall(r"(?m)^@\w+\{([^,]+),", (library.ROOT / "references_pk.bib").read_text(encoding="utf-8"))
    assert len(known) == len(set(known))
    for row in library.rows("parameters", table):
        assert row["unit"] and row["status"] in {"literature", "derived", "calibrated", "assumed"}, row["id"]
        assert row["distribution"] in {"fixed", "lognormal", "normal", "logitnormal"}, row["id"]
        assert (row["distribution"] == "fixed") == (row["low"] == ""), row["id"]
        if row["low"]:
            assert float(row["low"]) < float(row["value"]) < float(row["high"]), row["id"]
        if row["distribution"] == "logitnormal":
            assert float(row["low"]) > 0 and float(row["high"]) < 1, row["id"]
        sources = [key for key in row["source"].split(";") if key]
        assert sources or (row["status"] == "assumed" and row["note"]), row["id"]
        assert set(sources) <= set(known), row["id"]
    if table in MODULES["human"] + MODULES["rat"]:
        defined = re.findall(r"^\s*(\w+)(?:'|\s*:)\s*=", library.text("modules", table), re.M)
        assert defined == [row["id"] for row in library.rows("variables", table)]
