"""What a kind of condition is: one record that a file of this folder holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from balora_audit.data.dataset import AuditDataset, Example

__all__ = ["Change", "ConditionKind"]

Change = Callable[[Sequence[Example], AuditDataset, float, int, np.random.Generator], tuple[list[Example], dict[str, Any]]]
"""(training examples, data set, dose, training seed, generator of this kind and seed) → the examples that remain, in their order, and
what was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionKind:
    """One kind of change to the training data, and its dose.

    Parameters
    ----------
    name : str
        As the user writes it before the colon; decides the random stream too.
    symbol : str
        Of the dose.
    summary : str
        What it does and which doses there are; one line.
    example : str
        A dose to show.
    allows : callable
        Whether a dose (a finite number) is within range.
    title : callable
        A dose in the words of a report.
    change : callable
        Applies a dose to class-labelled examples; what it says that it changed goes into the provenance.
    """

    name: str
    symbol: str
    summary: str
    example: str
    allows: Callable[[float], bool]
    title: Callable[[float], str]
    change: Change

    @property
    def form(self) -> str:
        """How the user writes it, such as ``noise:ρ``."""
        return f"{self.name}:{self.symbol}"
