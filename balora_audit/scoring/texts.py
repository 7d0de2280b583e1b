"""Plain text under the model in place and under the base: likelihoods, and how far their predictions lie apart.

Shapes: B batch, T token, M read position, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from balora_audit.models.encode import pad
from balora_audit.scoring.reader import Reader, chunks
from balora_audit.scoring.request import ScoreRequest
from balora_audit.scoring.scores import ScoreKind, Scores

__all__ = ["TEXTS", "TextScores"]

_MOST_FEATURES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class TextScores(Scores):
    """Plain text under model and base, per text: summed KL(base ‖ model), summed NLLs in nats, predicted tokens.

    ``features`` (P, F) float32 are the last hidden states of the model in place at tokens of the texts, at most 4096 of them, evenly
    spaced, and ``feature_text`` (P,) the index of the text that each is of; None when not asked for. The first token of a text is left
    out: its state is that of any text, and many times longer.
    """

    kl: NDArray[np.float64]
    nll: NDArray[np.float64]
    base_nll: NDArray[np.float64]
    tokens: NDArray[np.int64]
    features: NDArray[np.float32] | None = None
    feature_text: NDArray[np.int64] | None = None

    def columns(self, request: ScoreRequest) -> dict[str, Sequence[object]]:
        """Return each text's distance from the base, its likelihood and its length."""
        del request
        return {"kl": self.kl.tolist(), "nll": self.nll.tolist(), "tokens": self.tokens.tolist()}


@torch.no_grad()
def _score(request: ScoreRequest, reader: Reader) -> TextScores:
    forward, device = reader.causal, reader.base.device
    rows = [reader.encoder.plain(text) for text in request.texts]
    chosen = _chosen([len(row) for row in rows]) if request.features else None
    states: list[NDArray[np.float32]] = [np.empty((0, 0), np.float32)] * len(rows)
    kl, nll, base_nll = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows))
    for batch in reader.batches(rows):
        ids_BT, mask_BT = pad([rows[index] for index in batch], device)
        tuned = forward.run(ids_BT, mask_BT)
        with reader.placed.disabled():
            base = forward.run(ids_BT, mask_BT)
        if chosen is not None:
            for place, index in enumerate(batch):
                states[index] = tuned.states_BTD[place, chosen[index]].float().cpu().numpy()
        read_BT = mask_BT.bool()
        read_BT[:, :1] = False
        read_BT = read_BT.roll(-1, dims=1)  # position t predicts token t + 1
        targets_M = ids_BT.roll(-1, dims=1)[read_BT]
        for row_M, chunk_BT, goal_M in chunks(read_BT, targets_M):
            tuned_MV = forward.logits(tuned, chunk_BT).log_softmax(dim=-1)
            base_MV = forward.logits(base, chunk_BT).log_softmax(dim=-1)
            item_M, goal_M1 = np.asarray(batch)[row_M], goal_M[:, None]
            divergence_M = (base_MV.exp() * (base_MV - tuned_MV)).sum(dim=-1).double()
            np.add.at(kl, item_M, divergence_M.cpu().numpy())
            np.add.at(nll, item_M, -tuned_MV.gather(1, goal_M1)[:, 0].double().cpu().numpy())
            np.add.at(base_nll, item_M, -base_MV.gather(1, goal_M1)[:, 0].double().cpu().numpy())
        reader.advance(len(batch))
    tokens = np.array([max(0, len(row) - 1) for row in rows], np.int64)
    if chosen is None:
        return TextScores(kl=kl, nll=nll, base_nll=base_nll, tokens=tokens)
    of_text = np.repeat(np.arange(len(rows)), [len(places) for places in chosen])
    return TextScores(kl=kl, nll=nll, base_nll=base_nll, tokens=tokens, features=np.concatenate(states), feature_text=of_text)


def _chosen(lengths: Sequence[int]) -> list[list[int]]:
    """Return, for each text, the places of its tokens whose states are kept: all but the first, evenly thinned out."""
    everything = [(text, place) for text, length in enumerate(lengths) for place in range(1, length)]
    step = max(1.0, len(everything) / _MOST_FEATURES)
    found: list[list[int]] = [[] for _ in lengths]
    for number in range(min(len(everything), _MOST_FEATURES)):
        text, place = everything[int(number * step)]
        found[text].append(place)
    return found


TEXTS = ScoreKind(scores=TextScores, score=_score)
