"""Delete-group jackknife, for metrics of a whole feature matrix.

A bootstrap resample repeats rows, and repeated rows lower the rank of a matrix: the bootstrap distribution of an effective
rank lies wholly below the estimate. Leaving groups of items out repeats nothing (Efron & Stein 1981; Busing et al. 1999).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from balora_audit.stats.intervals import PairedResult
from balora_audit.stats.items import FloatArray

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

    With several seeds the variance between seeds (of their mean) is added to the jackknife variance of the mean
    difference: the two levels of METHODS §8.
    """
    differences = np.asarray(candidate, dtype=float) - np.asarray(baseline, dtype=float)
    left_out_G = np.mean([np.asarray(c) - np.asarray(b) for c, b in zip(candidate_left_out, baseline_left_out, strict=True)], axis=0)
    delta = float(differences.mean())
    variance = jackknife_se(left_out_G) ** 2
    seeds = len(differences)
    freedom = len(left_out_G)
    if seeds > 1:
        variance += float(differences.var(ddof=1)) / seeds
        freedom = min(freedom, seeds)
    error = float(np.sqrt(variance))
    half = _quantile(freedom, level) * error
    certain = 1.0 if delta == 0 else 0.0
    p_value = float(2 * student.sf(abs(delta) / error, freedom - 1)) if error > 0 else certain
    return PairedResult(
        delta=delta,
        ci_low=delta - half,
        ci_high=delta + half,
        p_value=p_value,
        test="paired jackknife over groups of items",
        baseline_value=float(np.mean(baseline)),
        candidate_value=float(np.mean(candidate)),
        n_items=0,
    )


def _quantile(groups: int, level: float) -> float:
    return float(student.ppf(0.5 + level / 2, groups - 1))
