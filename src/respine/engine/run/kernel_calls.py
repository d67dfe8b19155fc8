"""What numba has no word for: calls of machine code by its address, and counters that threads share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

NEXT, DONE, STOP, FAILED = range(
    4
)  # the shared counters: subjects taken, subjects ended, a wish to stop, failures kept

compiled = njit(nogil=True, error_model="numpy", _nrt=False)
"""A part of the driver that is called from several places. Nothing counts references: all arrays outlive the driver."""

inlined = njit(nogil=True, error_model="numpy", inline="always")
"""A part of the driver that is written where it is called."""


@intrinsic
def call(typing_context: Any, address: Any, workspace: Any) -> tuple[Any, Callable[..., Any]]:
    """Call a kernel on a workspace."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = ir.FunctionType(ir.VoidType(), [ir.IntType(64)])
        builder.call(builder.inttoptr(arguments[0], function.as_pointer()), [arguments[1]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def call_advance(typing_context: Any, address: Any, workspace: Any) -> tuple[Any, Callable[..., Any]]:
    """Call the kernel that makes steps; returns whether a lane needs attention."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = ir.FunctionType(ir.IntType(64), [ir.IntType(64)])
        return builder.call(builder.inttoptr(arguments[0], function.as_pointer()), [arguments[1]])

    return types.int64(types.int64, types.int64), generate


@intrinsic
def call_read_out(
    typing_context: Any, address: Any, workspace: Any, lane: Any, row: Any
) -> tuple[Any, Callable[..., Any]]:
    """Call the kernel that writes one lane's outputs to a row of the results, at its address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * 3)
        builder.call(builder.inttoptr(arguments[0], function.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def fetch_add(typing_context: Any, address: Any, amount: Any) -> tuple[Any, Callable[..., Any]]:
    """Atomic: returns the old number at the address, which threads share."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate
