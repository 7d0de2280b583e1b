"""The scorer for causal language models: label likelihoods, responses and plain text by teacher forcing.

Shapes: B batch, T token, M read position, D label, V vocabulary, F hidden size, L asked layer, N item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from balora_audit.models.encode import Encoder, length_batches, pad, positions
from balora_audit.models.forward import CausalForward, Pass
from balora_audit.models.load import LoadedModel
from balora_audit.scoring.protocol import AnswerScores, LabelScores, ResponseScores, TextScores
from balora_audit.scoring.writer import write

__all__ = ["CausalScorer"]

_BUDGET_TOKENS = 2048
_CHUNK_ROWS = 256


class CausalScorer:
    """Scores texts with the loaded model and whatever adapter is active on it.

    Prompts are deduplicated, sorted by length and batched under a token budget. The head runs only at the positions that
    are read; the labels of an item share the computation of its prompt. Those prompts are padded on the left: a sliding
    attention window counts places in the cache, so nothing may lie between a prompt and what follows it. The composition
    of a batch depends only on the prompts of the call, so one call always gives the same numbers.

    Parameters
    ----------
    loaded : LoadedModel
    limit_tokens : int
        Longest prompt + answer; longer prompts lose their beginning.
    without_adapter : callable
        Gives a context in which the active adapter is off (for :meth:`texts`); the default suits a bare base.
    advance : callable
        Called with the number of scored items, for progress.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        limit_tokens: int,
        without_adapter: Callable[[], AbstractContextManager[object]] = nullcontext,
        advance: Callable[[int], None] = lambda _: None,
    ) -> None:
        if not isinstance(loaded.forward, CausalForward):
            raise TypeError("this scorer reads a language model's answers, and the model has a classification head")
        self._loaded = loaded
        self._forward = loaded.forward
        self._device = loaded.device
        self._without_adapter = without_adapter
        self._advance = advance
        self.encoder = Encoder(loaded.tokenizer, limit_tokens)

    @torch.no_grad()
    def labels(self, prompts: Sequence[str], answers: Sequence[str], *, features: bool, layers: Sequence[int] = ()) -> LabelScores:
        """Score every answer after every prompt; see `balora_audit.scoring.protocol.LabelScores`."""
        encoded = [self.encoder.answer(answer) for answer in answers]
        longest = max(len(answer) for answer in encoded)
        unique = {prompt: index for index, prompt in enumerate(dict.fromkeys(prompts))}
        rows = [self.encoder.prompt(prompt, reserve=longest) for prompt in unique]
        scores_ND = np.zeros((len(rows), len(encoded)))
        states = _States(len(rows), features=features, layers=layers)
        for batch in length_batches([len(row) for row in rows], _BUDGET_TOKENS):
            ids_BT, mask_BT = pad([rows[index] for index in batch], self._device, left=True)
            done = self._forward.run(ids_BT, mask_BT, positions_BT=positions(mask_BT), keep_cache=longest > 1, layers=layers)
            last_BT = torch.zeros_like(mask_BT, dtype=torch.bool)
            last_BT[:, -1] = True
            first_BV = self._forward.logits(done, last_BT).log_softmax(dim=-1)
            sums_BD = torch.stack([first_BV[:, answer[0]] for answer in encoded], dim=1).double()
            self._continue(done.cache, mask_BT, encoded, sums_BD)
            lengths_D = torch.tensor([len(answer) for answer in encoded], device=self._device)
            scores_ND[batch] = (sums_BD / lengths_D).cpu().numpy()
            states.keep(batch, done, last_BT)
            self._advance(len(batch))
        position = [unique[prompt] for prompt in prompts]
        return LabelScores(log_likelihood=scores_ND[position], **states.at(position))

    def _continue(self, cache: object, mask_BT: Tensor, encoded: Sequence[list[int]], sums_BD: Tensor) -> None:
        """Add the log-probabilities of second and later answer tokens, reusing the prompts' keys and values."""
        longer = [index for index, answer in enumerate(encoded) if len(answer) > 1]
        if not longer:
            return
        count = mask_BT.shape[0]
        cache.batch_repeat_interleave(len(longer))  # type: ignore[attr-defined]
        ids_KT, mask_KT = pad([encoded[index][:-1] for index in longer], self._device)
        ids_BT, own_BT = ids_KT.repeat(count, 1), mask_KT.repeat(count, 1)
        before_B = mask_BT.sum(dim=1).repeat_interleave(len(longer))
        positions_BT = before_B[:, None] + torch.arange(ids_KT.shape[1], device=self._device)
        mask_BS = torch.cat([mask_BT.repeat_interleave(len(longer), dim=0), own_BT], dim=1)
        done = self._forward.run(ids_BT, mask_BS, positions_BT=positions_BT, past=cache, keep_cache=True)
        read_BT = own_BT.bool()
        logp_MV = self._forward.logits(done, read_BT).log_softmax(dim=-1)
        targets_M = torch.tensor([t for index in longer for t in encoded[index][1:]], device=self._device).repeat(count)
        picked_M = logp_MV.gather(1, targets_M[:, None])[:, 0].double()
        rows_M = read_BT.nonzero()[:, 0]
        sums_K = torch.zeros(count * len(longer), dtype=torch.double, device=self._device).index_add(0, rows_M, picked_M)
        sums_BD[:, longer] += sums_K.view(count, len(longer))

    @torch.no_grad()
    def responses(self, prompts: Sequence[str], responses: Sequence[str], *, features: bool, layers: Sequence[int] = ()) -> ResponseScores:
        """Score one reference response per prompt; see `balora_audit.scoring.protocol.ResponseScores`.

        A response longer than half the limit is scored up to there (the encoder counts how many in ``cut_responses``).
        """
        pairs = list(zip(prompts, responses, strict=True))
        unique = {pair: index for index, pair in enumerate(dict.fromkeys(pairs))}
        answers = [self.encoder.response(response) for _, response in unique]
        starts = [self.encoder.prompt(prompt, reserve=len(a)) for (prompt, _), a in zip(unique, answers, strict=True)]
        rows = [start + answer[:-1] for start, answer in zip(starts, answers, strict=True)]
        nll, correct = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
        states = _States(len(rows), features=features, layers=layers)
        for batch in length_batches([len(row) for row in rows], _BUDGET_TOKENS):
            ids_BT, mask_BT = pad([rows[index] for index in batch], self._device)
            done = self._forward.run(ids_BT, mask_BT, layers=layers)
            first_B = torch.tensor([len(starts[index]) - 1 for index in batch], device=self._device)[:, None]
            places_BT = torch.arange(ids_BT.shape[1], device=self._device)
            targets_M = torch.tensor([token for index in batch for token in answers[index]], device=self._device)
            for row_M, chunk_BT, goal_M in _chunks((places_BT >= first_B) & mask_BT.bool(), targets_M):
                logits_MV = self._forward.logits(done, chunk_BT)
                item_M = np.asarray(batch)[row_M]
                np.add.at(nll, item_M, cross_entropy(logits_MV, goal_M, reduction="none").double().cpu().numpy())
                np.add.at(correct, item_M, (logits_MV.argmax(dim=-1) == goal_M).long().cpu().numpy())
            states.keep(batch, done, places_BT == first_B)
            self._advance(len(batch))
        position = [unique[pair] for pair in pairs]
        return ResponseScores(
            nll=nll[position],
            tokens=np.array([len(answers[index]) for index in position], np.int64),
            correct_tokens=correct[position],
            **states.at(position),
        )

    def write(self, prompts: Sequence[str], *, max_new_tokens: int, stop: Sequence[str] = ()) -> AnswerScores:
        """Write an answer to every prompt by greedy search; see `balora_audit.scoring.writer.write`."""
        return write(self._loaded, self.encoder, prompts, max_new_tokens=max_new_tokens, stop=stop, advance=self._advance)

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> TextScores:
        """Score plain texts under model and base; see `balora_audit.scoring.protocol.TextScores`."""
        rows = [self.encoder.prompt(text) for text in texts]
        kl, nll, base_nll = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows))
        for batch in length_batches([len(row) for row in rows], _BUDGET_TOKENS):
            ids_BT, mask_BT = pad([rows[index] for index in batch], self._device)
            mine = self._forward.run(ids_BT, mask_BT)
            with self._without_adapter():
                base = self._forward.run(ids_BT, mask_BT)
            read_BT = mask_BT.bool()
            read_BT[:, :1] = False
            read_BT = read_BT.roll(-1, dims=1)  # position t predicts token t + 1
            targets_M = ids_BT.roll(-1, dims=1)[read_BT]
            for row_M, chunk_BT, goal_M in _chunks(read_BT, targets_M):
                mine_MV = self._forward.logits(mine, chunk_BT).log_softmax(dim=-1)
                base_MV = self._forward.logits(base, chunk_BT).log_softmax(dim=-1)
                item_M, goal_M1 = np.asarray(batch)[row_M], goal_M[:, None]
                divergence_M = (base_MV.exp() * (base_MV - mine_MV)).sum(dim=-1).double()
                np.add.at(kl, item_M, divergence_M.cpu().numpy())
                np.add.at(nll, item_M, -mine_MV.gather(1, goal_M1)[:, 0].double().cpu().numpy())
                np.add.at(base_nll, item_M, -base_MV.gather(1, goal_M1)[:, 0].double().cpu().numpy())
            self._advance(len(batch))
        return TextScores(kl=kl, nll=nll, base_nll=base_nll, tokens=np.array([max(0, len(row) - 1) for row in rows], np.int64))


