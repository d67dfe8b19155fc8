"""NONMEM control streams: NONMEM's own objectives and predictions, small streams with exact answers, refusals all at once."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from respine.cli.app import app
from respine.errors import InputError
from respine.fit import population
from respine.interop.control_stream import assemble, code, data, printed
from respine.interop.control_stream.compare import compare
from respine.interop.control_stream.records import Line, Record, is_control_stream
from respine.interop.control_stream.write import import_control_stream, problem_of
from respine.model.expression import evaluate
from tests.interop.control_streams import STREAMS

CSV = "ID,TIME,DV,AMT,EVID,WT,OCC\n1,0,.,100,1,70,1\n1,1,4,.,0,70,1\n1,6,2,.,0,70,2\n2,0,.,100,1,90,1\n2,2,3,0,0,.,1\n2,9,1,0,0,90,2\n"
ONE = """$PROBLEM one compartment
$INPUT ID TIME DV AMT EVID WT OCC
$DATA data.csv IGNORE=@
$SUBROUTINES ADVAN1 TRANS2
$PK
  CL = THETA(1)*EXP(ETA(1))
  V = THETA(2)
  S1 = V
$ERROR
  Y = F*(1 + EPS(1))
$THETA (0,2) (0,20)
$OMEGA 0.1
$SIGMA 0.04
$ESTIMATION METHOD=1 INTER MAXEVAL=0
"""


def written(folder: Path, text: str, csv: str = CSV) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "data.csv").write_text(csv)
    (folder / "run.ctl").write_text(text)
    return folder / "run.ctl"


def stream(folder: Path, text: str, csv: str = CSV) -> assemble.Stream:
    return assemble.read(written(folder, text, csv))


def anchored(reference: Path, folder: Path, name: str) -> Path:
    path = folder / f"{name}.ctl"
    path.write_text(STREAMS[name].replace("{data}", str(reference / "nonmem-anchor" / name / "data.csv")))
    return path


def faults(folder: Path, text: str, csv: str = CSV) -> list[tuple[int, str]]:
    """(line of the control stream, what was seen) of every fault."""
    with pytest.raises(InputError) as refused:
        stream(folder, text, csv)
    return [(int(p.where.rpartition(":")[2]), p.seen) for p in refused.value.problems]


# ---- NONMEM's answers ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "key", "tolerance"),
    [
        ("ss-lag-ge-ii", "objective_focei", 2e-6), ("ss-infusion-lag", "objective_focei", 2e-6),
        ("lagged-zero-order", "objective_focei", 5e-6), ("eta-boxcox", "objective_focei", 1e-6),
        ("transit-lag-bioavailability", "objective_at_start", 1e-6),
    ],
)  # fmt: skip
def test_objectives_of_nonmem(reference, tmp_path, name, key, tolerance):
    want = json.loads((reference / "nonmem-anchor" / name / "answer.json").read_text())[key]
    made = import_control_stream(anchored(reference, tmp_path, name), tmp_path / "out")
    assert population.evaluate(made.problem).objective == pytest.approx(want, abs=tolerance)


@pytest.mark.parametrize("name", STREAMS)
def test_every_stream_is_read(reference, tmp_path, name):
    made = assemble.read(anchored(reference, tmp_path, name))
    data = (reference / "nonmem-anchor" / name / "data.csv").read_text().splitlines()
    assert len(made.labels) == len(data) - 1 and made.fields["observations"]


def test_a_likelihood_beside_concentrations(reference, tmp_path):
    made = import_control_stream(anchored(reference, tmp_path, "pk-tte-gompertz"), tmp_path / "out")
    assert population.evaluate(made.problem).objective == pytest.approx(1912.0247040, abs=1e-5)


@pytest.mark.parametrize("name", ["ss-lag-ge-ii", "ss-infusion-lag", "lagged-zero-order", "evid-reset-lag"])
def test_predictions_of_nonmem(reference, tmp_path, name):
    problem = problem_of(assemble.read(anchored(reference, tmp_path, name)))
    rows = (reference / "nonmem-anchor" / name / "answer.csv").read_text().splitlines(keepends=True)
    if name == "evid-reset-lag":  # 22 and 23 have a lag longer than the interval: another rule, see their description
        rows = [row for row in rows if not row.startswith(("22,", "23,"))]
    (tmp_path / "answer.csv").write_text("".join(rows))
    found = compare(problem, printed.read(tmp_path / "answer.csv"))
    assert found and all(one.same for one in found), [one.relative for one in found]


@pytest.mark.parametrize(
    ("case", "model", "pk", "theta"),
    [
        ("advan3_bolus_cmt2", "ADVAN3 TRANS4", "CL=THETA(1)\nV1=THETA(2)\nQ=THETA(3)\nV2=THETA(4)\nS1=V1", "5 50 3 80"),
        ("advan12_bolus_cmt2", "ADVAN12 TRANS4", "CL=THETA(1)\nV2=THETA(2)\nQ3=THETA(3)\nV3=THETA(4)\nQ4=THETA(5)\nV4=THETA(6)\nKA=THETA(7)\nS2=V2",
         "5 50 3 80 1 120 1"),
        ("advan4_bolus_cmt3", "ADVAN4 TRANS4", "CL=THETA(1)\nV2=THETA(2)\nQ=THETA(3)\nV3=THETA(4)\nKA=THETA(5)\nS2=V2", "5 50 3 80 1"),
        ("ss_cmt0", "ADVAN1 TRANS2", "CL=THETA(1)\nV=THETA(2)\nS1=V", "5 50"),
    ],
)  # fmt: skip
def test_doses_by_compartment(reference, tmp_path, case, model, pk, theta):
    folder = reference / "nonmem-anchor" / "dose-by-compartment"

    def only(file: str) -> str:
        head, *rows = (folder / file).read_text().splitlines()
        return (
            "\n".join([head.partition(",")[2], *(row.partition(",")[2] for row in rows if row.startswith(f"{case},"))])
            + "\n"
        )

    text = (f"$PROB\n$INPUT ID TIME DV AMT CMT EVID RATE SS II\n$DATA data.csv IGNORE=@\n$SUBS {model}\n$PK\n{pk}\n$ERROR\nY=F+EPS(1)\n"
            f"$THETA {theta}\n$OMEGA 0 FIX\n$SIGMA 1\n")  # fmt: skip
    (tmp_path / "answer.tab").write_text(only("answer.csv"))
    problem = problem_of(stream(tmp_path, text, only("data.csv")))
    (found,) = compare(problem, printed.read(tmp_path / "answer.tab"))
    assert found.same, found.relative


def test_occasions_from_blocks_that_are_the_same(reference, tmp_path):
    """Random effects between occasions: found on the data, whichever way the code chooses among them."""
    path = reference / "nonmem-anchor" / "transit-iov" / "data.csv"
    base = ("$PROB\n$INPUT ID TIME DV EVID AMT CMT MDV OCC\n$DATA " + str(path) + " IGNORE=@\n$SUBS ADVAN1 TRANS2\n$PK\n{}\nCL=THETA(1)*EXP(ETA(1)+IOV)\n"
            "V=THETA(2)\nS1=V\n$ERROR\nY=F*(1+EPS(1))\n$THETA (0,5) (0,30)\n$OMEGA 0.09\n$OMEGA BLOCK(1) 0.04\n$OMEGA BLOCK(1) SAME\n"
            "$OMEGA BLOCK(1) SAME\n$SIGMA 0.01\n$EST METHOD=1 INTER MAXEVAL=0\n")  # fmt: skip
    ways = ["IF (OCC.EQ.1) IOV = ETA(2)\nIF (OCC.EQ.2) IOV = ETA(3)\nIF (OCC.EQ.3) IOV = ETA(4)",
            "O1=0\nO2=0\nO3=0\nIF(OCC==1) O1=1\nIF(OCC==2) O2=1\nIF(OCC==3) O3=1\nIOV=O1*ETA(2)+O2*ETA(3)+O3*ETA(4)"]  # fmt: skip
    objectives = []
    for way in ways:
        (tmp_path / "iov.ctl").write_text(base.format(way))
        made = assemble.read(tmp_path / "iov.ctl")
        assert made.fields["occasion"] == "OCC" and made.fields["occasion_effects"] == {"kappa2": {"variance": 0.04}}
        objectives.append(population.evaluate(problem_of(made)).objective)
    by_hand = population.PopulationProblem.of(
        model="advan1 trans2", data=path, parameters={"a": 5.0, "b": 30.0}, random_effects={"eta": 0.09}, occasion="OCC",
        occasion_effects={"kappa": 0.04}, residual_effects={"eps": 0.01}, individual={"CL": "a*exp(eta + kappa)", "V": "b"},
        observations={"y": {"prediction": "central/V", "error": "ipred*(1 + eps)"}},
    )  # fmt: skip
    assert objectives == pytest.approx([population.evaluate(by_hand).objective] * 2, abs=1e-6)


# ---- code ------------------------------------------------------------------------------------------------------------
def value(text: str, **values: float) -> float:
    (statement,) = code.parse(Record("PK", 1, (Line(1, f"X = {text}"),)), {})
    assert isinstance(statement, code.Assign), statement
    return float(
        evaluate(statement.expr, {name: num_(v) for name, v in values.items()})
        if values
        else evaluate(statement.expr, {})
    )


def num_(v: float) -> float:
    return v


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("2**3**2", 512.0), ("-2**2", -4.0), ("2/3", 2 / 3), ("1.5D-1*2", 0.3), ("1.EQ.1.AND.2.GT.3", 0.0), (".NOT.1.EQ.2", 1.0),
        ("8 - 2 - 1", 5.0), ("16/4/2", 2.0), ("INT(-2.7)", -2.0), ("MOD(-7,3)", -1.0), ("EXP(LOG(3))", 3.0), ("LOG10(1000)", 3.0),
        ("2**-1", 0.5), ("MAX(1,2,3)", 3.0), ("1.E2 + .5", 100.5), ("- 3 + 5", 2.0), ("2*(3+4)", 14.0), ("1 /= 2", 1.0),
    ],
)  # fmt: skip
def test_formulas_as_fortran_reads_them(text, want):
    assert value(text) == pytest.approx(want, rel=1e-14)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.floats(0.1, 9).map(lambda v: f"{v:.4f}"),
        lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda p: f"({p[0]}{p[1]}{p[2]})"),
        max_leaves=12,
    )
)
def test_formulas_agree_with_python(text):
    try:
        want = eval(text)
    except ZeroDivisionError:
        return
    assert value(text) == pytest.approx(want, rel=1e-12)


def test_branches_and_variables_that_change(tmp_path):
    text = ONE.replace("  CL = THETA(1)*EXP(ETA(1))", """
  TVCL = THETA(1)
  IF (WT.GT.80) THEN
    TVCL = TVCL*2
  ELSE IF (WT.LT.1) THEN
    TVCL = TVCL*3
  ELSE
    TVCL = TVCL*4
  ENDIF
  if (occ.eq.2) tvcl = tvcl + 1
  CL = TVCL*EXP(ETA(1))""")  # fmt: skip
    problem = problem_of(stream(tmp_path, text))
    found = population.evaluate(problem)
    table = population.table(found, replicates=0)
    # subject 1: WT 70 -> 8 in the interval before 1 h, then 9; subject 2: the empty WT at 2 h is 0 -> 6; 90 at 9 h -> 5
    want = [100 / 20, 5 * math.exp(-8 / 20), 5 * math.exp(-(8 + 5 * 9) / 20)]
    want += [5, 5 * math.exp(-6 * 2 / 20), 5 * math.exp(-(6 * 2 + 5 * 7) / 20)]
    np.testing.assert_allclose(table["PRED"], want, rtol=1e-9)


def test_what_the_data_say_is_kept_from_record_to_record(tmp_path):
    text = ONE.replace(
        "$PK", "$PK\n  IF (NEWIND.NE.2) BASE = WT\n  TAD = TIME - TDOS\n  IF (AMT.GT.0) TDOS = TIME"
    ).replace("THETA(1)*", "THETA(1)*BASE/70*(1 + 0*TAD)*")
    made = stream(tmp_path, text)
    column = next(name for name in made.table if name.startswith("BASE"))
    assert made.table[column].tolist() == [70, 70, 70, 90, 90, 90]


def test_a_value_of_an_earlier_record_is_refused_where_it_follows_estimates(tmp_path):
    text = ONE.replace("  CL = THETA(1)", "  IF (OCC.EQ.1) X = THETA(1)\n  CL = X")
    assert [seen for _, seen in faults(tmp_path, text)] == ["X"]


def test_equations_scale_and_start(tmp_path):
    text = """$PROB
