"""Intervals: Wilson for a rate, bootstrap for a statistic, two-level bootstrap for a paired difference (METHODS §8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import norm

from balora_audit.stats.items import FloatArray, ItemScores

__all__ = ["PairedResult", "bootstrap_weights", "interval", "paired", "paired_rate_interval", "wilson"]

_MOST_UNDEFINED = 0.05
_SHIFTED = frozenset({"min", "rms", "rms_difference"})
_LARGEST_SHIFT = 1.0  # the estimate lies outside the middle two thirds of its own bootstrap distribution
_CHUNK = 2_000_000


def wilson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval for a rate (Wilson 1927), within [0, 1].

    Raises
    ------
    ValueError
        ``n`` is not positive, or ``successes`` is not within 0 and n.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"need 0 ≤ successes ≤ n and n > 0, got {successes} of {n}")
    z = float(norm.ppf(0.5 + level / 2))
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def paired_rate_interval(only_candidate: int, only_baseline: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a difference of two rates on the same n items (Bonett & Price 2012).

    Parameters
    ----------
    only_candidate, only_baseline : int
        Items on which the candidate alone, and the baseline alone, scored.

    Notes
    -----
    One pseudo-count is added to each kind of discordant pair. A bootstrap of items that all agree has no width, however few
    they are; this interval then is ±2.8/(n + 2) at 95 % and says how little that shows.
    """
    if n <= 0 or min(only_candidate, only_baseline) < 0 or only_candidate + only_baseline > n:
        raise ValueError(f"need counts of discordant pairs within n > 0, got {only_candidate} and {only_baseline} of {n}")
    a, b = (only_candidate + 1) / (n + 2), (only_baseline + 1) / (n + 2)
    half = float(norm.ppf(0.5 + level / 2)) * math.sqrt((a + b - (a - b) ** 2) / (n + 2))
    return max(-1.0, a - b - half), min(1.0, a - b + half)


_TOO_FEW = "too few items in a class or group for an interval that could be trusted"
_NO_VARIATION = "every resample of the items gives the same difference: they say nothing about its uncertainty"


def bootstrap_weights(n_items: int, n_resamples: int, rng: np.random.Generator) -> FloatArray:
    """Return how often each item is drawn in each resample: multinomial counts, (R, N), rows sum to N."""
    return rng.multinomial(n_items, np.full(n_items, 1 / n_items), size=n_resamples).astype(np.float64)


