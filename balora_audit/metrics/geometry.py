"""How features lie around their classes (METHODS §6)."""

from __future__ import annotations

from typing import Any

import numpy as np

from balora_audit.metrics.arrays import labels, matrix

__all__ = ["nc1"]


def nc1(x: Any, y: Any) -> float:
    """Return ``tr(Σ_W Σ_B⁺)/C``, 0 when every class is a point (Papyan et al. 2020).

    Σ_W is the mean over items of the within-class scatter, Σ_B the mean over classes of the scatter of class means around
    their mean. Raises `ValueError` for fewer than two classes or equal class means.
    """
    a = matrix(x, center=True)
    classes, index = np.unique(labels(y, name="labels"), return_inverse=True)
    if len(index) != len(a):
        raise ValueError(f"need one label per item, got {len(index)} labels for {len(a)} items")
    if len(classes) < 2:
        raise ValueError("NC1 needs at least two classes")
    means = np.stack([a[index == c].mean(axis=0) for c in range(len(classes))])
    between = (means - means.mean(axis=0)) / np.sqrt(len(classes))
    within = (a - means[index]) / np.sqrt(len(a))
    _, sigma, vt = np.linalg.svd(between, full_matrices=False)
    keep = sigma > 1e-10 * max(float(sigma[0]), np.finfo(np.float64).tiny)
    if not keep.any() or sigma[0] < 1e-12 * max(1.0, float(np.linalg.norm(a))):
        raise ValueError("the class means are all the same: NC1 is undefined")
    # tr(Σ_W Σ_B⁺) = ‖within · V Σ⁻¹‖_F², without a D × D matrix
    return float(np.square(within @ vt[keep].T / sigma[keep]).sum() / len(classes))
