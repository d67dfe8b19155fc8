"""Exchange with other tools: data sets in, predictions beside their observations out."""

from respine.interop.dosed_states import DosedState, dosed_states
from respine.interop.nonmem import read_nonmem
from respine.interop.nonmem_data import NonmemData, Predictions

__all__ = ["DosedState", "NonmemData", "Predictions", "dosed_states", "read_nonmem"]
