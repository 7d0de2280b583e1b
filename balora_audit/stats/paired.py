"""The paired difference of two models, with its interval and p-value (METHODS §8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from balora_audit.stats.items import FloatArray, ItemScores
from balora_audit.stats.rates import paired_rate_error, paired_rate_interval
from balora_audit.stats.seeds import POWER, over_seeds
from balora_audit.stats.studentised import influence, spread_of
from balora_audit.stats.tests import mcnemar_exact

__all__ = ["PairedResult", "paired"]

Bounds = tuple[float, float] | None
Pairs = Sequence[tuple[ItemScores, ItemScores]]

_ITEMS = "paired studentised bootstrap over items"
_SEEDS = "paired t over seeds and items"
_UNCERTAIN = "too few items differ, or a class or group has too few, for an interval that could be trusted"
_ABSENT = "fewer than two common items, or a class or group without any"
_NONE_IN_COMMON = "there is no item on which both models qualify"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedResult:
    """A paired difference, candidate − baseline. ``n_lost`` items were measured for one of the two only, ``n_excluded`` not finite.

    ``detectable`` is ``(q₀.₉₇₅ + q₀.₈)·SE`` with the quantiles of this very interval: added to a margin, the smallest true difference that
    would lie wholly beyond it with 80 % power (METHODS §8).
    """

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
    detectable: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What is said of a difference."""

    bounds: Bounds
    p_value: float | None
    test: str
    reason: str | None = None
    detectable: float | None = None


def paired(
    candidate: Sequence[ItemScores],
    baseline: Sequence[ItemScores],
    *,
    level: float = 0.95,
    n_resamples: int = 5000,
    seed: int = 0,
) -> PairedResult:
    """Return the paired difference of a statistic with its interval and p-value.

    Parameters
    ----------
    candidate, baseline : sequence of ItemScores, one per seed, same length S ≥ 1
        Items are paired by id, on the intersection.
    level, n_resamples, seed
        Of the interval, of the bootstrap, of its generator.

    Notes
    -----
    METHODS §8. One seed: a rate gets the interval of Bonett & Price and McNemar's exact test, every other statistic the studentised
    bootstrap (`spread_of`). Several seeds: `over_seeds`, with the items' covariance in closed form.

    Scores that are the same number on every item, and not whole numbers, are one model twice: an interval of zero width. Two models
    that agree on every count differ by 0 with p = 1 and the interval of rates, since that is no certainty. Where the items cannot say
    how uncertain a difference is, the interval is withheld with a reason.
    """
    if len(candidate) != len(baseline) or not candidate:
        raise ValueError(f"need the same number of seeds for both models, at least one; got {len(candidate)} and {len(baseline)}")
    joined, lost = [], 0
    for mine, theirs in zip(candidate, baseline, strict=True):
        present = set(mine.ids)
        common = tuple(item for item in theirs.ids if item in present)
        lost += len(mine.ids) + len(theirs.ids) - 2 * len(common)
        joined.append(_qualified(mine.select(common), theirs.select(common)))
    values = [(mine.value(), theirs.value()) for mine, theirs in joined]
    defined = np.array([(a, b) for a, b in values if a is not None and b is not None])
    enough = len(defined) == len(values) and len(joined[0][0].ids) >= 2
    absent = _NONE_IN_COMMON if any(mine.common for mine, _ in joined) else _ABSENT
    judged = _judge(joined, defined, level, n_resamples, seed) if enough else _Judged(bounds=None, p_value=None, test="none", reason=absent)
    return PairedResult(
        delta=float((defined[:, 0] - defined[:, 1]).mean()) if enough else None,
        ci_low=judged.bounds[0] if judged.bounds else None,
        ci_high=judged.bounds[1] if judged.bounds else None,
        p_value=judged.p_value,
        test=judged.test,
        baseline_value=float(defined[:, 1].mean()) if enough else None,
        candidate_value=float(defined[:, 0].mean()) if enough else None,
        n_items=int((joined[0][0].denominators[0] != 0).sum()) if joined[0][0].common else len(joined[0][0].ids),
        n_lost=lost,
        n_excluded=sum(scores.excluded for scores in (*candidate, *baseline)),
        reason=judged.reason,
        detectable=judged.detectable,
    )