$INPUT ID TIME DV AMT EVID WT OCC
$DATA data.csv IGNORE=@
$SUBROUTINES ADVAN6 TOL=9
$MODEL COMP=(GUT) COMP=(PI, DEFOBS) COMP
$PK
 PI = THETA(1)
 A_0(2) = THETA(2)*WT/70
 S2 = 2
 F1 = 0.5
$DES
 K = PI
 IF (T.GT.3) K = 2*PI
 DADT(1) = -K*A(1)
 DADT(2) = 0
 DADT(3) = 1
$ERROR
 IF (OCC.EQ.2) THEN
  Y = A(1) + A(3) + EPS(1)
 ELSE
  Y = F + EPS(1)
 ENDIF
$THETA (0,0.1) (0,7)
$OMEGA 0 FIX
$SIGMA 1
"""
    made = stream(tmp_path, text)
    table = population.table(population.evaluate(problem_of(made), "fo"), replicates=0)
    np.testing.assert_allclose(table["PRED"].iloc[:3], [3.5, 3.5, 50 * math.exp(-0.3 - 0.6) + 6], rtol=1e-8)


def test_no_model_but_a_formula(tmp_path):
    text = ("$PROB\n$INPUT ID TIME DV AMT=DOSE EVID WT OCC=DROP\n$DATA data.csv IGNORE=@ ACCEPT=(EVID.EQ.0)\n$PRED\n"
            "A = THETA(1)*EXP(ETA(1))\nF = A*EXP(-THETA(2)*TIME) + 0*DOSE\nY = F + EPS(1)\n$THETA (0,5) (0,0.1)\n$OMEGA 0.1\n$SIGMA 1\n"
            "$EST METHOD=COND MAX=0\n")  # fmt: skip
    made = stream(tmp_path, text)
    assert made.fields["estimation"]["method"] == "foce" and "model" not in made.fields
    table = population.table(population.evaluate(problem_of(made)), replicates=0)
    np.testing.assert_allclose(table["PRED"], 5 * np.exp(-0.1 * np.array([1, 6, 2, 9])), rtol=1e-12)


# ---- parameters and data ---------------------------------------------------------------------------------------------
def test_blocks_bounds_and_names(tmp_path):
    text = ONE.replace("$THETA (0,2) (0,20)\n$OMEGA 0.1\n", """$THETA (0.1, 2, 50) ; clearance
 20 FIX
 (-INF, 0.5) (1 FIXED)
