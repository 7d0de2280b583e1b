"""Recall by class, what is built from it, and gaps between groups (METHODS §5).

``y`` are true and ``p`` predicted class indices, (N,). Classes are those that occur in ``y``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from balora_audit.metrics.arrays import Int, labels

__all__ = [
    "balanced_accuracy",
    "g_mean",
    "macro_f1",
    "per_class_recall",
    "prior_shift",
    "tpr_gap",
    "worst_class_recall",
]


def _both(y: Any, p: Any) -> tuple[Int, Int]:
    true, predicted = labels(y, name="y"), labels(p, name="p")
    if len(true) != len(predicted):
        raise ValueError(f"y and p must have one length, got {len(true)} and {len(predicted)}")
    return true, predicted


def per_class_recall(y: Any, p: Any) -> dict[int, float]:
    """Return class → share of its items that are predicted as it."""
    true, predicted = _both(y, p)
    return {int(c): float((predicted[true == c] == c).mean()) for c in np.unique(true)}


def worst_class_recall(y: Any, p: Any) -> float:
    """Return the smallest per-class recall."""
    return min(per_class_recall(y, p).values())


def balanced_accuracy(y: Any, p: Any) -> float:
    """Return the mean of the per-class recalls."""
    return float(np.mean(list(per_class_recall(y, p).values())))


def g_mean(y: Any, p: Any) -> float:
    """Return the geometric mean of the per-class recalls; 0 as soon as one class is never found."""
    recalls = np.array(list(per_class_recall(y, p).values()))
    return 0.0 if (recalls == 0).any() else float(np.exp(np.log(recalls).mean()))


def macro_f1(y: Any, p: Any) -> float:
    """Return the mean over the true classes of ``2TP/(2TP + FP + FN)``."""
    true, predicted = _both(y, p)
    scores = []
    for c in np.unique(true):
        hits = int(((predicted == c) & (true == c)).sum())
        scores.append(2 * hits / (int((predicted == c).sum()) + int((true == c).sum())))
    return float(np.mean(scores))


def prior_shift(y: Any, p: Any, *, smoothing: float = 0.5) -> float:
    """Return ``KL(predictions ‖ labels)`` in nats between the class shares, 0 when they agree.

    Every class that occurs in either gets `smoothing` extra counts on both sides (Jeffreys), so that a class never
    predicted, or predicted but absent, gives a finite number.
    """
    true, predicted = _both(y, p)
    classes = np.union1d(true, predicted)
    q = np.array([(true == c).sum() for c in classes]) + smoothing
    r = np.array([(predicted == c).sum() for c in classes]) + smoothing
    q, r = q / q.sum(), r / r.sum()
    return float((r * np.log(r / q)).sum())


def tpr_gap(y: Any, p: Any, group: Any, *, pair: tuple[Any, Any] | None = None) -> dict[int, float]:
    """Return class → recall in the first group minus recall in the second (De-Arteaga et al. 2019).

    `pair` names the groups; by default there must be exactly two, taken in sorted order. Classes without items of both
    groups are left out. Their root mean square is the summary used in verdicts.
    """
    true, predicted = _both(y, p)
    groups = np.asarray(group)
    if groups.shape != true.shape:
        raise ValueError(f"need one group per item, got {groups.shape} for {len(true)} items")
    if pair is None:
        names = np.unique(groups)
        if len(names) != 2:
            raise ValueError(f"name the pair of groups; there are {len(names)}: {names.tolist()}")
        pair = (names[0], names[1])
    gaps = {}
    for c in np.unique(true):
        shares = [predicted[(true == c) & (groups == name)] == c for name in pair]
        if all(len(share) for share in shares):
            gaps[int(c)] = float(shares[0].mean() - shares[1].mean())
    return gaps
