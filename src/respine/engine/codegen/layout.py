"""Where everything of one lane block lies in its workspace: what a step touches first, parameters last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from respine.engine.codegen.step_size import WIDE
from respine.engine.codegen.target import Target

NEAREST_CACHE = 28 * 1024  # bytes of it a workspace should fill at most

CONTROL = (
    "time",
    "step",
    "shift",
    "inverse_step",
    "slope_share",  # of the slopes in time, in a stage
    "stage_time",
    "error",
    "log_error",
    "last_log_error",
    "last_step",
    "growth",
    "predicted_growth",
    "accepted",
    "taken",  # the same as bits: all ones or none
    "fraction",
    "begin_step",
    "lowest",
    "kink",
    "runaway",
    "float_mode",
)


@dataclass(frozen=True)
class Layout:
    """Offsets and sizes of each area in lane vectors; the numbers shared by all lanes follow after ``vectors`` lane vectors.

    These are the hoisted run-wide values, the relative tolerance and the absolute tolerances, each written ``copies`` times.
    """

    offsets: dict[str, int]
    sizes: dict[str, int]
    vectors: int
    n_uniform: int
    n_states: int
    copies: int = 1

    def index(self, area: str, k: int = 0) -> int:
        """Row of a vector of an area in the workspace."""
        return self.offsets[area] + k

    def with_area(self, name: str, size: int) -> Layout:
        """With one more area behind the others."""
        offsets, sizes = {**self.offsets, name: self.vectors}, {**self.sizes, name: size}
        return replace(self, offsets=offsets, sizes=sizes, vectors=self.vectors + size)

    @property
    def relative_tolerance(self) -> int:
        """Row of the relative tolerance."""
        return self.n_uniform

    def absolute_tolerance(self, state: int) -> int:
        """Row of a state's absolute tolerance."""
        return self.n_uniform + 1 + state

    def spread(self, target: Target) -> Layout:
        """With a copy for every lane of what they share, where that takes fewer instructions and still lies near.

        AVX-512 spreads a number while it computes.
        """
        spread = replace(self, copies=target.lanes)
        near = spread.size(target.lanes) * target.bits / 8 <= NEAREST_CACHE
        return spread if near and not target.avx512 else self

    def size(self, lanes: int) -> int:
        """Numbers in the workspace."""
        return self.vectors * lanes + (self.n_uniform + 1 + self.n_states) * self.copies


def lay_out(
    n_states: int,
    n_time_slopes: int,
    n_factors: int,
    stages: int,
    n_hoisted: int,
    n_slow: int,
    n_outputs: int,
    n_uniform: int,
    n_clock: int = 0,
    n_rest: int = 0,
    n_parameters: int = 0,
    wide: int = 1,
    extra: Sequence[tuple[str, int]] = (),
) -> Layout:
    """The layout for one model and method.

    With sensitivities each state and output is followed, parameter by parameter, by its derivatives; ``extra`` areas of
    the sensitivity kernels come last. ``n_rest``: states in float32, of which the part lost in rounding is kept. ``wide``:
    lane vectors that one float64 number a lane takes.
    """
    areas: Sequence[tuple[str, int]] = (
        *((name, wide) for name in WIDE),  # first, where float64 numbers lie well in any case
        *((name, 1) for name in CONTROL),
        ("state", n_states * (1 + n_parameters)),
        ("state_rest", n_rest),
        ("new_rest", n_rest),
        ("rate", n_states),
        ("stage", n_states),
        ("sum", n_rest),
        ("time_slope", n_time_slopes),
        ("clock", n_clock),
        ("factor", n_factors),
        ("increment", stages * n_states),
        ("hoisted", n_hoisted),
        ("slow", n_slow),
        ("output", n_outputs * (1 + n_parameters)),
        *extra,
    )
    offsets, position = {}, 0
    for name, size in areas:
        offsets[name] = position
        position += size
    return Layout(offsets, dict(areas), position, n_uniform, n_states)
