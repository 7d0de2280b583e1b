"""Texts → token ids, in the one way that training and scoring share.

Prompt and answer are encoded apart and joined, so that the boundary between them is the same whatever the answer is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from balora_audit.errors import ModelError

__all__ = ["Encoder", "length_batches", "pad", "positions"]


@dataclass(slots=True)
class Encoder:
    """Encodes prompts and answers for one tokenizer.

    ``limit_tokens`` bounds prompt + answer; a longer prompt loses tokens on its left (after a leading BOS), because the
    question stands at its end. ``truncated`` counts how often that happened. A response may take half of the limit; a longer
    one loses its end, and ``cut_responses`` counts that.
    """

    tokenizer: Any
    limit_tokens: int
    chat: bool = False
    truncated: int = 0
    cut_responses: int = 0

    def prompt(self, text: str, reserve: int = 0) -> list[int]:
        """Return the ids of a prompt, leaving room for `reserve` answer tokens; never empty.

        With `chat` it is one message of a user in the tokenizer's chat template, and the answer is the reply.
        """
        # an end-of-text token in a template is the template's own; at the end of a plain prompt it is the tokenizer's
        ids = self._message(text) if self.chat else self._open(text)
        return self._cut(ids, reserve)

    def plain(self, text: str) -> list[int]:
        """Return the ids of a text that is no prompt: never in a chat template; never empty."""
        return self._cut(self._open(text), 0)

    def _open(self, text: str) -> list[int]:
        """Return a text's ids without the end token that some tokenizers add."""
        ids = list(self.tokenizer(text, add_special_tokens=True).input_ids)
        while ids and ids[-1] in (self.tokenizer.eos_token_id, self.tokenizer.sep_token_id) and not _ends_so(self, text):
            ids.pop()
        return ids

    def _message(self, text: str) -> list[int]:
        if not getattr(self.tokenizer, "chat_template", None):
            raise ModelError("this tokenizer has no chat template; leave out --chat-template")
        message = [{"role": "user", "content": text}]
        written = self.tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=False)
        return list(self.tokenizer(written, add_special_tokens=False).input_ids)

    def _cut(self, ids: list[int], reserve: int) -> list[int]:
        room = self.limit_tokens - reserve
        if room < 2:
            raise ModelError(f"an answer of {reserve} tokens leaves no room for a prompt within {self.limit_tokens} tokens")
        if len(ids) > room:
            self.truncated += 1
            leading = ids[:1] if ids[0] == self.tokenizer.bos_token_id else []
            ids = leading + ids[len(ids) - room + len(leading) :]
        if not ids:
            fallback = self.tokenizer.bos_token_id
            ids = [fallback if fallback is not None else self.tokenizer.eos_token_id]
        return ids

    def whole(self, text: str) -> list[int]:
        """Return the ids of a text to classify, with the tokenizer's special tokens; a longer text loses its end."""
        ids: list[int] = list(self.tokenizer(text, truncation=True, max_length=self.limit_tokens).input_ids)
        if len(ids) == self.limit_tokens and len(self.tokenizer(text).input_ids) > len(ids):
            self.truncated += 1
        return ids or [self.tokenizer.eos_token_id or 0]

    def answer(self, text: str, *, end: bool = False) -> list[int]:
        """Return the ids of an answer (with its leading space, but for a reply in a chat), followed by the end-of-text token if `end`."""
        ids: list[int] = list(self.tokenizer(text.removeprefix(" ") if self.chat else text, add_special_tokens=False).input_ids)
        if not ids:
            raise ModelError(f"the answer {text!r} has no tokens in this tokenizer; give the label another name")
        if end and self.tokenizer.eos_token_id is not None:
            ids.append(self.tokenizer.eos_token_id)
        return ids

    def response(self, text: str, *, end: bool = False) -> list[int]:
        """Return the ids of a response as `answer` does, at most half of the limit: the rest is the prompt's."""
        ids = self.answer(text, end=end)
        room = self.limit_tokens // 2
        self.cut_responses += len(ids) > room
        return ids[:room]


def _ends_so(encoder: Encoder, text: str) -> bool:
    eos = encoder.tokenizer.eos_token
    return bool(eos) and text.endswith(eos)


def pad(rows: Sequence[Sequence[int]], device: torch.device, *, width: int = 0, left: bool = False) -> tuple[Tensor, Tensor]:
    """Return padded ids and their mask, both (B, T), T at least `width`. Padding is id 0, always masked, and on the right.

    With `left`, rows end together instead, so that what follows them continues all of them at one place.
    """
    width = max(width, *(len(row) for row in rows))
    ids_BT = torch.zeros(len(rows), width, dtype=torch.long)
    mask_BT = torch.zeros(len(rows), width, dtype=torch.long)
    for index, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(len(row))
        ids_BT[index, place] = torch.tensor(row, dtype=torch.long)
        mask_BT[index, place] = 1
    return ids_BT.to(device), mask_BT.to(device)


def positions(mask_BT: Tensor) -> Tensor:
    """Return the position of each token in its own row, (B, T), whichever side the padding is on; 0 where there is none."""
    return (mask_BT.cumsum(dim=1) - 1).clamp(min=0)


def length_batches(lengths: Sequence[int], budget_tokens: int) -> list[list[int]]:
    """Return batches of item indices, longest first, each of at most `budget_tokens` padded tokens (at least one item)."""
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    batches: list[list[int]] = []
    for index in order:
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= budget_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
