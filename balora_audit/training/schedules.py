"""Learning-rate decay and the course of BA-LoRA's weights over training (METHODS §2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from balora_audit.penalties import Penalties

if TYPE_CHECKING:
    from balora_audit.config import TrainingConfig

__all__ = ["learning_rate_factor", "penalty_weights"]

_CONSISTENCY_FLOOR = 0.1
_OFF_SHARE = 0.20
_RAMP_SHARE = 0.05


def learning_rate_factor(step: int, steps: int, settings: TrainingConfig) -> float:
    """Return the factor on the learning rate at `step` (0-based) of `steps`: linear warm-up, then the decay."""
    warmup = max(1, round(settings.warmup_share * steps)) if settings.warmup_share > 0 else 0
    if step < warmup:
        return (step + 1) / warmup
    if settings.decay == "constant":
        return 1.0
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress)) if settings.decay == "cosine" else 1.0 - progress


def penalty_weights(step: int, steps: int, penalties: Penalties) -> tuple[float, float, float]:
    """Return (λ₁, λ₂, λ₃) at `step` (0-based) of `steps`.

    ``constant`` keeps them. ``staged`` (the 2026 schedule): λ₁ falls on a cosine to a tenth; λ₂ and λ₃ are 0 for the first
    20 % of the steps, rise linearly over the next 5 % and are full from there on.
    """
    if penalties.schedule == "constant":
        return penalties.consistency, penalties.diversity, penalties.spectral
    progress = step / max(1, steps - 1)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    consistency = penalties.consistency * (_CONSISTENCY_FLOOR + (1 - _CONSISTENCY_FLOOR) * cosine)
    ramp = min(1.0, max(0.0, (step / steps - _OFF_SHARE) / _RAMP_SHARE))
    return consistency, penalties.diversity * ramp, penalties.spectral * ramp
