"""The one shape of a user's mistake: where it is, what was seen, why it cannot work, what to write instead."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, marks of direction, half characters, line separators


def printable(text: str, keep: str = "") -> str:
    """The text with what steers a terminal or hides on a page written out: escape becomes ``\\x1b``; ``keep`` stays."""
    if text.isprintable():
        return text
    hidden = (c not in keep and unicodedata.category(c) in _HIDDEN for c in text)
    return "".join(c.encode("unicode_escape").decode() if escape else c for c, escape in zip(text, hidden, strict=True))


def shortened(text: str, most: int = 400) -> str:
    """The text, or its beginning and its length where it is longer than ``most`` letters."""
    return text if len(text) <= most else f"{text[: most - 40]} ... ({len(text)} letters)"


MOST_TOLD = 60  # mistakes of one input that are printed; ``InputError.problems`` has all
PYTHON = {"resume": "resume=True"}
"""How Python calls arguments whose bare name would not do."""


def argument(name: str, seen: object, why: str, cure: str, *others: str) -> Problem:
    """A mistake in an argument; the cure speaks of arguments in braces, ``others`` names those beside ``name``."""
    return Problem("argument", f"{{{name}}}", str(seen), why, cure, (name, *others))


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
    names: tuple[str, ...] = ()
    """Arguments that ``field`` or ``cure`` speak of, in braces: ``{folder}``. Python and the command line call them
    differently."""

    def __str__(self) -> str:
        return self.told(PYTHON)

    def told(self, arguments: Mapping[str, str]) -> str:
        """The problem as text; ``arguments`` says how to call the arguments it speaks of."""
        where, field, seen = (printable(shortened(part)) for part in (self.where, self.field, self.seen))
        why, cure = (printable(shortened(part, 4000), keep="\n\t") for part in (self.why, self.cure))
        for name in self.names:
            said = arguments.get(name, name)
            field, cure = field.replace(f"{{{name}}}", said), cure.replace(f"{{{name}}}", said)
        quoted = f': "{seen}"' if seen else ""
        return f"{where}  {field}{quoted}\n  {why}\n  {cure}"


class InputError(ValueError):
    """All problems of a user's input at once. The command line prints it and exits with code 2."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__(self.told(PYTHON))

    def told(self, arguments: Mapping[str, str]) -> str:
        """All problems as text; ``arguments`` says how to call the arguments they speak of."""
        n = len(self.problems)
        count = "1 error" if n == 1 else f"{n} errors"
        texts = [problem.told(arguments) for problem in self.problems[:MOST_TOLD]]
        more = [f"... and {n - MOST_TOLD} more"] if n > MOST_TOLD else []
        return "\n".join([*texts, *more]) + f"\n{count}; nothing was run."

    def _render_traceback_(self) -> list[str]:
        """In a notebook a user's mistake is its message, not forty lines of our code."""
        return [str(self)]

    def __reduce__(self) -> tuple[type[InputError], tuple[Problem, ...]]:  # a worker's refusal reaches its caller whole
        return type(self), self.problems
