"""Signals by which a system asks a run to end for a while: SIGTERM and SIGUSR1. The run says so and can go on later."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PREEMPTED = 75
"""Exit code of a run that was asked to end and is to go on later (EX_TEMPFAIL of sysexits.h): not a failure."""

_ASKED = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))


@contextmanager
def preemptible() -> Iterator[None]:
    """Within, these signals raise ``Preempted`` in the main thread, once; elsewhere nothing is changed."""
    from respine.run import Preempted

    def asked(number: int, _: FrameType | None) -> None:
        for signum in _ASKED:
            signal.signal(signum, signal.SIG_IGN)  # to end is asked already
        raise Preempted(number)

    try:
        before = {number: signal.signal(number, asked) for number in _ASKED}
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
