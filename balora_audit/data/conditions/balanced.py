"""The control of class imbalance: as many rows as the long tail leaves, with balanced classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from balora_audit.data.conditions.imbalance import IMBALANCE, class_order, keep, quotas
from balora_audit.data.conditions.kind import ConditionKind
from balora_audit.data.dataset import AuditDataset, Example
from balora_audit.errors import DataError

__all__ = ["BALANCED"]


def _balance(
    train: Sequence[Example], dataset: AuditDataset, ratio: float, seed: int, rng: np.random.Generator
) -> tuple[list[Example], dict[str, Any]]:
    names = dataset.label_names
    total = sum(quotas(train, len(names), ratio, seed).values())
    each, more = divmod(total, len(names))
    quota = {label: each + (place < more) for place, label in enumerate(class_order(len(names), seed))}
    counts = Counter(example.label for example in train)
    short = next((label for label, count in quota.items() if counts[label] < count), None)
    if short is not None:
        raise DataError(
            f"{total} rows with balanced classes need {quota[short]} of class {names[short]!r}, which has {counts[short]}; give more rows "
            "of it, or a larger imbalance ratio, which leaves fewer rows"
        )
    kept = keep(train, quota, rng)
    return kept, {"kept_per_class": {names[label]: quota[label] for label in sorted(quota)}}


BALANCED = ConditionKind(
    name="balanced",
    symbol="IR",
    summary="as many rows as imbalance:IR leaves, with balanced classes: its control, added by itself (1 < IR ≤ 100000)",
    example="20",
    allows=IMBALANCE.allows,
    title=lambda ratio: f"balanced classes, as many rows as imbalance {ratio:g}:1",
    change=_balance,
)
