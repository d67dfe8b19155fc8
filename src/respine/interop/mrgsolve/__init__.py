"""Models of mrgsolve as text, in and out, as far as both tools can say them: parameters, compartments, equations."""

from respine.interop.mrgsolve.read import read_mrgsolve
from respine.interop.mrgsolve.write import to_mrgsolve

__all__ = ["read_mrgsolve", "to_mrgsolve"]
