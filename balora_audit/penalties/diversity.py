"""Diversity: against outputs that are all alike, by their entropy or by the covariance of the classes (METHODS §2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from balora_audit.penalties.chunk import Chunk, ChunkTerm
from balora_audit.penalties.courses import late_ramp
from balora_audit.penalties.penalty import Penalty, Published
from balora_audit.penalties.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DIVERSITY", "DiversitySettings"]


class DiversitySettings(Frozen):
    """Weight and shape of the diversity term."""

    diversity: float = Field(default=0.0, ge=0, description="λ₂, weight of the diversity term")
    top_k: int | None = Field(default=None, ge=2, description="K candidates of the entropy, None for all")
    diversity_form: Literal["entropy", "covariance"] = Field(default="entropy", description="what the diversity term looks at")


_PUBLISHED: Published[DiversitySettings] = {
    "iclr2026": {
        "nlg": DiversitySettings(diversity=0.005, top_k=20),
        "nlu": DiversitySettings(diversity=0.03, diversity_form="covariance"),
    },
    "paper-v1": {
        "nlg": DiversitySettings(diversity=3e-4),
        "nlu": DiversitySettings(diversity=4e-4, diversity_form="covariance"),
    },
}


class Diversity(Penalty[DiversitySettings]):
    """Minus the mean entropy of the rows, or the squared covariances between classes."""

    name = "diversity"
    abbreviation = "dr"
    settings = DiversitySettings
    published = _PUBLISHED

    def staged(self, step: int, steps: int) -> float:
        """Return the published course of λ₂."""
        return late_ramp(step, steps)

    def value(self, student_MV: Tensor, teacher_MV: Tensor | None, settings: DiversitySettings) -> Tensor:
        """Return the term in its configured form."""
        from balora_audit.regularizers import diversity_covariance, diversity_entropy

        del teacher_MV
        if settings.diversity_form == "covariance":
            return diversity_covariance(student_MV)
        return diversity_entropy(student_MV, settings.top_k)

    def chunk_term(self, settings: DiversitySettings) -> Callable[[float], ChunkTerm] | None:
        """Return the entropy's part in the fused pass; a covariance is over all rows at once and has none."""
        if settings.diversity_form == "covariance":
            return None
        return _EntropyTerm if settings.top_k is None else partial(_CandidateEntropyTerm, top_k=settings.top_k)


class _EntropyTerm(ChunkTerm):
    """Σ p·log p over all words; its gradient at the logits is p·(log p − Σ p·log p)."""

    def __init__(self, weight: float) -> None:
        super().__init__(weight)
        self._gradient_MV: Tensor

    def value(self, chunk: Chunk) -> Tensor:
        """Return the sum of the negative entropies; the gradient is worked out here, while the softmax is at hand."""
        import torch

        softmax_MV = chunk.gradient_MV
        negative_M1 = torch.linalg.vecdot(softmax_MV, chunk.shifted_MV)[:, None] - chunk.log_mass_M1
        self._gradient_MV = (chunk.shifted_MV - chunk.log_mass_M1).sub_(negative_M1).mul_(softmax_MV)
        total: Tensor = negative_M1.double().sum()
        return total

    def add_gradient(self, chunk: Chunk) -> None:
        """Add λ times the gradient."""
        chunk.gradient_MV.add_(self._gradient_MV, alpha=self.weight)


class _CandidateEntropyTerm(ChunkTerm):
    """Σ p·log p over the renormalised K most likely words; no other word gets a gradient."""

    def __init__(self, weight: float, *, top_k: int) -> None:
        super().__init__(weight)
        self._top_k = top_k
        self._words_MK: Tensor
        self._logits_MK: Tensor
        self._gradient_MK: Tensor

    def begin(self, logits_MV: Tensor) -> None:
        """Pick the candidates: two words that a shift would make equal are still apart here."""
        self._logits_MK, self._words_MK = logits_MV.topk(min(self._top_k, logits_MV.shape[1]), dim=1)

    def value(self, chunk: Chunk) -> Tensor:
        """Return the sum of the candidates' negative entropies."""
        del chunk
        log_p_MK = self._logits_MK.log_softmax(dim=1)
        p_MK = log_p_MK.exp()
        negative_M1 = (p_MK * log_p_MK).sum(dim=1, keepdim=True)
        self._gradient_MK = self.weight * p_MK * (log_p_MK - negative_M1)
        return negative_M1.double().sum()

    def add_gradient(self, chunk: Chunk) -> None:
        """Add λ times the gradient at the candidates."""
        chunk.gradient_MV.scatter_add_(1, self._words_MK, self._gradient_MK)


DIVERSITY = Diversity()
