"""BA-LoRA: PiSSA plus consistency, diversity and singular-value regularizers (arXiv 2408.04556; METHODS §1–2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from balora_audit.methods.pissa import PISSA
from balora_audit.penalties import Penalties

__all__ = ["BALORA", "TERMS", "only"]

TERMS = {"cr": "consistency", "dr": "diversity", "svdr": "spectral"}
"""The paper's abbreviations of the three terms, as ablations name them: ``balora[-cr]``, ``balora[svdr]``."""


def only(kept: tuple[str, ...]) -> Callable[[Penalties], Penalties]:
    """Return what keeps the terms of these names (values of :data:`TERMS`) and sets the weights of the others to 0."""

    def pick(preset: Penalties) -> Penalties:
        return preset.model_copy(update={name: 0.0 for name in TERMS.values() if name not in kept})

    return pick


BALORA = replace(
    PISSA,
    name="balora",
    title="BA-LoRA",
    summary="PiSSA plus consistency, diversity and singular-value regularizers (arXiv 2408.04556)",
    penalties=only(tuple(TERMS.values())),
)
