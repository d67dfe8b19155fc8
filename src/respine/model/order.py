"""Formulas in an order in which each uses only what stands before it; circles are named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from respine.errors import InputError, Problem


def in_order(needs: Mapping[str, Iterable[str]], where: Callable[[str], str]) -> list[str]:
    """Names so ordered that each comes after the names it needs; needs outside the mapping do not count.

    ``where`` tells where a name is written. Raises InputError, naming the circle, if there is no such order.
    """
    ordered: dict[str, None] = {}
    for root in needs:
        path = {root: iter(needs[root])} if root not in ordered else {}
        while path:
            name = next(reversed(path))
            child = next((c for c in path[name] if c in needs and c not in ordered), None)
            if child is None:
                ordered[name] = None
                del path[name]
            elif child in path:
                names = list(path)
                raise circle([*names[names.index(child) :], child], where)
            else:
                path[child] = iter(needs[child])
    return list(ordered)


def circle(names: list[str], where: Callable[[str], str]) -> InputError:
    """The error for formulas that need each other's values at the same moment."""
    why = f"these formulas need each other's values at the same moment: {' -> '.join(names)}."
    return InputError(Problem(where(names[0]), names[0], "", why, "Make one of them a state, or rewrite it."))
