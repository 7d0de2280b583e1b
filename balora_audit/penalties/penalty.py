"""What a penalty is: one record for everything that settings, training, ablations and notes need to know of it.

To add one: a file beside `consistency.py` with its settings and its `Penalty`, and a line in `balora_audit.penalties.PENALTIES`.
M rows (valid tokens or examples), V columns (words or classes), D hidden.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from balora_audit.penalties.settings import Family, Frozen, RegularizerPreset

if TYPE_CHECKING:
    from torch import Tensor

    from balora_audit.penalties.chunk import ChunkTerm

__all__ = ["Penalty", "Published"]

Settings = TypeVar("Settings", bound=Frozen)

Published = Mapping[RegularizerPreset, Mapping[Family, Settings]]
"""Preset → family of task → settings."""


class Penalty(ABC, Generic[Settings]):
    """A term that is added to the task loss, weighted by the setting that is called like the penalty.

    `value` is all that a penalty needs. On top of it, one that has a meaning on a single predicted number may give its
    `regression_value`, one that is a mean over positions its `chunk_term`, and one that depends on the logits' singular values
    alone its `spectral_value`. While every active penalty has one of the last two, no step ever holds all logits.
    """

    name: str
    """Also of its weight among the settings and of its column in the log."""

    abbreviation: str
    """The paper's, as names of methods write it: ``lora[+cr]``, ``balora[-cr]``."""

    settings: type[Settings]
    """Its part of `Penalties`: the weight, 0 unless set, and whatever else shapes it; each with a default."""

    published: Published[Settings]
    """Its settings in the published presets; a preset that is not in here leaves it at weight 0."""

    needs_teacher: bool = False
    """Whether it compares with the frozen teacher's logits."""

    @abstractmethod
    def staged(self, step: int, steps: int) -> float:
        """Return the factor on the weight at `step` (0-based) of `steps` in the staged schedule."""

    @abstractmethod
    def value(self, student_MV: Tensor, teacher_MV: Tensor | None, settings: Settings) -> Tensor:
        """Return the unweighted term, a differentiable scalar; the teacher's logits are given to a penalty that needs them."""

    def regression_value(self, settings: Settings) -> Callable[[Tensor, Tensor | None], Tensor] | None:
        """Return (student's numbers, teacher's numbers) → the unweighted term; None where it does not exist for a single output."""
        del settings
        return None

    def chunk_term(self, settings: Settings) -> Callable[[float], ChunkTerm] | None:
        """Return what makes the term's part in the fused head pass from a weight; None where there is none."""
        del settings
        return None

    def spectral_value(self, settings: Settings) -> Callable[[Tensor, int], Tensor] | None:
        """Return (a matrix M×D with the logits' singular values, V) → `value`; None where it does not follow from those."""
        del settings
        return None

    def fuses(self, settings: Settings) -> bool:
        """Whether the penalty in this shape has a part in the fused head pass."""
        return self.chunk_term(settings) is not None or self.spectral_value(settings) is not None

    def remarks(self, settings: Settings, *, rows: int, outputs: int) -> list[str]:
        """Return what a reader must know of an active penalty on logits of `rows` examples and `outputs` classes."""
        del settings, rows, outputs
        return []
