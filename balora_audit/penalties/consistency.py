"""Consistency: the distance of the student's output from the frozen teacher's (METHODS §2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from balora_audit.penalties.chunk import Chunk, ChunkTerm
from balora_audit.penalties.courses import cosine_to_a_tenth
from balora_audit.penalties.penalty import Penalty, Published
from balora_audit.penalties.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CONSISTENCY", "ConsistencySettings"]


class ConsistencySettings(Frozen):
    """Weight and shape of the consistency term."""

    consistency: float = Field(default=0.0, ge=0, description="λ₁, weight of the consistency term")
    temperature: float = Field(default=1.0, gt=0, description="T of the consistency term")
    consistency_form: Literal["kl", "mse"] = Field(default="kl", description="how student and teacher are compared")


_PUBLISHED: Published[ConsistencySettings] = {
    "iclr2026": {
        "nlg": ConsistencySettings(consistency=0.025, temperature=2.0),
        "nlu": ConsistencySettings(consistency=0.15, temperature=2.0),
    },
    "paper-v1": {
        "nlg": ConsistencySettings(consistency=1e-4),
        "nlu": ConsistencySettings(consistency=1e-4, consistency_form="mse"),
    },
}


class Consistency(Penalty[ConsistencySettings]):
    """T²·KL(P_P ‖ P_F) per row, or the mean squared difference of the normalised rows."""

    name = "consistency"
    abbreviation = "cr"
    settings = ConsistencySettings
    published = _PUBLISHED
    needs_teacher = True

    def staged(self, step: int, steps: int) -> float:
        """Return the published course of λ₁."""
        return cosine_to_a_tenth(step, steps)

    def value(self, student_MV: Tensor, teacher_MV: Tensor | None, settings: ConsistencySettings) -> Tensor:
        """Return the term in its configured form."""
        from balora_audit.regularizers import consistency_kl, consistency_mse

        teacher_MV = _given(teacher_MV)
        if settings.consistency_form == "mse":
            return consistency_mse(student_MV, teacher_MV)
        return consistency_kl(student_MV, teacher_MV, settings.temperature)

    def regression_value(self, settings: ConsistencySettings) -> Callable[[Tensor, Tensor | None], Tensor]:
        """Return the mean squared distance from the teacher's numbers: one output has no distribution for a KL."""
        del settings
        return _squared_distance

    def chunk_term(self, settings: ConsistencySettings) -> Callable[[float], ChunkTerm] | None:
        """Return the KL form's part in the fused pass; the other form has none."""
        return partial(_DivergenceTerm, temperature=settings.temperature) if settings.consistency_form == "kl" else None


def _squared_distance(student_M: Tensor, teacher_M: Tensor | None) -> Tensor:
    from torch.nn.functional import mse_loss

    return mse_loss(student_M, _given(teacher_M))


def _given(teacher: Tensor | None) -> Tensor:
    if teacher is None:
        raise ValueError("the consistency term compares with the teacher, and no teacher's output was given")
    return teacher


class _DivergenceTerm(ChunkTerm):
    """T²·KL(P_P ‖ P_F); its gradient at the logits is T·(P_F − P_P), both at temperature T."""

    def __init__(self, weight: float, *, temperature: float) -> None:
        super().__init__(weight)
        self.temperature = temperature
        self.softmax_multiple = weight * temperature if temperature == 1.0 else 0.0
        self._target_MV: Tensor
        self._mass_M1: Tensor

    def value(self, chunk: Chunk) -> Tensor:
        """Return the sum of the divergences."""
        import torch

        if chunk.teacher_logits is None:
            raise ValueError("the consistency term compares with the teacher, and no teacher's states were given")
        temperature = self.temperature
        log_p_MV = chunk.teacher_logits().div_(temperature)
        log_p_MV.sub_(log_p_MV.logsumexp(dim=1, keepdim=True))
        self._target_MV = log_p_MV.exp()
        tempered_MV = chunk.tempered_MV.get(temperature)
        self._mass_M1 = chunk.mass_M1 if tempered_MV is None else tempered_MV.sum(dim=1, keepdim=True)
        # log P_P − z/T in the buffer of log P_P; Σ P_P·(log P_P − log P_F) is its mean under P_P plus the log of the student's mass
        gap_MV = log_p_MV.sub_(chunk.shifted_MV, alpha=1 / temperature)
        divergence_M = torch.linalg.vecdot(self._target_MV, gap_MV) + self._mass_M1.log()[:, 0]
        total: Tensor = temperature**2 * divergence_M.double().sum()
        return total

    def add_gradient(self, chunk: Chunk) -> None:
        """Add λ·T·(P_F − P_P); at T = 1 the first part is a multiple of the softmax."""
        share = self.weight * self.temperature
        if self.temperature != 1.0:
            chunk.gradient_MV.addcmul_(chunk.tempered_MV[self.temperature], share / self._mass_M1)
        chunk.gradient_MV.sub_(self._target_MV, alpha=share)


CONSISTENCY = Consistency()
