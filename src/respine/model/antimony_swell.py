"""Antimony evaluates starts and rules by writing them out, so that a chain of twenty lines that each use the one before
twice takes it a minute. Such definitions are handed to it as rates, which it never evaluates, and turned back afterwards.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from respine.errors import InputError
from respine.model.content import Content
from respine.model.order import in_order

FEW = 500  # terms, written out, up to which a definition is left to Antimony
_DEFINITION = re.compile(r"(?:(?<=[;\n])|^)([ \t]*)([A-Za-z_]\w*)([ \t]*)(:?=)(?!=)([^;\n]*)", re.ASCII)
_EVENT = re.compile(r"\bat\b")  # what follows in the line are assignments of an event
_RATE = re.compile(r"\b([A-Za-z_]\w*)[ \t]*'[ \t]*=", re.ASCII)
# statements that make a name something other than a plain number: reactions up to their rate, and declarations
_OTHER = re.compile(
    r"[^;\n]*(?:->|=>)[^;\n]*|\b(?:const|var|species|compartment|substanceOnly)\b[^;\n]*|\w+\s+in\s+\w+"
)
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass
class Disguise:
    """A text in which some definitions stand as rates; ``starts`` and ``rules`` are what these were."""

    text: str
    starts: set[str] = field(default_factory=set)
    rules: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.starts or self.rules)

    def lift(self, content: Content) -> None:
        """Give the definitions their own meaning back."""
        for name in self.starts & content.rates.keys():
            content.starts[name] = content.rates.pop(name)
        for name in self.rules & content.rates.keys():
            content.rules[name] = content.rates.pop(name)


def disguise(text: str, plain: str) -> Disguise:
    """The text with definitions that swell written as rates; ``plain`` is the text without comments, place by place."""
    definitions = [m for m in _DEFINITION.finditer(plain) if not _EVENT.search(_line_before(plain, m.start(2)))]
    needs = {m[2]: _WORD.findall(m[5]) for m in definitions}
    try:
        order = in_order(needs, str)
    except InputError:  # a circle: Antimony or the reader names it
        return Disguise(text)
    terms: dict[str, float] = {}
    for name in order:
        terms[name] = sum(terms.get(word, 1.0) for word in needs[name]) + 1.0
    swollen = {name for name in needs if terms[name] > FEW}
    if swollen:  # a rate is only for what is no species, no compartment, and defined once
        swollen -= {name for name, n in Counter(m[2] for m in definitions).items() if n > 1}
        swollen -= set(_RATE.findall(plain))
        swollen -= {word for statement in _OTHER.findall(plain) for word in _WORD.findall(statement)}
    made = Disguise(text)
    pieces, at = [], 0
    for m in definitions:
        if m[2] in swollen:
            (made.starts if m[4] == "=" else made.rules).add(m[2])
            pieces += [text[at : m.start(4)], "' ="]
            at = m.end(4)
    made.text = "".join(pieces) + text[at:]
    return made


def _line_before(plain: str, position: int) -> str:
    return plain[plain.rfind("\n", 0, position) + 1 : position]
