"""The training loss, term by term. M valid tokens, V vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from balora_audit.config import Penalties
from balora_audit.regularizers import consistency_kl, diversity_entropy, effective_k, spectral_concentration

__all__ = ["Loss", "assemble"]


@dataclass(slots=True, kw_only=True)
class Loss:
    """The scalar to differentiate, and every term on its own, unweighted, for the log."""

    total: Tensor
    terms: dict[str, Tensor]


def assemble(
    student_MV: Tensor,
    targets_M: Tensor,
    *,
    teacher_MV: Tensor | None,
    penalties: Penalties | None,
    weights: tuple[float, float, float],
) -> Loss:
    """Return cross-entropy plus the weighted penalties; a term of weight 0 is neither computed nor logged."""
    task = torch.nn.functional.cross_entropy(student_MV, targets_M)
    terms = {"task": task}
    total = task
    if penalties is not None:
        consistency, diversity, spectral = weights
        if consistency > 0 and teacher_MV is not None:
            terms["consistency"] = consistency_kl(student_MV, teacher_MV, penalties.temperature)
            total = total + consistency * terms["consistency"]
        if diversity > 0:
            terms["diversity"] = diversity_entropy(student_MV, penalties.top_k)
            total = total + diversity * terms["diversity"]
        if spectral > 0:
            k = effective_k(penalties.k, *student_MV.shape)
            terms["spectral"] = spectral_concentration(student_MV, k, penalties.norm)
            total = total + spectral * terms["spectral"]
    return Loss(total=total, terms=terms)
