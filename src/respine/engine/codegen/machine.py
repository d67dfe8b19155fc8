"""IR text -> machine code in memory, kept on disk for next time.

The key covers all that decides the code: the IR itself, CPU, features, LLVM and engine version. Files are written under
a temporary name and renamed, so that concurrent processes never read half a file.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import threading
from collections.abc import Sequence
from typing import Any

from respine.engine.codegen.functions import LIBRARY_CALLS
from respine.engine.codegen.target import Target
from respine.files import store

LARGE = 12_000  # lines of IR above which only the passes that matter are run
_lock = threading.Lock()
_symbols_added = False


class Machine:
    """Loaded machine code; ``address`` gives the entry point of each exported kernel."""

    def __init__(self, text: str, target: Target, exports: Sequence[str]) -> None:
        import llvmlite.binding as llvm

        key = _key(text, target)
        stored = read_cached(key, ".o")
        self.from_cache = stored is not None
        with _lock:  # LLVM's global state is not safe to set up twice at once
            _add_library_symbols()
            code = stored if stored is not None else _compile(text, target)
            machine = llvm.Target.from_triple(target.triple).create_target_machine(jit=True)
            self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
            self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            self._engine.finalize_object()
        if stored is None:
            write_cached(key, ".o", code)
        self.address = {name: self._engine.get_function_address(name) for name in exports}
        missing = [name for name, address in self.address.items() if not address]
        if missing:
            raise RuntimeError(f"the machine code lacks {', '.join(missing)}")


def _key(text: str, target: Target) -> str:
    import llvmlite

    level = _level(text)
    facts = (text, target.cpu, target.features, target.triple, llvmlite.__version__, f"opt{level}-small-pic")
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()


def _level(text: str) -> int:
    """Optimisation level: 1 leaves out the second scheduler, half of the time of large modules for 5 % of their speed."""
    return 1 if text.count("\n") > LARGE else 2


def _compile(text: str, target: Target) -> bytes:
    """Small code model and position independence: constants by relative address instead of 64-bit immediates."""
    import llvmlite.binding as llvm

    machine = llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=_level(text), jit=True, codemodel="small", reloc="pic"
    )
    return _emit(llvm.parse_assembly(text), machine, large=_level(text) == 1)


def relocatable_object(text: str, target: Target) -> bytes:
    """An object file for a machine other than this one, to be linked, from IR text or as kept on disk."""
    import llvmlite.binding as llvm

    key = _key(text, target)
    stored = read_cached(key, ".o")
    if stored is not None:
        return stored
    with _lock:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        machine = llvm.Target.from_triple(target.triple).create_target_machine(
            cpu=target.cpu, features=target.features, opt=2, reloc="static"
        )
        made = _emit(llvm.parse_assembly(f'target datalayout = "{machine.target_data}"\n{text}'), machine)
    write_cached(key, ".o", made)
    return made


def _emit(module: Any, machine: Any, *, large: bool = False) -> bytes:
    """Check and optimise a parsed module, and emit it as an object file for the target machine."""
    import llvmlite.binding as llvm

    module.verify()
    options = llvm.create_pipeline_tuning_options(2)
    builder = llvm.create_pass_builder(machine, options)
    passes = llvm.create_new_module_pass_manager() if large else builder.getModulePassManager()
    if large:  # what matters of the whole list for code that has no branches and no sub-expression twice
        passes.add_instruction_combine_pass()
        passes.add_reassociate_pass()
        passes.add_instruction_combine_pass()
    passes.run(module, builder)
    return machine.emit_object(module)


def _add_library_symbols() -> None:
    """Make the few scalar library functions findable for loaded code."""
    global _symbols_added
    if _symbols_added:
        return
    import llvmlite.binding as llvm

    library = ctypes.CDLL(ctypes.util.find_library("m") or None)
    for name in (*LIBRARY_CALLS, "floor", "ceil", "fma", "floorf", "ceilf", "fmaf"):
        llvm.add_symbol(name, ctypes.cast(getattr(library, name), ctypes.c_void_p).value)
    _symbols_added = True


def read_cached(key: str, suffix: str) -> bytes | None:
    """The bytes kept under a key, None if there are none, they are damaged or another user may have written them."""
    data = store.read_kept(key[:32] + suffix)
    if data is None:
        return None
    digest, _, body = data[:64], data[64:65], data[65:]
    return body if digest == hashlib.sha256(body).hexdigest().encode() else None


def write_cached(key: str, suffix: str, body: bytes) -> None:
    """Keep bytes under a key; a folder that cannot be written is no error, only slower next time."""
    store.write_kept(key[:32] + suffix, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
