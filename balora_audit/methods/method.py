"""What a fine-tuning method is, and how its adapter sits on the shared base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from balora_audit.config import AdapterConfig, Penalties

__all__ = ["Factors", "Initialiser", "Method", "Prepared"]

Factors = dict[str, tuple[Tensor, Tensor]]
"""Module name → (A (r, in), B (out, r)) in float32."""

Initialiser = Callable[[dict[str, nn.Linear], AdapterConfig, int], Factors]
"""(target modules, adapter settings, seed) → initial factors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A fine-tuning method: the one place where its name, initialisation and penalties are put together.

    ``initialise`` is None for a method that trains nothing. ``anchored`` means that the initial factors stay as a frozen
    negative branch, ``ΔW = s·(BA − B₀A₀)``: the base is untouched, switching the adapter off *is* the teacher, and the
    saved adapter is an ordinary LoRA adapter of rank 2r. ``penalties`` picks the regularizers out of the configured
    preset, or is None for the plain task loss.
    """

    name: str
    title: str
    summary: str
    initialisation: str
    initialise: Initialiser | None
    anchored: bool = False
    penalties: Callable[[Penalties], Penalties] | None = None

    @property
    def trains(self) -> bool:
        """Whether the method fine-tunes at all."""
        return self.initialise is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A method's adapter as attached: the rank that trains, the rank stored, the scaling, the modules."""

    rank: int
    stored_rank: int
    scaling: float
    modules: tuple[str, ...]
