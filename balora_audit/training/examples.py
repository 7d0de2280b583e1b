"""Training rows as token ids, and the order in which every method sees them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from balora_audit.data.dataset import AuditDataset, Example
from balora_audit.models.encode import Encoder

__all__ = ["TrainingRow", "batches", "encode_rows", "order_hash", "steps_per_epoch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRow:
    """One encoded example.

    ``inputs`` are prompt + answer without the last answer token (nothing is predicted from it). The hidden state at
    position ``first_read + j`` predicts ``targets[j]``: only these positions are *valid*, and only there does the head run.
    """

    id: str
    inputs: tuple[int, ...]
    first_read: int
    targets: tuple[int, ...]


def encode_rows(dataset: AuditDataset, train: Sequence[Example], encoder: Encoder) -> list[TrainingRow]:
    """Encode training examples; the loss is on the answer alone. A generated response also learns to end."""
    rows = []
    for example in train:
        answer = encoder.answer(dataset.answer(example), end=dataset.task == "generation")
        answer = answer[: encoder.limit_tokens // 2]
        prompt = encoder.prompt(dataset.render(example.text), reserve=len(answer) - 1)
        rows.append(TrainingRow(id=example.id, inputs=tuple(prompt + answer[:-1]), first_read=len(prompt) - 1, targets=tuple(answer)))
    return rows


def batches(rows: Sequence[TrainingRow], *, batch_size: int, epochs: int, seed: int) -> Iterator[list[TrainingRow]]:
    """Yield the batches of all epochs: one seeded permutation each, the last batch of an epoch may be smaller."""
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(rows))
        for start in range(0, len(rows), batch_size):
            yield [rows[index] for index in order[start : start + batch_size]]


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Return the number of optimiser steps that one epoch takes."""
    return -(-count // batch_size)


def order_hash(rows: Sequence[TrainingRow], *, batch_size: int, epochs: int, seed: int) -> str:
    """Return the SHA-256 over the ids in the order of training, the evidence that all methods saw the same sequence."""
    digest = hashlib.sha256()
    for batch in batches(rows, batch_size=batch_size, epochs=epochs, seed=seed):
        digest.update(("\n".join(row.id for row in batch) + "\n\n").encode())
    return digest.hexdigest()
