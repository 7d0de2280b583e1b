"""Scoring: likelihoods, predictions and features from (model in place, texts); one file per kind, one line each in :data:`KINDS`."""

from __future__ import annotations

import torch

from balora_audit.errors import UnitError
from balora_audit.scoring.answers import ANSWERS, AnswerScores
from balora_audit.scoring.harness import HARNESS, HarnessScores
from balora_audit.scoring.labels import LABELS, LabelScores
from balora_audit.scoring.numbers import NUMBERS, NumberScores
from balora_audit.scoring.reader import Reader
from balora_audit.scoring.request import ScoreRequest
from balora_audit.scoring.responses import RESPONSES, ResponseScores
from balora_audit.scoring.scores import ScoreKind, Scores
from balora_audit.scoring.texts import TEXTS, TextScores
from balora_audit.scoring.weights import WEIGHTS, WeightScores

__all__ = [
    "KINDS",
    "AnswerScores",
    "HarnessScores",
    "LabelScores",
    "NumberScores",
    "Reader",
    "ResponseScores",
    "ScoreKind",
    "ScoreRequest",
    "Scores",
    "TextScores",
    "WeightScores",
    "score",
]

KINDS: dict[str, ScoreKind] = {
    "answers": ANSWERS,
    "harness": HARNESS,
    "labels": LABELS,
    "numbers": NUMBERS,
    "responses": RESPONSES,
    "texts": TEXTS,
    "weights": WEIGHTS,
}
"""The kinds of score by the name that a request gives."""


def score(request: ScoreRequest, reader: Reader) -> Scores:
    """Score one request.

    Raises
    ------
    UnitError
        A number is not finite, or memory ran out; other requests may still succeed.
    """
    try:
        found = KINDS[request.kind].score(request, reader)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise UnitError(f"out of memory while scoring the set {request.key!r}: {error}") from error
    return found.require_finite(request.key)
