"""Head and loss in one pass over chunks of positions: no M×V matrix is ever kept. M valid positions, D hidden, V vocabulary.

The gradient with respect to the hidden states is worked out beside the value, so that the backward pass is one product with
a number. The singular values of the M×V logits ``Z = H·Wᵀ`` are those of the M×D matrix ``H·L`` with ``L·Lᵀ = WᵀW``, exactly:
that term never sees the vocabulary (METHODS §2).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from balora_audit.penalties import Penalties
from balora_audit.regularizers import effective_k, spectral_concentration
from balora_audit.training.loss import Loss, Weights

__all__ = ["Head", "fused_loss"]

_CHUNK_BYTES = 32 * 2**20


class Head:
    """A frozen linear head: ``Z = H·Wᵀ + b``, with what its singular-value term needs."""

    def __init__(self, weight_VD: Tensor, bias_V: Tensor | None) -> None:
        self.weight_VD = weight_VD.detach()
        self.bias_V = None if bias_V is None else bias_V.detach()

    def logits(self, states_MD: Tensor) -> Tensor:
        """Return float32 logits (M, V)."""
        return functional.linear(states_MD, self.weight_VD, self.bias_V).float()

    @cached_property
    def factor(self) -> Tensor:
        """L with ``L·Lᵀ = WᵀW`` (float32; one row and column more where there is a bias), from a float64 Gram matrix."""
        weight = self.weight_VD
        size = weight.shape[1] + (self.bias_V is not None)
        gram = torch.zeros(size, size, dtype=torch.float64, device=weight.device)
        rows = max(1, _CHUNK_BYTES // (8 * size))
        for start in range(0, weight.shape[0], rows):
            part = weight[start : start + rows].double()
            if self.bias_V is not None:
                part = torch.cat([part, self.bias_V[start : start + rows, None].double()], dim=1)
            gram += part.T @ part
        factor, failed = torch.linalg.cholesky_ex(gram)
        if int(failed):  # a head of deficient rank
            values, vectors = torch.linalg.eigh(gram)
            factor = vectors * values.clamp_min(0).sqrt()
        single: Tensor = factor.float()
        return single

    def reduced(self, states_MD: Tensor) -> Tensor:
        """Return an M×D matrix with the singular values of the logits; differentiable."""
        states = states_MD.float()
        if self.bias_V is not None:
            states = torch.cat([states, states.new_ones(len(states), 1)], dim=1)
        return states @ self.factor


def fused_loss(
    states_MD: Tensor,
    head: Head,
    targets_M: Tensor,
    *,
    teacher_MD: Tensor | None,
    penalties: Penalties | None,
    weights: Weights,
    count: int | None = None,
    everyone: Tensor | None = None,
    share: float = 1.0,
    counts: bool = True,
) -> Loss:
    """Return what `balora_audit.training.loss.assemble` returns for the logits of these states, without the logits.

    Parameters
    ----------
    states_MD : Tensor
        Final hidden states of the student at the valid positions.
    teacher_MD : Tensor, optional
        Those of the frozen teacher under the same head; needed when the consistency weight is positive.
    penalties : Penalties, optional
        Language-model forms only: KL consistency, entropy diversity.
    weights : (λ₁, λ₂, λ₃)
        At this step; a term of weight 0 is neither computed nor logged.
    count : int, optional
        Divide the sums over positions by this (all positions of a step); default M.
    everyone : Tensor, optional
        States of all positions of the batch, those of `states_MD` among them, for the singular-value term; its value is
        then divided among the processes that compute it.
    share : float
        This batch's share of the step's positions: the weight of its singular-value term.
    counts : bool
        False for a process without rows of its own, whose sums over positions count for nothing.
    """
    consistency, diversity, spectral = weights if penalties is not None else (0.0, 0.0, 0.0)
    taught = consistency > 0 and teacher_MD is not None
    settings = (
        count or len(targets_M),
        consistency if taught else 0.0,
        penalties.temperature if penalties is not None else 1.0,
        diversity,
        penalties.top_k if penalties is not None else None,
    )
    total, parts = _FusedHead.apply(states_MD, head, targets_M, teacher_MD if taught else None, settings)  # type: ignore[no-untyped-call]
    if not counts:
        total, parts = total * 0.0, parts * 0.0
    terms = {"task": parts[0]}
    if taught:
        terms["consistency"] = parts[1]
    if diversity > 0:
        terms["diversity"] = parts[2]
    if spectral > 0 and penalties is not None:
        matrix = head.reduced(states_MD if everyone is None else everyone)
        k = effective_k(penalties.k, len(matrix), head.weight_VD.shape[0])
        concentration = spectral_concentration(matrix, k, penalties.norm)
        total = total + spectral * share * concentration
        terms["spectral"] = concentration * share * (1.0 if everyone is None else len(states_MD) * counts / len(everyone))
    return Loss(total=total, terms=terms)


class _FusedHead(torch.autograd.Function):
    """Cross-entropy + λ₁·T²·KL(P_P ‖ P_F) − λ₂·H, each a sum over positions divided by `count`."""

    @staticmethod
    def forward(
        ctx: Any,
        states_MD: Tensor,
        head: Head,
        targets_M: Tensor,
        teacher_MD: Tensor | None,
        settings: tuple[int, float, float, float, int | None],
    ) -> tuple[Tensor, Tensor]:
        gradient_MD = torch.empty_like(states_MD)
        parts = torch.zeros(3, dtype=torch.float64, device=states_MD.device)
        rows = max(1, _CHUNK_BYTES // (4 * head.weight_VD.shape[0]))
        for start in range(0, len(states_MD), rows):
            part = slice(start, start + rows)
            teacher = None if teacher_MD is None else teacher_MD[part]
            gradient_MD[part] = _chunk(states_MD[part], head, targets_M[part], teacher, settings, parts)
        count, consistency, _, diversity, _ = settings
        parts = parts / count
        ctx.save_for_backward(gradient_MD)
        weights = torch.tensor([1.0, consistency, diversity], dtype=torch.float64, device=parts.device)
        logged = parts.float()
        ctx.mark_non_differentiable(logged)
        return (parts * weights).sum().float(), logged

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None, None, None, None]:
        gradient_MD: Tensor = ctx.saved_tensors[0]
        return gradient_MD * outputs[0].to(gradient_MD.dtype), None, None, None, None


def _chunk(
    states_MD: Tensor,
    head: Head,
    targets_M: Tensor,
    teacher_MD: Tensor | None,
    settings: tuple[int, float, float, float, int | None],
    parts: Tensor,
) -> Tensor:
    """Add a chunk's terms to `parts` and return its gradient with respect to the states; works in place on few buffers."""
    count, consistency, temperature, diversity, top_k = settings
    logits = head.logits(states_MD)
    peak = logits.amax(dim=1, keepdim=True)
    picked = logits.gather(1, targets_M[:, None])
    candidates = logits.topk(min(top_k, logits.shape[1]), dim=1) if diversity and top_k is not None else None
    logits.sub_(peak)
    soft = (logits / temperature).exp_() if teacher_MD is not None and temperature != 1.0 else None
    probability = soft * soft if soft is not None and temperature == 2.0 else logits.exp()
    mass = probability.sum(dim=1, keepdim=True)
    log_mass = mass.log()
    parts[0] += (log_mass + peak - picked).double().sum()
    gradient = probability.div_(mass)  # softmax of the student; becomes the gradient below
    entropy = None
    if diversity and top_k is None:
        negative = torch.linalg.vecdot(gradient, logits)[:, None] - log_mass  # Σ p·log p
        parts[2] += negative.double().sum()
        entropy = (logits - log_mass).sub_(negative).mul_(gradient)
    if teacher_MD is not None:
        teacher = head.logits(teacher_MD).div_(temperature)
        teacher_mass = teacher.logsumexp(dim=1, keepdim=True)
        teacher.sub_(teacher_mass)  # log P_P
        wanted = teacher.exp()
        soft_mass = mass if soft is None else soft.sum(dim=1, keepdim=True)
        divergence = torch.linalg.vecdot(wanted, teacher.sub_(logits, alpha=1 / temperature)) + soft_mass.log()[:, 0]
        parts[1] += temperature**2 * divergence.double().sum()
        if soft is None:
            gradient.mul_(1 + consistency * temperature)
        else:
            gradient.addcmul_(soft, consistency * temperature / soft_mass)
        gradient.sub_(wanted, alpha=consistency * temperature)
    if entropy is not None:
        gradient.add_(entropy, alpha=diversity)
    if candidates is not None:
        log_p = candidates.values.log_softmax(dim=1)
        p = log_p.exp()
        negative = (p * log_p).sum(dim=1, keepdim=True)
        parts[2] += negative.double().sum()
        gradient.scatter_add_(1, candidates.indices, diversity * p * (log_p - negative))
    gradient.scatter_add_(1, targets_M[:, None], gradient.new_full((len(targets_M), 1), -1.0))
    gradient.div_(count)
    return gradient.to(head.weight_VD.dtype) @ head.weight_VD
