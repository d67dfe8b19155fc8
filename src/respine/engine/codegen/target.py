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
    def wasm(self) -> bool:
        """Whether the code is for WebAssembly."""
        return self.triple.startswith("wasm32")

    @property
    def x86(self) -> bool:
        """Whether the code is for an x86 processor."""
        return "x86_64" in self.triple

    @property
    def fused(self) -> bool:
        """Whether to multiply and add is one instruction; where it is not, a fused one would be a library call a lane."""
        return not self.wasm and (not self.x86 or "+fma" in self.features.split(","))

    @property
    def double(self) -> bool:
        """Whether numbers are float64."""
        return self.precision == "float64"

    @property
    def bits(self) -> int:
        """Bits of a number."""
        return 64 if self.double else 32

    @property
    def dtype(self) -> type[np.floating]:
        """NumPy's type of a number."""
        return np.float64 if self.double else np.float32

    @property
    def scalar(self) -> str:
        """LLVM's type of a number."""
        return "double" if self.double else "float"

    @property
    def vector(self) -> str:
        """LLVM's type of a vector of all lanes."""
        return f"<{self.lanes} x {self.scalar}>"

    @property
    def integer(self) -> str:
        """LLVM's type of integers as wide as a number."""
        return f"<{self.lanes} x i{self.bits}>"

    @property
    def mask(self) -> str:
        """LLVM's type of a mask of all lanes."""
        return f"<{self.lanes} x i1>"

    @property
    def alignment(self) -> int:
        """Bytes at which a vector begins."""
        return min(64, self.lanes * self.bits // 8)


WASM_FEATURES = "+simd128,+bulk-memory,+nontrapping-fptoint,+sign-ext"  # in every browser since 2023


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


def wasm_target(lanes: int = 2) -> Target:
    """The target for WebAssembly: float64 in vectors of 128 bits; more ``lanes`` take several of them."""
    return Target("float64", lanes, False, "generic", WASM_FEATURES, "wasm32-unknown-unknown")
