"""What probes ask of a model: a set of texts, and the kind of score they are to get."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

__all__ = ["ScoreRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """A set of texts to score. Probes that ask for the same set under the same ``key`` share one forward pass.

    Parameters
    ----------
    kind : str
        What comes back, by its name in `balora_audit.scoring.KINDS`.
    ids, texts : tuple of str, same length
        Item ids, and prompts as the model reads them.
    labels : tuple of str
        The class names that are scored (kind ``labels``).
    responses : tuple of str, one per text
        The reference responses (kind ``responses``).
    features, layers
        Whether the last hidden state is wanted, and of which layers besides.
    rebatched : bool
        The same texts in other batches and another order, to see how much numbers depend on that.
    settings : tuple of (name, value)
        What else decides the result, such as ``max_new_tokens`` of written answers.
    """

    key: str
    kind: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()
    responses: tuple[str, ...] = ()
    features: bool = False
    layers: tuple[int, ...] = ()
    rebatched: bool = False
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def size(self) -> int:
        """How many items of work this is: its texts, or one analysis."""
        return max(1, len(self.texts))

    @property
    def content(self) -> str:
        """SHA-256 over all that decides the scores, the key's name left out."""
        payload = [self.kind, self.texts, self.labels, self.responses, self.features, self.layers, self.rebatched, self.settings]
        return hashlib.sha256(json.dumps(payload, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()
