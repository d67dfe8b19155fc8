"""What a qualification found: one row a case, a table, and the closing line ``N/M pass``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from respine.errors import InputError

PASS, FAIL, REFUSED, REPORTED = "pass", "FAIL", "refused", "reported"


@dataclass(frozen=True)
class Case:
    """One case: what came out, in columns for the table, and why.

    ``outcome`` is ``pass``, ``FAIL``, ``refused`` (respine says it cannot compute this, and gives no numbers) or
    ``reported`` (shown, not judged). Only ``pass`` and ``FAIL`` are bound.
    """

    name: str
    outcome: str
    cells: tuple[str, ...] = ()
    note: str = ""
    tags: tuple[str, ...] = ()


def judged_case(run: Callable[[], Case], name: str, tags: tuple[str, ...] = ()) -> Case:
    """What ``run`` finds; a fault of respine's own fails this case and lets the others go on."""
    try:
        return run()
    except InputError:  # the material is damaged, which is no verdict on respine
        raise
    except Exception as fault:
        return Case(name, FAIL, (), f"a fault of respine: {type(fault).__name__}: {fault}", tags)


@dataclass(frozen=True)
class Findings:
    """All cases of one qualification; ``rule`` says in a sentence what passing means."""

    title: str
    rule: str
    columns: tuple[str, ...]
    cases: Sequence[Case]
    remarks: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> int:
        return sum(c.outcome == PASS for c in self.cases)

    @property
    def bound(self) -> int:
        return sum(c.outcome in (PASS, FAIL) for c in self.cases)

    @property
    def ok(self) -> bool:
        """Whether there was something to judge and all of it passed."""
        return self.bound > 0 and self.passed == self.bound

    def last_line(self) -> str:
        """``N/M pass``."""
        return f"{self.passed}/{self.bound} pass"


def by_tag(cases: Sequence[Case]) -> list[tuple[str, int, int, int]]:
    """(tag, passed, bound, refused) for every tag, in alphabetical order."""
    rows = []
    for tag in sorted({tag for c in cases for tag in c.tags}):
        tagged = [c for c in cases if tag in c.tags]
        count = {outcome: sum(c.outcome == outcome for c in tagged) for outcome in (PASS, FAIL, REFUSED)}
        rows.append((tag, count[PASS], count[PASS] + count[FAIL], count[REFUSED]))
    return rows
