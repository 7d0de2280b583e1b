"""Answers that a model writes itself, by greedy search: the likeliest token, again and again, for many prompts at once.

Shapes: B rows still being written, T prompt token, V vocabulary, N item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from balora_audit.models.encode import length_batches, pad, positions
from balora_audit.models.forward import CausalForward
from balora_audit.models.load import LoadedModel
from balora_audit.scoring.reader import Reader
from balora_audit.scoring.request import ScoreRequest
from balora_audit.scoring.scores import ScoreKind, Scores

__all__ = ["ANSWERS", "AnswerScores"]

_BUDGET_TOKENS = 8192
_BUDGET_WITH_FULL_LOGITS = 2048  # where the head cannot run apart, the prompts' logits are all there at once


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerScores(Scores):
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

    def columns(self, request: ScoreRequest) -> dict[str, Sequence[object]]:
        """Return each item's text, and whether it came to its end."""
        del request
        return {"written": self.written, "finished": [bool(value) for value in self.finished]}


@torch.no_grad()
def _score(request: ScoreRequest, reader: Reader) -> AnswerScores:
    """Continue every prompt with the likeliest tokens; the settings are ``max_new_tokens`` and ``stop``.

    A text ends at an end-of-text token of the model or its tokenizer, at the first of the `stop` strings (which is left
    out), or after `max_new_tokens`. Prompts are deduplicated, sorted by length and batched; rows that are done leave the batch.

    Raises
    ------
    ModelError
        `max_new_tokens` leaves no room for a prompt.

    Notes
    -----
    Plain greedy search: penalties and other habits in a model's ``generation_config.json`` are not applied. Prompts are
    padded on the left, so that a sliding attention window, which counts places in the cache, sees what it sees without padding.
    """
    forward, base, encoder = reader.causal, reader.base, reader.encoder
    settings = dict(request.settings)
    max_new_tokens, stop = int(settings["max_new_tokens"]), tuple(settings.get("stop", ()))
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
    if "" in stop:
        raise ValueError("an empty stop string would end every text at once")
    # the prompt leaves room for what is written, within the caller's limit and within the model's positions
    reserve = max_new_tokens + max(0, encoder.limit_tokens - base.limit_tokens)
    unique = {prompt: index for index, prompt in enumerate(dict.fromkeys(request.texts))}
    rows = [encoder.prompt(prompt, reserve=reserve) for prompt in unique]
    ends = _end_tokens(base, stop)
    texts, tokens, finished = [""] * len(rows), [0] * len(rows), [False] * len(rows)
    budget = _BUDGET_TOKENS if forward.selective else _BUDGET_WITH_FULL_LOGITS

    def done(ids: list[int]) -> bool:
        return ids[-1] in ends or (bool(stop) and _cut(base, ids, ends, stop)[1])

    for batch in length_batches([len(row) + max_new_tokens for row in rows], budget):
        written = _greedy(forward, base.device, [rows[index] for index in batch], max_new_tokens, done)
        for index, ids in zip(batch, written, strict=True):
            texts[index], finished[index] = _cut(base, ids, ends, stop)
            tokens[index] = len(ids)
        reader.advance(len(batch))
    position = [unique[prompt] for prompt in request.texts]
    return AnswerScores.of(
        [texts[index] for index in position],
        tokens=[tokens[index] for index in position],
        finished=[finished[index] for index in position],
    )


def _greedy(
    forward: CausalForward, device: torch.device, rows: Sequence[list[int]], max_new_tokens: int, done: Callable[[list[int]], bool]
) -> list[list[int]]:
    """Return the new ids of each row, the end-of-text token among them where it was reached."""
    written: list[list[int]] = [[] for _ in rows]
    going = list(range(len(rows)))
    ids_BT, mask_BT = pad(rows, device, left=True)
    positions_BT = positions(mask_BT)
    cache: Any = None
    while True:
        found = forward.run(ids_BT, mask_BT, positions_BT=positions_BT, past=cache, keep_cache=True)
        cache = found.cache
        last_BT = torch.zeros_like(ids_BT, dtype=torch.bool)
        last_BT[:, -1] = True
        next_B = forward.logits(found, last_BT).argmax(dim=-1)
        for row, token in zip(going, next_B.tolist(), strict=True):
            written[row].append(token)
        stays = [place for place, row in enumerate(going) if len(written[row]) < max_new_tokens and not done(written[row])]
        if not stays:
            return written
        if len(stays) < len(going):
            kept_B = torch.tensor(stays, device=device)
            cache.reorder_cache(kept_B)
            next_B, mask_BT, positions_BT = next_B[kept_B], mask_BT[kept_B], positions_BT[kept_B]
            going = [going[place] for place in stays]
        ids_BT, positions_BT = next_B[:, None], positions_BT[:, -1:] + 1
        mask_BT = torch.cat([mask_BT, torch.ones_like(ids_BT)], dim=1)


def _end_tokens(base: LoadedModel, stop: Sequence[str]) -> frozenset[int]:
    """Return the tokens that end a text: the tokenizer's, what the model's generation settings name, special ones in `stop`."""
    named = getattr(getattr(base.model, "generation_config", None), "eos_token_id", None)
    several = named if isinstance(named, list) else [named]
    ends = {int(token) for token in [base.tokenizer.eos_token_id, *several] if token is not None}
    # special tokens are left out of a text, so a stop string that is one can only be seen among the ids
    added = getattr(base.tokenizer, "added_tokens_decoder", {})
    return frozenset(ends | {token for token, entry in added.items() if entry.special and entry.content in stop})


def _cut(base: LoadedModel, ids: Sequence[int], ends: frozenset[int], stop: Sequence[str]) -> tuple[str, bool]:
    """Return the text of the new ids up to where it ends, and whether it does end there."""
    ended = ids[-1] in ends
    text: str = base.tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    places = [place for string in stop if (place := text.find(string)) >= 0]
    return (text[: min(places)], True) if places else (text, ended)


ANSWERS = ScoreKind(scores=AnswerScores, score=_score)
