"""The studentised bootstrap over items, of a statistic or of its difference between two models (METHODS §8).

A percentile interval of few or skewed items is too short, and that of a minimum or a root mean square is shifted. Each resample
is therefore measured in standard errors of its own, which are known in closed form (`ItemScores.linearise`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import norm

from balora_audit.stats.items import FloatArray, ItemScores

__all__ = ["Spread", "bootstrap_weights", "influence", "spread_of"]

_CHUNK = 2_000_000
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How uncertain an estimate is: its standard error, and deviations in standard errors that resamples show (sorted)."""

    estimate: float
    error: float
    deviations: FloatArray | None

    def interval(self, level: float) -> tuple[float, float]:
        """Return ``estimate ± q·error``; q is the quantile of the deviations, or a normal one where there are none."""
        half = self.quantile(level) * self.error
        return self.estimate - half, self.estimate + half

    def quantile(self, level: float) -> float:
        """Return q of ``P(|deviation| ≤ q) = level``: of the resamples' deviations, or a normal one where there are none."""
        if self.deviations is None:
            return float(norm.ppf(0.5 + level / 2))
        return float(self.deviations[_place(len(self.deviations), level)])

    def p_value(self) -> float:
        """Return the two-sided p-value of *the estimate is 0*; by resamples never 0 (Davison & Hinkley 1997, §4.4)."""
        observed = abs(self.estimate) / self.error
        if self.deviations is None:
            return float(2 * norm.sf(observed))
        return float((1 + (self.deviations >= observed - _TOLERANCE).sum()) / (1 + len(self.deviations)))


def spread_of(scores: ItemScores, baseline: ItemScores | None = None, *, level: float, n_resamples: int, seed: int) -> Spread | None:
    """Return the spread of a statistic, or of its difference from the baseline's on the same items.

    Notes
    -----
    The symmetric bootstrap-t of Hall (1992, §3.6): the quantile of ``|θ* − θ| / se*`` over resamples of items, the same items
    for both models. A resample without spread, or with a ratio that has lost all its items, deviates without bound. Where so many
    do that the interval would be infinite, rates get pseudo-items instead (Agresti & Caffo 2000; Bonett & Price 2012): in each ratio
    one on which the candidate alone scores and one on which the baseline does, or, for one model, two that score and two that do
    not. Other scores then get none, nor do gaps that are 0 in every cell: they cannot say how uncertain they are.
    """
    count = len(scores.ids)
    if count < 2:
        return None
    value, influence_RN = _both(scores, baseline, np.ones((1, count)))
    if not math.isfinite(value[0]):
        return None
    error = _norm(influence_RN[0])
    parts = []
    if math.isfinite(error) and error > 0:
        for weights_RN in _weights(count, n_resamples, seed):
            value_R, influence_RN = _both(scores, baseline, weights_RN)
            with np.errstate(invalid="ignore", divide="ignore"):
                error_R = np.sqrt(np.einsum("rn,rn,rn->r", weights_RN, influence_RN, influence_RN))
                parts.append(np.where(error_R > _TOLERANCE * error, np.abs(value_R - value[0]) / error_R, np.inf))
        deviations = np.sort(np.nan_to_num(np.concatenate(parts), nan=np.inf, posinf=np.inf))
        if math.isfinite(deviations[_place(len(deviations), level)]):
            return Spread(estimate=float(value[0]), error=error, deviations=deviations)
    if not scores.counted or (baseline is not None and not baseline.counted):
        return None
    error = _norm(influence(scores, baseline, padded=True))
    return Spread(estimate=float(value[0]), error=error, deviations=None) if 0 < error < math.inf else None


def influence(scores: ItemScores, baseline: ItemScores | None = None, *, padded: bool = False) -> FloatArray:
    """Return what each item adds to the statistic, or to its difference from the baseline's; (N,), with pseudo-items (N + P,)."""
    if padded:
        scores, baseline = _with(scores, (1, 1, 0, 0) if baseline is None else (1, 0)), baseline and _with(baseline, (0, 1))
    return np.asarray(_both(scores, baseline, np.ones((1, len(scores.ids))))[1][0])


def _norm(values_N: FloatArray) -> float:
    return math.sqrt(float(values_N @ values_N))


def bootstrap_weights(n_items: int, n_resamples: int, rng: np.random.Generator) -> FloatArray:
    """Return how often each item is drawn in each resample: multinomial counts, (R, N), rows sum to N."""
    return rng.multinomial(n_items, np.full(n_items, 1 / n_items), size=n_resamples).astype(np.float64)


def _both(scores: ItemScores, baseline: ItemScores | None, weights_RN: FloatArray) -> tuple[FloatArray, FloatArray]:
    value_R, influence_RN = scores.linearise(weights_RN)
    if baseline is None:
        return value_R, influence_RN
    other_R, other_RN = baseline.linearise(weights_RN)
    return value_R - other_R, influence_RN - other_RN


def _with(scores: ItemScores, hits: tuple[int, ...]) -> ItemScores:
    """Return the scores with an item more in each ratio for each of `hits`."""
    one_KK = np.eye(len(scores.numerators))
    return ItemScores(
        ids=(*scores.ids, *(f"+{number}" for number in range(len(hits) * len(one_KK)))),
        numerators=np.concatenate([scores.numerators, *(hit * one_KK for hit in hits)], axis=1),
        denominators=np.concatenate([scores.denominators, *(one_KK for _ in hits)], axis=1),
        combine=scores.combine,
        common=scores.common,
    )


def _place(count: int, level: float) -> int:
    return min(count, math.ceil(level * (count + 1))) - 1


@lru_cache(maxsize=8)
def _weights(n_items: int, n_resamples: int, seed: int) -> tuple[FloatArray, ...]:
    """Return the weights that every statistic on the same number of items shares: drawing them is most of the work."""
    rng = np.random.default_rng(seed)
    size = max(1, min(n_resamples, _CHUNK // max(1, n_items)))
    counts = [min(size, n_resamples - start) for start in range(0, n_resamples, size)]
    return tuple(bootstrap_weights(n_items, count, rng) for count in counts)
