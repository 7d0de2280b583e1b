"""What a fine-tuning method is, and how its adapter sits on the shared base."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from balora_audit.config import AdapterConfig
from balora_audit.penalties import Penalties

__all__ = ["Factors", "Initialiser", "Method", "Tuning"]

Tuning = Literal["none", "adapter", "full", "imported"]

Factors = dict[str, tuple[Tensor, Tensor]]
"""Module name → (A (r, in), B (out, r)) in float32."""

Initialiser = Callable[[dict[str, nn.Linear], AdapterConfig, int], Factors]
"""(target modules, adapter settings, seed) → initial factors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A fine-tuning method: the one place where its name, initialisation and penalties are put together.

    Parameters
    ----------
    tuning : {"none", "adapter", "full", "imported"}
        What is trained: nothing (the base), a low-rank adapter, all weights, or nothing here (trained elsewhere).
    initialise : callable, optional
        Initial factors of an adapter; they may depend on the base's weights and on the seed.
    seeded : bool
        Whether the initial factors depend on the seed; if not, they are computed once for all seeds and conditions.
    anchored : bool
        The initial factors stay as a frozen negative branch, ``ΔW = s·(BA − B₀A₀)``: the base is untouched, switching the
        adapter off *is* the teacher, and the saved adapter is an ordinary LoRA adapter of rank 2r.
    penalties : callable, optional
        Picks the regularizers out of the configured preset; None for the plain task loss.
    peft : mapping
        Further settings of `peft.LoraConfig` that make a variant of LoRA.
    folder : Path, optional
        Where an imported adapter lies.
    """

    name: str
    title: str
    summary: str
    initialisation: str
    tuning: Tuning = "adapter"
    initialise: Initialiser | None = None
    seeded: bool = True
    anchored: bool = False
    penalties: Callable[[Penalties], Penalties] | None = None
    peft: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def is_base(self) -> bool:
        """Whether this is the pre-trained model itself."""
        return self.tuning == "none"

    @property
    def trains(self) -> bool:
        """Whether the method is trained here, condition by condition."""
        return self.tuning in ("adapter", "full")
