"""What probes ask for and what they are given, by name; the one place where this package imports it from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from balora_audit.scoring import (
    AnswerScores,
    HarnessScores,
    LabelScores,
    NumberScores,
    ResponseScores,
    ScoreRequest,
    Scores,
    TextScores,
    WeightScores,
)

__all__ = [
    "AnswerScores",
    "HarnessScores",
    "LabelScores",
    "NumberScores",
    "ResponseScores",
    "ScoreRequest",
    "Scores",
    "TextScores",
    "WeightScores",
    "scores_of",
]

Kind = TypeVar("Kind", bound=Scores)


def scores_of(scores: Mapping[str, Scores], key: str, kind: type[Kind]) -> Kind:
    """Return the scores under a key; they are of the kind that was asked for under it.

    Raises
    ------
    TypeError
        They are of another kind: the request and its reader disagree.
    """
    found = scores[key]
    if not isinstance(found, kind):
        raise TypeError(f"{key!r} holds {type(found).__name__}, not {kind.__name__}")
    return found
