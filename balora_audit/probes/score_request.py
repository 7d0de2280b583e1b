"""A set of texts to be scored, and what comes back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from balora_audit.harness.records import HarnessScores
from balora_audit.methods.weights import WeightScores
from balora_audit.scoring.protocol import AnswerScores, LabelScores, NumberScores, ResponseScores, TextScores

__all__ = ["ScoreRequest", "Scores"]

Scores = AnswerScores | HarnessScores | LabelScores | NumberScores | ResponseScores | TextScores | WeightScores


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """A set of texts to score. Probes that ask for the same set under the same ``key`` share one forward pass.

    Parameters
    ----------
    kind : {"answers", "harness", "labels", "numbers", "responses", "texts", "weights"}
        What comes back: written answers, harness tasks, likelihoods of the labels, predicted numbers, the likelihood of
        ``responses``, plain text under model and base, or an analysis of the weights (of no text at all).
    ids, texts : tuple of str, same length
        Item ids, and prompts as the model reads them.
    features, layers
        Whether the last hidden state is wanted, and of which layers besides.
    settings : tuple of (name, value)
        What else decides the result, such as ``max_new_tokens`` of written answers.
    """

    key: str
    kind: Literal["answers", "harness", "labels", "numbers", "responses", "texts", "weights"]
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    responses: tuple[str, ...] = ()
    features: bool = False
    layers: tuple[int, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def size(self) -> int:
        """How many items of work this is: its texts, or one analysis."""
        return max(1, len(self.texts))

    @property
    def content(self) -> str:
        """SHA-256 over all that decides the scores, the key's name left out."""
        payload = [self.kind, self.texts, self.responses, self.features, self.layers, self.settings]
        return hashlib.sha256(json.dumps(payload, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()
