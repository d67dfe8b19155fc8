"""Text or SBML -> one checked system of equations, and back to SBML.

``load`` reads a model of the library, ``load_sbml`` any SBML file; both give a ``System``, which ``to_sbml`` writes
as SBML Level 3 Version 2 and ``show`` prints. libSBML and Antimony are imported by the first call that needs them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from respine.library import BUILT_IN, Library
from respine.model.expression import Expr
from respine.model.system import Event, Quantity, Species, System

__all__ = ["Event", "Expr", "Quantity", "Species", "System", "load", "load_sbml", "show", "to_sbml"]


def load(name: str, library: Library = BUILT_IN) -> System:
    """A model of the library (``human``, ``rat``, ``mouse``), with all units, numbers and sources checked.

    Raises InputError with every problem of its modules and tables, or with the names there are for an unknown name.
    """
    from respine.model.assemble import load as assembled

    return assembled(name, library)


def load_sbml(path_or_text: str | Path) -> System:
    """A system from SBML of any level, given as a file or as text.

    Raises InputError with every fault, and with every construct respine cannot compute faithfully, by name and line.
    """
    from respine.model.read_sbml import load_sbml as read

    return read(path_or_text)


def to_sbml(
    system: System,
    *,
    doses: Iterable[tuple[str, float, float, float]] = (),
    inputs: Iterable[tuple[str, float, float]] = (),
) -> str:
    """The system as SBML Level 3 Version 2 text, with units and, in the notes of each symbol, its provenance.

    ``doses`` holds (state, time, amount, duration; 0 = all at once), ``inputs`` (input, time, value from then on), in
    the system's units; both become events. Raises InputError.
    """
    from respine.model.write_sbml import to_sbml as write

    return write(system, doses=doses, inputs=inputs)


def show(system: System, name: str | None = None, *, width: int = 120) -> str:
    """Equations, numbers and sources as text: of the whole system, one module, or one symbol. Raises InputError."""
    from respine.model.describe import show as told

    return told(system, name, width=width)
