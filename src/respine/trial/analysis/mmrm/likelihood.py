"""-2 log-likelihood of a Gaussian model of repeated measures, REML or ML, with exact first and second derivatives.

Fixed effects are profiled out. With W the inverse covariance of a pattern, H = X'WX, F its inverse and u = (-b, 1):

    -2 log L = sum log|Sigma| + log|H| (REML only) + u'Mu + N log 2 pi,   M = [X y]'W[X y]

(Harville 1977, doi:10.1080/01621459.1977.10480998). Everything is a contraction with the cross-products of the patterns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from respine.trial.analysis.arrays import Array
from respine.trial.analysis.mmrm.covariance import Parts
from respine.trial.analysis.mmrm.patterns import ALONE, TOGETHER, Patterns


class NotPositiveDefinite(ValueError):
    """A covariance matrix on the way has no inverse."""


@dataclass(frozen=True)
class Value:
    """The likelihood at one point. ``deviance`` is -2 log L; derivatives are those of the deviance."""

    deviance: float
    beta: Array
    """(q,)"""
    information: Array
    """F = (X'WX)^-1, (q, q)"""
    sigma: Array
    """Covariance of the visits of each template, (S, m, m)"""
    gradient: Array | None = None
    hessian: Array | None = None
    """Observed, (r, r)"""
    expected: Array | None = None
    """Expected second derivative, (r, r)"""
    slopes: Array | None = None
    """d(X'WX)/d parameter, (r, q, q)"""


class Likelihood:
    """The deviance of one table under any covariance structure."""

    def __init__(self, patterns: Patterns, reml: bool) -> None:
        self.patterns, self.reml = patterns, reml
        self.m = patterns.mask.shape[1]
        self.k = patterns.columns
        self.q = self.k - 1
        self._upper = np.triu_indices(self.m)
        self._doubled = np.where(self._upper[0] == self._upper[1], 1.0, 2.0)
        self._cells = np.triu_indices(self.k)
        self._weight = np.where(self._cells[0] == self._cells[1], 1.0, 2.0)
        self._both = patterns.mask[:, :, None] & patterns.mask[:, None, :]
        self._fill = np.eye(self.m) * ~patterns.mask[:, :, None]
        free = patterns.observations - (self.q if reml else 0)
        self._constant = free * np.log(2 * np.pi) - patterns.log_weights

    def value(self, parts: Parts) -> Value:
        """The deviance and the fixed effects. Raises NotPositiveDefinite."""
        return self._at(parts)[0]

    def with_derivatives(self, parts: Parts) -> Value:
        """The deviance with gradient, observed and expected Hessian. Raises NotPositiveDefinite."""
        value, w, u = self._at(parts)
        p = self.patterns
        d1 = parts.first[:, p.template]
        r = len(d1)
        inverse = np.zeros((self.k, self.k))
        inverse[: self.q, : self.q] = value.information
        s_f, s_u = w @ self._contract(np.stack([inverse, np.outer(u, u)])) @ w
        trace = p.count[:, None, None] * w
        pull = trace - s_u - (s_f if self.reml else 0.0)  # d deviance / d Sigma of each pattern
        gradient = d1.reshape(r, -1) @ pull.ravel()

        # first derivatives of M by every parameter
        wd = w @ d1
        m_a = self._unpacked(-self._over_visits(wd @ w))
        h_a = m_a[:, : self.q, : self.q]
        try:
            lower = np.linalg.cholesky(value.information)
        except np.linalg.LinAlgError as error:
            raise NotPositiveDefinite from error
        rotated = (lower.T @ h_a @ lower).reshape(r, -1)
        shift = (m_a @ u)[:, : self.q] @ lower

        t_w = self._traces(wd, d1 @ trace)
        t_f = self._traces(wd, d1 @ s_f)
        t_u = self._traces(wd, d1 @ s_u)
        spread = rotated @ rotated.T
        templates = len(parts.sigma)
        pulls = np.zeros((templates, self.m, self.m))
        np.add.at(pulls, p.template, pull)
        bend = (parts.second.reshape(r * r, -1) @ pulls.ravel()).reshape(r, r)
        hessian = bend - t_w + 2 * t_u - 2 * shift @ shift.T
        expected = t_w
        if self.reml:
            hessian = hessian + 2 * t_f - spread
            expected = t_w - 2 * t_f + spread
        return Value(
            value.deviance, value.beta, value.information, value.sigma, gradient,
            0.5 * (hessian + hessian.T), 0.5 * (expected + expected.T), h_a,
        )  # fmt: skip

    def adjustment(self, parts: Parts, slopes: Array, information: Array, variance: Array, second: bool) -> Array:
        """Kenward and Roger's (1997) sum over a, b of V_ab (Q_ab - P_a F P_b - R_ab / 4), (q, q).

        ``variance`` V (r, r) is that of the parameters; ``second`` False leaves the R out (KR-linear).
        """
        w = self._inverse(parts.sigma)[0]
        p = self.patterns
        d1 = parts.first[:, p.template]
        mixed = np.tensordot(variance, d1, axes=(1, 0))  # sum_b V_ab D_b
        kernel = np.einsum("apjk,apkl->pjl", d1 @ w, mixed)
        if second:
            kernel = kernel - 0.25 * np.einsum("ab,abtjk->tjk", variance, parts.second)[p.template]
        inner = self._unpacked(self._over_visits((w @ kernel @ w)[None]))[0][: self.q, : self.q]
        product = np.einsum("ab,aij,jk,bkl->il", variance, slopes, information, slopes, optimize=True)
        return np.asarray(inner - product)

    def weights(self, sigma: Array) -> Array:
        """W of every pattern, (P, m, m), zero for visits not seen."""
        return self._inverse(sigma)[0]

    def _at(self, parts: Parts) -> tuple[Value, Array, Array]:
        p = self.patterns
        w, log_det = self._inverse(parts.sigma)
        m = self._unpacked(self._over_visits(w[None]))[0]
        h = m[: self.q, : self.q]
        if self.q:
            try:
                lower = np.linalg.cholesky(h)
            except np.linalg.LinAlgError as error:
                raise NotPositiveDefinite from error
            half = np.linalg.inv(lower)
            information = half.T @ half
            beta = information @ m[: self.q, self.q]
            log_h = 2 * np.log(np.diag(lower)).sum()
        else:
            information, beta, log_h = np.zeros((0, 0)), np.zeros(0), 0.0
        u = np.append(-beta, 1.0)
        deviance = float(p.count @ log_det + u @ m @ u + self._constant + (log_h if self.reml else 0.0))
        return Value(deviance, beta, information, parts.sigma), w, u

    def _inverse(self, sigma: Array) -> tuple[Array, Array]:
        """W (P, m, m) and log|Sigma| (P,) over the visits seen."""
        full = np.where(self._both, sigma[self.patterns.template], self._fill)
        if not np.isfinite(full).all():
            raise NotPositiveDefinite
        try:
            lower = np.linalg.cholesky(full)
            inverse = np.linalg.inv(full)
        except np.linalg.LinAlgError as error:
            raise NotPositiveDefinite from error
        log_det = 2 * np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
        return np.where(self._both, inverse, 0.0), log_det

    def _over_visits(self, matrices: Array) -> Array:
        """Sums over visits of the cross-products with the entries of matrices (r, P, m, m) as weights, (r, k(k+1)/2).

        Products of middling size are cut in pieces: threads of a linear algebra library cost more there than they give.
        """
        packed, products = self._packed(matrices), self.patterns.products
        work = packed.size * products.shape[1]
        if not ALONE < work < TOGETHER:
            return np.asarray(packed @ products)
        if len(packed) == 1:
            return np.einsum("ij,jk->ik", packed, products)
        rows = max(1, ALONE * len(products) // work)
        pieces = (packed[:, i : i + rows] @ products[i : i + rows] for i in range(0, len(products), rows))
        return np.asarray(sum(pieces))

    def _packed(self, matrices: Array) -> Array:
        """(r, P, m, m) symmetric in the sum -> (r, P * m(m+1)/2), so that the product with ``products`` sums over visits."""
        j, k = self._upper
        packed = 0.5 * (matrices[:, :, j, k] + matrices[:, :, k, j])
        return packed.reshape(len(matrices), -1)

    def _unpacked(self, cells: Array) -> Array:
        full = np.empty((len(cells), self.k, self.k))
        a, b = self._cells
        full[:, a, b] = cells
        full[:, b, a] = cells
        return full

    def _contract(self, matrices: Array) -> Array:
        """Sums over the columns of Z: <matrix, cross-product of visits j, k> for matrices (c, k, k), (c, P, m, m)."""
        j, k = self._cells
        weight = matrices[:, j, k] * self._weight
        products = self.patterns.products
        work = products.size * len(weight)
        if ALONE < work < TOGETHER:  # pieces, as in `_over_visits`
            rows = max(1, ALONE // weight.size)
            flat = np.concatenate([weight @ products[i : i + rows].T for i in range(0, len(products), rows)], axis=1)
        else:
            flat = weight @ products.T
        flat = flat.reshape(len(weight), -1, len(self._doubled))
        full = np.empty((*flat.shape[:2], self.m, self.m))
        j, k = self._upper
        full[..., j, k] = full[..., k, j] = flat / self._doubled
        return full

    @staticmethod
    def _traces(wd: Array, dn: Array) -> Array:
        """tr(D_a W D_b N) summed over patterns, from W D_a and D_b N, (r, r)."""
        r = len(wd)
        return np.asarray(wd.reshape(r, -1) @ dn.reshape(r, -1).T)
