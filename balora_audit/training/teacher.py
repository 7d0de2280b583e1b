"""The frozen teacher: the original model, reached by switching the adapter off, and remembered.

Its output on a training prompt never changes, so its hidden states at the valid positions are computed once and shared
by epochs, seeds, methods and conditions of a run; ``Z_P`` is then one product with the head, exactly (METHODS §2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from balora_audit.models.encode import pad
from balora_audit.models.forward import CausalForward
from balora_audit.training.examples import TrainingRow

__all__ = ["Teacher", "read_mask"]

_CACHE_LIMIT_BYTES = 2_000_000_000


def read_mask(rows: Sequence[TrainingRow], width: int, device: torch.device) -> Tensor:
    """Return (B, T) booleans that mark the valid positions of padded rows."""
    read_BT = torch.zeros(len(rows), width, dtype=torch.bool)
    for index, row in enumerate(rows):
        read_BT[index, row.first_read : row.first_read + len(row.targets)] = True
    return read_BT.to(device)


class Teacher:
    """Gives the original model's logits at the valid positions of training rows.

    The key of the memory is the row's input ids and first valid position: it holds under another label of the same
    length, so label noise costs the teacher nothing.
    """

    def __init__(self, forward: CausalForward, device: torch.device) -> None:
        self._forward = forward
        self._device = device
        self._states: dict[tuple[tuple[int, ...], int], Tensor] = {}
        self._bytes = 0

    @torch.no_grad()
    def logits(self, peft_model: Any, rows: Sequence[TrainingRow]) -> Tensor:
        """Return float32 teacher logits (M, V) in row order; `peft_model`'s adapter is off while they are computed."""
        if not self._forward.selective:
            return self._run(peft_model, rows)[1]
        missing = [row for row in rows if (row.inputs, row.first_read) not in self._states]
        if missing:
            states_MD, _ = self._run(peft_model, missing)
            if self._bytes + states_MD.nbytes > _CACHE_LIMIT_BYTES:
                self._states.clear()
                self._bytes = 0
                return self._run(peft_model, rows)[1]
            start = 0
            for row in missing:
                self._states[row.inputs, row.first_read] = states_MD[start : start + len(row.targets)].clone()
                start += len(row.targets)
            self._bytes += states_MD.nbytes
        return self._forward.logits_of(torch.cat([self._states[row.inputs, row.first_read] for row in rows]))

    def _run(self, peft_model: Any, rows: Sequence[TrainingRow]) -> tuple[Tensor, Tensor]:
        ids_BT, mask_BT = pad([row.inputs for row in rows], self._device)
        read_BT = read_mask(rows, ids_BT.shape[1], self._device)
        training = peft_model.training
        peft_model.eval()
        with peft_model.disable_adapter():
            done = self._forward.run(ids_BT, mask_BT)
            logits_MV = self._forward.logits(done, read_BT)
        peft_model.train(training)
        return done.states_BTD[read_BT], logits_MV
