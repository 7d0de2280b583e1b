"""The likelihood of a reference response per prompt, by teacher forcing.

Shapes: B batch, T token, M read position, V vocabulary, N item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from balora_audit.models.encode import pad
from balora_audit.scoring.reader import Reader, States, chunks
from balora_audit.scoring.request import ScoreRequest
from balora_audit.scoring.scores import ScoreKind, Scores

__all__ = ["RESPONSES", "ResponseScores"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseScores(Scores):
    """Likelihood of a reference response per item: summed NLL in nats, tokens, tokens that were the first choice.

    ``features`` and ``layer_features`` as for labels.
    """

    nll: NDArray[np.float64]
    tokens: NDArray[np.int64]
    correct_tokens: NDArray[np.int64]
    features: NDArray[np.float32] | None = None
    layer_features: NDArray[np.float32] | None = None

    def columns(self, request: ScoreRequest) -> dict[str, Sequence[object]]:
        """Return each item's response with its likelihood and length."""
        return {"response": request.responses, "nll": self.nll.tolist(), "tokens": self.tokens.tolist()}


@torch.no_grad()
def _score(request: ScoreRequest, reader: Reader) -> ResponseScores:
    """Score each pair of prompt and response once.

    A response longer than half the limit is scored up to there (the encoder counts how many in ``cut_responses``).
    """
    forward, device, encoder = reader.causal, reader.base.device, reader.encoder
    pairs = list(zip(request.texts, request.responses, strict=True))
    unique = {pair: index for index, pair in enumerate(dict.fromkeys(pairs))}
    answers = [encoder.response(response) for _, response in unique]
    starts = [encoder.prompt(prompt, reserve=len(a)) for (prompt, _), a in zip(unique, answers, strict=True)]
    rows = [start + answer[:-1] for start, answer in zip(starts, answers, strict=True)]
    nll, correct = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    states = States(len(rows), features=request.features, layers=request.layers)
    for batch in reader.batches(rows):
        ids_BT, mask_BT = pad([rows[index] for index in batch], device)
        done = forward.run(ids_BT, mask_BT, layers=request.layers)
        first_B = torch.tensor([len(starts[index]) - 1 for index in batch], device=device)[:, None]
        places_BT = torch.arange(ids_BT.shape[1], device=device)
        targets_M = torch.tensor([token for index in batch for token in answers[index]], device=device)
        for row_M, chunk_BT, goal_M in chunks((places_BT >= first_B) & mask_BT.bool(), targets_M):
            logits_MV = forward.logits(done, chunk_BT)
            item_M = np.asarray(batch)[row_M]
            np.add.at(nll, item_M, cross_entropy(logits_MV, goal_M, reduction="none").double().cpu().numpy())
            np.add.at(correct, item_M, (logits_MV.argmax(dim=-1) == goal_M).long().cpu().numpy())
        states.keep(batch, done, places_BT == first_B)
        reader.advance(len(batch))
    position = [unique[pair] for pair in pairs]
    return ResponseScores(
        nll=nll[position],
        tokens=np.array([len(answers[index]) for index in position], np.int64),
        correct_tokens=correct[position],
        **states.at(position),
    )


RESPONSES = ScoreKind(scores=ResponseScores, score=_score)
