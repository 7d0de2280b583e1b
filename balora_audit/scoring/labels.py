"""Likelihoods of the labels of each item: by teacher forcing after a prompt, or by a classification head.

Shapes: B batch, T token, M read position, D label, K label of several tokens, V vocabulary, F hidden size, L asked layer, N item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from balora_audit.models.classifier import ClassifierForward
from balora_audit.models.encode import pad, positions
from balora_audit.models.forward import CausalForward, Pass
from balora_audit.scoring.head_pass import run_head
from balora_audit.scoring.reader import Reader, States
from balora_audit.scoring.request import ScoreRequest
from balora_audit.scoring.scores import ScoreKind, Scores

__all__ = ["LABELS", "LabelScores"]

_DIGITS = 4
_TIES = 20
"""Seed of the draws among tied labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScores(Scores):
    """Per-item label likelihoods: ``log_likelihood`` (N, D) is the mean log-probability per label token.

    ``features`` (N, F) float32 is the last hidden state at the last prompt token, or None when not asked for.
    ``layer_features`` (N, L, F) float32 are the hidden states there after each of the asked layers (0: the embeddings), or
    None. A classification head's features are what enters it, and its layers are read at the token that it reads; its
    likelihoods are the log-probabilities of the classes.
    """

    log_likelihood: NDArray[np.float64]
    features: NDArray[np.float32] | None = None
    layer_features: NDArray[np.float32] | None = None

    @property
    def tied(self) -> NDArray[np.bool_]:
        """Whether several labels of an item have exactly the largest likelihood, (N,)."""
        return np.asarray(self._likeliest.sum(axis=1) > 1)

    @property
    def prediction(self) -> NDArray[np.int64]:
        """The most likely label of each item, (N,); of tied ones one is drawn, by the item's place, so that no class is favoured."""
        drawn_ND = np.random.default_rng(_TIES).random(self.log_likelihood.shape)
        return np.asarray(np.where(self._likeliest, drawn_ND, -1.0).argmax(axis=1), dtype=np.int64)

    @property
    def _likeliest(self) -> NDArray[np.bool_]:
        return np.asarray(self.log_likelihood == self.log_likelihood.max(axis=1, keepdims=True))

    @property
    def probability(self) -> NDArray[np.float64]:
        """The likelihoods renormalised over the labels, (N, D), rows sum to 1."""
        shifted = self.log_likelihood - self.log_likelihood.max(axis=1, keepdims=True)
        weights = np.exp(shifted)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def columns(self, request: ScoreRequest) -> dict[str, Sequence[object]]:
        """Return each item's answer and the likelihood of every label, by its name."""
        rows = [[round(value, _DIGITS) for value in row] for row in self.log_likelihood.tolist()]
        return {
            "answer": [request.labels[index] for index in self.prediction.tolist()],
            "log_likelihood": [dict(zip(request.labels, row, strict=True)) for row in rows],
        }


def _score(request: ScoreRequest, reader: Reader) -> LabelScores:
    return _of_head(request, reader) if isinstance(reader.base.forward, ClassifierForward) else _after_prompts(request, reader)


def _of_head(request: ScoreRequest, reader: Reader) -> LabelScores:
    found = run_head(request, reader)
    logp_NC = torch.from_numpy(found.logits).double().log_softmax(dim=-1).numpy()
    return LabelScores(log_likelihood=logp_NC, features=found.features, layer_features=found.layer_features)


