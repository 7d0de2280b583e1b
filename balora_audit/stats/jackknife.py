"""Delete-group jackknife, for metrics of a whole feature matrix.

A bootstrap resample repeats rows, and repeated rows lower the rank of a matrix: the bootstrap distribution of an effective
rank lies wholly below the estimate. Leaving groups of items out repeats nothing (Efron & Stein 1981; Busing et al. 1999).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from balora_audit.stats.items import FloatArray
from balora_audit.stats.paired import PairedResult
from balora_audit.stats.seeds import over_seeds

__all__ = ["Jackknife", "jackknife_interval", "jackknife_se", "paired_jackknife"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jackknife:
    """Evidence of a statistic that is no combination of ratios: its value, and its values with one group of items left out.

    ``left_out`` is (G,), in an order of groups that is the same for every model; ``within`` is the range of the statistic.
    """

    items: int
    estimate: float
    left_out: FloatArray
    within: tuple[float, float] = (-math.inf, math.inf)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of the statistic, cut at the ends of its range."""
        low, high = jackknife_interval(self.estimate, self.left_out, level)
        return max(low, self.within[0]), min(high, self.within[1])

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping (exact: floats are written in full; an end of the range that is infinite is null)."""
        ends = [end if math.isfinite(end) else None for end in self.within]
        return {"items": self.items, "estimate": self.estimate, "left_out": self.left_out.tolist(), "within": ends}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Jackknife:
        """Rebuild from what :meth:`to_json` gave."""
        low, high = found["within"]
        return cls(
            items=found["items"],
            estimate=found["estimate"],
            left_out=np.asarray(found["left_out"], dtype=np.float64),
            within=(-math.inf if low is None else low, math.inf if high is None else high),
        )


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
