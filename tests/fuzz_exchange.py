"""Whole files of other tools, and what reads them: control streams, their data and tables, mrgsolve text, archives, PEtab problems."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path

CSV = "ID,TIME,DV,AMT,EVID,CMT,WT,OCC\n" + "".join(
    f"{i},0,.,100,1,1,{60 + i},1\n{i},1,4.5,.,0,2,{60 + i},1\n{i},6.5,2.25,.,0,2,{60 + i},2\n" for i in (1, 2, 3)
)
_HEAD = "$PROBLEM fuzz\n$INPUT ID TIME DV AMT EVID CMT WT OCC\n$DATA data.csv IGNORE=@\n"
_ADVAN = """$SUBROUTINES ADVAN2 TRANS2
$PK
  OC1 = 0
  OC2 = 0
  IF (OCC.EQ.1) OC1 = 1
  IF (OCC.EQ.2) OC2 = 1
  TVCL = THETA(1)*(WT/70)**0.75
  IF (WT.GT.62) THEN
    TVCL = TVCL*1.1
  ELSE
    TVCL = TVCL*0.9
  ENDIF
  CL = TVCL*EXP(ETA(1) + OC1*ETA(3) + OC2*ETA(4))
  V = THETA(2)*EXP(ETA(2))
  KA = THETA(3)
  S2 = V/1000
  ALAG1 = 0.1
$ERROR
  IPRED = F
  W = SQRT(THETA(4)**2 + (0.1*IPRED)**2)
  Y = IPRED + W*EPS(1)
$THETA (0,2) (0,20,200) 1 FIX (0,0.5)
$OMEGA BLOCK(2) 0.1 0.01 0.1
$OMEGA BLOCK(1) 0.05
$OMEGA BLOCK(1) SAME
$SIGMA 1 FIX
$ESTIMATION METHOD=1 INTER MAXEVAL=999
$COVARIANCE
$TABLE ID TIME PRED NOPRINT FILE=t.tab
"""
_DES = """$SUBROUTINES ADVAN13 TOL=9
$MODEL COMP=(DEPOT,DEFDOSE) COMP=(CENTRAL,DEFOBS) COMP=(CUM)
$PK
  IF (NEWIND.NE.2) TDOS = 0
  IF (AMT.GT.0) TDOS = TIME
  CL = THETA(1)*EXP(ETA(1))
  V = THETA(2)
  A_0(3) = 0.5
$DES
  CON = A(2)/V
  RISE = 0
  IF (T.GT.3) RISE = 0.1*EXP(-0.1*(T - TDOS))
  DADT(1) = -A(1)
  DADT(2) = A(1) - CL/V*A(2)
  DADT(3) = RISE*CON
$ERROR
  F_FLAG = 0
  IF (OCC.EQ.2) F_FLAG = 1
  Y = A(2)/V*(1 + EPS(1)) + EPS(2)
  IF (OCC.EQ.2) Y = EXP(-A(3))
