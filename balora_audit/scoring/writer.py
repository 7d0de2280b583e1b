"""Greedy writing: the likeliest token, again and again, for many prompts at once.

Shapes: B rows still being written, T prompt token, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from balora_audit.models.encode import Encoder, length_batches, pad, positions
from balora_audit.models.forward import CausalForward
from balora_audit.models.load import LoadedModel
from balora_audit.scoring.protocol import AnswerScores

__all__ = ["write"]

_BUDGET_TOKENS = 8192
_BUDGET_WITH_FULL_LOGITS = 2048  # where the head cannot run apart, the prompts' logits are all there at once


@torch.no_grad()
def write(
    loaded: LoadedModel,
    encoder: Encoder,
    prompts: Sequence[str],
    *,
    max_new_tokens: int,
    stop: Sequence[str] = (),
    advance: Callable[[int], None] = lambda _: None,
) -> AnswerScores:
    """Continue every prompt with the likeliest tokens; see `balora_audit.scoring.protocol.AnswerScores`.

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
    assert isinstance(loaded.forward, CausalForward)
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
    if "" in stop:
        raise ValueError("an empty stop string would end every text at once")
    # the prompt leaves room for what is written, within the caller's limit and within the model's positions
    reserve = max_new_tokens + max(0, encoder.limit_tokens - loaded.limit_tokens)
    unique = {prompt: index for index, prompt in enumerate(dict.fromkeys(prompts))}
    rows = [encoder.prompt(prompt, reserve=reserve) for prompt in unique]
    ends = _end_tokens(loaded, stop)
    texts, tokens, finished = [""] * len(rows), [0] * len(rows), [False] * len(rows)
    budget = _BUDGET_TOKENS if loaded.forward.selective else _BUDGET_WITH_FULL_LOGITS

    def done(ids: list[int]) -> bool:
        return ids[-1] in ends or (bool(stop) and _cut(loaded, ids, ends, stop)[1])

    for batch in length_batches([len(row) + max_new_tokens for row in rows], budget):
        written = _greedy(loaded, [rows[index] for index in batch], max_new_tokens, done)
        for index, ids in zip(batch, written, strict=True):
            texts[index], finished[index] = _cut(loaded, ids, ends, stop)
            tokens[index] = len(ids)
        advance(len(batch))
    position = [unique[prompt] for prompt in prompts]
    return AnswerScores.of(
        [texts[index] for index in position],
        tokens=[tokens[index] for index in position],
        finished=[finished[index] for index in position],
    )


def _greedy(loaded: LoadedModel, rows: Sequence[list[int]], max_new_tokens: int, done: Callable[[list[int]], bool]) -> list[list[int]]:
    """Return the new ids of each row, the end-of-text token among them where it was reached."""
    forward: Any = loaded.forward
    written: list[list[int]] = [[] for _ in rows]
    going = list(range(len(rows)))
    ids_BT, mask_BT = pad(rows, loaded.device, left=True)
    positions_BT = positions(mask_BT)
    cache = None
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
            kept_B = torch.tensor(stays, device=loaded.device)
            cache.reorder_cache(kept_B)
            next_B, mask_BT, positions_BT = next_B[kept_B], mask_BT[kept_B], positions_BT[kept_B]
            going = [going[place] for place in stays]
        ids_BT, positions_BT = next_B[:, None], positions_BT[:, -1:] + 1
        mask_BT = torch.cat([mask_BT, torch.ones_like(ids_BT)], dim=1)


def _end_tokens(loaded: LoadedModel, stop: Sequence[str]) -> frozenset[int]:
    """Return the tokens that end a text: the tokenizer's, what the model's generation settings name, special ones in `stop`."""
    named = getattr(getattr(loaded.model, "generation_config", None), "eos_token_id", None)
    several = named if isinstance(named, list) else [named]
    ends = {int(token) for token in [loaded.tokenizer.eos_token_id, *several] if token is not None}
    # special tokens are left out of a text, so a stop string that is one can only be seen among the ids
    added = getattr(loaded.tokenizer, "added_tokens_decoder", {})
    return frozenset(ends | {token for token, entry in added.items() if entry.special and entry.content in stop})


def _cut(loaded: LoadedModel, ids: Sequence[int], ends: frozenset[int], stop: Sequence[str]) -> tuple[str, bool]:
    """Return the text of the new ids up to where it ends, and whether it does end there."""
    ended = ids[-1] in ends
    text: str = loaded.tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    places = [place for string in stop if (place := text.find(string)) >= 0]
    return (text[: min(places)], True) if places else (text, ended)