$OMEGA BLOCK(2) SD CORRELATION
 0.3  ; of CL
 0.5 0.2
$OMEGA 0 FIX (0.02)x2
""").replace("THETA(2)", "THETA(2)*EXP(ETA(2)+ETA(3)+ETA(4))*THETA(3)**ETA(5)")  # fmt: skip
    made = stream(tmp_path, text)
    assert made.fields["parameters"]["theta1"] == {"start": 2.0, "lower": 0.1, "upper": 50.0, "label": "clearance"}
    assert (
        made.fields["parameters"]["theta2"] == {"start": 20.0, "fixed": True}
        and "theta4" not in made.fields["parameters"]
    )
    np.testing.assert_allclose(made.fields["random_effects"]["eta1, eta2"]["covariance"][1], [0.03, 0.04])
    assert made.fields["random_effects"]["eta3"] == {"variance": 0.0, "fixed": True}
    assert made.fields["random_effects"]["eta5"] == {"variance": 0.02}
    assert made.comments["ETA(1)"] == "of CL"


def test_a_normal_prior(tmp_path):
    """NWPRI adds ((theta - mean)/sd)^2."""
    text = ONE.replace("$PK", "$PRIOR NWPRI NTHETA=2 NETA=0 NTHP=2 NETP=0\n$PK")
    text += "$THETAP (2.6 FIX) (20 FIX)\n$THETAPV BLOCK(2) FIX\n 0.09\n 0 100\n"
    with_prior, without = (population.evaluate(problem_of(stream(tmp_path, t))).objective for t in (text, ONE))
    assert with_prior - without == pytest.approx(4.0, abs=1e-8)


@pytest.mark.parametrize(
    ("options", "kept"),
    [("IGNORE=@", 6), ("IGNORE=@ IGNORE=(WT.GT.80)", 4), ("IGNORE=@ ACCEPT=(TIME.LE.0,TIME.GE.9)", 3), ("IGNORE=I IGNORE=(ID=2)", 3),
     ("IGNORE=@ RECORDS=4", 4), ("IGNORE=@ ACCEPT=(OCC.EQN.1.0)", 4), ("IGNORE=@ IGN=(OCC.NE.1)", 4)],
)  # fmt: skip
def test_records_that_are_left_out(tmp_path, options, kept):
    assert len(stream(tmp_path, ONE.replace("IGNORE=@", options)).labels) == kept


def test_clocks_dates_and_ids_that_come_again(tmp_path):
    csv = "1 10/31/98 23:30 0 100 1\n1 11/01/98 0:30 4 0 0\n2 1/1/99 8:00 0 100 1\n2 1/1/99 9:15 3 0 0\n1 1/1/99 8:00 0 100 1\n1 1/2/99 8:00 1 0 0\n"
    text = ONE.replace("ID TIME DV AMT EVID WT OCC", "ID DATE=DROP TIME DV AMT EVID")
    made = stream(tmp_path, text, csv)
    np.testing.assert_allclose(made.table["TIME"], [0, 1, 0, 1.25, 0, 24])
    assert list(dict.fromkeys(made.labels)) == ["1", "2", "1_2"]


def test_numbers_of_fortran():
    assert data.number("1.5D2") == 150 and data.number("1.5-3") == 0.0015 and data.number("+.5") == 0.5
    assert data.number("x") is None and data.number("1e999") is None


# ---- refusals --------------------------------------------------------------------------------------------------------
def test_everything_that_is_not_read_is_told_at_once(tmp_path):
    text = """$PROBLEM many faults
