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
from numpy.typing import NDArray
from scipy.stats import t as student

from balora_audit.stats.items import FloatArray
from balora_audit.stats.paired import PairedResult
from balora_audit.stats.seeds import POWER, over_seeds

__all__ = ["Jackknife", "paired_jackknife"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jackknife:
    """Evidence of a statistic that is no combination of ratios: its value, and its values with one group of items left out.

    Parameters
    ----------
    items : int
        N.
    estimate : float
        The value on all items.
    left_out : (G,)
        The values with each group left out, in an order of groups that is the same for every model.
    sizes : (G,), optional
        How many items each group has, positive; equal groups when left out.
    within : (low, high)
        The range of the statistic.
    """

    items: int
    estimate: float
    left_out: FloatArray
    sizes: NDArray[Any] | None = None
    within: tuple[float, float] = (-math.inf, math.inf)

    def __post_init__(self) -> None:
        if len(self.left_out) < 2:
            raise ValueError("the jackknife needs at least two groups")
        if self.sizes is not None and (len(self.sizes) != len(self.left_out) or min(self.sizes) <= 0 or sum(self.sizes) != self.items):
            raise ValueError(f"need a positive size for each of {len(self.left_out)} groups, {self.items} in all; got {list(self.sizes)}")

    @property
    def deviations(self) -> FloatArray:
        """What each group adds to the statistic, (G,): the squares add up to its variance.

        Notes
        -----
        The delete-m_j jackknife for unequal groups (Busing, Meijer & van der Leeden 1999): with h_j = N/m_j, the pseudo-values are
        ``h_j·θ − (h_j − 1)·θ₍j₎`` and the variance is ``Σ (pseudo_j − mean)²/(h_j − 1)/G``. For equal groups that is
        ``(G−1)/G · Σ (θ₍g₎ − mean)²``; with one item per group it is the delete-one jackknife.
        """
        groups = len(self.left_out)
        shares_G = np.full(groups, 1 / groups) if self.sizes is None else np.asarray(self.sizes, dtype=np.float64) / self.items
        pseudo_G = self.estimate / shares_G - (1 / shares_G - 1) * np.asarray(self.left_out, dtype=np.float64)
        # the jackknife's own estimate, about which Busing et al. take the pseudo-values
        centre = groups * self.estimate - float(((1 - shares_G) * self.left_out).sum())
        return np.asarray((pseudo_G - centre) / np.sqrt(groups * (1 / shares_G - 1)))

    @property
    def error(self) -> float:
        """The standard error."""
        return math.sqrt(float(self.deviations @ self.deviations))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return ``estimate ± t·SE`` with G − 1 degrees of freedom, cut at the ends of the statistic's range."""
        half = _quantile(len(self.left_out), level) * self.error
        return max(self.estimate - half, self.within[0]), min(self.estimate + half, self.within[1])

    def minus(self, other: Jackknife) -> Jackknife:
        """Return the evidence of the difference, the same groups left out of both; `ValueError` for other groups."""
        own, others = (None if found.sizes is None else np.asarray(found.sizes).tolist() for found in (self, other))
        if len(self.left_out) != len(other.left_out) or own != others or self.items != other.items:
            raise ValueError("two models can only be compared with the same groups of items left out")
        return Jackknife(
            items=self.items,
            estimate=self.estimate - other.estimate,
            left_out=np.asarray(self.left_out) - np.asarray(other.left_out),
            sizes=self.sizes,
        )

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping (exact: floats are written in full; an end of the range that is infinite is null)."""
        ends = [end if math.isfinite(end) else None for end in self.within]
        sizes = None if self.sizes is None else np.asarray(self.sizes).tolist()
        return {"items": self.items, "estimate": self.estimate, "left_out": self.left_out.tolist(), "sizes": sizes, "within": ends}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Jackknife:
        """Rebuild from what :meth:`to_json` gave."""
        low, high = found["within"]
        return cls(
            items=found["items"],
            estimate=found["estimate"],
            left_out=np.asarray(found["left_out"], dtype=np.float64),
            sizes=None if found.get("sizes") is None else np.asarray(found["sizes"]),
            within=(-math.inf if low is None else low, math.inf if high is None else high),
        )


def paired_jackknife(candidate: Sequence[Jackknife], baseline: Sequence[Jackknife], *, level: float = 0.95) -> PairedResult:
    """Return the paired difference of a matrix metric, one entry per seed, the same groups left out of both models.

    With several seeds the interval is that of `over_seeds`, with the jackknife's covariance between the seeds.

    Raises
    ------
    ValueError
        The models have other groups, or another number of seeds.
    """
    differences = [mine.minus(theirs) for mine, theirs in zip(candidate, baseline, strict=True)]
    deviations_SG = np.stack([found.deviations for found in differences])
    delta_S = np.array([found.estimate for found in differences])
    delta, (seeds, groups) = float(delta_S.mean()), deviations_SG.shape
    bounds: tuple[float, float] | None = None
    p_value, detectable = 1.0, None
    if seeds > 1:
        together = over_seeds(delta_S, deviations_SG @ deviations_SG.T, groups - 1, level, crossed=True)
        bounds, p_value, detectable = together.bounds, together.p_value, together.detectable
    if bounds is None:  # one seed, or no spread at all
        mean_G = deviations_SG.mean(axis=0)
        error = math.sqrt(float(mean_G @ mean_G))
        half = _quantile(groups, level) * error
        bounds = (delta - half, delta + half)
        certain = 1.0 if delta == 0 else 0.0
        p_value = float(2 * student.sf(abs(delta) / error, groups - 1)) if error > 0 else certain
        detectable = half + float(student.ppf(POWER, groups - 1)) * error
    return PairedResult(
        delta=delta,
        ci_low=bounds[0],
        ci_high=bounds[1],
        p_value=p_value,
        test="paired jackknife over groups of items",
        baseline_value=float(np.mean([found.estimate for found in baseline])),
        candidate_value=float(np.mean([found.estimate for found in candidate])),
        n_items=0,
        detectable=detectable,
    )


def _quantile(groups: int, level: float) -> float:
    return float(student.ppf(0.5 + level / 2, groups - 1))
