"""Delete-group jackknife, for metrics of a whole feature matrix.

A bootstrap resample repeats rows, and repeated rows lower the rank of a matrix: the bootstrap distribution of an effective
rank lies wholly below the estimate. Leaving groups of items out repeats nothing (Efron & Stein 1981; Busing et al. 1999).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from balora_audit.stats.items import FloatArray
from balora_audit.stats.paired import PairedResult
from balora_audit.stats.seeds import over_seeds

__all__ = ["jackknife_interval", "jackknife_se", "paired_jackknife"]


def jackknife_se(left_out: FloatArray) -> float:
    """Return the standard error from the statistic's values with each of G equal groups left out, shape (G,).

    ``√((G−1)/G · Σ (θ₍g₎ − mean)²)``; with one item per group it is the delete-one jackknife.
    """
    values = np.asarray(left_out, dtype=np.float64)
    groups = len(values)
    if groups < 2:
        raise ValueError("the jackknife needs at least two groups")
    return float(np.sqrt((groups - 1) / groups * ((values - values.mean()) ** 2).sum()))


def jackknife_interval(estimate: float, left_out: FloatArray, level: float = 0.95) -> tuple[float, float]:
    """Return ``estimate ± t·SE`` with G − 1 degrees of freedom."""
    half = _quantile(len(left_out), level) * jackknife_se(left_out)
    return estimate - half, estimate + half


def paired_jackknife(
    candidate: Sequence[float],
    candidate_left_out: Sequence[FloatArray],
    baseline: Sequence[float],
    baseline_left_out: Sequence[FloatArray],
    *,
    level: float = 0.95,
) -> PairedResult:
    """Return the paired difference of a matrix metric, one entry per seed, the same groups left out of both models.

    With several seeds the interval is that of `over_seeds`, with the jackknife's covariance between the seeds.
    """
    differences = np.asarray(candidate, dtype=float) - np.asarray(baseline, dtype=float)
    left_out_SG = np.stack([np.asarray(c) - np.asarray(b) for c, b in zip(candidate_left_out, baseline_left_out, strict=True)])
    delta = float(differences.mean())
    seeds, groups = left_out_SG.shape
    bounds: tuple[float, float] | None = None
    p_value = 1.0
    if seeds > 1:
        deviations_SG = left_out_SG - left_out_SG.mean(axis=1, keepdims=True)
        covariance_SS = (groups - 1) / groups * deviations_SG @ deviations_SG.T
        bounds, p_value = over_seeds(differences, covariance_SS, groups - 1, level, crossed=True)
    if bounds is None:  # one seed, or no spread at all
        error = jackknife_se(left_out_SG.mean(axis=0))
        half = _quantile(groups, level) * error
        bounds = (delta - half, delta + half)
        certain = 1.0 if delta == 0 else 0.0
        p_value = float(2 * student.sf(abs(delta) / error, groups - 1)) if error > 0 else certain
    return PairedResult(
        delta=delta,
        ci_low=bounds[0],
        ci_high=bounds[1],
        p_value=p_value,
        test="paired jackknife over groups of items",
        baseline_value=float(np.mean(baseline)),
        candidate_value=float(np.mean(candidate)),
        n_items=0,
    )


def _quantile(groups: int, level: float) -> float:
    return float(student.ppf(0.5 + level / 2, groups - 1))
