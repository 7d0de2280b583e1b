"""From a batch of rows to a loss: the one place where model, head, teacher and penalties meet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Protocol

import torch
from torch import Tensor, nn

from balora_audit.models.classifier import ClassifierForward
from balora_audit.models.encode import pad
from balora_audit.models.load import LoadedModel
from balora_audit.penalties import Penalties, Weights, needs_teacher
from balora_audit.training.examples import TrainingRow, read_mask, states_at
from balora_audit.training.fused import Head, can_fuse, fused_loss
from balora_audit.training.loss import Loss, assemble, assemble_regression
from balora_audit.training.process_group import ProcessGroup
from balora_audit.training.teacher import Switchable, Teacher

__all__ = ["ClassifierObjective", "LanguageObjective", "Objective", "kept_head", "objective_for"]


class Objective(Protocol):
    """A loss on one batch."""

    def __call__(self, tuned: Switchable, batch: Sequence[TrainingRow], weights: Weights, *, positions: int) -> Loss:
        """Return this process's part of the loss of a batch.

        `positions` counts the valid positions of the whole optimiser step: the parts of all batches and processes of a
        step add up to its loss, and so do their terms.
        """
        ...


class LanguageObjective:
    """Next-token prediction at the valid positions: head, cross-entropy and penalties in chunks where the head is linear and frozen."""

    def __init__(
        self,
        base: LoadedModel,
        head: Head | None,
        teacher: Teacher | None,
        penalties: Penalties | None,
        process_group: ProcessGroup,
        *,
        teacher_head: nn.Module | None,
    ) -> None:
        self._base, self._teacher, self._penalties, self._process_group = base, teacher, penalties, process_group
        self._head = head if can_fuse(penalties) and teacher_head is None else None
        self._teacher_head = teacher_head

    def __call__(self, tuned: Switchable, batch: Sequence[TrainingRow], weights: Weights, *, positions: int) -> Loss:
        """Return this process's part; see `Objective`."""
        return self.abreast(tuned, batch, weights, positions=positions, count=1)[0]

    def abreast(self, tuned: Switchable, batch: Sequence[TrainingRow], weights: Weights, *, positions: int, count: int) -> list[Loss]:
        """Return the losses of so many models that see the batch in one pass, one model's copy of its rows after the other's."""
        own = self._process_group.shard(batch)
        rows = own or [batch[0]]  # a process without rows still takes part, with a row that counts for nothing
        ids_BT, mask_BT = pad([row.inputs for row in rows], self._base.device)
        read_BT = read_mask(rows, ids_BT.shape[1], self._base.device)
        targets_M = torch.tensor([target for row in rows for target in row.targets], device=self._base.device)
        teacher_MD = self._teacher.states(tuned, rows) if self._teacher is not None and needs_teacher(weights) else None
        states = states_at(self._base.forward, *(each_BT.repeat(count, 1) for each_BT in (ids_BT, mask_BT, read_BT)))
        share = sum(row.positions for row in batch) / positions
        return [
            self._loss(states_MD, targets_M, teacher_MD, weights, positions, share, has_rows=bool(own)) for states_MD in states.chunk(count)
        ]

    def _loss(
        self,
        states_MD: Tensor,
        targets_M: Tensor,
        teacher_MD: Tensor | None,
        weights: Weights,
        positions: int,
        share: float,
        *,
        has_rows: bool,
    ) -> Loss:
        if self._head is None:
            student_MV = self._logits(states_MD)
            teacher_MV = None if teacher_MD is None else self._logits(teacher_MD, self._teacher_head)
            if not has_rows:
                student_MV, targets_M, teacher_MV = student_MV[:0], targets_M[:0], None if teacher_MV is None else teacher_MV[:0]
            return _sum_up(self._process_group, student_MV, targets_M, teacher_MV, self._penalties, weights, share, regression=False)
        return fused_loss(
            states_MD,
            self._head,
            targets_M,
            teacher_MD=teacher_MD,
            penalties=self._penalties,
            weights=weights,
            count=positions,
            share=share,
            process_group=self._process_group,
            has_rows=has_rows,
        )

    def _logits(self, states_MD: Tensor, head: nn.Module | None = None) -> Tensor:
        forward = self._base.forward
        if isinstance(forward, ClassifierForward) or not forward.selective:
            return states_MD.float()  # these are the model's own logits already
        if head is None:
            return forward.logits_of(states_MD)
        logits: Tensor = head(states_MD)
        return logits.float()


