"""Label noise: a training label becomes another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from balora_audit.data.conditions.kind import ConditionKind
from balora_audit.data.dataset import AuditDataset, Example

__all__ = ["NOISE"]


def _flip(
    train: Sequence[Example], dataset: AuditDataset, share: float, seed: int, rng: np.random.Generator
) -> tuple[list[Example], dict[str, Any]]:
    classes = len(dataset.label_names)
    hit = rng.random(len(train)) < share
    shift = rng.integers(1, classes, size=len(train))
    noisy: list[Example] = []
    flipped: dict[str, dict[str, int]] = {}
    for example, is_hit, by in zip(train, hit, shift, strict=True):
        if not is_hit or example.label is None:
            noisy.append(example)
            continue
        wrong = (example.label + int(by)) % classes
        flipped[example.id] = {"clean": example.label, "noisy": wrong}
        noisy.append(replace(example, label=wrong))
    return noisy, {"flipped": flipped}


NOISE = ConditionKind(
    name="noise",
    symbol="ρ",
    summary="each training label replaced, with probability ρ, by a uniformly drawn other label (0 < ρ < 1)",
    example="0.3",
    allows=lambda share: 0 < share < 1,
    title=lambda share: f"{100 * share:g} % wrong labels",
    change=_flip,
)