$THETA (0,2) (0,20)
$OMEGA 0.1
$SIGMA BLOCK(2) 0.04 0.001 0.5
$ESTIMATION METHOD=COND LAPLACE
"""
_PRED = (
    "$PRED\n  A = THETA(1)*EXP(ETA(1))\n  Y = A*EXP(-THETA(2)*TIME) + EPS(1)\n$THETA 5 (0,0.1)\n$OMEGA 0.1\n$SIGMA 1\n"
)
MRGSOLVE = """$PROB fuzz
$PARAM @annotated
CL : 1.5 : clearance (L/h)
V : 20 : volume (L)
KA : 1.1 : absorption (1/h)
$CMT DEPOT CENT
$MAIN
double K = CL/V;
CENT_0 = 0;
$ODE
dxdt_DEPOT = -KA*DEPOT;
dxdt_CENT = KA*DEPOT - K*CENT;
$TABLE
double CP = CENT/V;
$CAPTURE CP
"""
TABLE = "TABLE NO.  1\n ID          TIME        PRED\n" + "".join(
    f"  1.0000E+00  {t}.0000E+00  {5 - t}.1234E-01\n" for t in range(4)
)


def control_seeds() -> dict[str, bytes]:
    return {name: (_HEAD + text).encode() for name, text in (("advan", _ADVAN), ("des", _DES), ("pred", _PRED))}


def read_control(file: Path) -> object:
    from respine.interop.control_stream import assemble
    from respine.interop.control_stream.write import data_text, yaml_text

    data = file.with_suffix(".csv")
    data.write_text(CSV)
    made = assemble.read(file, data)
    return yaml_text(made), data_text(made)


def control_data_seeds() -> dict[str, bytes]:
    return {"data": CSV.encode()}


def read_control_data(file: Path) -> object:
    from respine.interop.control_stream import assemble

    stream = file.with_suffix(".ctl")
    stream.write_text(_HEAD + _ADVAN)
    return assemble.read(stream, file).table


def printed_seeds() -> dict[str, bytes]:
    return {"table": TABLE.encode()}


def read_printed(file: Path) -> object:
    from respine.interop.control_stream import printed

    return printed.read(file)


def mrgsolve_seeds() -> dict[str, bytes]:
    return {"one": MRGSOLVE.encode()}


def read_mrgsolve_text(file: Path) -> object:
    from respine.interop.mrgsolve import read_mrgsolve

    return read_mrgsolve(file)


@cache
def omex_seeds() -> dict[str, bytes]:
    from respine import model
    from respine.interop.omex import archive

    sbml = model.to_sbml(model.load("A' = -k*A; A = 10; k = 1"))
    stored = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(archive(sbml, ("A",), 10.0, 5, "fuzz"))) as packed,
        zipfile.ZipFile(stored, "w") as plain,
    ):
        for name in packed.namelist():
            plain.writestr(name, packed.read(name))
    return {"packed": archive(sbml, ("A",), 10.0, 5, "fuzz"), "stored": stored.getvalue()}


def read_omex(file: Path) -> object:
    from respine.interop.omex import model_in
    from respine.model import load_sbml

    return load_sbml(model_in(file).decode("utf-8", errors="replace"))


_PETAB = {
    "problem.yaml": "format_version: 2.0.0\nmodel_files: {decay: {language: sbml, location: decay.xml}}\nparameter_files: [parameters.tsv]\n"
    "observable_files: [observables.tsv]\nmeasurement_files: [measurements.tsv]\n",
    "parameters.tsv": "parameterId\tlowerBound\tupperBound\tnominalValue\testimate\nk\t0.01\t10\t1\ttrue\n",
    "observables.tsv": "observableId\tobservableFormula\tnoiseFormula\nlevel\tA\t0.5\n",
    "measurements.tsv": "observableId\texperimentId\ttime\tmeasurement\nlevel\t\t0\t10.1\nlevel\t\t1\t5.2\n",
}


def petab_seeds() -> dict[str, bytes]:
    """One text that holds all files of a problem, so that any of them is damaged."""
    return {"problem": "\n=====\n".join(f"{name}\n{text}" for name, text in _PETAB.items()).encode()}


@cache
def _decay() -> str:
    from respine import model

    return str(model.to_sbml(model.load("A' = -k*A; A = 10; k = 1")))


def read_petab_problem(file: Path) -> object:
    from respine.interop.petab import read_petab

    folder = file.with_suffix(".folder")
    folder.mkdir(exist_ok=True)
    (folder / "decay.xml").write_text(_decay())
    parts = file.read_bytes().split(b"\n=====\n")
    for name, part in zip(_PETAB, [*parts, b"", b"", b"", b""], strict=False):
        (folder / name).write_bytes(part.partition(b"\n")[2])
    return read_petab(folder / "problem.yaml")
