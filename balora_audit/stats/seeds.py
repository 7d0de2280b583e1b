"""Intervals over training seeds and items together (METHODS §8)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtrit

from balora_audit.stats.items import FloatArray

__all__ = ["POWER", "OverSeeds", "over_seeds"]

POWER = 0.8
"""With which an effect that is called detectable is found."""

_LEAST = 0.5
_SMALLEST = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class OverSeeds:
    """What several seeds say of a difference; ``detectable`` is the sum of its half widths at the level and at 80 % power, one-sided."""

    bounds: tuple[float, float] | None
    p_value: float
    detectable: float | None


def over_seeds(by_seed_S: FloatArray, covariance_SS: FloatArray, item_freedom: int, level: float, *, crossed: bool) -> OverSeeds:
    """Return the interval of the mean over seeds, its p-value and the detectable difference; without any spread, None, 1 and None.

    Parameters
    ----------
    by_seed_S : (S,)
        The difference in each seed, S ≥ 2.
    covariance_SS : (S, S)
        Covariance of these differences over draws of items.
    item_freedom : int
        Degrees of freedom of that covariance.
    crossed : bool
        Whether all seeds have the same items.

    Notes
    -----
    Two variances of few and of many degrees of freedom add up: that between the seeds, over S, on S − 1 degrees of freedom, and
    that which the seeds share since they are measured on the same items (the mean covariance; 0 when each has its own). The
    critical value is the mean of both Student quantiles, weighted by the variances (Cochran & Cox 1950, §4.14); for known variances
    it covers 94 to 98 % with two seeds, 95 to 97 % with three or more. Satterthwaite's degrees of freedom, estimated from two
    seeds, are too many whenever the two happen to agree: they cover 87 %. Drawing seeds with replacement covers less still.

    Rates of few items often agree in all seeds by coincidence. The interval is never shorter than half of what the items alone
    give; the whole of it would cover 99 % where seeds do not matter.
    """
    seeds = len(by_seed_S)
    items = max(0.0, float(covariance_SS.mean()) if crossed else float(np.trace(covariance_SS)) / seeds**2)
    shared = max(0.0, float((covariance_SS.sum() - np.trace(covariance_SS)) / (seeds * (seeds - 1)))) if crossed else 0.0
    between = float(by_seed_S.var(ddof=1)) / seeds
    if not 0 < between + items < math.inf:
        return OverSeeds(bounds=None, p_value=1.0, detectable=None)

    def half_width(alpha: float) -> float:
        of_seeds, of_items = -float(stdtrit(seeds - 1, alpha / 2)), -float(stdtrit(item_freedom, alpha / 2))
        together = math.sqrt(between + shared)
        critical = (between * of_seeds + shared * of_items) / together if together > 0 else 0.0
        return max(critical, _LEAST * of_items * math.sqrt(items))

    delta = float(by_seed_S.mean())
    half = half_width(1 - level)
    certain = abs(delta) >= half_width(_SMALLEST)
    p_value = _SMALLEST if certain else float(brentq(lambda alpha: half_width(alpha) - abs(delta), _SMALLEST, 1.0, xtol=1e-12))
    return OverSeeds(bounds=(delta - half, delta + half), p_value=p_value, detectable=half + half_width(2 * (1 - POWER)))
