"""The one shape of a user's mistake: where it is, what was seen, why it cannot work, what to write instead."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, marks of direction, half characters, line separators


def printable(text: str, keep: str = "") -> str:
    """The text with what steers a terminal or hides on a page written out: escape becomes ``\\x1b``; ``keep`` stays."""
    if text.isprintable():
        return text
    hidden = (c not in keep and unicodedata.category(c) in _HIDDEN for c in text)
    return "".join(c.encode("unicode_escape").decode() if escape else c for c, escape in zip(text, hidden, strict=True))


@dataclass(frozen=True)
class Problem:
    """One mistake in one place of a user's file.

    ``where`` is ``file:line``; ``field`` the path inside the file (``arms.ketamine.doses[0].amount``); ``seen`` the text
    found there; ``why`` one sentence; ``cure`` what to write instead. As text, control characters are written out.
    """

    where: str
    field: str
    seen: str
    why: str
    cure: str

    def __str__(self) -> str:
        where, field, seen = (printable(part) for part in (self.where, self.field, self.seen))
        why, cure = (printable(part, keep="\n\t") for part in (self.why, self.cure))
        quoted = f': "{seen}"' if seen else ""
        return f"{where}  {field}{quoted}\n  {why}\n  {cure}"


class InputError(ValueError):
    """All problems of a user's input at once. The command line prints it and exits with code 2."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        n = len(problems)
        count = "1 error" if n == 1 else f"{n} errors"
        super().__init__("\n".join(map(str, problems)) + f"\n{count}; nothing was run.")

    def __reduce__(self) -> tuple[type[InputError], tuple[Problem, ...]]:  # a worker's refusal reaches its caller whole
        return type(self), self.problems
