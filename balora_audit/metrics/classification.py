"""Recall by class and what is built from it (METHODS §5).

``y`` are true and ``p`` predicted class indices, (N,). Classes are those that occur in ``y``, unless they are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from balora_audit.metrics.arrays import Float, labels, of_one_length
from balora_audit.metrics.ratios import Combine, Ratios

__all__ = [
    "balanced_accuracy",
    "balanced_accuracy_ratios",
    "g_mean",
    "g_mean_ratios",
    "macro_f1",
    "macro_f1_ratios",
    "per_class_recall",
    "prior_shift",
    "worst_class_recall",
    "worst_class_recall_ratios",
]

Classes = Sequence[int] | None


def balanced_accuracy(y: Any, p: Any) -> float:
    """Return the mean of the per-class recalls."""
    return balanced_accuracy_ratios(y, p).defined_value()


def balanced_accuracy_ratios(y: Any, p: Any, classes: Classes = None) -> Ratios:
    """Return the recalls of the classes, and their mean; of one class, its recall."""
    return _recalls(y, p, classes, "mean")


def worst_class_recall(y: Any, p: Any) -> float:
    """Return the smallest per-class recall."""
    return worst_class_recall_ratios(y, p).defined_value()


def worst_class_recall_ratios(y: Any, p: Any, classes: Classes = None) -> Ratios:
    """Return the recalls of the classes, and their minimum."""
    return _recalls(y, p, classes, "min")


def g_mean(y: Any, p: Any) -> float:
    """Return the geometric mean of the per-class recalls; 0 as soon as one class is never found."""
    return g_mean_ratios(y, p).defined_value()


def g_mean_ratios(y: Any, p: Any, classes: Classes = None) -> Ratios:
    """Return the recalls of the classes, and their geometric mean."""
    return _recalls(y, p, classes, "geometric_mean")


def macro_f1(y: Any, p: Any) -> float:
    """Return the mean over the true classes of ``2TP/(2TP + FP + FN)``."""
    return macro_f1_ratios(y, p).defined_value()


def macro_f1_ratios(y: Any, p: Any, classes: Classes = None) -> Ratios:
    """Return the F1 scores of the classes, and their mean."""
    found_CN, of_class_CN, said_CN = _by_class(y, p, classes)
    return Ratios(numerators=2 * found_CN, denominators=of_class_CN + said_CN)


def per_class_recall(y: Any, p: Any) -> dict[int, float]:
    """Return class → share of its items that are predicted as it."""
    return {int(c): balanced_accuracy_ratios(y, p, [c]).defined_value() for c in np.unique(labels(y, name="y"))}


def prior_shift(y: Any, p: Any, *, smoothing: float = 0.5) -> float:
    """Return ``KL(predictions ‖ labels)`` in nats between the class shares, 0 when they agree.

    Every class that occurs in either gets `smoothing` extra counts on both sides (Jeffreys), so that a class never
    predicted, or predicted but absent, gives a finite number.
    """
    true, predicted = labels(y, name="y"), labels(p, name="p")
    of_one_length(y=true, p=predicted)
    classes = np.union1d(true, predicted)
    q = np.array([(true == c).sum() for c in classes]) + smoothing
    r = np.array([(predicted == c).sum() for c in classes]) + smoothing
    q, r = q / q.sum(), r / r.sum()
    return float((r * np.log(r / q)).sum())


def _recalls(y: Any, p: Any, classes: Classes, combine: Combine) -> Ratios:
    found_CN, of_class_CN, _ = _by_class(y, p, classes)
    return Ratios(numerators=found_CN, denominators=of_class_CN, combine=combine)


def _by_class(y: Any, p: Any, classes: Classes) -> tuple[Float, Float, Float]:
    """Return which items of each class are predicted as it, which are of it, and which are predicted as it, (C, N) of 0 and 1."""
    true, predicted = labels(y, name="y"), labels(p, name="p")
    of_one_length(y=true, p=predicted)
    names_C1 = (np.unique(true) if classes is None else np.asarray(classes, dtype=np.int64))[:, None]
    of_class_CN, said_CN = true == names_C1, predicted == names_C1
    return (of_class_CN & said_CN).astype(np.float64), of_class_CN.astype(np.float64), said_CN.astype(np.float64)
