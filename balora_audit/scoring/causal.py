"""The scorer for causal language models: label likelihoods, responses and plain text by teacher forcing.

Shapes: B batch, T token, M read position, D label, V vocabulary, F hidden size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from balora_audit.models.encode import Encoder, length_batches, pad
from balora_audit.models.forward import CausalForward
from balora_audit.models.load import LoadedModel
from balora_audit.scoring.protocol import LabelScores, ResponseScores, TextScores

__all__ = ["CausalScorer"]

_BUDGET_TOKENS = 2048
_CHUNK_ROWS = 256


class CausalScorer:
    """Scores texts with the loaded model and whatever adapter is active on it.

    Prompts are deduplicated, sorted by length and batched under a token budget. The head runs only at the positions that
    are read; the labels of an item share the computation of its prompt. The composition of a batch depends only on the
    prompts of the call, so one call always gives the same numbers.

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
        self._forward = loaded.forward
        self._device = loaded.device
        self._without_adapter = without_adapter
        self._advance = advance
        self.encoder = Encoder(loaded.tokenizer, limit_tokens)

    @torch.no_grad()
    def labels(self, prompts: Sequence[str], answers: Sequence[str], *, features: bool) -> LabelScores:
        """Score every answer after every prompt; see `balora_audit.scoring.protocol.LabelScores`."""
        encoded = [self.encoder.answer(answer) for answer in answers]
        longest = max(len(answer) for answer in encoded)
        unique = {prompt: index for index, prompt in enumerate(dict.fromkeys(prompts))}
        rows = [self.encoder.prompt(prompt, reserve=longest) for prompt in unique]
        scores_ND = np.zeros((len(rows), len(encoded)))
        states: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(rows)
        for batch in length_batches([len(row) for row in rows], _BUDGET_TOKENS):
            ids_BT, mask_BT = pad([rows[index] for index in batch], self._device)
            done = self._forward.run(ids_BT, mask_BT, keep_cache=longest > 1)
            last_BT = _last(mask_BT)
            first_BV = self._forward.logits(done, last_BT).log_softmax(dim=-1)
            sums_BD = torch.stack([first_BV[:, answer[0]] for answer in encoded], dim=1).double()
            self._continue(done.cache, mask_BT, encoded, sums_BD)
            lengths_D = torch.tensor([len(answer) for answer in encoded], device=self._device)
            scores_ND[batch] = (sums_BD / lengths_D).cpu().numpy()
            if features:
                for index, state in zip(batch, done.states_BTD[last_BT].float().cpu().numpy(), strict=True):
                    states[index] = state
            self._advance(len(batch))
        position = [unique[prompt] for prompt in prompts]
        return LabelScores(log_likelihood=scores_ND[position], features=np.stack([states[i] for i in position]) if features else None)

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
    def responses(self, prompts: Sequence[str], responses: Sequence[str], *, features: bool) -> ResponseScores:
        """Score one reference response per prompt; see `balora_audit.scoring.protocol.ResponseScores`."""
        answers = [self.encoder.answer(response)[: self.encoder.limit_tokens // 2] for response in responses]
        starts = [self.encoder.prompt(p, reserve=len(a)) for p, a in zip(prompts, answers, strict=True)]
        rows = [start + answer[:-1] for start, answer in zip(starts, answers, strict=True)]
        nll, correct = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
        states: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(rows)
        for batch in length_batches([len(row) for row in rows], _BUDGET_TOKENS):
            ids_BT, mask_BT = pad([rows[index] for index in batch], self._device)
            done = self._forward.run(ids_BT, mask_BT)
            for row, index in enumerate(batch):
                first = len(starts[index]) - 1
                read_BT = torch.zeros_like(mask_BT, dtype=torch.bool)
                read_BT[row, first : first + len(answers[index])] = True
                targets_M = torch.tensor(answers[index], device=self._device)
                logits_MV = self._forward.logits(done, read_BT)
                nll[index] = float(torch.nn.functional.cross_entropy(logits_MV, targets_M, reduction="sum"))
                correct[index] = int((logits_MV.argmax(dim=-1) == targets_M).sum())
                if features:
                    states[index] = done.states_BTD[row, first].float().cpu().numpy()
            self._advance(len(batch))
        return ResponseScores(
            nll=nll,
            tokens=np.array([len(answer) for answer in answers], np.int64),
            correct_tokens=correct,
            features=np.stack(states) if features else None,
        )

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
            where_M2, targets_M = read_BT.nonzero(), ids_BT.roll(-1, dims=1)[read_BT]
            for start in range(0, len(where_M2), _CHUNK_ROWS):
                part = where_M2[start : start + _CHUNK_ROWS]
                chunk_BT = torch.zeros_like(read_BT)
                chunk_BT[part[:, 0], part[:, 1]] = True
                mine_MV = self._forward.logits(mine, chunk_BT).log_softmax(dim=-1)
                base_MV = self._forward.logits(base, chunk_BT).log_softmax(dim=-1)
                goal_M1 = targets_M[start : start + _CHUNK_ROWS, None]
                item_M = np.asarray(batch)[part[:, 0].cpu().numpy()]
                divergence_M = (base_MV.exp() * (base_MV - mine_MV)).sum(dim=-1).double()
                np.add.at(kl, item_M, divergence_M.cpu().numpy())
                np.add.at(nll, item_M, -mine_MV.gather(1, goal_M1)[:, 0].double().cpu().numpy())
                np.add.at(base_nll, item_M, -base_MV.gather(1, goal_M1)[:, 0].double().cpu().numpy())
            self._advance(len(batch))
        return TextScores(kl=kl, nll=nll, base_nll=base_nll, tokens=np.array([max(0, len(row) - 1) for row in rows], np.int64))


def _last(mask_BT: Tensor) -> Tensor:
    last_BT = torch.zeros_like(mask_BT, dtype=torch.bool)
    last_BT[torch.arange(mask_BT.shape[0], device=mask_BT.device), mask_BT.sum(dim=1) - 1] = True
    return last_BT
