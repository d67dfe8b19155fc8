"""Exchange with other tools: data sets in, predictions beside their observations out."""

from respine.interop.dosed_states import DosedState, dosed_states

__all__ = ["DosedState", "dosed_states"]
