"""The engine's kernels as WebAssembly: the same equations, method and step-size controller, for pages and Node.

`compile_module` emits and links a module; ``driver.js`` is the loop that drives it.
"""

from respine.engine.wasm.module import Module, compile_module

__all__ = ["Module", "compile_module"]
