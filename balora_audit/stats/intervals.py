"""Intervals: Wilson for a rate, bootstrap for a statistic, two-level bootstrap for a paired difference (METHODS §8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from balora_audit.stats.items import FloatArray, ItemScores

__all__ = ["PairedResult", "bootstrap_weights", "interval", "over_seeds", "paired", "paired_rate_interval", "wilson"]

_MOST_UNDEFINED = 0.05
_SHIFTED = frozenset({"min", "rms", "rms_difference", "max_difference"})
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


def bootstrap_weights(n_items: int, n_resamples: int, rng: np.random.Generator) -> FloatArray:
    """Return how often each item is drawn in each resample: multinomial counts, (R, N), rows sum to N."""
    return rng.multinomial(n_items, np.full(n_items, 1 / n_items), size=n_resamples).astype(np.float64)


def interval(scores: ItemScores, *, level: float = 0.95, n_resamples: int = 2000, seed: int = 0) -> tuple[float, float] | None:
    """Return the bootstrap interval of a statistic over items.

    Percentile for combinations that are smooth in the items; for a minimum or a root mean square, whose bootstrap
    distribution is shifted, the bias-corrected percentile (Efron 1981). None when that shift is too large to be corrected with
    any trust, when there are fewer than two items, or when more than 5 % of the resamples leave a ratio without items.
    """
    if len(scores.ids) < 2:
        return None
    values = np.concatenate([scores.replicate(w_RN) for w_RN in _weights(len(scores.ids), n_resamples, seed)])
    estimate = scores.value()
    return None if estimate is None else _bounds(values, estimate, level, shifted=scores.combine in _SHIFTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedResult:
    """A paired difference, candidate − baseline. ``n_lost`` items were measured for one of the two only, ``n_excluded`` not finite."""

    delta: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    test: str
    baseline_value: float | None
    candidate_value: float | None
    n_items: int
    n_lost: int = 0
    n_excluded: int = 0
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
    METHODS §8. One seed: items are resampled, with the same weights for both models, and the interval is a percentile one. The
    p-value is the share of replicates whose deviation from the estimate is at least as large as the estimate itself
    (two-sided, add-one, so never 0; Davison & Hinkley 1997, §4.4).

    Several seeds S: drawing two or three seeds with replacement understates how much seeds vary, so the interval is
    ``Δ ± t·SE``. SE² adds the variance between the seeds' differences over S, on S − 1 degrees of freedom, and the part of
    the item variance that the seeds share (the mean covariance of their bootstrap replicates; 0 when each seed has its own
    items). It is never below the item variance of the mean alone. The degrees of freedom are half of Satterthwaite's (1946), at
    least S − 1: his own, estimated from two seeds, are too many whenever the two happen to agree.

    A bootstrap without any spread proves nothing about counts: two models that both miss every item of a class differ by 0 in
    each resample. Such an interval is withheld with a reason, and so is the p-value, unless the two agree on every item (p = 1).
    Only measured (not counted) scores that are the same number on every item give an interval of zero width: one model twice.
    """
    if len(candidate) != len(baseline) or not candidate:
        raise ValueError(f"need the same number of seeds for both models, at least one; got {len(candidate)} and {len(baseline)}")
    test = "paired bootstrap over items" if len(candidate) == 1 else "paired t over seeds and items"
    joined, lost = [], 0
    excluded = sum(scores.excluded for scores in (*candidate, *baseline))
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
            n_items=count, n_lost=lost, n_excluded=excluded, reason="fewer than two common items, or a class or group without any",
        )  # fmt: skip
    mine_mean = float(np.mean([a for a, _ in values if a is not None]))
    their_mean = float(np.mean([b for _, b in values if b is not None]))
    delta = float(np.mean([a - b for a, b in values if a is not None and b is not None]))
    by_seed_SR = _by_seed(joined, n_resamples, seed)
    shifted = joined[0][0].combine in _SHIFTED
    reason = "too few items in a class or group for an interval that could be trusted"
    bounds: tuple[float, float] | None
    p_value, equal = 1.0, False
    if _same_measurements(joined):
        bounds = (0.0, 0.0)
    elif _spreadless(by_seed_SR):
        bounds, equal = None, _identical(joined)
        reason = "the same difference in every resample: these items cannot say how uncertain it is"
    elif len(joined) == 1:
        bounds = _bounds(by_seed_SR[0], delta, level, shifted=shifted)
        defined = by_seed_SR[0][np.isfinite(by_seed_SR[0])]
        centre = float(defined.mean()) if shifted and len(defined) else delta
        p_value = (1 + int((np.abs(defined - centre) >= abs(delta) - 1e-12).sum())) / (1 + len(defined))
    else:
        by_seed_S = np.array([a - b for a, b in values if a is not None and b is not None])
        bounds, p_value = _over_seeds(by_seed_S, by_seed_SR, count, level, crossed=_crossed(joined))
    return PairedResult(
        delta=delta,
        ci_low=bounds[0] if bounds else None,
        ci_high=bounds[1] if bounds else None,
        p_value=p_value if bounds or equal else None,
        test=test,
        baseline_value=their_mean,
        candidate_value=mine_mean,
        n_items=count,
        n_lost=lost,
        n_excluded=excluded,
        reason=None if bounds else reason,
    )


