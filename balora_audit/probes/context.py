"""The circumstances that a probe measures one model under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from balora_audit.cells import CellId
from balora_audit.config import AuditConfig
from balora_audit.data.conditions import Condition
from balora_audit.data.dataset import AuditDataset, Example
from balora_audit.data.perturbations import PERTURBATIONS, Perturbation

__all__ = ["Context"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The circumstances of one measured model: data, condition, seed, and what the condition changed."""

    config: AuditConfig
    dataset: AuditDataset
    method: str
    condition: Condition
    seed: int
    train: tuple[Example, ...]
    flipped: Mapping[str, tuple[int, int]]
    """Training id → (true label, noisy label)."""
    flipped_elsewhere: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    """For a control: condition of this audit whose control it is → what that condition flips."""
    perturbations: Mapping[str, Perturbation] = field(default_factory=lambda: PERTURBATIONS)
    """The kinds of noise by name, those from other packages among them."""
    changes_weights: bool = True
    """Whether the model's weights differ from the base's; those of the base itself do not."""
    predicts_words: bool = True
    """Whether the model is a language model; a classification head gives no distribution over words."""
    layers: tuple[int, ...] = ()
    """Layers whose features are measured too; 0 is the embeddings."""
    extractor: str | None = None
    """How a generation task's answers are read; None when none are written."""
    evidence: str | None = None
    control: Condition | None = None
    """The condition that is this one without what it does to the rows, where the audit trains it."""
    no_control: str = "this condition has no control"
    """Why there is none."""
    steps: int | None = None
    """Optimiser steps, the same under all conditions; None where nothing is planned."""

    @property
    def cell(self) -> CellId:
        """Method, condition, seed."""
        return CellId(self.method, str(self.condition), self.seed)
