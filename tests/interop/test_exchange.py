"""Models out and in again: the same trajectories, in other tools too; archives that would do harm are refused."""

from __future__ import annotations

import csv
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from respine import engine, model
from respine.cli.app import app
from respine.errors import InputError
from respine.interop.antimony_out import to_antimony
from respine.interop.imported import import_model
from respine.interop.mrgsolve import read_mrgsolve, to_mrgsolve
from respine.interop.omex import archive, model_in
from respine.interop.study_model import model_of

TIMES = np.linspace(0, 30, 7)
DOSED = """model dosed
  // Emax, a rhythm, an event that a level sets off
  rhythm := 1 + 0.3*sin(0.26*time);
  effect := piecewise(central/(EC50 + central), central > 0, 0);
  depot' = -ka*depot; central' = ka*depot - CL/Vc*rhythm*central; pool' = kin*(1 - effect) - kout*pool;
  depot = 100; central = 0; pool = kin/kout; ka = 1.1; CL = 2; Vc = 20; EC50 = 1.5; kin = 3; kout = 0.4;
  rescue: at 1 after (pool < 5), t0=false, persistent=true, fromTrigger=false: depot = depot + extra, extra = 0;
  extra = 50;
end"""
SMOOTH = DOSED.replace(DOSED[DOSED.index("  rescue") : DOSED.index("  extra")], "")


def solved(system, schedule=None, times=TIMES, outputs=None):
    outputs = outputs or list(system.states)
    got = engine.build(system, outputs=outputs).solve(None, schedule, times, rtol=1e-10, atol=1e-13)
    assert not got.failures
    return got.values[0]


def dosed(state: str):
    schedule = engine.Schedule(1)
    schedule.dose(state, time=3.0, amount=20.0)
    schedule.dose(state, time=8.0, amount=30.0, duration=2.0)
    return schedule


DOSES = [("depot", 3.0, 20.0, 0.0), ("depot", 8.0, 30.0, 2.0)]


@pytest.mark.parametrize("text", [DOSED, SMOOTH])
def test_round_trips_change_nothing(text):
    system = model.load(text)
    before = solved(system)
    np.testing.assert_allclose(solved(model.load_sbml(model.to_sbml(system))), before, rtol=1e-9)
    np.testing.assert_allclose(solved(model.load(to_antimony(system))), before, rtol=1e-9)


def test_library_models_make_round_trips():
    system = model.load("rat")
    names = list(system.states)
    before = solved(system, dosed(names[0]), outputs=names)
    doses = [(names[0], *dose[1:]) for dose in DOSES]
    np.testing.assert_allclose(
        solved(model.load(to_antimony(system, doses=doses)), outputs=names), before, rtol=1e-7, atol=1e-9
    )
    again = read_mrgsolve(to_mrgsolve(system))
    np.testing.assert_allclose(solved(again, dosed(names[0]), outputs=names), before, rtol=1e-9)


def test_doses_become_events():
    system = model.load(SMOOTH)
    wanted = solved(system, dosed("depot"))
    for again in (model.load(to_antimony(system, doses=DOSES)), model.load_sbml(model.to_sbml(system, doses=DOSES))):
        np.testing.assert_allclose(solved(again, outputs=list(system.states)), wanted, rtol=1e-8, atol=1e-9)


def test_libroadrunner_runs_what_is_written():
    import roadrunner

    system = model.load(DOSED)
    runner = roadrunner.RoadRunner(model.to_sbml(system, doses=DOSES))
    runner.integrator.relative_tolerance, runner.integrator.absolute_tolerance = 1e-10, 1e-13
    got = np.array(runner.simulate(0, 30, 7, list(system.states)))
    np.testing.assert_allclose(
        got, solved(model.load(to_antimony(system, doses=DOSES)), outputs=list(system.states)), rtol=1e-6, atol=1e-9
    )


