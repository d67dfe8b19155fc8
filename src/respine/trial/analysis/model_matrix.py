"""Terms of a model ("arm*visit", "sex") -> columns of X, and the rows of X that least-squares means ask for.

A term is read, never evaluated: names of columns joined by ``:`` (interaction) or ``*`` (interaction and all it contains).
Factors are coded by indicators against their first level where the model holds the margin of a term, in full where it does
not, as R does; what is redundant is left out later, in the order of the columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from respine.trial.analysis.arrays import Array, Ints

Term = tuple[str, ...]


def split(text: str) -> list[list[str]]:
    """The names of one term as written: ``a*b:c`` -> [["a"], ["b", "c"]]."""
    return [[name.strip() for name in part.split(":")] for part in text.split("*")]


def expand(texts: Sequence[str]) -> tuple[Term, ...]:
    """Terms in the order of R: main effects first, then by the number of names; ``*`` written out."""
    terms: list[Term] = []
    for text in texts:
        parts = split(text)
        for size in range(1, len(parts) + 1):
            for chosen in itertools.combinations(parts, size):
                term = tuple(dict.fromkeys(name for part in chosen for name in part))
                if all(set(term) != set(known) for known in terms):
                    terms.append(term)
    return tuple(sorted(terms, key=len))


@dataclass(frozen=True)
class Factor:
    """A column of labels; the first level is the reference."""

    levels: tuple[str, ...]
    codes: Ints


@dataclass(frozen=True)
class Variables:
    """The columns a model may use: factors, and numbers as arrays (N,)."""

    factors: Mapping[str, Factor]
    numbers: Mapping[str, Array]

    @property
    def rows(self) -> int:
        every = [len(f.codes) for f in self.factors.values()] + [len(v) for v in self.numbers.values()]
        return every[0]


@dataclass(frozen=True)
class ModelMatrix:
    """X (N, q) with the names of its columns, the terms and the columns of each term."""

    x: Array
    columns: tuple[str, ...]
    terms: tuple[Term, ...]
    spans: tuple[slice, ...]
    variables: Variables
    full: Mapping[tuple[Term, str], bool]

    def row(self, at: Mapping[str, str | float], weights: str = "equal") -> Array:
        """The row of X of a least-squares mean, (q,): factors and numbers of ``at`` held there, others averaged.

        Other factors count with equal weight for each level (``weights="equal"``, as LSMEANS in SAS and emmeans) or with
        their share of the rows (``"observed"``, OM in SAS); numbers are at their mean over the rows.
        """
        coded: dict[str, Array] = {}
        for name, factor in self.variables.factors.items():
            if name in at:
                coded[name] = (np.arange(len(factor.levels)) == factor.levels.index(str(at[name]))).astype(float)
            elif weights == "observed":
                coded[name] = np.bincount(factor.codes, minlength=len(factor.levels)) / len(factor.codes)
            else:
                coded[name] = np.full(len(factor.levels), 1.0 / len(factor.levels))
        for name, values in self.variables.numbers.items():
            coded[name] = np.array([float(at[name]) if name in at else float(values.mean())])
        parts = [np.ones(1)]
        for term in self.terms:
            part = np.ones(1)
            for name in term:
                code = coded[name]
                if name in self.variables.factors and not self.full[term, name]:
                    code = code[1:]
                part = np.multiply.outer(part, code).ravel()
            parts.append(part)
        return np.concatenate(parts)


def everybody_at(matrix: ModelMatrix, name: str, level: str) -> Array:
    """X with every row at one level of a factor, (N, q)."""
    variables = matrix.variables
    factor = variables.factors[name]
    moved = Factor(factor.levels, np.full_like(factor.codes, factor.levels.index(level)))
    return model_matrix(matrix.terms, Variables({**variables.factors, name: moved}, variables.numbers)).x


def model_matrix(terms: Sequence[Term], variables: Variables) -> ModelMatrix:
    """X with an intercept and the columns of every term."""
    n = variables.rows
    present = {frozenset(term) for term in terms} | {frozenset[str]()}
    blocks, names, spans = [np.ones((n, 1))], ["intercept"], []
    full: dict[tuple[Term, str], bool] = {}
    start = 1
    for term in terms:
        block, labels = np.ones((n, 1)), [""]
        for name in term:
            if name in variables.numbers:
                block = block * variables.numbers[name][:, None]
                labels = [_joined(label, name) for label in labels]
                continue
            factor = variables.factors[name]
            full[term, name] = frozenset(term) - {name} not in present
            first = 0 if full[term, name] else 1
            indicator = (factor.codes[:, None] == np.arange(first, len(factor.levels))).astype(float)
            block = (block[:, :, None] * indicator[:, None, :]).reshape(n, block.shape[1] * indicator.shape[1])
            labels = [_joined(label, f"{name} {level}") for label in labels for level in factor.levels[first:]]
        blocks.append(block)
        names += labels
        spans.append(slice(start, start + block.shape[1]))
        start += block.shape[1]
    return ModelMatrix(np.column_stack(blocks), tuple(names), tuple(terms), tuple(spans), variables, full)


def _joined(label: str, more: str) -> str:
    return f"{label} : {more}" if label else more
