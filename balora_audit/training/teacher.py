"""The frozen teacher: the original model, reached by switching the adapter off, and remembered.

Its output on a training input never changes, so what enters the head is computed once and shared by epochs, seeds, methods
and conditions; ``Z_P`` is then one product with the head, exactly (METHODS §2). M valid positions, D hidden.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from balora_audit.models.encode import pad
from balora_audit.models.load import LoadedModel
from balora_audit.training.examples import TrainingRow, read_mask, states_at
from balora_audit.training.teacher_cache import TeacherCache

__all__ = ["Bare", "Switchable", "Teacher"]

_BLOCK_ROWS = 8
_BLOCK_WIDTH = 16


class Switchable(Protocol):
    """A model in training whose fine-tuning can be switched off."""

    @property
    def model(self) -> Any:
        """The module that runs."""
        ...

    def disable(self) -> AbstractContextManager[object]:
        """Give the base for the time of a block."""
        ...


@dataclass(frozen=True, slots=True)
class Bare:
    """The base itself, where a model in training is asked for: there is nothing to switch off."""

    model: Any

    def disable(self) -> AbstractContextManager[object]:
        """Leave everything as it is."""
        return nullcontext()


class Teacher:
    """Gives what enters the head of the original model at the valid positions of training rows.

    The key of the memory is the row's input ids, first valid position and number of positions: it holds under another
    label of the same length, so label noise costs the teacher little. Rows are computed in blocks of one fixed shape
    (padded width a multiple of 16, always 8 rows, filled up with copies), so that a row's states do not depend on which
    other rows are computed with it, nor on what was remembered before.

    Parameters
    ----------
    base : LoadedModel
    limit_bytes : int
        Bound of the memory; the longest unused rows are forgotten first and computed again when they are needed.
    cache : TeacherCache, optional
        Keeps states on disk for later runs.
    """

    def __init__(self, base: LoadedModel, *, limit_bytes: int = 2_000_000_000, cache: TeacherCache | None = None) -> None:
        self._base = base
        self._limit = limit_bytes
        self._cache = cache
        self._states: OrderedDict[str, Tensor] = OrderedDict()
        self._bytes = 0
        self.computed = 0
        """Rows computed so far, for logs and tests."""

    @torch.no_grad()
    def states(self, tuned: Switchable, rows: Sequence[TrainingRow]) -> Tensor:
        """Return states (M, D) in row order, in the model's number format; the adapter is off while they are computed."""
        keys = [row_key(row) for row in rows]
        found = {key: state for key in keys if (state := self._recall(key)) is not None}
        missing = {key: row for key, row in zip(keys, rows, strict=True) if key not in found}
        if missing:
            found.update(self._compute(tuned, missing))
        return torch.cat([found[key] for key in keys])

    def prepare(self, tuned: Switchable, rows: Sequence[TrainingRow]) -> int:
        """Compute what is not known yet of these rows in full blocks, and keep it on disk; return how many rows that were."""
        missing = {key: row for row in rows if self._recall(key := row_key(row)) is None}
        if missing:
            with torch.no_grad():
                computed = self._compute(tuned, missing)
            if self._cache is not None:
                self._cache.write(computed)
        return len(missing)

    def forget(self) -> None:
        """Empty the memory; what is on disk stays."""
        self._states.clear()
        self._bytes = 0

    def _recall(self, key: str) -> Tensor | None:
        state = self._states.get(key)
        if state is not None:
            self._states.move_to_end(key)
            return state
        stored = self._cache.read(key) if self._cache is not None else None
        if stored is not None:
            stored = stored.to(self._base.device)
            self._keep(key, stored)
        return stored

    def _keep(self, key: str, state: Tensor) -> None:
        self._states[key] = state
        self._bytes += state.nbytes
        while self._bytes > self._limit and len(self._states) > 1:
            _, oldest = self._states.popitem(last=False)
            self._bytes -= oldest.nbytes

    def _compute(self, tuned: Switchable, missing: dict[str, TrainingRow]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        order = sorted(missing, key=lambda key: (-_width(missing[key]), key))
        blocks: list[list[str]] = []
        for key in order:
            if blocks and len(blocks[-1]) < _BLOCK_ROWS and _width(missing[blocks[-1][0]]) == _width(missing[key]):
                blocks[-1].append(key)
            else:
                blocks.append([key])
        training = tuned.model.training
        tuned.model.eval()
        with tuned.disable():
            for block in blocks:
                rows = [missing[key] for key in block]
                parts = self._block(rows)
                for key, part in zip(block, parts, strict=True):
                    found[key] = part.clone()
                    self._keep(key, found[key])
        tuned.model.train(training)
        self.computed += len(missing)
        return found

    def _block(self, rows: list[TrainingRow]) -> list[Tensor]:
        filled = [*rows, *[rows[-1]] * (_BLOCK_ROWS - len(rows))]
        device = self._base.device
        ids_BT, mask_BT = pad([row.inputs for row in filled], device, width=_width(rows[0]))
        states_MD = states_at(self._base.forward, ids_BT, mask_BT, read_mask(filled, ids_BT.shape[1], device))
        return list(torch.split(states_MD, [row.positions for row in filled]))[: len(rows)]


def row_key(row: TrainingRow) -> str:
    """Return the content address of what the teacher gives for a row."""
    digest = hashlib.sha256(np.array([row.first_read, row.positions, *row.inputs], dtype=np.int64).tobytes())
    return digest.hexdigest()[:32]


def _width(row: TrainingRow) -> int:
    return -(-len(row.inputs) // _BLOCK_WIDTH) * _BLOCK_WIDTH
