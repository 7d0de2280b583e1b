"""Class imbalance: a long tail, whose classes change places from seed to seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from balora_audit.data.conditions.kind import ConditionKind
from balora_audit.data.dataset import AuditDataset, Example

__all__ = ["IMBALANCE", "class_order", "keep", "quotas"]

_PARTS = 3


def class_order(classes: int, seed: int) -> list[int]:
    """Return the classes from the most to the least frequent one under a training seed.

    The order of the labels, begun a third of the way further on with every seed, so that each class comes to be rare: what is asked is
    what rarity costs, not what the last class is like.

    Examples
    --------
    >>> class_order(6, 0), class_order(6, 1), class_order(2, 1)
    ([0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 0, 1], [1, 0])
    """
    first = seed * max(1, classes // _PARTS) % classes
    return [(first + place) % classes for place in range(classes)]


def quotas(train: Sequence[Example], classes: int, ratio: float, seed: int) -> dict[int, int]:
    """Return class → how many of its examples are kept: at most ``n_max·IR^(−place/(C−1))``, at least one (Cui et al. 2019)."""
    counts = Counter(example.label for example in train)
    most = max(counts.values())
    wanted = {label: max(1, round(most * ratio ** (-place / (classes - 1)))) for place, label in enumerate(class_order(classes, seed))}
    return {label: min(quota, counts[label]) for label, quota in sorted(wanted.items())}


def _thin_out(
    train: Sequence[Example], dataset: AuditDataset, ratio: float, seed: int, rng: np.random.Generator
) -> tuple[list[Example], dict[str, Any]]:
    names = dataset.label_names
    kept = keep(train, quotas(train, len(names), ratio, seed), rng)
    counts = Counter(example.label for example in kept)
    return kept, {
        "kept_per_class": {name: counts[label] for label, name in enumerate(names)},
        "most_to_least_frequent": [names[label] for label in class_order(len(names), seed)],
    }


def keep(train: Sequence[Example], quota: dict[int, int], rng: np.random.Generator) -> list[Example]:
    """Return as many examples of each class, drawn at random, in their order."""
    chosen: set[str] = set()
    for label, count in quota.items():
        ids = [example.id for example in train if example.label == label]
        chosen.update(ids[index] for index in rng.permutation(len(ids))[:count])
    return [example for example in train if example.id in chosen]


IMBALANCE = ConditionKind(
    name="imbalance",
    symbol="IR",
    summary="long tail: the c-th class keeps n_max·IR^(−c/(C−1)) examples; the order rotates over seeds (1 < IR ≤ 100000)",
    example="20",
    allows=lambda ratio: 1 < ratio <= 1e5,  # a larger one is printed with an exponent, whose plus joins conditions
    title=lambda ratio: f"imbalance {ratio:g}:1",
    change=_thin_out,
)
