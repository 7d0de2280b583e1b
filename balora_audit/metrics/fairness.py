"""Differences between groups, class by class, through fairlearn's ``MetricFrame`` (METHODS §5)."""

from __future__ import annotations

from typing import Any

import numpy as np

from balora_audit.metrics.arrays import labels

__all__ = ["demographic_parity_difference", "equalized_odds_difference"]


def demographic_parity_difference(y: Any, p: Any, group: Any) -> float:
    """Return the largest difference between two groups in the share of items answered as any one class, 0 to 1.

    With two classes this is fairlearn's ``demographic_parity_difference``. (N,) labels, answers and groups; at least two groups.
    """
    return _largest(y, p, group, ("selection_rate",))


def equalized_odds_difference(y: Any, p: Any, group: Any) -> float:
    """Return the largest difference between two groups in the true- or false-positive rate of any class, 0 to 1.

    With two classes this is fairlearn's ``equalized_odds_difference`` (Hardt et al. 2016). A rate without items in a group
    (a class that none of its members has) is left out, not taken for 0.
    """
    return _largest(y, p, group, ("true_positive_rate", "false_positive_rate"))


def _largest(y: Any, p: Any, group: Any, rates: tuple[str, ...]) -> float:
    from fairlearn.metrics import MetricFrame

    true, answer, groups = labels(y, name="y"), labels(p, name="p"), np.asarray(group)
    if not len(true) == len(answer) == len(groups):
        raise ValueError(f"y, p and group must have one length, got {len(true)}, {len(answer)} and {len(groups)}")
    if len(np.unique(groups)) < 2:
        raise ValueError("a difference between groups needs at least two of them")
    found = []
    for c in np.union1d(true, answer):
        frame = MetricFrame(metrics={name: _RATES[name] for name in rates}, y_true=true == c, y_pred=answer == c, sensitive_features=groups)
        spread = frame.by_group.max() - frame.by_group.min()  # pandas leaves out what is not defined
        found += [float(value) for value in spread]
    return float(np.nanmax(found))


def _share(chosen: Any, hits: Any) -> float:
    return float(np.asarray(hits)[np.asarray(chosen)].mean()) if np.asarray(chosen).any() else float("nan")


_RATES = {
    "selection_rate": lambda y_true, y_pred: float(np.mean(y_pred)),
    "true_positive_rate": lambda y_true, y_pred: _share(np.asarray(y_true, dtype=bool), y_pred),
    "false_positive_rate": lambda y_true, y_pred: _share(~np.asarray(y_true, dtype=bool), y_pred),
}