@torch.no_grad()
def _after_prompts(request: ScoreRequest, reader: Reader) -> LabelScores:
    """Score every label after every prompt.

    The head runs only at the positions that are read; the labels of an item share the computation of its prompt. Those
    prompts are padded on the left: a sliding attention window counts places in the cache, so nothing may lie between a
    prompt and what follows it. What tells labels apart is a float32 product (`_Sharp`): in bfloat16 one label in forty ties.
    """
    forward, device, layers = reader.causal, reader.base.device, request.layers
    encoded = [reader.encoder.answer(" " + name) for name in request.labels]
    longest = max(len(answer) for answer in encoded)
    unique = {prompt: index for index, prompt in enumerate(dict.fromkeys(request.texts))}
    rows = [reader.encoder.prompt(prompt, reserve=longest) for prompt in unique]
    scores_ND = np.zeros((len(rows), len(encoded)))
    states = States(len(rows), features=request.features, layers=layers)
    sharp = _Sharp(forward, [token for answer in encoded for token in answer])
    for batch in reader.batches(rows):
        ids_BT, mask_BT = pad([rows[index] for index in batch], device, left=True)
        done = forward.run(ids_BT, mask_BT, positions_BT=positions(mask_BT), keep_cache=longest > 1, layers=layers)
        last_BT = torch.zeros_like(mask_BT, dtype=torch.bool)
        last_BT[:, -1] = True
        firsts_D = torch.tensor([answer[0] for answer in encoded], device=device)
        sums_BD = sharp.log_likelihood(done, last_BT, firsts_D.expand(len(batch), -1)).double()
        _continue(reader, sharp, done.cache, mask_BT, encoded, sums_BD)
        lengths_D = torch.tensor([len(answer) for answer in encoded], device=device)
        scores_ND[batch] = (sums_BD / lengths_D).cpu().numpy()
        states.keep(batch, done, last_BT)
        reader.advance(len(batch))
    position = [unique[prompt] for prompt in request.texts]
    return LabelScores(log_likelihood=scores_ND[position], **states.at(position))


class _Sharp:
    """Log-probabilities of some tokens, told apart by a float32 product of the hidden states with these tokens' rows of the head.

    The rest of the vocabulary is in the normaliser, which all labels share at a first token; that stays in the model's own format. Where
    the head does not run apart, the model's own logits are taken.
    """

    def __init__(self, forward: CausalForward, tokens: Sequence[int]) -> None:
        self._forward = forward
        head = forward.linear_head if forward.model.get_output_embeddings() is forward.head else None  # else an adapter wraps it
        self._rows = sorted(set(tokens))
        self._weight = None if head is None else head.weight[self._rows].detach().float()
        self._bias = None if head is None or head.bias is None else head.bias[self._rows].detach().float()

    def log_likelihood(self, done: Pass, read_BT: Tensor, tokens_MK: Tensor) -> Tensor:
        """Return the log-probability of each token, (M, K) float32, at the read positions."""
        logits_MV = self._forward.logits(done, read_BT)
        if self._weight is None:
            return logits_MV.log_softmax(dim=-1).gather(1, tokens_MK)
        states_MF = done.states_BTD[read_BT].float()
        sharp_MR = torch.nn.functional.linear(states_MF, self._weight, self._bias)
        places = torch.tensor(self._rows, device=tokens_MK.device)
        return sharp_MR.gather(1, torch.searchsorted(places, tokens_MK.contiguous())) - logits_MV.logsumexp(dim=-1, keepdim=True)


def _continue(reader: Reader, sharp: _Sharp, cache: object, mask_BT: Tensor, encoded: Sequence[list[int]], sums_BD: Tensor) -> None:
    """Add the log-probabilities of second and later label tokens, reusing the prompts' keys and values."""
    longer = [index for index, answer in enumerate(encoded) if len(answer) > 1]
    if not longer:
        return
    forward, device, count = reader.causal, reader.base.device, mask_BT.shape[0]
    cache.batch_repeat_interleave(len(longer))  # type: ignore[attr-defined]
    ids_KT, mask_KT = pad([encoded[index][:-1] for index in longer], device)
    ids_BT, own_BT = ids_KT.repeat(count, 1), mask_KT.repeat(count, 1)
    before_B = mask_BT.sum(dim=1).repeat_interleave(len(longer))
    positions_BT = before_B[:, None] + torch.arange(ids_KT.shape[1], device=device)
    mask_BS = torch.cat([mask_BT.repeat_interleave(len(longer), dim=0), own_BT], dim=1)
    done = forward.run(ids_BT, mask_BS, positions_BT=positions_BT, past=cache, keep_cache=True)
    read_BT = own_BT.bool()
    targets_M = torch.tensor([t for index in longer for t in encoded[index][1:]], device=device).repeat(count)
    picked_M = sharp.log_likelihood(done, read_BT, targets_M[:, None])[:, 0].double()
    rows_M = read_BT.nonzero()[:, 0]
    sums_K = torch.zeros(count * len(longer), dtype=torch.double, device=device).index_add(0, rows_M, picked_M)
    sums_BD[:, longer] += sums_K.view(count, len(longer))


LABELS = ScoreKind(scores=LabelScores, score=_score)
