"""What each document adds to an aggregate: the evidence of intervals and of paired comparisons, in the form of `balora_audit.stats`.

Documents with one ``pair_id`` are one unit: their sums are, since they are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from balora_audit.harness import results
from balora_audit.harness.ratios import RATIOS
from balora_audit.metrics.bias import correlation
from balora_audit.metrics.ratios import Ratios
from balora_audit.stats import ItemScores, Jackknife, interval, wilson

__all__ = ["bounds", "scores_behind"]

Aggregate = Callable[[Sequence[Any]], Any]

_GROUPS = 20
_TOLERANCE = 1e-9
_DIVERGENCES = frozenset({"prior_shift"})
"""Never negative, and near 0 as a rule: a symmetric interval says nothing there."""


def scores_behind(aggregate: Aggregate | None, values: Sequence[Any], units: Sequence[str]) -> ItemScores | Jackknife | None:
    """Return the evidence behind an aggregate; None when it is undefined, or nothing is known of how documents add to it.

    Parameters
    ----------
    aggregate : callable, optional
        The task's; without one the harness takes the mean.
    values, units : sequences, length N
        What ``process_results`` gave for the metric, per document; the unit that each document belongs to.

    Notes
    -----
    Means, gaps, recalls, shares, likelihoods per byte and bias scores are combinations of ratios of sums over units. Correlations
    over occupations get a delete-one jackknife over occupations, any other aggregate a delete-group jackknife over units.
    """
    name = "mean" if aggregate is None else str(getattr(aggregate, "__name__", ""))
    if not values or name in _DIVERGENCES:
        return None
    if name in _OVER_OCCUPATIONS:
        return _over_occupations(values, ranks=_OVER_OCCUPATIONS[name])
    value = _value(aggregate, values)
    if value is None:
        return None
    scores = _scores(RATIOS[name], values, units) if name in RATIOS else None  # a namesake may give another value
    if scores is not None:
        found = scores.value()
        if found is not None and math.isclose(found, value, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE) and not scores.excluded:
            return scores
    return None if aggregate is None else _leave_out(aggregate, values, units, value)


def bounds(scores: ItemScores | Jackknife, level: float) -> tuple[float, float] | None:
    """Return the interval of an aggregate from the evidence behind it; None when the units cannot say how uncertain it is."""
    if isinstance(scores, Jackknife):
        return scores.interval(level)
    if scores.combine == "mean" and len(scores.numerators) == 1 and not scores.is_rate:
        hits_N, counts_N = scores.numerators[0], scores.denominators[0]
        for hits, all_of_them in ((0, not hits_N.any()), (len(hits_N), np.array_equal(hits_N, counts_N))):
            if all_of_them:  # no resample differs: as many trials as there are units, not certainty
                return wilson(hits, len(hits_N), level)
    return interval(scores, level=level)


def _value(aggregate: Aggregate | None, values: Sequence[Any]) -> float | None:
    try:
        found = float(np.mean(values) if aggregate is None else aggregate(values))
    except (ValueError, TypeError, LookupError, ArithmeticError):
        return None
    return found if math.isfinite(found) else None


def _scores(ratios: Callable[[Sequence[Any]], Ratios], values: Sequence[Any], units: Sequence[str]) -> ItemScores | None:
    """Return the ratios of each unit; None for values of another kind, such as those of a namesake of the aggregation."""
    try:
        found = ratios(values)
    except (ValueError, TypeError, LookupError):
        return None
    order = {unit: number for number, unit in enumerate(dict.fromkeys(units))}
    return ItemScores.of(tuple(order), found.summed([order[unit] for unit in units], len(order)))


_OVER_OCCUPATIONS = {"labour_pearson": False, "labour_spearman": True}


def _over_occupations(values: Sequence[results.Leaning], *, ranks: bool) -> Jackknife | None:
    women, gaps = results.occupation_gaps(values)
    kept = ~np.eye(len(gaps), dtype=bool)
    found = [correlation(women[row], gaps[row], ranks=ranks) for row in kept]
    value = correlation(women, gaps, ranks=ranks)
    defined = [x for x in found if x is not None]
    if value is None or len(defined) < max(_GROUPS // 2, len(found)):
        return None
    return Jackknife(items=len(gaps), estimate=value, left_out=np.array(defined), within=(-1.0, 1.0))


def _leave_out(aggregate: Aggregate, values: Sequence[Any], units: Sequence[str], value: float) -> Jackknife | None:
    order = {unit: number for number, unit in enumerate(dict.fromkeys(units))}
    groups = min(_GROUPS, len(order))
    if groups < _GROUPS // 2:
        return None
    dealt = np.random.default_rng([len(order), 23]).permutation(np.arange(len(order)) % groups)
    group_N = dealt[[order[unit] for unit in units]]
    found = [_value(aggregate, [value for value, of in zip(values, group_N, strict=True) if of != group]) for group in range(groups)]
    defined = [x for x in found if x is not None]
    if len(defined) < groups:
        return None
    return Jackknife(items=len(order), estimate=value, left_out=np.array(defined), sizes=np.bincount(dealt))
