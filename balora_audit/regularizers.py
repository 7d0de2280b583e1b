"""BA-LoRA's output-space regularizers (arXiv 2408.04556; METHODS §2), pure and differentiable.

Shapes: N rows (examples or valid tokens), D columns (classes, or the V words of a vocabulary). Computed in float32 at
least. Every function returns a scalar to be *minimised*.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "consistency_kl",
    "consistency_mse",
    "diversity_covariance",
    "diversity_entropy",
    "effective_k",
    "spectral_concentration",
]

_RELATIVE_ZERO = 1e-7


def _matrix(logits: Tensor, name: str = "logits") -> Tensor:
    if logits.ndim != 2 or 0 in logits.shape:
        raise ValueError(f"{name} must be a non-empty (rows, columns) matrix, got shape {tuple(logits.shape)}")
    return logits if logits.dtype == torch.float64 else logits.float()


def _pair(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    if student.shape != teacher.shape:
        raise ValueError(f"student and teacher must have one shape, got {tuple(student.shape)} and {tuple(teacher.shape)}")
    return _matrix(student, "student_logits"), _matrix(teacher, "teacher_logits").detach()


def consistency_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return ``T²·KL(softmax(Z_P/T) ‖ softmax(Z_F/T))``, mean over rows, in nats; no gradient reaches the teacher."""
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    student, teacher = _pair(student_logits, teacher_logits)
    log_f = functional.log_softmax(student / temperature, dim=-1)
    log_p = functional.log_softmax(teacher / temperature, dim=-1)
    return temperature**2 * functional.kl_div(log_f, log_p, reduction="batchmean", log_target=True)


def consistency_mse(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Return the mean squared difference of the L2-normalised rows, over all elements (the 2024 version for NLU)."""
    student, teacher = _pair(student_logits, teacher_logits)
    return functional.mse_loss(functional.normalize(student, dim=-1), functional.normalize(teacher, dim=-1))


def diversity_covariance(logits: Tensor) -> Tensor:
    """Return ``(1/D)·Σ_{i≠j} C_ij²`` of the logits' covariance ``C = Z_cᵀZ_c/(N−1)``; 0 for a single row, which has none."""
    z = _matrix(logits)
    rows, columns = z.shape
    if rows == 1:
        return (z * 0).sum()
    centred = z - z.mean(dim=0)
    covariance = centred.T @ centred / (rows - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / columns


def diversity_entropy(logits: Tensor, top_k: int | None = None) -> Tensor:
    """Return minus the mean entropy of the rows' distributions, in nats, −log(D or K) to 0.

    With `top_k`, over the renormalised K most likely candidates of each row.
    """
    z = _matrix(logits)
    if top_k is not None:
        if top_k < 2:
            raise ValueError(f"top_k must be at least 2, got {top_k}")
        z = z.topk(min(top_k, z.shape[1]), dim=-1).values
    log_p = functional.log_softmax(z, dim=-1)
    return (log_p.exp() * log_p).sum(dim=-1).mean()


def effective_k(k: int, n: int, d: int) -> int:
    """Return the k that the singular-value term uses on an n×d matrix: ``min(k, min(n, d) − 1)``, at least 1.

    At ``k ≥ min(n, d)`` the nuclear ratio is the constant 1 and teaches nothing (METHODS §2).
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return max(1, min(k, min(n, d) - 1))


def spectral_concentration(logits: Tensor, k: int, norm: Literal["nuclear", "fro"] = "nuclear") -> Tensor:
    """Return ``−Σ_{i≤k} σᵢ/Σσ`` (``nuclear``) or ``−Σ_{i≤k} σᵢ/‖Z‖_F`` (``fro``) of the logit matrix.

    The k actually used is :func:`effective_k`. A zero matrix gives 0 with zero gradient, one that is not finite NaN.

    Notes
    -----
    The derivative of a sum of singular values is ``U_k V_kᵀ`` exactly, so the backward pass differentiates through no
    decomposition and stays finite for repeated and zero singular values (there it is a subgradient).
    """
    if norm not in ("nuclear", "fro"):
        raise ValueError(f"norm must be 'nuclear' or 'fro', got {norm!r}")
    z = _matrix(logits)
    concentration: Tensor = _Concentration.apply(z, effective_k(k, *z.shape), norm)  # type: ignore[no-untyped-call]
    return -concentration


class _Concentration(torch.autograd.Function):
    """Σ_{i≤k} σᵢ over a norm, by the eigenvectors of the smaller Gram matrix in float64."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, k: int, norm: str) -> Tensor:
        wide = z.shape[0] <= z.shape[1]
        if not bool(z.isfinite().all()):  # no decomposition would converge
            ctx.save_for_backward(torch.zeros_like(z))
            return z.new_full((), torch.nan)
        small = (z if wide else z.T).double()
        values, vectors = torch.linalg.eigh(small @ small.T)
        sigma = values.clamp_min(0).sqrt().flip(0)
        vectors = vectors.flip(1)
        if float(sigma[0]) == 0.0:
            ctx.save_for_backward(torch.zeros_like(z))
            return z.new_zeros(())
        kept = sigma > _RELATIVE_ZERO * sigma[0]
        inverse = torch.where(kept, 1 / sigma.clamp_min(1e-300), torch.zeros_like(sigma))
        top = torch.zeros_like(sigma)
        top[:k] = 1.0
        numerator = sigma[:k].sum()
        if norm == "nuclear":
            denominator = sigma.sum()
            weights = inverse * (top - numerator / denominator) / denominator
        else:
            denominator = values.clamp_min(0).sum().sqrt()
            weights = inverse * top / denominator - numerator / denominator**3
        # Σ_i w_i u_i v_iᵀ with v_iᵀ = u_iᵀ Z / σ_i; the 1/σ is in the weights (for ‖Z‖_F the term in Z has none)
        gradient = (vectors * weights) @ (vectors.T @ small)
        ctx.save_for_backward((gradient if wide else gradient.T).to(z.dtype))
        share: Tensor = numerator / denominator
        return share.to(z.dtype)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None, None]:
        saved: Tensor = ctx.saved_tensors[0]
        return saved * outputs[0], None, None