def _qualified(mine: ItemScores, theirs: ItemScores) -> tuple[ItemScores, ItemScores]:
    """Leave out of each ratio the items on which one of the models does not qualify, where scores are of those on which one does."""
    if not mine.common or mine.denominators.shape != theirs.denominators.shape:
        return mine, theirs
    both_KN = ((mine.denominators != 0) & (theirs.denominators != 0)).astype(np.float64)
    return mine.where(both_KN), theirs.where(both_KN)


def _judge(joined: Pairs, values_S2: FloatArray, level: float, n_resamples: int, seed: int) -> _Judged:
    """Return interval, p-value, the test's name, and why there is none."""
    mine, theirs = joined[0]
    same, seeds = _identical(joined), len(joined)
    if same and any(bool((a.numerators != np.round(a.numerators)).any()) for a, _ in joined):
        return _Judged(bounds=(0.0, 0.0), p_value=1.0, test="identical scores")  # fine enough that this is no coincidence
    if all(a.is_rate and b.is_rate and np.array_equal(a.denominators, b.denominators) for a, b in joined) and (seeds == 1 or same):
        counting_N = mine.denominators[0] == 1
        hit, other = mine.numerators[0, counting_N] == 1, theirs.numerators[0, counting_N] == 1
        counts = int((hit & ~other).sum()), int((~hit & other).sum()), int(counting_N.sum())
        return _Judged(
            bounds=paired_rate_interval(*counts, level),
            p_value=mcnemar_exact(hit, other),
            test="McNemar exact",
            detectable=sum(float(norm.ppf(at)) for at in (0.5 + level / 2, POWER)) * paired_rate_error(*counts),
        )
    if seeds > 1 and not same:
        crossed = all(a.ids == mine.ids for a, _ in joined)
        for padded in (False, True) if all(a.counted and b.counted for a, b in joined) else (False,):
            covariance_SS = _covariance(joined, crossed=crossed, padded=padded)
            by_seed_S = values_S2[:, 0] - values_S2[:, 1]
            together = over_seeds(by_seed_S, covariance_SS, _counting(joined) - 1, level, crossed=crossed)
            if together.bounds is not None:
                return _Judged(bounds=together.bounds, p_value=together.p_value, test=_SEEDS, detectable=together.detectable)
        return _Judged(bounds=None, p_value=None, test=_SEEDS, reason=_UNCERTAIN)
    found = spread_of(mine, theirs, level=level, n_resamples=n_resamples, seed=seed)
    if found is None:
        return _Judged(bounds=None, p_value=1.0 if same else None, test=_ITEMS, reason=_UNCERTAIN)
    (low, high), (least, most) = found.interval(level), _differences_range(mine, theirs)
    detectable = found.error * (found.quantile(level) + found.quantile(2 * POWER - 1))
    return _Judged(bounds=(max(low, least), min(high, most)), p_value=found.p_value(), test=_ITEMS, detectable=detectable)


def _counting(joined: Pairs) -> int:
    """Return how many items count at least in the seed that has fewest: those on which both models qualify, where that is asked."""
    return min(int((mine.denominators != 0).any(axis=0).sum()) if mine.common else len(mine.ids) for mine, _ in joined)


def _identical(joined: Pairs) -> bool:
    """Say whether both models have the same scores on every item."""
    return all(np.array_equal(a.numerators, b.numerators) and np.array_equal(a.denominators, b.denominators) for a, b in joined)


def _differences_range(mine: ItemScores, theirs: ItemScores) -> tuple[float, float]:
    (low, high), (other_low, other_high) = mine.range, theirs.range
    return low - other_high, high - other_low


def _covariance(joined: Pairs, *, crossed: bool, padded: bool) -> FloatArray:
    """Return the covariance of the seeds' differences over draws of items, (S, S), from what each item adds to them."""
    rows = [influence(mine, theirs, padded=padded) for mine, theirs in joined]
    if crossed:
        influence_SN = np.stack(rows)
        return np.asarray(influence_SN @ influence_SN.T)
    return np.diag([float(row @ row) for row in rows])
