"""What probes ask of a model, and what they get: arrays, never models. N items, D labels, F features, L asked layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["AnswerScores", "LabelScores", "NumberScores", "ResponseScores", "Scorer", "TextScores"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScores:
    """Per-item label likelihoods: ``log_likelihood`` (N, D) is the mean log-probability per label token.

    ``features`` (N, F) float32 is the last hidden state at the last prompt token, or None when not asked for.
    ``layer_features`` (N, L, F) float32 are the hidden states there after each of the asked layers (0: the embeddings), or
    None. A classification head's features are what enters it, and its layers are read at the token that it reads.
    """

    log_likelihood: NDArray[np.float64]
    features: NDArray[np.float32] | None = None
    layer_features: NDArray[np.float32] | None = None

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
    """Likelihood of a reference response per item: summed NLL in nats, tokens, tokens that were the first choice.

    ``features`` and ``layer_features`` as for labels.
    """

    nll: NDArray[np.float64]
    tokens: NDArray[np.int64]
    correct_tokens: NDArray[np.int64]
    features: NDArray[np.float32] | None = None
    layer_features: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerScores:
    """What the model writes after each prompt, by greedy search, as arrays that can be stored.

    ``text`` holds all texts one after another as UTF-8, (bytes,) uint8, and ``ends`` (N,) where each one ends in it.
    ``tokens`` (N,) counts the new tokens, an end-of-text token among them; ``finished`` (N,) is true for a text that came to
    its end (end of text, or a stop string), false for one that was cut at the limit.
    """

    text: NDArray[np.uint8]
    ends: NDArray[np.int64]
    tokens: NDArray[np.int64]
    finished: NDArray[np.bool_]

    @classmethod
    def of(cls, written: Sequence[str], *, tokens: Sequence[int], finished: Sequence[bool]) -> AnswerScores:
        """Pack texts; half of a surrogate pair, which is no text, becomes a question mark."""
        packed = [text.encode("utf-8", "replace") for text in written]
        return cls(
            text=np.frombuffer(b"".join(packed), dtype=np.uint8),
            ends=np.cumsum([len(text) for text in packed], dtype=np.int64),
            tokens=np.array(tokens, dtype=np.int64),
            finished=np.array(finished, dtype=np.bool_),
        )

    @property
    def written(self) -> tuple[str, ...]:
        """The texts, in the order of the prompts."""
        data, starts = self.text.tobytes(), [0, *self.ends.tolist()]
        return tuple(data[start:end].decode("utf-8") for start, end in zip(starts, self.ends.tolist(), strict=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberScores:
    """A predicted number per item (regression), ``value`` (N,); ``features`` and ``layer_features`` as for labels."""

    value: NDArray[np.float64]
    features: NDArray[np.float32] | None = None
    layer_features: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextScores:
    """Plain text under model and base, per text: summed KL(base ‖ model), summed NLLs in nats, predicted tokens."""

    kl: NDArray[np.float64]
    nll: NDArray[np.float64]
    base_nll: NDArray[np.float64]
    tokens: NDArray[np.int64]


class Scorer(Protocol):
    """The one seam where probes' forward passes run; tests put a small fake here."""

    def labels(self, prompts: Sequence[str], answers: Sequence[str], *, features: bool, layers: Sequence[int] = ()) -> LabelScores:
        """Score every answer (with its leading space) after every prompt; `layers` are those of ``layer_features``."""
        ...

    def responses(self, prompts: Sequence[str], responses: Sequence[str], *, features: bool, layers: Sequence[int] = ()) -> ResponseScores:
        """Score one reference response per prompt."""
        ...

    def write(self, prompts: Sequence[str], *, max_new_tokens: int, stop: Sequence[str] = ()) -> AnswerScores:
        """Write an answer to every prompt."""
        ...

    def texts(self, texts: Sequence[str]) -> TextScores:
        """Score plain texts under the model and under the base."""
        ...
