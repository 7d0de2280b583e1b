"""A model in place, ready to read texts, and what scorers share: chunks of positions, states at one position.

Shapes: B batch, T token, M read position, F hidden size, L asked layer, N item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from balora_audit.models.classifier import ClassifierForward
from balora_audit.models.encode import Encoder, length_batches
from balora_audit.models.forward import CausalForward, Pass
from balora_audit.models.load import LoadedModel
from balora_audit.models.placed import Placed

__all__ = ["BUDGET_TOKENS", "Reader", "States", "chunks"]

BUDGET_TOKENS = 2048
"""Padded tokens of a batch of a language model."""

_CHUNK_ROWS = 256


def _ignore(items: int) -> None:
    del items


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """The base with what a method put on it, the encoder of its texts, and whom to tell of progress.

    Scorers deduplicate texts, sort them by length and batch them under a token budget. The composition of a batch depends
    only on the texts of the request, so one request always gives the same numbers.

    Parameters
    ----------
    encoder : Encoder
        Counts what it had to shorten.
    advance : callable
        Called with the number of scored items.
    rebatched : bool
        Whether batches are others than usual; see `balora_audit.scoring.request.ScoreRequest`.
    """

    placed: Placed
    encoder: Encoder
    advance: Callable[[int], None] = _ignore
    rebatched: bool = False

    def batches(self, rows: Sequence[Sequence[int]], budget_tokens: int = BUDGET_TOKENS) -> list[list[int]]:
        """Return batches of the indices of encoded rows, of at most so many padded tokens each.

        `rebatched`: under another budget and beginning with the last of them, so that nearly every row meets other rows at another place.
        """
        lengths = [len(row) for row in rows]
        if not self.rebatched:
            return length_batches(lengths, budget_tokens)
        last = len(rows) - 1
        return [[last - index for index in batch] for batch in length_batches(lengths[::-1], budget_tokens * 5 // 8)]

    @property
    def base(self) -> LoadedModel:
        """The model that runs; whatever is in place runs with it."""
        return self.placed.base

    @property
    def causal(self) -> CausalForward:
        """The forward pass of a language model."""
        if not isinstance(self.base.forward, CausalForward):
            raise TypeError("this scorer reads a language model's answers, and the model has a classification head")
        return self.base.forward

    @property
    def classifier(self) -> ClassifierForward:
        """The forward pass of a model with a head."""
        if not isinstance(self.base.forward, ClassifierForward):
            raise TypeError("this scorer reads a classification head, and the model is a language model")
        return self.base.forward


def chunks(read_BT: Tensor, targets_M: Tensor) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
    """Yield the read positions in parts that bound the logits' memory: row of each (M,), where they are (B, T), targets (M,)."""
    where_M2 = read_BT.nonzero()
    for start in range(0, len(where_M2), _CHUNK_ROWS):
        part_M2 = where_M2[start : start + _CHUNK_ROWS]
        chunk_BT = torch.zeros_like(read_BT)
        chunk_BT[part_M2[:, 0], part_M2[:, 1]] = True
        yield part_M2[:, 0].cpu().numpy(), chunk_BT, targets_M[start : start + _CHUNK_ROWS]


class States:
    """Collects the states at one position of each row: the last ones (`features`), and those after the asked layers."""

    def __init__(self, count: int, *, features: bool, layers: Sequence[int]) -> None:
        self._features: list[NDArray[np.float32]] | None = [np.empty(0, np.float32)] * count if features else None
        self._layers: list[NDArray[np.float32]] | None = [np.empty(0, np.float32)] * count if layers else None

    def keep(self, batch: Sequence[int], done: Pass, read_BT: Tensor) -> None:
        """Take the states of a batch where `read_BT` is true, one position per row."""
        if self._features is not None:
            for index, state in zip(batch, done.states_BTD[read_BT].float().cpu().numpy(), strict=True):
                self._features[index] = state
        if self._layers is not None:
            for index, state in zip(batch, done.depths_at(read_BT).cpu().numpy(), strict=True):
                self._layers[index] = state

    def at(self, position: Sequence[int]) -> dict[str, NDArray[np.float32] | None]:
        """Return the fields ``features`` (N, F) and ``layer_features`` (N, L, F) of the rows at the given indices."""
        return {
            "features": None if self._features is None else np.stack([self._features[index] for index in position]),
            "layer_features": None if self._layers is None else np.stack([self._layers[index] for index in position]),
        }