$INPUT ID TIME DV AMT EVID WT OCC L2
$DATA data.csv IGNORE=@ TRANSLATE(TIME/24)
$SUBROUTINES ADVAN1 TRANS7 OTHER=my.f90
$MIX P(1)=0.5
$PK
  CALL RANDOM(2,R)
  CL = THETA(1)*(EXP(ETA(1))
"FIRST
  V = THETA(2)
$ERROR
  DO WHILE (X.GT.1)
  Y = F*(1 + EPS(1))
$THETA (3,2,1)
$OMEGA BLOCK(2) 0.1 0.2
$SIGMA 0.04
$LEVEL
"""
    found = faults(tmp_path, text)
    assert {line for line, _ in found} == {2, 3, 4, 5, 7, 8, 9, 12, 14, 15, 17}


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        ("V = THETA(2)", "V = THETA(3)", "THETA(3)"), ("V = THETA(2)", "V = NOWHERE", "NOWHERE"), ("V = THETA(2)", "V = EPS(1)", "EPS(1)"),
        ("  V = THETA(2)\n", "  W = 1\n", "V"), ("Y = F", "YY = F", "Y"), ("*(1 + EPS(1))", "", "Y"), ("CL = ", "MTIME(1) = ", ""),
        ("ADVAN1 TRANS2", "ADVAN1 TRANS4", "ADVAN1 TRANS4"), ("$OMEGA 0.1", "$OMEGA -0.1", "-0.1"),
        ("$OMEGA 0.1", "$OMEGA BLOCK(2) 0.1 0.5 0.1", "0.1"), ("(0,2)", "(3,2)", "(3 , 2)"), ("V = THETA(2)", "V = FUNCA(X)", ""),
    ],
)  # fmt: skip
def test_single_faults_are_named(tmp_path, old, new, seen):
    assert old in ONE
    found = faults(tmp_path, ONE.replace(old, new))
    assert seen in [s for _, s in found], found


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    at=st.integers(0, len(ONE) - 1), n=st.integers(0, 30), new=st.text("ACDEFT $()=.,0123456789\n;&\"'*", max_size=6)
)
def test_mutants_are_read_or_refused(tmp_path_factory, at, n, new):
    folder = tmp_path_factory.mktemp("mutant")
    try:
        made = stream(folder, ONE[:at] + new + ONE[at + n :])
        problem_of(made)
    except InputError as refused:
        assert refused.problems


@pytest.mark.parametrize("text", ["$PK\n" + "X = " + "(" * 5000 + "1" + ")" * 5000, "$PK\n" + "IF (1.EQ.1) THEN\n" * 5000 + "ENDIF\n" * 5000,
                                  "$PK\n" + "X = 1" + "+1" * 30000, "$THETA " + "1 " * 30000 + "\n$PK\nCL=1", "$PK\nX=" + "2**" * 9000 + "1"])  # fmt: skip
def test_deep_and_long_streams_are_refused(tmp_path, text):
    with pytest.raises(InputError):
        stream(tmp_path, "$PROB\n$INPUT ID TIME DV\n$DATA data.csv\n" + text + "\n$ERROR\nY=F+EPS(1)\n")


# ---- tables ----------------------------------------------------------------------------------------------------------
def test_tables_as_nonmem_writes_them(tmp_path):
    (tmp_path / "t").write_text("TABLE NO.  1\n ID          TIME        PRED\n  1.0000E+00  0.0000E+00  5.1000E-01\nTABLE NO.  1\n ID          TIME        PRED\n"
                                "  2.0000E+00  0.0000E+00  5.0000-101\nTABLE NO.  2\n ID\n 1\n")  # fmt: skip
    found = printed.read(tmp_path / "t")
    assert found.values["PRED"].tolist() == [0.51, 5e-101] and found.units["PRED"][0] == pytest.approx(5e-6)
    (tmp_path / "c").write_text("ID,TIME\n1,2.50\n")
    assert printed.read(tmp_path / "c").units["TIME"][0] == pytest.approx(0.005)
    assert printed.half_unit("3") == 0.0
    for bad in ("", "1 2\n", "ID TIME\n1\n", "ID TIME\n1 2\nX Y\n"):
        (tmp_path / "b").write_text(bad)
        with pytest.raises(InputError):
            printed.read(tmp_path / "b")


def test_the_command_line_reads_compares_and_refuses(tmp_path):
    path = written(tmp_path / "a", ONE)
    exact = [5, 5 * math.exp(-0.1), 5 * math.exp(-0.6), 5, 5 * math.exp(-0.2), 5 * math.exp(-0.9)]
    rows = list(zip([1, 1, 1, 2, 2, 2], [0, 1, 6, 0, 2, 9], exact, strict=True))
    table = path.with_suffix(".tab")
    table.write_text("TABLE NO.  1\nID TIME PRED\n" + "".join(f"{i} {t} {p:.10E}\n" for i, t, p in rows))
    run = CliRunner().invoke
    done = run(app, ["import", str(path), "-o", str(tmp_path / "b"), "--table", str(table)])
    assert done.exit_code == 0, done.output
    problem = population.PopulationProblem.from_yaml(tmp_path / "b" / "problem.yaml")
    assert population.evaluate(problem).objective == pytest.approx(
        population.evaluate(problem_of(assemble.read(path))).objective, abs=1e-12
    )
    found = json.loads(run(app, ["qualify", "table", str(table), "--json"]).output)
    assert found["passed"] == found["bound"] == 2
    table.write_text(table.read_text().replace("4.5", "4.6"))
    assert run(app, ["qualify", "table", str(table)]).exit_code == 1
    assert run(app, ["import", str(path), "-o", str(tmp_path / "c"), "--table", str(table)]).exit_code == 1
    assert run(app, ["qualify", "nonmem", str(tmp_path / "a"), "--json"]).exit_code == 1
    assert (
        run(
            app, ["import", str(written(tmp_path / "d", ONE.replace("V = ", "W = "))), "-o", str(tmp_path / "e")]
        ).exit_code
        == 2
    )
    assert not (tmp_path / "e").exists()


def test_estimates_of_a_run_become_the_starts(tmp_path):
    path = written(tmp_path / "a", ONE)
    ext = path.with_suffix(".ext")
    ext.write_text(
        "TABLE NO.  1\n ITERATION THETA1 THETA2 SIGMA(1,1) OMEGA(1,1) OBJ\n 0 2 20 0.04 0.1 9\n -1000000000 3 30 0.05 0.2 8\n"
    )
    made = import_control_stream(path, tmp_path / "b", estimates=ext)
    assert [t.start for t in made.problem.thetas] == [3, 30] and made.problem.omega[0].matrix[0, 0] == 0.2


def test_mrgsolve_text_is_told_apart(tmp_path):
    path = written(tmp_path / "a", ONE)
    assert is_control_stream(path)
    other = tmp_path / "model.mod"
    other.write_text("$PROB x\n$PARAM CL = 1\n$CMT A\n$ODE\ndxdt_A = -CL*A;\n$SIGMA 1\n")
    assert not is_control_stream(other)
    other.write_text(ONE)
    assert is_control_stream(other)
