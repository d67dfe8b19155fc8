"""Text or SBML -> one checked system of equations, and back to SBML.

``load`` reads a model of the library, an Antimony or SBML file, or such text; all give a ``System``, which ``to_sbml``
writes as SBML Level 3 Version 2 and ``show`` prints. libSBML and Antimony are imported by the first call that needs
them; models from outside are read in a process of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from respine.library import BUILT_IN, Library
from respine.model.expression import Expr
from respine.model.limits import LIMITS, Limits
from respine.model.system import Event, Quantity, Species, System

__all__ = ["Event", "Expr", "Limits", "Quantity", "Species", "System", "load", "load_sbml", "show", "to_sbml"]


def load(
    source: str | Path,
    library: Library = BUILT_IN,
    *,
    values: Mapping[str, float] | None = None,
    limits: Limits = LIMITS,
) -> System:
    """A checked system from a library name, an Antimony or SBML file (``.ant``, ``.xml``), or Antimony or SBML text.

    A string with a line break, or one that begins with ``<``, is text; a ``Path`` is a file. Models of the library
    (``human``, ``rat``, ``mouse``) have all units, numbers and sources checked; in others units may be absent.
    ``values`` gives numbers to symbols that the file leaves without one, such as the size of a compartment.
    ``limits`` bounds what a document from outside may take. Raises InputError with every fault, by line.
    """
    from respine.model.loading import load as opened

    return opened(source, library, values, limits)


def load_sbml(
    path_or_text: str | Path, *, values: Mapping[str, float] | None = None, limits: Limits = LIMITS
) -> System:
    """A system from SBML of any level, given as a file or as text; otherwise as ``load``.

    Raises InputError with every fault, and with every construct respine cannot compute faithfully, by name and line.
    """
    from respine.model.loading import load_sbml as read

    return read(path_or_text, values, limits)


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
    from respine.model.describe import show as described

    return described(system, name, width=width)
