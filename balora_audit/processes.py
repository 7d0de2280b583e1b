"""Which of several processes this is, as ``accelerate launch`` and ``torchrun`` say it; no torch is needed to know."""

from __future__ import annotations

import os

__all__ = ["is_main_process", "process_count"]


def process_count() -> int:
    """Return how many processes were started together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    """Whether this is the one that speaks and writes."""
    return int(os.environ.get("RANK", "0")) == 0
