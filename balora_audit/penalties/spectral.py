"""The singular-value term: the share of the logits that lies in their leading directions (METHODS §2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from balora_audit.penalties.courses import late_ramp
from balora_audit.penalties.penalty import Penalty, Published
from balora_audit.penalties.settings import Frozen

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SPECTRAL", "SpectralSettings"]


class SpectralSettings(Frozen):
    """Weight and shape of the singular-value term."""

    spectral: float = Field(default=0.0, ge=0, description="λ₃, weight of the singular-value term")
    k: int = Field(default=10, ge=1, description="leading singular values of the singular-value term")
    norm: Literal["nuclear", "fro"] = Field(default="nuclear", description="norm that the leading singular values are compared with")


_PUBLISHED: Published[SpectralSettings] = {
    "iclr2026": {"nlg": SpectralSettings(spectral=0.005, k=10, norm="fro"), "nlu": SpectralSettings(spectral=0.03, k=5)},
    "paper-v1": {"nlg": SpectralSettings(spectral=1e-4, k=3), "nlu": SpectralSettings(spectral=1e-4, k=3)},
}


class Spectral(Penalty[SpectralSettings]):
    """−Σ_{i≤k} σᵢ over the sum of all singular values, or over the Frobenius norm."""

    name = "spectral"
    abbreviation = "svdr"
    settings = SpectralSettings
    published = _PUBLISHED

    def staged(self, step: int, steps: int) -> float:
        """Return the published course of λ₃."""
        return late_ramp(step, steps)

    def value(self, student_MV: Tensor, teacher_MV: Tensor | None, settings: SpectralSettings) -> Tensor:
        """Return the term on the logits."""
        from balora_audit.regularizers import spectral_concentration

        del teacher_MV
        return spectral_concentration(student_MV, settings.k, settings.norm)

    def spectral_value(self, settings: SpectralSettings) -> Callable[[Tensor, int], Tensor]:
        """Return the term as a function of any matrix that has the logits' singular values."""

        def on_reduced(reduced_MD: Tensor, columns: int) -> Tensor:
            from balora_audit.regularizers import effective_k, spectral_concentration

            # the logits have more columns than the reduced matrix: both bounds on k hold
            return spectral_concentration(reduced_MD, effective_k(settings.k, len(reduced_MD), columns), settings.norm)

        return on_reduced

    def remarks(self, settings: SpectralSettings, *, rows: int, outputs: int) -> list[str]:
        """Say where few classes, or few rows, leave fewer singular values than asked for."""
        from balora_audit.regularizers import effective_k

        used = effective_k(settings.k, rows, outputs)
        if used == settings.k:
            return []
        few = f"{outputs} classes" if outputs <= rows else f"a usual batch of {rows} rows"
        return [
            f"the singular-value term uses k = {used} and not {settings.k}, which leaves out none of the singular values of {few} of logits"
        ]


SPECTRAL = Spectral()
