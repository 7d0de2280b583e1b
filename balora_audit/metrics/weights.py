"""Changes of a weight matrix: the spectrum of a low-rank ΔW, and intruder dimensions (METHODS §6). W is m × n, ΔW = B·A of rank r.

A scale such as LoRA's α/r belongs into B.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator, svds

from balora_audit.metrics.arrays import Float, matrix

__all__ = ["dense_likeness", "likeness", "low_rank_singular_values"]

_DENSE = 64
"""Below this size a whole decomposition costs nothing."""


def low_rank_singular_values(b: Any, a: Any) -> Float:
    """Return the r singular values of B·A, largest first, from the factors (m, r) and (r, n): nothing m × n is formed."""
    left, right = _factors(b, a)
    core = np.linalg.qr(left).R @ np.linalg.qr(right.T).R.T
    return np.asarray(np.linalg.svd(core, compute_uv=False))


def likeness(u: Any, sigma: Any, vt: Any, b: Any, a: Any, k: int = 10) -> Float:
    """Return, for the k leading left singular vectors of W + B·A, the largest |cosine| with any left singular vector of W.

    One below ε is an *intruder dimension* (Shuttleworth et al. 2024, arXiv 2410.21228).

    Parameters
    ----------
    u, sigma, vt : (m, p), (p,), (p, n) with p = min(m, n)
        The decomposition of W.
    b, a : (m, r) and (r, n)
        The factors of ΔW.
    k : int
        1 to p.

    Returns
    -------
    (k,) array within 0 and 1, in the order of the singular values of W + ΔW.

    Notes
    -----
    In W's own singular bases W + ΔW is diag(σ) + (UᵀB)(AV), and what B and A add beside W's row and column spaces spans at most r
    more directions. There the matrix times a vector costs O((m + n)·r), an iterative method finds the leading vectors, and
    their entries *are* the cosines. W's vectors of equal singular values are not unique: a rotation among them looks like an
    intruder, here as in the source.
    """
    left, right = _factors(b, a)
    basis, values, rows = matrix(u, center=False, name="u"), np.asarray(sigma, dtype=np.float64), matrix(vt, center=False, name="vt")
    size = len(values)
    if basis.shape != (len(left), size) or rows.shape != (size, right.shape[1]):
        raise ValueError(f"u {basis.shape}, sigma {values.shape} and vt {rows.shape} do not belong to b {left.shape} and a {right.shape}")
    if not 1 <= k <= size:
        raise ValueError(f"k must be within 1 and {size}, got {k}")
    p_left, p_right = _extended(basis, left), _extended(rows.T, right.T)
    if size <= _DENSE or k >= size - 1:
        core = p_left @ p_right.T
        core[range(size), range(size)] += values
        vectors = np.linalg.svd(core)[0][:, :k]
    else:
        vectors = _leading(values, p_left, p_right, k)
    return np.asarray(np.clip(np.abs(vectors[:size]).max(axis=0), 0, 1))


def dense_likeness(u: Any, changed: Any, k: int = 10) -> Float:
    """Return the same as `likeness` for a changed matrix (m, n) whose change has no factors."""
    basis, weight = matrix(u, center=False, name="u"), matrix(changed, center=False, name="changed")
    if len(basis) != len(weight) or not 1 <= k <= min(weight.shape):
        raise ValueError(
            f"u {basis.shape} and changed {weight.shape} do not go together, or k = {k} is not within 1 and {min(weight.shape)}"
        )
    vectors = np.linalg.svd(weight, full_matrices=False)[0][:, :k]
    return np.asarray(np.clip(np.abs(basis.T @ vectors).max(axis=0), 0, 1))


def _factors(b: Any, a: Any) -> tuple[Float, Float]:
    left, right = matrix(b, center=False, name="b"), matrix(a, center=False, name="a")
    if left.shape[1] != right.shape[0]:
        raise ValueError(f"b (m, r) and a (r, n) must share r, got {left.shape} and {right.shape}")
    return left, right


def _extended(basis: Float, factor: Float) -> Float:
    """Return the factor's coordinates in the basis, and beneath them those in what it adds to the basis's span."""
    inside = basis.T @ factor
    residual = factor - basis @ inside
    residual -= basis @ (basis.T @ residual)  # once more: one projection leaves rounding errors along the basis
    if np.linalg.norm(residual) <= 1e-10 * np.linalg.norm(factor):
        return np.asarray(inside)
    return np.vstack([inside, np.linalg.qr(residual).R])


def _leading(values: Float, p_left: Float, p_right: Float, k: int) -> Float:
    size, (high, wide) = len(values), (len(p_left), len(p_right))

    def times(x: Float) -> Float:
        x = x.ravel()
        found = p_left @ (p_right.T @ x)
        found[:size] += values * x[:size]
        return np.asarray(found)

    def transposed(y: Float) -> Float:
        y = y.ravel()
        found = p_right @ (p_left.T @ y)
        found[:size] += values * y[:size]
        return np.asarray(found)

    operator = LinearOperator((high, wide), matvec=times, rmatvec=transposed, dtype=np.float64)
    start = np.random.default_rng(0).normal(size=min(high, wide))
    vectors, found, _ = svds(operator, k=k, v0=start, tol=0)
    return np.asarray(vectors[:, np.argsort(-found, kind="stable")])
