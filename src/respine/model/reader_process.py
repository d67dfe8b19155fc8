"""The process in which documents from outside are read: whatever they do to libSBML or Antimony stays here.

Started by ``reader``; requests and answers are pickles behind their length, over standard input and output. One
process reads many documents, one after the other, and ends when its caller does or nothing comes for a while.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import struct
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

from respine.errors import InputError, Problem
from respine.model.limits import Limits
from respine.model.source import Source

HEAD = struct.Struct("!Q")
IDLE = 75  # exit code of a process that nobody asked for so long:
IDLE_S = 60.0
_STACK = 256 * 2**20  # bytes; formulas may nest as deep as the limits allow
_MOST = 50  # problems of one document that are told


def send(stream: BinaryIO, value: object) -> None:
    data = pickle.dumps(value, protocol=5)
    stream.write(HEAD.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """The next value. Raises EOFError where the other side has ended."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        raise EOFError
    data = stream.read(HEAD.unpack(head)[0])
    return pickle.loads(data)


def read(source: Source, limits: Limits) -> Any:
    """The content of a document, or its problems; libSBML and Antimony run in this process. Raises InputError."""
    from respine.model.sbml_content import read_content
    from respine.model.sbml_document import open_document

    if source.language == "SBML":
        return read_content(open_document(source.data, source.name, limits, source.folder), limits)
    from respine.model.antimony_text import translate

    made = translate(source.data, source.name, limits, source.folder)
    document = open_document(made.sbml, source.name, limits, line=made.line)
    document.notes += made.notes
    content = read_content(document, limits, lift=made.disguise.lift if made.disguise else None)
    if content.model == "__main":  # equations that stand in no model block
        content.model = Path(source.name).stem if source.folder else "model"
    return content


def answer(source: Source, limits: Limits) -> tuple[str, Any]:
    """``("content", Content)`` or ``("problems", list of Problem)``."""
    try:
        return "content", read(source, limits)
    except InputError as fault:
        problems = list(fault.problems)
        if len(problems) > _MOST:
            why = f"{len(problems) - _MOST} more problems are not shown."
            problems[_MOST:] = [Problem(source.name, "problems", "", why, "Correct those above first.")]
        return "problems", problems
    except MemoryError:
        why = f"reading it takes more than {limits.memory_gb:g} GB of memory."
        cure = "Give a smaller model, or limits=Limits(memory_gb=...) if it is meant."
        return "problems", [Problem(source.name, "memory", "", why, cure)]
    except RecursionError:
        why = "a formula is nested too deeply."
        return "problems", [Problem(source.name, "formulas", "", why, "Write it in smaller parts.")]


def serve() -> None:
    """Answer requests until the caller ends or is silent for long."""
    requests, answers = _streams()
    sys.setrecursionlimit(50_000)
    gc.disable()  # libSBML's module alone makes a hundred thousand objects that stay
    import libsbml  # noqa: F401

    gc.freeze()
    gc.enable()
    idle = threading.Timer(IDLE_S, os._exit, (IDLE,))
    idle.daemon = True
    idle.start()
    while True:
        try:
            source, limits = receive(requests)
        except EOFError:
            return
        idle.cancel()
        _limit(limits)
        send(answers, answer(source, limits))
        _limit(None)
        idle = threading.Timer(IDLE_S, os._exit, (IDLE,))
        idle.daemon = True
        idle.start()


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """The caller's streams; what libraries print goes nowhere."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return sys.stdin.buffer, answers


def _limit(limits: Limits | None) -> None:
    """End this process by itself if a document takes too long or too much, even where its caller is gone."""
    with contextlib.suppress(ImportError, AttributeError, ValueError, OSError):  # not on every system
        import resource
        import signal

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (hard if limits is None else int(limits.memory_gb * 1e9), hard))
        signal.setitimer(signal.ITIMER_REAL, 0 if limits is None else limits.seconds + 5)


def main() -> None:
    """Serve on a stack that holds deep formulas."""
    threading.stack_size(_STACK)
    thread = threading.Thread(target=serve)
    thread.start()
    threading.stack_size(0)  # the watches need no such stack
    thread.join()


if __name__ == "__main__":
    main()
