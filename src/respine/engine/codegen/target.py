"""What the machine code is made for: number type, lanes per vector, instruction set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np


@dataclass(frozen=True)
class Target:
    """``lanes`` subjects advance in one vector of ``double`` (float64) or ``float`` (float32) numbers."""

    precision: str
    lanes: int
    avx512: bool
    cpu: str
    features: str
    triple: str

    @property
    def double(self) -> bool:
        return self.precision == "float64"

    @property
    def bits(self) -> int:
        return 64 if self.double else 32

    @property
    def dtype(self) -> type[np.floating]:
        return np.float64 if self.double else np.float32

    @property
    def scalar(self) -> str:
        return "double" if self.double else "float"

    @property
    def vector(self) -> str:
        return f"<{self.lanes} x {self.scalar}>"

    @property
    def integer(self) -> str:
        return f"<{self.lanes} x i{self.bits}>"

    @property
    def mask(self) -> str:
        return f"<{self.lanes} x i1>"

    @property
    def alignment(self) -> int:
        return min(64, self.lanes * self.bits // 8)


@cache
def _host() -> tuple[str, str, str, dict[str, bool]]:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    return llvm.get_host_cpu_name(), features.flatten(), llvm.get_process_triple(), dict(features)


def host_target(precision: str = "float64", lanes: int | None = None) -> Target:
    """The target for this machine: 512, 256 or 128-bit vectors. ``lanes`` forces a width (the portable code path)."""
    if precision not in ("float64", "float32"):
        raise ValueError(f'precision is "float64" or "float32", not "{precision}"')
    cpu, features, triple, has = _host()
    size = 8 if precision == "float64" else 4
    avx512 = all(has.get(f, False) for f in ("avx512f", "avx512dq", "avx512vl"))
    width = 64 if avx512 else 32 if has.get("avx2", False) else 16
    full = width // size
    return Target(precision, lanes or full, avx512 and (lanes or full) == full, cpu, features, triple)
