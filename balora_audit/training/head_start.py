"""Where a classification head starts: at a regularised linear probe on frozen features, or at small random numbers (METHODS §2).

Every method starts from the same head, which is also the teacher's: at step 0 student, teacher and base agree.
N rows, F features, C classes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["probe_head", "random_head"]

_SMALLEST_SPREAD = 1e-6


def probe_head(features_NF: np.ndarray, targets_N: np.ndarray, outputs: int, *, regression: bool, intercept: bool) -> tuple[Tensor, Tensor]:
    """Return (weight (C, F), bias (C,)) of an L2-regularised probe on standardised features, in terms of the features as they are.

    Logistic regression (C = 1) for classes, ridge regression (α = 1) for numbers; a constant feature gets no weight. A head
    that has no bias gets a probe without an intercept, on features that are scaled but not centred.
    """
    from sklearn.linear_model import LogisticRegression, Ridge

    mean_F, spread_F = features_NF.mean(axis=0) * intercept, features_NF.std(axis=0)
    safe_F = np.where(spread_F > _SMALLEST_SPREAD, spread_F, np.inf)
    standard_NF = (features_NF - mean_F) / safe_F
    if regression:
        ridge = Ridge(alpha=1.0, fit_intercept=intercept).fit(standard_NF, targets_N)
        weight_CF, bias_C = ridge.coef_[None, :], np.array([float(ridge.intercept_)])
    else:
        found = LogisticRegression(C=1.0, max_iter=2000, fit_intercept=intercept).fit(standard_NF, targets_N.astype(int))
        weight, bias = found.coef_, found.intercept_
        if len(weight) == 1:  # two classes: one score, shared out symmetrically
            weight, bias = np.concatenate([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
        weight_CF = np.zeros((outputs, features_NF.shape[1]))
        bias_C = (
            np.full(outputs, float(bias.min()) - 10.0) if intercept else np.zeros(outputs)
        )  # a class without training rows: never predicted, yet finite
        weight_CF[found.classes_], bias_C[found.classes_] = weight, bias
    scaled_CF = weight_CF / safe_F
    return torch.from_numpy(scaled_CF).float(), torch.from_numpy(bias_C - scaled_CF @ mean_F).float()


def random_head(features: int, outputs: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the usual start of a new head: normal numbers of standard deviation 0.02, zero bias."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(outputs, features, generator=generator) * 0.02, torch.zeros(outputs)
