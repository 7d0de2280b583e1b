"""Scoring: likelihoods, predictions and features from (model in place, texts); one file per kind, one line each in :data:`KINDS`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch

from balora_audit.errors import UnitError
from balora_audit.extensions import built_in, checked
from balora_audit.scoring.answers import AnswerScores
from balora_audit.scoring.harness import HarnessScores
from balora_audit.scoring.labels import LabelScores
from balora_audit.scoring.numbers import NumberScores
from balora_audit.scoring.reader import Reader
from balora_audit.scoring.request import ScoreRequest
from balora_audit.scoring.responses import ResponseScores
from balora_audit.scoring.scores import ScoreKind, Scores
from balora_audit.scoring.texts import TextScores
from balora_audit.scoring.weights import WeightScores

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


KINDS: dict[str, ScoreKind] = built_in(
    {
        "answers": "balora_audit.scoring.answers:ANSWERS",
        "harness": "balora_audit.scoring.harness:HARNESS",
        "labels": "balora_audit.scoring.labels:LABELS",
        "numbers": "balora_audit.scoring.numbers:NUMBERS",
        "responses": "balora_audit.scoring.responses:RESPONSES",
        "texts": "balora_audit.scoring.texts:TEXTS",
        "weights": "balora_audit.scoring.weights:WEIGHTS",
    },
    partial(checked, ScoreKind),
)
"""The kinds of score by the name that a request gives."""


def score(request: ScoreRequest, reader: Reader) -> Scores:
    """Score one request.

    Raises
    ------
    UnitError
        A number is not finite, or memory ran out; other requests may still succeed.
    """
    try:
        found = KINDS[request.kind].score(request, replace(reader, rebatched=True) if request.rebatched else reader)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise UnitError(f"out of memory while scoring the set {request.key!r}: {error}") from error
    return found.require_finite(request.key)