def interval(scores: ItemScores, *, level: float = 0.95, n_resamples: int = 2000, seed: int = 0) -> tuple[float, float] | None:
    """Return the bootstrap interval of a statistic over items.

    Percentile for combinations that are smooth in the items; for a minimum or a root mean square, whose bootstrap
    distribution is shifted, the bias-corrected percentile (Efron 1981). None when that shift is too large to be corrected with
    any trust, when every resample gives the same value, when there are fewer than two items, or when more than 5 % of the
    resamples leave a ratio without items.
    """
    if len(scores.ids) < 2:
        return None
    values = np.concatenate([scores.replicate(w_RN) for w_RN in _weights(len(scores.ids), n_resamples, seed)])
    estimate = scores.value()
    return None if estimate is None else _bounds(values, estimate, level, shifted=scores.combine in _SHIFTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedResult:
    """A paired difference, candidate − baseline. ``n_lost`` items were measured for one of the two only."""

    delta: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    test: str
    baseline_value: float | None
    candidate_value: float | None
    n_items: int
    n_lost: int = 0
    reason: str | None = None


def paired(
    candidate: Sequence[ItemScores],
    baseline: Sequence[ItemScores],
    *,
    level: float = 0.95,
    n_resamples: int = 5000,
    seed: int = 0,
) -> PairedResult:
    """Return the paired difference of a statistic with its bootstrap interval and p-value.

    Parameters
    ----------
    candidate, baseline : sequence of ItemScores, one per seed, same length S ≥ 1
        Items are paired by id, on the intersection.
    level, n_resamples, seed
        Of the interval, of the bootstrap, of its generator.

    Notes
    -----
    METHODS §8. One seed: items are resampled, with the same weights for both models. Several: each replicate draws S seeds
    with replacement and averages over them. When every seed has the same items (one test set), the design is crossed and
    a replicate resamples them once for all seeds; drawing them anew per seed would average the item noise away. When
    the items differ by seed (the mislabelled rows), they are drawn within each seed.

    The p-value is the share of replicates whose deviation from the estimate is at least as large as the estimate itself
    (two-sided, add-one, so never 0; Davison & Hinkley 1997, §4.4). Identical inputs give Δ = 0, an interval of zero
    width and p = 1. Of different inputs, a bootstrap in which every replicate is the same, as where both models miss a class
    altogether, gives no interval: agreement on these items is no certainty.
    """
    if len(candidate) != len(baseline) or not candidate:
        raise ValueError(f"need the same number of seeds for both models, at least one; got {len(candidate)} and {len(baseline)}")
    test = "paired bootstrap over items" if len(candidate) == 1 else "paired bootstrap over seeds and items"
    joined, lost = [], 0
    for mine, theirs in zip(candidate, baseline, strict=True):
        present = set(mine.ids)
        common = tuple(item for item in theirs.ids if item in present)
        lost += len(mine.ids) + len(theirs.ids) - 2 * len(common)
        joined.append((mine.select(common), theirs.select(common)))
    count = len(joined[0][0].ids)
    values = [(mine.value(), theirs.value()) for mine, theirs in joined]
    if any(a is None or b is None for a, b in values) or count < 2:
        return PairedResult(
            delta=None, ci_low=None, ci_high=None, p_value=None, test=test, baseline_value=None, candidate_value=None,
            n_items=count, n_lost=lost, reason="fewer than two common items, or a class or group without any",
        )  # fmt: skip
    mine_mean = float(np.mean([a for a, _ in values if a is not None]))
    their_mean = float(np.mean([b for _, b in values if b is not None]))
    delta = float(np.mean([a - b for a, b in values if a is not None and b is not None]))
    replicates = _replicates(joined, n_resamples, seed)
    shifted = joined[0][0].combine in _SHIFTED
    bounds = _bounds(replicates, delta, level, shifted=shifted)
    defined = replicates[np.isfinite(replicates)]
    centre = float(defined.mean()) if shifted and len(defined) else delta
    p_value = (1 + int((np.abs(defined - centre) >= abs(delta) - 1e-12).sum())) / (1 + len(defined))
    if all(_identical(mine, theirs) for mine, theirs in joined):
        bounds = (0.0, 0.0)  # a model beside itself
    reason = None
    if bounds is None:
        reason = _NO_VARIATION if len(defined) and np.ptp(defined) == 0 else _TOO_FEW
    return PairedResult(
        delta=delta,
        ci_low=bounds[0] if bounds else None,
        ci_high=bounds[1] if bounds else None,
        p_value=p_value if bounds else None,
        test=test,
        baseline_value=their_mean,
        candidate_value=mine_mean,
        n_items=count,
        n_lost=lost,
        reason=reason,
    )


def _identical(mine: ItemScores, theirs: ItemScores) -> bool:
    return np.array_equal(mine.numerators, theirs.numerators) and np.array_equal(mine.denominators, theirs.denominators)


def _replicates(joined: list[tuple[ItemScores, ItemScores]], n_resamples: int, seed: int) -> FloatArray:
    rng = np.random.default_rng([seed, 1])
    crossed = all(mine.ids == joined[0][0].ids for mine, _ in joined)
    if crossed:
        count = len(joined[0][0].ids)
        parts = [_differences(joined, [w_RN] * len(joined)) for w_RN in _weights(count, n_resamples, seed)]
        by_seed_SR = np.concatenate(parts, axis=1)
    else:
        by_seed_SR = np.stack(
            [np.concatenate([_differences([pair], [w_RN])[0] for w_RN in _chunks(len(pair[0].ids), n_resamples, rng)]) for pair in joined]
        )
    seeds = len(joined)
    if seeds == 1:
        return np.asarray(by_seed_SR[0])
    drawn_RS = rng.integers(seeds, size=(n_resamples, seeds))
    return np.asarray(by_seed_SR[drawn_RS, np.arange(n_resamples)[:, None]].mean(axis=1))


def _differences(pairs: list[tuple[ItemScores, ItemScores]], weights: list[FloatArray]) -> FloatArray:
    return np.stack([mine.replicate(w) - theirs.replicate(w) for (mine, theirs), w in zip(pairs, weights, strict=True)])


@lru_cache(maxsize=8)
def _weights(n_items: int, n_resamples: int, seed: int) -> tuple[FloatArray, ...]:
    """Return the weights that every statistic on the same number of items shares: drawing them is most of the work."""
    return tuple(_chunks(n_items, n_resamples, np.random.default_rng(seed)))


def _chunks(n_items: int, n_resamples: int, rng: np.random.Generator) -> list[FloatArray]:
    size = max(1, min(n_resamples, _CHUNK // max(1, n_items)))
    counts = [min(size, n_resamples - start) for start in range(0, n_resamples, size)]
    return [bootstrap_weights(n_items, count, rng) for count in counts]


def _bounds(values: FloatArray, estimate: float, level: float, *, shifted: bool) -> tuple[float, float] | None:
    defined = values[np.isfinite(values)]
    if len(defined) < (1 - _MOST_UNDEFINED) * len(values):
        return None
    if np.ptp(defined) == 0:
        return None  # the items at hand say nothing about the uncertainty, which is no certainty
    shares = np.array([(1 - level) / 2, (1 + level) / 2])
    if shifted:
        close = np.isclose(defined, estimate, rtol=1e-9, atol=1e-12)
        below = float(((defined < estimate) & ~close).mean() + 0.5 * close.mean())
        shift = float(norm.ppf(below))
        if not abs(shift) <= _LARGEST_SHIFT:
            return None
        shares = norm.cdf(2 * shift + norm.ppf(shares))
    low, high = np.quantile(defined, shares)
    return float(low), float(high)
