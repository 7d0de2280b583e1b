"""The scorer for models with a classification or regression head. N texts, C classes, F features, L asked layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from balora_audit.models.classifier import ClassifierForward
from balora_audit.models.encode import Encoder, length_batches, pad
from balora_audit.models.load import LoadedModel
from balora_audit.scoring.protocol import LabelScores, NumberScores

__all__ = ["ClassifierScorer"]

_BUDGET_TOKENS = 4096


class ClassifierScorer:
    """Scores bare texts with the loaded model, its head and whatever adapter is active on it.

    Texts are deduplicated, sorted by length and batched under a token budget; the batches depend on the texts alone.
    """

    def __init__(self, loaded: LoadedModel, *, limit_tokens: int, advance: Callable[[int], None] = lambda _: None) -> None:
        assert isinstance(loaded.forward, ClassifierForward)
        self._forward = loaded.forward
        self._device = loaded.device
        self._advance = advance
        self.encoder = Encoder(loaded.tokenizer, limit_tokens)

    def labels(self, texts: Sequence[str], *, features: bool, layers: Sequence[int] = ()) -> LabelScores:
        """Score every class for every text: ``log_likelihood`` is the log-probability of the class."""
        logits_NC, features_NF, layers_NLF = self._run(texts, layers)
        logp_NC = torch.from_numpy(logits_NC).double().log_softmax(dim=-1).numpy()
        return LabelScores(log_likelihood=logp_NC, features=features_NF if features else None, layer_features=layers_NLF)

    def numbers(self, texts: Sequence[str], *, features: bool, layers: Sequence[int] = ()) -> NumberScores:
        """Predict a number for every text."""
        logits_NC, features_NF, layers_NLF = self._run(texts, layers)
        value_N = logits_NC[:, 0].astype(np.float64)
        return NumberScores(value=value_N, features=features_NF if features else None, layer_features=layers_NLF)

    @torch.no_grad()
    def _run(self, texts: Sequence[str], layers: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        unique = {text: index for index, text in enumerate(dict.fromkeys(texts))}
        rows = [self.encoder.whole(text) for text in unique]
        logits: list[np.ndarray] = [np.empty(0)] * len(rows)
        features: list[np.ndarray] = [np.empty(0)] * len(rows)
        depths: list[np.ndarray] = [np.empty(0)] * len(rows)
        for batch in length_batches([len(row) for row in rows], _BUDGET_TOKENS):
            ids_BT, mask_BT = pad([rows[index] for index in batch], self._device)
            if layers:
                features_BF, depths_BLF = self._forward.features_and_depths(ids_BT, mask_BT, layers)
                for index, state in zip(batch, depths_BLF.cpu().numpy(), strict=True):
                    depths[index] = state
            else:
                features_BF = self._forward.features(ids_BT, mask_BT)
            logits_BC = self._forward.logits(features_BF)
            for index, z, x in zip(batch, logits_BC.float().cpu().numpy(), features_BF.float().cpu().numpy(), strict=True):
                logits[index], features[index] = z, x
            self._advance(len(batch))
        position = [unique[text] for text in texts]
        layers_NLF = np.stack([depths[i] for i in position]) if layers else None
        return np.stack([logits[i] for i in position]), np.stack([features[i] for i in position]), layers_NLF
