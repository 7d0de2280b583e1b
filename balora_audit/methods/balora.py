"""BA-LoRA: PiSSA plus consistency, diversity and singular-value regularizers (arXiv 2408.04556; METHODS §1–2)."""

from __future__ import annotations

from balora_audit.config import Penalties
from balora_audit.methods.method import Method
from balora_audit.methods.pissa import principal_factors

__all__ = ["BALORA"]


def _all_three(preset: Penalties) -> Penalties:
    return preset


BALORA = Method(
    name="balora",
    title="BA-LoRA",
    summary="PiSSA plus consistency, diversity and singular-value regularizers (arXiv 2408.04556)",
    initialisation="principal singular triplets of W",
    initialise=principal_factors,
    anchored=True,
    penalties=_all_three,
)