def _chunks(read_BT: Tensor, targets_M: Tensor) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
    """Yield the read positions in parts that bound the logits' memory: row of each (M,), where they are (B, T), targets (M,)."""
    where_M2 = read_BT.nonzero()
    for start in range(0, len(where_M2), _CHUNK_ROWS):
        part_M2 = where_M2[start : start + _CHUNK_ROWS]
        chunk_BT = torch.zeros_like(read_BT)
        chunk_BT[part_M2[:, 0], part_M2[:, 1]] = True
        yield part_M2[:, 0].cpu().numpy(), chunk_BT, targets_M[start : start + _CHUNK_ROWS]


class _States:
    """Collects the states at one position of each row: the last ones (`features`), and those after the asked layers."""

    def __init__(self, count: int, *, features: bool, layers: Sequence[int]) -> None:
        self._features: list[NDArray[np.float32]] | None = [np.empty(0, np.float32)] * count if features else None
        self._layers: list[NDArray[np.float32]] | None = [np.empty(0, np.float32)] * count if layers else None

    def keep(self, batch: Sequence[int], done: Pass, read_BT: Tensor) -> None:
        """Take the states of a batch where `read_BT` is true, one position per row."""
        if self._features is not None:
            for index, state in zip(batch, done.states_BTD[read_BT].float().cpu().numpy(), strict=True):
                self._features[index] = state
        if self._layers is not None:
            for index, state in zip(batch, done.depths_at(read_BT).cpu().numpy(), strict=True):
                self._layers[index] = state

    def at(self, position: Sequence[int]) -> dict[str, NDArray[np.float32] | None]:
        """Return the fields ``features`` (N, F) and ``layer_features`` (N, L, F) of the rows at the given indices."""
        return {
            "features": None if self._features is None else np.stack([self._features[index] for index in position]),
            "layer_features": None if self._layers is None else np.stack([self._layers[index] for index in position]),
        }