@pytest.mark.slow
@pytest.mark.parametrize("study", ["", "murrough-2013"])
def test_copasi_runs_an_archive(study, tmp_path):
    import basico

    made = model_of(study) if study else None
    system = made.system if made else model.load(DOSED)
    doses, inputs = (made.doses, made.inputs) if made else (DOSES, ())
    until, names = (made.until if made else 30.0), list(system.states)
    sbml = model.to_sbml(system, doses=doses, inputs=inputs)
    (tmp_path / "m.omex").write_bytes(archive(sbml, names, until, 6, "m"))
    basico.load_model(str(tmp_path / "m.omex"))
    shown = basico.get_parameters().reset_index().set_index("sbml_id")["name"].to_dict()
    table = basico.run_time_course(duration=until, intervals=6, r_tol=1e-10, a_tol=1e-13, max_steps=10**7)
    got = table[[f"Values[{shown[name]}]" for name in names]].to_numpy()
    wanted = solved(model.load_sbml(sbml), times=np.linspace(0, until, 7), outputs=names)
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(solved(model.load_sbml(model_in(tmp_path / "m.omex").decode()), times=np.linspace(0, until, 7),
                                      outputs=names), wanted, rtol=1e-9)  # fmt: skip


def test_an_arm_is_its_typical_subject():
    from respine.protocol.typical import typical

    made = model_of("murrough-2013", "ketamine")
    course = typical("murrough-2013", ["plasma_ketamine", "symptom"], [0.5, 1.0, 24.0, 168.0])["ketamine"]
    begin = made.until - max(d for d in [168.0])  # the study's last time is day 7
    again = model.load_sbml(model.to_sbml(made.system, doses=made.doses, inputs=made.inputs))
    times = begin + np.array([0.5, 1.0, 24.0, 168.0])
    got = solved(again, times=times, outputs=["plasma_ketamine", "symptom"])
    np.testing.assert_allclose(got[:, 0], course["plasma_ketamine"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got[:, 1], course["symptom"], rtol=1e-4)


# ---- mrgsolve --------------------------------------------------------------------------------------------------------
MRG = """$PROB two compartments
$PARAM CL = 1.5, V = 20 KA = 1.2
$PARAM @annotated
Q : 0.5 : Exchange (L/h)
V2 : 30 : Second volume (L)
$CMT GUT CENT // of the drug
PERI
$MAIN
double k10 = CL/V; double k12 = Q/V;
GUT_0 = 100;
$ODE
dxdt_GUT = -KA*GUT;
dxdt_CENT = KA*GUT - (k10 + k12)*CENT
          + Q/V2*PERI;
dxdt_PERI = k12*CENT - Q/V2*PERI;
$TABLE
double CP = CENT > 0 ? pow(CENT, 1.0)/V : 0.0;
$CAPTURE CP
"""


def test_a_model_of_mrgsolve():
    system = read_mrgsolve(MRG)
    assert list(system.states) == ["GUT", "CENT", "PERI"] and system.parameters["KA"] == 1.2
    assert system.quantities["Q"].unit == "L/h" and system.quantities["Q"].label == "Exchange"
    twin = model.load(
        "G' = -1.2*G; C' = 1.2*G - (1.5/20 + 0.5/20)*C + 0.5/30*P; P' = 0.5/20*C - 0.5/30*P; G = 100; C = 0; P = 0"
    )
    np.testing.assert_allclose(solved(system), solved(twin), rtol=1e-9)
    np.testing.assert_allclose(solved(read_mrgsolve(to_mrgsolve(system))), solved(system), rtol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "line", "seen"),
    [
        ("GUT_0 = 100;", "F_GUT = 0.7;", 10, "belongs to the data"),
        ("dxdt_GUT = -KA*GUT;", "if(GUT > 1) dxdt_GUT = 0;", 12, "only assignments"),
        ("-KA*GUT", "-KA*exp(ETA(1))*GUT", 12, "ETA"),
        ("CL/V;", "TVCL/V;", 9, "TVCL"),
        ("$TABLE", "$PKMODEL ncmt=1", 16, "PKMODEL"),
        ("PERI\n", "PERI DEEP\n", 7, "dxdt_"),
        ("$CAPTURE CP", "$WHAT CP", 18, "WHAT"),
    ],
)
def test_what_mrgsolve_says_and_respine_does_not_is_refused_by_line(old, new, line, seen):
    assert old in MRG
    with pytest.raises(InputError) as told:
        read_mrgsolve(MRG.replace(old, new, 1))
    assert any(seen in str(p) and p.where.endswith(f":{line}") for p in told.value.problems), str(told.value)


def test_events_are_not_written_for_mrgsolve():
    with pytest.raises(InputError, match="no events"):
        to_mrgsolve(model.load(DOSED))


