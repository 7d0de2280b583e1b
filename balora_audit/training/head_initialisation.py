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
_FOLDS = 3
_STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)


def probe_head(features_NF: np.ndarray, targets_N: np.ndarray, outputs: int, *, regression: bool, intercept: bool) -> tuple[Tensor, Tensor]:
    """Return (weight (C, F), bias (C,)) of an L2-regularised probe on standardised features, in terms of the features as they are.

    Logistic regression for classes, ridge regression for numbers, the strength of the penalty chosen by three-fold cross-
    validation on the training rows; a constant feature gets no weight. A head that has no bias gets a probe without an
    intercept, on features that are scaled but not centred.
    """
    from sklearn.linear_model import LogisticRegression, RidgeCV

    mean_F, spread_F = features_NF.mean(axis=0) * intercept, features_NF.std(axis=0)
    safe_F = np.where(spread_F > _SMALLEST_SPREAD, spread_F, np.inf)
    standard_NF = (features_NF - mean_F) / safe_F
    if regression:
        ridge = RidgeCV(alphas=_STRENGTHS, fit_intercept=intercept, cv=_FOLDS).fit(standard_NF, targets_N)
        weight_CF, bias_C = ridge.coef_[None, :], np.array([float(ridge.intercept_)])
    else:
        classes_N = targets_N.astype(int)
        strength = _strength(standard_NF, classes_N, intercept=intercept)
        found = LogisticRegression(C=1 / strength, max_iter=2000, fit_intercept=intercept).fit(standard_NF, classes_N)
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


def _strength(standard_NF: np.ndarray, classes_N: np.ndarray, *, intercept: bool) -> float:
    """Return the penalty with the best cross-validated log-loss; a strong one where a class is too small for three folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    if np.unique(classes_N, return_counts=True)[1].min() < _FOLDS:
        return max(_STRENGTHS)
    folds = StratifiedKFold(n_splits=_FOLDS)
    losses = [
        -cross_val_score(
            LogisticRegression(C=1 / strength, max_iter=2000, fit_intercept=intercept),
            standard_NF,
            classes_N,
            cv=folds,
            scoring="neg_log_loss",
        ).mean()
        for strength in _STRENGTHS
    ]
    return _STRENGTHS[int(np.argmin(losses))]


def random_head(features: int, outputs: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the usual start of a new head: normal numbers of standard deviation 0.02, zero bias."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(outputs, features, generator=generator) * 0.02, torch.zeros(outputs)
