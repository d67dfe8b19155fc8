"""Patients grouped by the visits they were seen at: all the likelihood needs are sums of cross-products per group.

With Z = [X y], the likelihood and its derivatives are linear in ``sum_i z_ij z_ik'`` over the patients of a pattern, for each
pair of visits (j, k). These sums are made once; an evaluation then costs the same for a hundred patients as for a million.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from respine.trial.analysis.arrays import Array, Flags, Ints

ALONE, TOGETHER = 200_000, 20_000_000  # multiplications below which one thread, above which several are faster


@dataclass(frozen=True)
class Patterns:
    """Groups of patients with the same visits and the same covariance matrix.

    ``mask`` (P, m) tells the visits; ``count`` (P,) patients; ``template`` (P,) which covariance matrix; ``products``
    (P * m(m+1)/2, k(k+1)/2) the symmetrised cross-products of the k columns of Z; ``rows`` (n, m) the row of Z of each
    patient and visit, -1 where there is none; ``member`` (n,) the pattern of each patient.
    """

    mask: Flags
    count: Array
    template: Ints
    products: Array
    rows: Ints
    member: Ints
    observations: int
    columns: int
    log_weights: float


def _gram(z: Array) -> Array:
    """z'z, in pieces where the threads of a linear algebra library would cost more than they give."""
    work = z.size * z.shape[1]
    if not ALONE < work < TOGETHER:
        return np.asarray(z.T @ z)
    rows = max(1, ALONE // z.shape[1] ** 2)
    return np.asarray(sum(z[i : i + rows].T @ z[i : i + rows] for i in range(0, len(z), rows)))


def group(z: Array, subject: Ints, visit: Ints, m: int, template: Ints, weights: Array | None) -> Patterns:
    """Patterns of rows of Z (N, k) with codes of subject and visit (N,) and the covariance matrix of each subject (n,).

    A row of weight w counts as if its error had the variance divided by w, as with WEIGHT in SAS.
    """
    n, k = len(template), z.shape[1]
    if weights is not None:
        z = z * np.sqrt(weights)[:, None]
    rows = np.full((n, m), -1, dtype=np.int64)
    rows[subject, visit] = np.arange(len(z))
    present = rows >= 0
    keys = np.column_stack([template, present])
    unique, member = np.unique(keys, axis=0, return_inverse=True)
    member = member.ravel()
    dense = np.where(present[:, :, None], z[rows], 0.0).reshape(n, m * k)
    j, i = np.triu_indices(m)
    a, b = np.triu_indices(k)
    products = np.empty((len(unique), len(j), len(a)))
    for p in range(len(unique)):
        cross = _gram(dense[member == p]).reshape(m, k, m, k)
        both = cross[j, :, i, :] + cross[i, :, j, :]
        both[j == i] *= 0.5
        products[p] = both[:, a, b]
    return Patterns(
        unique[:, 1:].astype(bool),
        np.bincount(member, minlength=len(unique)).astype(float),
        unique[:, 0],
        products.reshape(len(unique) * len(j), len(a)),
        rows,
        member,
        len(z),
        k,
        float(np.log(weights).sum()) if weights is not None else 0.0,
    )
