"""Ratios of sums over items, and how they become one number: the form in which nearly every metric is defined.

Accuracy is ``Σ correct / Σ 1``; the recall of class c is ``Σ correct·1[c] / Σ 1[c]``; the worst-class recall is the minimum of C such
ratios; KL per token is ``Σ KL / Σ tokens``. A metric is written once, as the function that gives its ratios from per-item arrays. Its
value, and under resampled items all its values at once, follow from them.

Shapes: K ratio, N item, R replicate (row of item weights), H half of the ratios.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from balora_audit.metrics.arrays import Float

__all__ = ["COMBINERS", "Combine", "Ratios", "mean_ratio"]

Combine = Literal["mean", "geometric_mean", "min", "rms", "rms_difference", "max_difference", "difference", "scaled_difference", "exp"]


def _halves(ratios_RK: Float) -> Float:
    half = ratios_RK.shape[1] // 2
    return np.asarray(ratios_RK[:, :half] - ratios_RK[:, half:])


def _mirrored(slopes_RH: Float) -> Float:
    return np.concatenate([slopes_RH, -slopes_RH], axis=1)


def _at(places_R: NDArray[np.intp], count: int) -> Float:
    return np.asarray(np.arange(count) == places_R[:, None], dtype=np.float64)


def _mean(ratios_RK: Float) -> tuple[Float, Float]:
    return ratios_RK.mean(axis=1), np.full_like(ratios_RK, 1 / ratios_RK.shape[1])


def _geometric_mean(ratios_RK: Float) -> tuple[Float, Float]:
    value_R = np.exp(np.log(ratios_RK).mean(axis=1))  # one ratio of 0 makes it 0
    return value_R, value_R[:, None] / (ratios_RK.shape[1] * ratios_RK)


def _min(ratios_RK: Float) -> tuple[Float, Float]:
    return ratios_RK.min(axis=1), _at(ratios_RK.argmin(axis=1), ratios_RK.shape[1])


def _rms(ratios_RK: Float) -> tuple[Float, Float]:
    value_R = np.sqrt(np.mean(ratios_RK**2, axis=1))
    at_zero_R = value_R == 0  # where it has no slope, as |x| has none
    return value_R, ratios_RK / (ratios_RK.shape[1] * np.where(at_zero_R, 1.0, value_R)[:, None])


def _rms_difference(ratios_RK: Float) -> tuple[Float, Float]:
    value_R, slopes_RH = _rms(_halves(ratios_RK))
    return value_R, _mirrored(slopes_RH)


def _max_difference(ratios_RK: Float) -> tuple[Float, Float]:
    gaps_RH = _halves(ratios_RK)
    largest_R = np.abs(gaps_RH).argmax(axis=1)
    return np.abs(gaps_RH).max(axis=1), _mirrored(np.sign(gaps_RH) * _at(largest_R, gaps_RH.shape[1]))


def _difference(ratios_RK: Float) -> tuple[Float, Float]:
    return ratios_RK[:, 0] - ratios_RK[:, 1], np.broadcast_to(np.array([1.0, -1.0]), ratios_RK.shape)


def _scaled_difference(ratios_RK: Float) -> tuple[Float, Float]:
    scale_R, gap_R = ratios_RK[:, 0], ratios_RK[:, 1] - ratios_RK[:, 2]
    return scale_R * gap_R, np.stack([gap_R, scale_R, -scale_R], axis=1)


def _exp(ratios_RK: Float) -> tuple[Float, Float]:
    value_R = np.exp(ratios_RK[:, 0])
    return value_R, value_R[:, None]


COMBINERS: dict[str, Callable[[Float], tuple[Float, Float]]] = {
    "mean": _mean,
    "geometric_mean": _geometric_mean,
    "min": _min,
    "rms": _rms,
    "rms_difference": _rms_difference,
    "max_difference": _max_difference,
    "difference": _difference,
    "scaled_difference": _scaled_difference,
    "exp": _exp,
}
"""How K ratios become one number: from (R replicates, K ratios) to the R values and their (R, K) derivatives by the ratios."""

_NEVER_NEGATIVE = frozenset({"exp", "rms", "rms_difference", "max_difference"})
_SIGNED = frozenset({"difference", "scaled_difference"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """Numerators and denominators of K ratios on N items, and how the ratios are combined.

    Parameters
    ----------
    numerators, denominators : (K, N) float64
        ``ratio_k = Σ_i w_i·numerators[k, i] / Σ_i w_i·denominators[k, i]`` with item weights w, which are 1 for the value itself.
    combine : name in `COMBINERS`
        ``rms_difference`` takes the root mean square of ``ratio_k − ratio_{k+K/2}`` for k < K/2, ``max_difference`` the
        largest of their absolute values; ``difference`` is ``ratio_0 − ratio_1``, ``scaled_difference`` ``ratio_0·(ratio_1 − ratio_2)``.

    Examples
    --------
    >>> found = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    >>> of_class = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    >>> Ratios(numerators=found, denominators=of_class).value(), Ratios(numerators=found, denominators=of_class, combine="min").value()
    (0.75, 0.5)
    """

    numerators: Float
    denominators: Float
    combine: Combine = "mean"

    def __post_init__(self) -> None:
        if self.numerators.ndim != 2 or self.numerators.shape != self.denominators.shape:
            raise ValueError(f"numerators and denominators must both be (K, N), got {self.numerators.shape} and {self.denominators.shape}")
        if self.combine not in COMBINERS:
            raise ValueError(f"unknown combine {self.combine!r}; valid: {', '.join(COMBINERS)}")

    def value(self) -> float | None:
        """Return the statistic on all items; None when there is no ratio, or one has no items at all."""
        totals = self.denominators.sum(axis=1)
        if 0 in self.numerators.shape or np.any(totals == 0):
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(COMBINERS[self.combine]((self.numerators.sum(axis=1) / totals)[None, :])[0][0])

    def defined_value(self) -> float:
        """Return the statistic on all items; raises `ValueError` where it is undefined."""
        value = self.value()
        if value is None:
            raise ValueError("no item counts in one of the ratios that this is made of: it is undefined")
        return value

    def summed(self, places: Any, count: int) -> Ratios:
        """Return the same ratios on `count` units, each the sum of the items that have its place, (N,) of 0 to count − 1."""
        place_N = np.asarray(places, dtype=np.intp)

        def over(parts_KN: Float) -> Float:
            rows = [np.bincount(place_N, weights=row, minlength=count) for row in parts_KN]
            return np.array(rows, dtype=np.float64).reshape(len(parts_KN), count)

        return Ratios(numerators=over(self.numerators), denominators=over(self.denominators), combine=self.combine)

    @property
    def counted(self) -> bool:
        """Whether the ratios are rates: each item counts once or not at all, with −1, 0 or 1."""
        return bool(np.isin(self.denominators, (0.0, 1.0)).all() and np.isin(self.numerators, (-1.0, 0.0, 1.0)).all())

    @property
    def is_rate(self) -> bool:
        """Whether the statistic is the share of the counting items that score."""
        return self.counted and len(self.numerators) == 1 and self.combine == "mean" and bool((self.numerators >= 0).all())

    @property
    def bounded(self) -> bool:
        """Whether no item adds more to a numerator than to its denominator, so that every ratio lies within −1 and 1."""
        return bool((np.abs(self.numerators) <= self.denominators).all())

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest value that scores of this kind can have, as far as the scores themselves tell."""
        negative = bool((self.numerators < 0).any() or (self.denominators < 0).any())
        low = -math.inf if self.combine in _SIGNED or (negative and self.combine not in _NEVER_NEGATIVE) else 0.0
        if not self.bounded or self.combine == "exp":
            return low, math.inf
        high = 2.0 if negative and self.combine in (_SIGNED | {"rms_difference", "max_difference"}) else 1.0
        return max(low, -high), high

    def values(self, weights_RN: Float) -> Float:
        """Return the statistic under each row of item weights, (R,); NaN where a ratio has lost all its items."""
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios_RK = (weights_RN @ self.numerators.T) / (weights_RN @ self.denominators.T)
            return COMBINERS[self.combine](ratios_RK)[0]

    def linearise(self, weights_RN: Float) -> tuple[Float, Float]:
        """Return the statistic under each row of item weights, and what each item adds to it at the margin.

        Returns
        -------
        values : (R,)
            NaN where a ratio has lost all its items.
        influences : (R, N)
            Derivative by the weight of each item, ``Σ_k ∂f/∂ratio_k·(numerators[k] − ratio_k·denominators[k]) / Σ w·denominators[k]``.
            The weighted sum of each row is 0, and that of its squares is the variance of the value (the infinitesimal
            jackknife: Efron 1982, ch. 6).
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            totals_RK = weights_RN @ self.denominators.T
            ratios_RK = (weights_RN @ self.numerators.T) / totals_RK
            values_R, slopes_RK = COMBINERS[self.combine](ratios_RK)
            slopes_RK = slopes_RK / totals_RK
            return values_R, slopes_RK @ self.numerators - (slopes_RK * ratios_RK) @ self.denominators


def mean_ratio(values: Any) -> Ratios:
    """Return the one ratio of the plain mean of a number per item, (N,)."""
    row = np.asarray(values, dtype=np.float64)[None, :]
    return Ratios(numerators=row, denominators=np.ones_like(row))
