"""How items of one class lie among those of others, item by item, through scikit-learn (METHODS §6)."""

from __future__ import annotations

from typing import Any

import numpy as np

from balora_audit.metrics.arrays import Float, labels, matrix

__all__ = ["knn_correct", "silhouettes"]


def knn_correct(x: Any, y: Any, k: int = 5) -> Float:
    """Return for each item whether most of its k nearest other items are of its class, (N,) of 0 and 1.

    Euclidean distance; a tie between classes goes to the smaller label, as in scikit-learn. The mean is the leave-one-out
    nearest-neighbour accuracy.
    """
    from sklearn.neighbors import NearestNeighbors

    a, true = _checked(x, y)
    if not 1 <= k < len(a):
        raise ValueError(f"k must be within 1 and {len(a) - 1}, got {k}")
    near_NK = NearestNeighbors(n_neighbors=k).fit(a).kneighbors(return_distance=False)
    classes, index = np.unique(true, return_inverse=True)
    votes_NC = np.stack([(index[near_NK] == c).sum(axis=1) for c in range(len(classes))], axis=1)
    return np.asarray(votes_NC.argmax(axis=1) == index, dtype=np.float64)


def silhouettes(x: Any, y: Any) -> Float:
    """Return each item's silhouette in its class, −1 to 1, (N,); 0 for the only item of a class (Rousseeuw 1987)."""
    from sklearn.metrics import silhouette_samples

    a, true = _checked(x, y)
    if not 2 <= len(np.unique(true)) < len(a):
        raise ValueError("a silhouette needs at least two classes, and one with more than one item")
    return np.asarray(silhouette_samples(a, true), dtype=np.float64)


def _checked(x: Any, y: Any) -> tuple[Float, Any]:
    a, true = matrix(x, center=True), labels(y, name="y")
    if len(a) != len(true):
        raise ValueError(f"need one label per item, got {len(true)} labels for {len(a)} items")
    return a, true
