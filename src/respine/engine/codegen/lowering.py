"""Programs with their elementary functions spelled out, those that do not need each other side by side.

A function is a long chain of operations, each waiting for the one before it, and a processor looks ahead by too few
operations to find the next chain meanwhile. So the operations of several are written in turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from respine.engine.codegen.functions import WAITING, templates
from respine.engine.codegen.program import READ_ONLY, WITH_NUMBERS, Program, operands
from respine.engine.codegen.target import Target

ABREAST = 6  # such chains run side by side; more do not fit the registers


def spell_out(program: Program, target: Target) -> Program:
    """The same program with ``exp2 log2 sin cos reciprocal`` replaced by primitive operations."""
    return _Spelling(program, target).result()


class _Spelling:
    def __init__(self, program: Program, target: Target) -> None:
        self.program, self.target, self.spelled = program, target, Program()
        self.position: dict[int, int] = {}  # of what has been written so far
        self.groups = _groups(program)

    def result(self) -> Program:
        for k in range(len(self.program.operations)):
            if k not in self.position:
                self.write(k)
        return self.spelled

    def write(self, k: int) -> None:
        """Operation k, with its group and all they need."""
        group = self.groups.get(k, [k])
        for needed in sorted(self._missing(group)):  # an operation stands after what it needs
            if needed not in self.position:
                self.write(needed) if needed in self.groups else self._write_one(needed)
        if len(group) == 1:
            self._write_one(k)
            return
        for first in range(0, len(group), ABREAST):
            self._side_by_side(group[first : first + ABREAST])

    def _missing(self, members: Sequence[int]) -> set[int]:
        """What is needed and not written yet."""
        missing: set[int] = set()
        stack = [part for k in members for part in operands(self.program.operations[k])]
        while stack:
            k = stack.pop()
            if k not in self.position and k not in missing:
                missing.add(k)
                stack.extend(operands(self.program.operations[k]))
        return missing

    def _write_one(self, k: int) -> None:
        op, *a = self.program.operations[k]
        if op in templates(self.target):
            self._side_by_side([k])
        elif op in ("const", "load", "broadcast"):
            self.position[k] = self.spelled.do(op, *a)
        elif op == "store":
            self.position[k] = self.spelled.do("store", a[0], a[1], self.position[a[2]])
        else:
            self.position[k] = self.spelled.do(op, *(self.position[x] for x in a))

    def _side_by_side(self, members: Sequence[int]) -> None:
        """The operations of one function for several arguments in turn."""
        op = self.program.operations[members[0]][0]
        template = templates(self.target)[op]
        values: list[dict[int, int]] = [{} for _ in members]
        for number, (kind, *a) in enumerate(template.operations):
            for known, k in zip(values, members, strict=True):
                if kind == "argument":
                    known[number] = self.position[self.program.operations[k][1]]
                elif kind == "const":
                    known[number] = self.spelled.do(kind, *a)
                else:
                    taken = 1 if kind in WITH_NUMBERS else len(a)
                    parts = [known[x] for x in a[:taken]]
                    known[number] = self.spelled.do(kind, *parts, *a[taken:])
        for known, k in zip(values, members, strict=True):
            self.position[k] = known[len(template.operations) - 1]


def _groups(program: Program) -> dict[int, list[int]]:
    """For each waiting function those that can be computed with it: the same function, none needing another.

    A function that needs what is read after something was stored stays where it is.
    """
    depth: list[int] = []
    fixed: list[bool] = []
    stored = False
    groups: dict[tuple[str, int], list[int]] = {}
    for k, operation in enumerate(program.operations):
        op, *a = operation
        parts = operands(operation)
        stored = stored or op == "store"
        fixed.append(any(fixed[x] for x in parts) or (op == "load" and stored and a[0] not in READ_ONLY))
        depth.append(max((depth[x] for x in parts), default=0) + (op in WAITING))
        if op in WAITING and not fixed[k]:
            groups.setdefault((op, depth[k]), []).append(k)
    return {k: group for group in groups.values() if len(group) > 1 for k in group}
