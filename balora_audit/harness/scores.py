"""What each document adds to an aggregate: the evidence of intervals and of paired comparisons, in the form of `balora_audit.stats`.

Documents with one ``pair_id`` are one unit: their sums are, since they are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from balora_audit.harness import results
from balora_audit.metrics.bias import correlation
from balora_audit.stats import ItemScores, Jackknife, interval, wilson
from balora_audit.stats.items import Combine, FloatArray

__all__ = ["bounds", "scores_behind"]

Aggregate = Callable[[Sequence[Any]], Any]
Parts = tuple[FloatArray, FloatArray, Combine]
"""Numerators and denominators of K ratios on N documents, (K, N) each, and how they are combined."""

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
    scores = _ratios(_PARTS[name], values, units) if name in _PARTS else None
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


def _ratios(parts: Callable[[Sequence[Any]], Parts], values: Sequence[Any], units: Sequence[str]) -> ItemScores | None:
    """Return the parts of each unit; None for values of another kind, such as those of a namesake of the aggregation."""
    try:
        numerators_KN, denominators_KN, combine = parts(values)
    except (ValueError, TypeError, LookupError):
        return None
    order = {unit: number for number, unit in enumerate(dict.fromkeys(units))}
    place_N = np.array([order[unit] for unit in units])
    return ItemScores(
        ids=tuple(order),
        numerators=_summed(numerators_KN, place_N, len(order)),
        denominators=_summed(denominators_KN, place_N, len(order)),
        combine=combine,
    )


def _summed(parts_KN: FloatArray, place_N: np.ndarray, count: int) -> FloatArray:
    return np.stack([np.bincount(place_N, weights=row, minlength=count) for row in parts_KN]).astype(np.float64)


def _plain(values: Sequence[Any]) -> Parts:
    row = np.array([values], dtype=np.float64)
    return row, np.ones_like(row), "mean"


def _perplexity(values: Sequence[float]) -> Parts:
    numerators, denominators, _ = _plain(values)
    return -numerators, denominators, "exp"


def _per_weight(values: Sequence[tuple[float, float]]) -> tuple[FloatArray, FloatArray]:
    found = np.asarray(values, dtype=np.float64)
    return -found[None, :, 0], found[None, :, 1]


def _weighted_perplexity(values: Sequence[tuple[float, float]]) -> Parts:
    return *_per_weight(values), "exp"


def _bits(values: Sequence[tuple[float, float]]) -> Parts:
    nats, size = _per_weight(values)
    return nats / math.log(2), size, "mean"


def _recalls(values: Sequence[tuple[int, int]]) -> tuple[FloatArray, FloatArray]:
    true, answer = np.asarray(values, dtype=np.int64).T
    of_class = true[None, :] == np.unique(true)[:, None]
    return (of_class & (answer == true)[None, :]).astype(np.float64), of_class.astype(np.float64)


def _balanced_accuracy(values: Sequence[tuple[int, int]]) -> Parts:
    return *_recalls(values), "mean"


def _worst_class_recall(values: Sequence[tuple[int, int]]) -> Parts:
    return *_recalls(values), "min"


def _of_forms(values: Sequence[Any], pairs: Sequence[tuple[int, int]], of: Callable[[Any, Any], tuple[float, ...]]) -> FloatArray:
    """Return what each pair of forms gives, at the place of its first form and 0 elsewhere, (K, N)."""
    found = np.zeros((len(of(values[0], values[0])), len(values)))
    for first, second in pairs:
        found[:, first] = of(values[first], values[second])
    return found


def _gap(values: Sequence[tuple[Any, ...]], first: str, second: str, *, place: int) -> Parts:
    pairs = results.form_pairs(values, first, second)
    hits = _of_forms(values, pairs, lambda one, other: (float(one[place]), float(other[place])))
    return hits, _of_forms(values, pairs, lambda *_: (1.0, 1.0)), "difference"


def _gender_agreement(values: Sequence[tuple[str, str, int, bool]]) -> Parts:
    pairs = results.form_pairs(values, "male", "female")
    same = _of_forms(values, pairs, lambda male, female: (float(male[2] == female[2]),))
    return same, _of_forms(values, pairs, lambda *_: (1.0,)), "mean"


def _said(values: Sequence[results.Said], *, ambiguous: bool) -> dict[str, FloatArray]:
    """Return, on the questions of one condition, which documents answered so, (N,) each of 0 and 1."""
    asked = np.array([kind is ambiguous for _, _, kind in values])
    kinds = {name: asked & np.array([said == name for said, _, _ in values]) for name in ("biased", "counter", "undirected", "invalid")}
    right = asked & np.array([bool(correct) for _, correct, _ in values])
    valid = asked & ~kinds["invalid"]
    found = {**kinds, "asked": asked, "right": right, "valid": valid, "wrong": valid & ~right}
    return {name: flags.astype(np.float64) for name, flags in found.items()}


def _condition_accuracy(values: Sequence[results.Said], *, ambiguous: bool) -> Parts:
    said = _said(values, ambiguous=ambiguous)
    return said["right"][None], said["asked"][None], "mean"


def _disambiguated_bias(values: Sequence[results.Said]) -> Parts:
    said = _said(values, ambiguous=False)
    directed = said["biased"] + said["counter"]
    return np.stack([said["biased"], said["counter"]]), np.stack([directed, directed]), "difference"


def _ambiguous_bias(values: Sequence[results.Said]) -> Parts:
    said = _said(values, ambiguous=True)
    directed, valid = said["biased"] + said["counter"], said["valid"]
    if np.array_equal(said["wrong"], directed):  # their share cancels, and the score is 0 where every answer is *unknown*
        return np.stack([said["biased"], said["counter"]]), np.stack([valid, valid]), "difference"
    return np.stack([said["wrong"], said["biased"], said["counter"]]), np.stack([valid, directed, directed]), "scaled_difference"


_PARTS: dict[str, Callable[[Sequence[Any]], Parts]] = {
    "mean": _plain,
    "nanmean": _plain,
    "perplexity": _perplexity,
    "weighted_perplexity": _weighted_perplexity,
    "bits_per_byte": _bits,
    "balanced_accuracy": _balanced_accuracy,
    "worst_class_recall": _worst_class_recall,
    "gender_gap": lambda values: _gap(values, "male", "female", place=3),
    "gender_agreement": _gender_agreement,
    "pro_anti_gap": lambda values: _gap(values, "pro", "anti", place=2),
    "ambiguous_accuracy": lambda values: _condition_accuracy(values, ambiguous=True),
    "disambiguated_accuracy": lambda values: _condition_accuracy(values, ambiguous=False),
    "ambiguous_bias": _ambiguous_bias,
    "disambiguated_bias": _disambiguated_bias,
}
"""By the aggregation's name, the harness's and ours. A namesake that gives another value is treated like any other aggregate."""

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
    return Jackknife(items=len(order), estimate=value, left_out=np.array(defined)) if len(defined) == groups else None
