"""The one shape of a user's mistake: where it is, what was seen, why it cannot work, what to write instead."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake in one place of a user's file.

    ``where`` is ``file:line``; ``field`` the path inside the file (``arms.ketamine.doses[0].amount``); ``seen`` the text
    found there; ``why`` one sentence; ``cure`` what to write instead.
    """

    where: str
    field: str
    seen: str
    why: str
    cure: str

    def __str__(self) -> str:
        seen = f': "{self.seen}"' if self.seen else ""
        return f"{self.where}  {self.field}{seen}\n  {self.why}\n  {self.cure}"


class InputError(ValueError):
    """All problems of a user's input at once. The command line prints it and exits with code 2."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        n = len(problems)
        count = "1 error" if n == 1 else f"{n} errors"
        super().__init__("\n".join(map(str, problems)) + f"\n{count}; nothing was run.")