def _crossed(joined: list[tuple[ItemScores, ItemScores]]) -> bool:
    """Say whether every seed has the same items, as with one test set."""
    return all(mine.ids == joined[0][0].ids for mine, _ in joined)


def _identical(joined: list[tuple[ItemScores, ItemScores]]) -> bool:
    """Say whether both models have the same scores on every item."""
    return all(np.array_equal(a.numerators, b.numerators) and np.array_equal(a.denominators, b.denominators) for a, b in joined)


def _same_measurements(joined: list[tuple[ItemScores, ItemScores]]) -> bool:
    """Say whether both models have the same scores on every item, and scores fine enough that this is no coincidence."""
    return _identical(joined) and any(bool((a.numerators != np.round(a.numerators)).any()) for a, _ in joined)


def _spreadless(by_seed_SR: FloatArray) -> bool:
    defined = [row[np.isfinite(row)] for row in by_seed_SR]
    return all(len(row) > 0 and float(np.ptp(row)) < 1e-12 for row in defined)


def _over_seeds(
    by_seed_S: FloatArray, by_seed_SR: FloatArray, n_items: int, level: float, *, crossed: bool
) -> tuple[tuple[float, float] | None, float]:
    """Return the t interval over seeds and items and its p-value; see `paired`."""
    defined_SR = by_seed_SR[:, np.isfinite(by_seed_SR).all(axis=0)]
    if defined_SR.shape[1] < (1 - _MOST_UNDEFINED) * by_seed_SR.shape[1]:
        return None, 1.0
    return over_seeds(by_seed_S, np.cov(defined_SR), n_items - 1, level, crossed=crossed)


def over_seeds(
    by_seed_S: FloatArray, covariance_SS: FloatArray, item_freedom: int, level: float, *, crossed: bool
) -> tuple[tuple[float, float] | None, float]:
    """Return the t interval over seeds and items and its p-value, from the seeds' item covariance (S, S); see `paired`."""
    seeds = len(by_seed_S)
    items = float(covariance_SS.mean()) if crossed else float(np.trace(covariance_SS)) / seeds**2
    shared = float((covariance_SS.sum() - np.trace(covariance_SS)) / (seeds * (seeds - 1))) if crossed else 0.0
    between = float(by_seed_S.var(ddof=1)) / seeds
    variance = max(between + max(0.0, shared), items)
    if variance <= 0:
        return None, 1.0
    satterthwaite = variance**2 / (between**2 / (seeds - 1) + (variance - between) ** 2 / item_freedom)
    freedom = max(seeds - 1.0, satterthwaite / 2)  # with 2 seeds the whole of it covers 88 %, half of it 91 to 98 %
    delta, error = float(by_seed_S.mean()), math.sqrt(variance)
    half = float(student.ppf(0.5 + level / 2, freedom)) * error
    return (delta - half, delta + half), float(2 * student.sf(abs(delta) / error, freedom))


def _by_seed(joined: list[tuple[ItemScores, ItemScores]], n_resamples: int, seed: int) -> FloatArray:
    """Return each seed's bootstrap differences, (S, R); the same items are resampled with the same weights for all seeds."""
    if _crossed(joined):
        count = len(joined[0][0].ids)
        return np.concatenate([_differences(joined, [w_RN] * len(joined)) for w_RN in _weights(count, n_resamples, seed)], axis=1)
    rng = np.random.default_rng([seed, 1])
    return np.stack(
        [np.concatenate([_differences([pair], [w_RN])[0] for w_RN in _chunks(len(pair[0].ids), n_resamples, rng)]) for pair in joined]
    )


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