class ClassifierObjective:
    """Classification by cross-entropy, or regression by squared error, with the penalties on the batch's logits."""

    def __init__(
        self,
        base: LoadedModel,
        teacher: Teacher | None,
        penalties: Penalties | None,
        process_group: ProcessGroup,
        *,
        regression: bool,
        teacher_head: nn.Module | None,
    ) -> None:
        assert isinstance(base.forward, ClassifierForward)
        self._base, self._forward = base, base.forward
        self._teacher_head = base.forward.head if teacher_head is None else teacher_head
        self._teacher, self._penalties, self._process_group, self._regression = teacher, penalties, process_group, regression

    def __call__(self, tuned: Switchable, batch: Sequence[TrainingRow], weights: Weights, *, positions: int) -> Loss:
        """Return this process's part; see `Objective`."""
        own = self._process_group.shard(batch)
        rows = own or [batch[0]]
        ids_BT, mask_BT = pad([row.inputs for row in rows], self._base.device)
        kind = torch.float32 if self._regression else torch.long
        targets_M = torch.tensor([row.targets[0] for row in rows], device=self._base.device, dtype=kind)
        teacher_MD = self._teacher.states(tuned, rows) if self._teacher is not None and needs_teacher(weights) else None
        features_MD = self._forward.features(ids_BT, mask_BT)
        share = len(batch) / positions
        student_MV = self._forward.logits(features_MD)
        teacher_MV = None if teacher_MD is None else self._original(teacher_MD)
        if not own:
            student_MV, targets_M, teacher_MV = student_MV[:0], targets_M[:0], None if teacher_MV is None else teacher_MV[:0]
        return _sum_up(self._process_group, student_MV, targets_M, teacher_MV, self._penalties, weights, share, regression=self._regression)

    @torch.no_grad()
    def _original(self, features_MD: Tensor) -> Tensor:
        logits: Tensor = self._teacher_head(features_MD.to(self._forward.head.weight.dtype))
        return logits


def kept_head(base: LoadedModel, trained: Iterable[nn.Parameter]) -> nn.Module | None:
    """Return a frozen copy of the base's head where the head itself is trained, for the teacher; None where it stays what it is.

    An adapter leaves the head alone, or trains a copy; full fine-tuning moves the original, which the teacher must not follow.
    """
    own = {id(parameter) for parameter in base.forward.head.parameters()}
    if own.isdisjoint(id(parameter) for parameter in trained):
        return None
    head: nn.Module = deepcopy(base.forward.head)
    return head.requires_grad_(False)


def objective_for(
    base: LoadedModel,
    head: Head | None,
    teacher: Teacher,
    penalties: Penalties | None,
    process_group: ProcessGroup,
    *,
    regression: bool,
    teacher_head: nn.Module | None = None,
) -> Objective:
    """Return the objective that fits the base's head.

    `head` is the fused one, None where only the whole model gives its logits; `teacher_head` is `kept_head` of what is trained: where
    there is one, the head has a gradient, and no part of it is fused.
    """
    needed = teacher if penalties is not None and needs_teacher(penalties.weights) else None
    if isinstance(base.forward, ClassifierForward):
        return ClassifierObjective(base, needed, penalties, process_group, regression=regression, teacher_head=teacher_head)
    return LanguageObjective(base, head, needed, penalties, process_group, teacher_head=teacher_head)


def _sum_up(
    process_group: ProcessGroup,
    student_MV: Tensor,
    targets_M: Tensor,
    teacher_MV: Tensor | None,
    penalties: Penalties | None,
    weights: Weights,
    share: float,
    *,
    regression: bool,
) -> Loss:
    """Return the loss of the whole batch, of which only this process's rows carry a gradient."""
    student, targets = process_group.gather_rows(student_MV), process_group.gather_rows(targets_M)
    teacher = None if teacher_MV is None else process_group.gather_rows(teacher_MV)
    if regression:
        first = None if teacher is None else teacher[:, 0]
        loss = assemble_regression(student[:, 0], targets, teacher_M=first, penalties=penalties, weights=weights)
    else:
        loss = assemble(student, targets, teacher_MV=teacher, penalties=penalties, weights=weights)
    # every process has the whole value: what is logged is summed over the processes, hence the division
    terms = {name: term * (share / process_group.size) for name, term in loss.terms.items()}
    return Loss(total=loss.total * share, terms=terms)
