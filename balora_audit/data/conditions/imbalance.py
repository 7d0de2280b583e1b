"""Class imbalance: a long tail from the first class to the last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from balora_audit.data.conditions.kind import ConditionKind
from balora_audit.data.dataset import AuditDataset, Example

__all__ = ["IMBALANCE"]


def _thin_out(
    train: Sequence[Example], dataset: AuditDataset, ratio: float, rng: np.random.Generator
) -> tuple[list[Example], dict[str, Any]]:
    classes = len(dataset.label_names)
    most = max(Counter(example.label for example in train).values())
    keep: set[str] = set()
    for label in range(classes):
        ids = [example.id for example in train if example.label == label]
        quota = max(1, round(most * ratio ** (-label / (classes - 1))))
        keep.update(ids[index] for index in rng.permutation(len(ids))[:quota])
    kept = [example for example in train if example.id in keep]
    counts = Counter(example.label for example in kept)
    return kept, {"kept_per_class": {name: counts[label] for label, name in enumerate(dataset.label_names)}}


IMBALANCE = ConditionKind(
    name="imbalance",
    symbol="IR",
    summary="long tail: class c keeps n_max·IR^(−c/(C−1)) of its examples (IR > 1)",
    example="20",
    allows=lambda ratio: 1 < ratio <= 1e6,
    title=lambda ratio: f"imbalance {ratio:g}:1",
    change=_thin_out,
)
