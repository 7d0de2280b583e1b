"""A predicted number per item, by a regression head. N texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from balora_audit.scoring.head_pass import run_head
from balora_audit.scoring.reader import Reader
from balora_audit.scoring.request import ScoreRequest
from balora_audit.scoring.scores import ScoreKind, Scores

__all__ = ["NUMBERS", "NumberScores"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberScores(Scores):
    """A predicted number per item (regression), ``value`` (N,); ``features`` and ``layer_features`` as for labels."""

    value: NDArray[np.float64]
    features: NDArray[np.float32] | None = None
    layer_features: NDArray[np.float32] | None = None

    def columns(self, request: ScoreRequest) -> dict[str, Sequence[object]]:
        """Return each item's number."""
        del request
        return {"predicted": self.value.tolist()}


def _score(request: ScoreRequest, reader: Reader) -> NumberScores:
    found = run_head(request, reader)
    value_N = found.logits[:, 0].astype(np.float64)
    return NumberScores(value=value_N, features=found.features, layer_features=found.layer_features)


NUMBERS = ScoreKind(scores=NumberScores, score=_score)