# ---- commands --------------------------------------------------------------------------------------------------------
def run(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_project_is_made_and_runs(tmp_path):
    (tmp_path / "in.xml").write_text(model.to_sbml(model.load(DOSED)))
    done = run("import", tmp_path / "in.xml", "-o", tmp_path / "mine", "--until", 20)
    assert done.exit_code == 0, done.output
    assert "the same, largest relative difference" in (tmp_path / "mine" / "report.md").read_text()
    with (tmp_path / "mine" / "parameters.csv").open() as lines:
        rows = {row["id"]: row for row in csv.DictReader(lines)}
    assert rows["ka"]["value"] == "1.1" and rows["extra"]["role"] == "input"
    assert run("study", "check", tmp_path / "mine" / "study.yaml").exit_code == 0
    assert run("run", tmp_path / "mine" / "study.yaml", "--out", tmp_path / "results").exit_code == 0
    again = run("import", tmp_path / "in.xml", "-o", tmp_path / "mine")
    assert again.exit_code == 2 and "exists already" in again.output


def test_every_format_is_written_and_read(tmp_path):
    (tmp_path / "m.ant").write_text(SMOOTH)
    before = solved(model.load(SMOOTH))
    for name in ("a.xml", "a.ant", "a.omex", "a.cpp"):
        done = run("export", tmp_path / "m.ant", "-o", tmp_path / name)
        assert done.exit_code == 0, done.output
        made = import_model(tmp_path / name, tmp_path / f"from-{name}", until=5)
        np.testing.assert_allclose(solved(made.system), before, rtol=1e-9)
    assert run("export", tmp_path / "m.ant", "-o", tmp_path / "a.xml").exit_code == 2
    assert run("export", tmp_path / "m.ant", "-o", tmp_path / "a.what").exit_code == 2
    assert run("export", "murrough-2013", "--arm", "none", "-o", tmp_path / "b.xml").exit_code == 2


def test_a_size_that_is_missing_can_be_given(tmp_path):
    text = model.to_sbml(model.load("cell = 2; x' = -x/cell; x = 1")).replace(
        '<parameter id="cell" value="2"', '<parameter id="cell"'
    )
    (tmp_path / "in.xml").write_text(text)
    assert run("import", tmp_path / "in.xml", "-o", tmp_path / "a").exit_code == 2
    done = run("import", tmp_path / "in.xml", "-o", tmp_path / "b", "--set", "cell=2")
    assert done.exit_code == 0, done.output


# ---- archives that would do harm -------------------------------------------------------------------------------------
def packed(path: Path, **files: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, text in files.items():
            out.writestr(name, text)
    return path


SBML = model.to_sbml(model.load("x' = -x; x = 1"))


@pytest.mark.parametrize(
    "files",
    [
        {"../model.xml": SBML},
        {"/etc/model.xml": SBML},
        {"a\\..\\..\\model.xml": SBML, "../b": ""},
        {"readme.txt": "no model"},
        {"a.xml": SBML, "b.xml": SBML},
        {"manifest.xml": '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "a.xml": SBML},
        {"manifest.xml": "<open", "a.xml": SBML},
        {"model.xml": " " * (257 * 2**20)},
    ],
    ids=["above", "absolute", "backslash", "nothing", "two", "entities", "torn", "bomb"],
)
def test_an_archive_that_is_none_or_would_do_harm(files, tmp_path):
    with pytest.raises(InputError):
        import_model(packed(tmp_path / "a.omex", **files), tmp_path / "out")
    assert not (tmp_path / "out").exists() and not (tmp_path.parent / "model.xml").exists()


def test_damaged_archives_are_refused(tmp_path):
    whole = archive(SBML, ["x"], 1.0, 5, "m")
    rng = np.random.default_rng(3)
    for k in range(200):
        data = bytearray(whole[: int(rng.integers(1, len(whole)))] if k % 4 == 0 else whole)
        for at in rng.integers(0, len(data), 3):
            data[at] ^= int(rng.integers(1, 256))
        (tmp_path / "a.omex").write_bytes(bytes(data))
        try:
            model_in(tmp_path / "a.omex")
        except InputError as refusal:
            assert refusal.problems


def test_a_header_that_lies_about_its_size(tmp_path):
    path = packed(tmp_path / "a.omex", **{"model.xml": SBML})
    data = path.read_bytes()
    at = data.index(b"PK\x01\x02") + 24  # the size, unpacked, in the directory
    path.write_bytes(data[:at] + struct.pack("<I", 10) + data[at + 4 :])
    with pytest.raises(InputError):
        import_model(path, tmp_path / "out")
