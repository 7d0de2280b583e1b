"""The course of the learning rate over training; those of the penalties' weights are theirs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from balora_audit.config import TrainingConfig

__all__ = ["learning_rate_factor"]


def learning_rate_factor(step: int, steps: int, settings: TrainingConfig) -> float:
    """Return the factor on the learning rate at `step` (0-based) of `steps`: linear warm-up, then the decay."""
    warmup = max(1, round(settings.warmup_share * steps)) if settings.warmup_share > 0 else 0
    if step < warmup:
        return (step + 1) / warmup
    if settings.decay == "constant":
        return 1.0
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress)) if settings.decay == "cosine" else 1.0 - progress
