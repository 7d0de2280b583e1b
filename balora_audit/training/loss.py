"""The training loss, term by term, on given logits. M rows (valid tokens or examples), V columns (words or classes)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from balora_audit.penalties import Penalties, Weights, active

__all__ = ["Loss", "assemble", "assemble_regression"]


@dataclass(slots=True, kw_only=True)
class Loss:
    """The scalar to differentiate, and every term on its own, unweighted, for the log."""

    total: Tensor
    terms: dict[str, Tensor]

    def add_to(self, values: dict[str, float]) -> None:
        """Add the terms to sums by name."""
        for name, term in self.terms.items():
            values[name] = values.get(name, 0.0) + float(term.detach())


def assemble(student_MV: Tensor, targets_M: Tensor, *, teacher_MV: Tensor | None, penalties: Penalties | None, weights: Weights) -> Loss:
    """Return cross-entropy plus the weighted penalties; a term of weight 0 is neither computed nor logged."""
    task = functional.cross_entropy(student_MV, targets_M)
    if penalties is None:
        return Loss(total=task, terms={"task": task})
    return _weighted(task, {name: penalty.value(student_MV, teacher_MV, penalties) for name, penalty in active(weights).items()}, weights)


def assemble_regression(
    student_M: Tensor, targets_M: Tensor, *, teacher_M: Tensor | None, penalties: Penalties | None, weights: Weights
) -> Loss:
    """Return the mean squared error plus the weighted penalties that exist for a single output (METHODS §2)."""
    task = functional.mse_loss(student_M, targets_M)
    if penalties is None:
        return Loss(total=task, terms={"task": task})
    forms = {name: penalty.regression_value(penalties) for name, penalty in active(weights).items()}
    return _weighted(task, {name: form(student_M, teacher_M) for name, form in forms.items() if form is not None}, weights)


def _weighted(task: Tensor, terms: Mapping[str, Tensor], weights: Weights) -> Loss:
    total = task
    for name, term in terms.items():
        total = total + weights[name] * term
    return Loss(total=total, terms={"task": task, **terms})
