"""Training rows as token ids, and the order in which every method sees them."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from balora_audit.data.dataset import AuditDataset, Example
from balora_audit.models.classifier import ClassifierForward
from balora_audit.models.encode import Encoder
from balora_audit.models.forward import CausalForward

if TYPE_CHECKING:
    from balora_audit.config import TrainingConfig

__all__ = [
    "TrainingRow",
    "encode_rows",
    "encode_whole",
    "order_hash",
    "planned_steps",
    "read_mask",
    "schedule",
    "set_aside",
    "states_at",
    "steps_per_epoch",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRow:
    """One encoded example.

    For a language model, ``inputs`` are prompt + answer without the last answer token (nothing is predicted from it); what
    stands at position ``first_read + j`` predicts ``targets[j]``: only these positions are *valid*, and only there does the
    head run. For a classification head the one target is the class, or the number to predict.
    """

    id: str
    inputs: tuple[int, ...]
    first_read: int
    targets: tuple[float, ...]

    @property
    def positions(self) -> int:
        """Number of valid positions."""
        return len(self.targets)


def encode_rows(dataset: AuditDataset, train: Sequence[Example], encoder: Encoder) -> list[TrainingRow]:
    """Encode examples for a language model; the loss is on the answer alone. A generated response also learns to end."""
    rows = []
    for example in train:
        answer = encoder.response(dataset.answer(example), end=dataset.task == "generation")
        prompt = encoder.prompt(dataset.render(example.text), reserve=len(answer) - 1)
        rows.append(TrainingRow(id=example.id, inputs=tuple(prompt + answer[:-1]), first_read=len(prompt) - 1, targets=tuple(answer)))
    return rows


def encode_whole(train: Sequence[Example], encoder: Encoder) -> list[TrainingRow]:
    """Encode examples for a classification head: the bare text, and its label or number."""
    rows = []
    for example in train:
        goal = example.label if example.label is not None else example.target
        if goal is None:
            raise ValueError(f"example {example.id!r} has neither a label nor a target")
        rows.append(TrainingRow(id=example.id, inputs=tuple(encoder.whole(example.text)), first_read=0, targets=(goal,)))
    return rows


def read_mask(rows: Sequence[TrainingRow], width: int, device: torch.device) -> Tensor:
    """Return (B, T) booleans that mark the valid positions of padded rows."""
    read_BT = torch.zeros(len(rows), width, dtype=torch.bool)
    for index, row in enumerate(rows):
        read_BT[index, row.first_read : row.first_read + row.positions] = True
    return read_BT.to(device)


def states_at(forward: CausalForward | ClassifierForward, ids_BT: Tensor, mask_BT: Tensor, read_BT: Tensor) -> Tensor:
    """Return what enters the head at the valid positions (M, D), row by row; where the head cannot run apart, its logits (M, V)."""
    if isinstance(forward, ClassifierForward):
        return forward.features(ids_BT, mask_BT)
    done = forward.run(ids_BT, mask_BT)
    return done.states_BTD[read_BT] if done.logits_BTV is None else done.logits_BTV[read_BT]


def schedule(
    rows: Sequence[TrainingRow], *, batch_size: int, accumulation: int, steps: int, seed: int
) -> Iterator[list[list[TrainingRow]]]:
    """Yield the batches of each optimiser step, as many steps as asked: epoch after epoch in a seeded order of its own.

    No step reaches over the end of an epoch, whose last batch may be smaller; the last epoch may be cut.
    """
    done = 0
    for epoch in itertools.count():
        found = list(_epoch(rows, batch_size, epoch, seed))
        for start in range(0, len(found), accumulation):
            if done == steps:
                return
            yield found[start : start + accumulation]
            done += 1


def _epoch(rows: Sequence[TrainingRow], batch_size: int, epoch: int, seed: int) -> Iterator[list[TrainingRow]]:
    order = np.random.default_rng([seed, epoch]).permutation(len(rows))
    for start in range(0, len(rows), batch_size):
        yield [rows[index] for index in order[start : start + batch_size]]


def steps_per_epoch(count: int, batch_size: int, accumulation: int = 1) -> int:
    """Return the number of optimiser steps that one epoch takes."""
    return math.ceil(math.ceil(count / batch_size) / accumulation)


def planned_steps(count: int, training: TrainingConfig) -> int:
    """Return the optimiser steps that so many rows take in the configured number of epochs: what all conditions of an audit train."""
    return training.epochs * steps_per_epoch(count, training.batch_size, training.accumulation)


def set_aside(rows: Sequence[TrainingRow], share: float, seed: int) -> tuple[list[TrainingRow], list[TrainingRow]]:
    """Return (training, validation) rows: a seeded share, at least one and never all, the same for every method."""
    count = min(len(rows) - 1, max(1, round(share * len(rows))))
    chosen = set(np.random.default_rng([seed, 2**31]).permutation(len(rows))[:count].tolist())
    return [row for i, row in enumerate(rows) if i not in chosen], [rows[i] for i in sorted(chosen)]


def order_hash(steps: Iterable[Sequence[Sequence[TrainingRow]]]) -> str:
    """Return the SHA-256 over the ids in the order of training, the evidence that all methods saw the same sequence."""
    digest = hashlib.sha256()
    for batch in itertools.chain.from_iterable(steps):
        digest.update(("\n".join(row.id for row in batch) + "\n\n").encode())
    return digest.hexdigest()
