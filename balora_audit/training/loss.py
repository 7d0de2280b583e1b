"""The training loss, term by term, on given logits. M rows (valid tokens or examples), V columns (words or classes)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from balora_audit.penalties import Penalties
from balora_audit.regularizers import (
    consistency_kl,
    consistency_mse,
    diversity_covariance,
    diversity_entropy,
    effective_k,
    spectral_concentration,
)

__all__ = ["Loss", "Weights", "assemble", "assemble_regression"]

Weights = tuple[float, float, float]
"""(λ₁, λ₂, λ₃) at a step."""


@dataclass(slots=True, kw_only=True)
class Loss:
    """The scalar to differentiate, and every term on its own, unweighted, for the log."""

    total: Tensor
    terms: dict[str, Tensor]


def assemble(student_MV: Tensor, targets_M: Tensor, *, teacher_MV: Tensor | None, penalties: Penalties | None, weights: Weights) -> Loss:
    """Return cross-entropy plus the weighted penalties; a term of weight 0 is neither computed nor logged."""
    terms = {"task": torch.nn.functional.cross_entropy(student_MV, targets_M)}
    if penalties is None:
        return Loss(total=terms["task"], terms=terms)
    consistency, diversity, spectral = weights
    if consistency > 0 and teacher_MV is not None:
        terms["consistency"] = (
            consistency_kl(student_MV, teacher_MV, penalties.temperature)
            if penalties.consistency_form == "kl"
            else consistency_mse(student_MV, teacher_MV)
        )
    if diversity > 0:
        entropy = penalties.diversity_form == "entropy"
        terms["diversity"] = diversity_entropy(student_MV, penalties.top_k) if entropy else diversity_covariance(student_MV)
    if spectral > 0:
        terms["spectral"] = spectral_concentration(student_MV, effective_k(penalties.k, *student_MV.shape), penalties.norm)
    by_name = {"task": 1.0, "consistency": consistency, "diversity": diversity, "spectral": spectral}
    return Loss(total=sum((by_name[name] * term for name, term in terms.items()), torch.zeros(())), terms=terms)


def assemble_regression(
    student_M: Tensor, targets_M: Tensor, *, teacher_M: Tensor | None, penalties: Penalties | None, weights: Weights
) -> Loss:
    """Return the mean squared error plus, as consistency, the mean squared distance from the teacher's numbers.

    One output has no distribution, no covariance and one singular value: KL, diversity and the singular-value term do not
    exist there (METHODS §2).
    """
    terms = {"task": torch.nn.functional.mse_loss(student_M, targets_M)}
    total = terms["task"]
    if penalties is not None and weights[0] > 0 and teacher_M is not None:
        terms["consistency"] = torch.nn.functional.mse_loss(student_M, teacher_M)
        total = total + weights[0] * terms["consistency"]
    return Loss(total=total, terms=terms)
