"""The forward passes of models with a classification or regression head. N texts, C classes, F features, L asked layers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from balora_audit.models.encode import pad
from balora_audit.scoring.reader import Reader
from balora_audit.scoring.request import ScoreRequest

__all__ = ["HeadOutput", "run_head"]

_BUDGET_TOKENS = 4096


class HeadOutput(NamedTuple):
    """What a head gives for texts: logits (N, C), what entered it (N, F) and the asked layers' states (N, L, F), if wanted."""

    logits: NDArray[np.float32]
    features: NDArray[np.float32] | None
    layer_features: NDArray[np.float32] | None


@torch.no_grad()
def run_head(request: ScoreRequest, reader: Reader) -> HeadOutput:
    """Run a request's bare texts; equal texts are run once."""
    forward, layers = reader.classifier, request.layers
    unique = {text: index for index, text in enumerate(dict.fromkeys(request.texts))}
    rows = [reader.encoder.whole(text) for text in unique]
    logits: list[np.ndarray] = [np.empty(0)] * len(rows)
    features: list[np.ndarray] = [np.empty(0)] * len(rows)
    depths: list[np.ndarray] = [np.empty(0)] * len(rows)
    for batch in reader.batches(rows, _BUDGET_TOKENS):
        ids_BT, mask_BT = pad([rows[index] for index in batch], reader.base.device)
        if layers:
            features_BF, depths_BLF = forward.features_and_depths(ids_BT, mask_BT, layers)
            for index, state in zip(batch, depths_BLF.cpu().numpy(), strict=True):
                depths[index] = state
        else:
            features_BF = forward.features(ids_BT, mask_BT)
        logits_BC = forward.logits(features_BF)
        for index, z, x in zip(batch, logits_BC.float().cpu().numpy(), features_BF.float().cpu().numpy(), strict=True):
            logits[index], features[index] = z, x
        reader.advance(len(batch))
    position = [unique[text] for text in request.texts]
    return HeadOutput(
        logits=np.stack([logits[i] for i in position]),
        features=np.stack([features[i] for i in position]) if request.features else None,
        layer_features=np.stack([depths[i] for i in position]) if layers else None,
    )
