"""What probes ask of a model, and what they get: arrays, never models. N items, D labels, F features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["LabelScores", "NumberScores", "ResponseScores", "Scorer", "TextScores"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScores:
    """Per-item label likelihoods: ``log_likelihood`` (N, D) is the mean log-probability per label token.

    ``features`` (N, F) float32 is the last hidden state at the last prompt token, or None when not asked for.
    """

    log_likelihood: NDArray[np.float64]
    features: NDArray[np.float32] | None = None

    @property
    def prediction(self) -> NDArray[np.int64]:
        """The most likely label of each item (N,); the first one on a tie."""
        return np.asarray(self.log_likelihood.argmax(axis=1), dtype=np.int64)

    @property
    def probability(self) -> NDArray[np.float64]:
        """The likelihoods renormalised over the labels, (N, D), rows sum to 1."""
        shifted = self.log_likelihood - self.log_likelihood.max(axis=1, keepdims=True)
        weights = np.exp(shifted)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseScores:
    """Likelihood of a reference response per item: summed NLL in nats, tokens, tokens that were the first choice."""

    nll: NDArray[np.float64]
    tokens: NDArray[np.int64]
    correct_tokens: NDArray[np.int64]
    features: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberScores:
    """A predicted number per item (regression), ``value`` (N,); ``features`` as for labels."""

    value: NDArray[np.float64]
    features: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextScores:
    """Plain text under model and base, per text: summed KL(base ‖ model), summed NLLs in nats, predicted tokens."""

    kl: NDArray[np.float64]
    nll: NDArray[np.float64]
    base_nll: NDArray[np.float64]
    tokens: NDArray[np.int64]


class Scorer(Protocol):
    """The one seam where probes' forward passes run; tests put a small fake here."""

    def labels(self, prompts: Sequence[str], answers: Sequence[str], *, features: bool) -> LabelScores:
        """Score every answer (with its leading space) after every prompt."""
        ...

    def responses(self, prompts: Sequence[str], responses: Sequence[str], *, features: bool) -> ResponseScores:
        """Score one reference response per prompt."""
        ...

    def texts(self, texts: Sequence[str]) -> TextScores:
        """Score plain texts under the model and under the base."""
        ...
