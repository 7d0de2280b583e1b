"""From the harness's nested results to records, with intervals made from the items."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from balora_audit.harness import results
from balora_audit.harness.records import HarnessItem, HarnessMetric
from balora_audit.metrics.bias import correlation
from balora_audit.stats import ItemScores, interval, wilson

__all__ = ["items_of", "metrics_of"]

_RESAMPLES = 500
_MOST_UNDEFINED = 0.05
_CHEAP = ("mean", "nanmean", "perplexity", "weighted_perplexity", "bits_per_byte", "median")
"""Upstream's aggregations that are quick enough to be computed on every resample; all of ours are."""
_OVER_OCCUPATIONS = frozenset({"labour_pearson", "labour_spearman"})
_BIASED = frozenset({"prior_shift"})
"""Divergences, which every resample makes larger: a percentile interval would lie above the value."""


def metrics_of(found: Mapping[str, Any], tasks: Mapping[str, Any], *, level: float) -> tuple[HarnessMetric, ...]:
    """Return every aggregate of every task; NaN becomes None with a reason."""
    rows = []
    for name, task in tasks.items():
        samples = found["samples"][name]
        for key, value in found["results"][name].items():
            metric, comma, filter_name = key.partition(",")
            if not comma or metric.endswith("_stderr"):
                continue
            kept = [sample for sample in samples if sample["filter"] == filter_name and metric in sample]
            defined = _number(value)
            bounds, reason = None, None
            if defined is None:
                reason = _why([sample[metric] for sample in kept])
            else:
                aggregate = task.aggregation().get(metric)
                bounds = _bounds([sample[metric] for sample in kept], [_cluster(s) for s in kept], aggregate, defined, level)
            rows.append(
                HarnessMetric(
                    task=name,
                    version=str(found["versions"].get(name)),
                    shots=int(found["n-shot"].get(name) or 0),
                    metric=metric,
                    filter=filter_name,
                    value=defined,
                    higher_is_better=task.higher_is_better().get(metric),
                    n_items=len(kept),
                    ci_low=bounds[0] if bounds else None,
                    ci_high=bounds[1] if bounds else None,
                    reason=reason,
                )
            )
    return tuple(rows)


def items_of(found: Mapping[str, Any]) -> tuple[HarnessItem, ...]:
    """Return every document of every task."""
    rows = []
    for name, samples in found["samples"].items():
        given: dict[str, set[int]] = {}
        for sample in samples:
            given.setdefault(_given_id(sample), set()).add(sample["doc_id"])
        # some data sets number their documents per story or split: such an id alone does not tell two documents apart
        rows += [_item(name, sample, unique=len(given[_given_id(sample)]) == 1) for sample in samples]
    return tuple(rows)


def _given_id(sample: Mapping[str, Any]) -> str:
    doc = sample["doc"]
    item = doc.get("id") if isinstance(doc, dict) else None
    return str(item) if isinstance(item, str | int) else f"{sample['doc_id']:06d}"


def _item(task: str, sample: Mapping[str, Any], *, unique: bool) -> HarnessItem:
    doc = sample["doc"] if isinstance(sample["doc"], dict) else {"text": str(sample["doc"])}
    severity, group = doc.get("severity"), doc.get("group")
    item = _given_id(sample) if unique else f"{_given_id(sample)}#{sample['doc_id']:06d}"
    return HarnessItem(
        task=task,
        id=item,
        filter=sample["filter"],
        pair_id=_cluster(sample),
        group=None if group is None else str(group),
        severity=severity if isinstance(severity, int) else None,
        values={name: float(sample[name]) for name in sample["metrics"] if isinstance(sample[name], int | float | np.number | np.bool_)},
        document=doc,
        requests=tuple(tuple(arguments) for arguments in sample["arguments"]),
        responses=tuple(sample["filtered_resps"]),
    )


def _cluster(sample: Mapping[str, Any]) -> str:
    """Return what is resampled as one: items of one pair are not independent."""
    doc = sample["doc"]
    pair = doc.get("pair_id") if isinstance(doc, dict) else None
    return f"doc-{sample['doc_id']:06d}" if pair is None else str(pair)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float | np.number) and math.isfinite(value) else None


def _why(values: Sequence[Any]) -> str:
    """Say why an aggregate is not a finite number."""
    parts = [value if isinstance(value, tuple | list) else (value,) for value in values]
    bad = sum(any(isinstance(x, float | np.floating) and not math.isfinite(x) for x in row) for row in parts)
    if bad:
        return f"{bad} of {len(values)} items have a likelihood or score that is not finite"
    return f"not defined on these {len(values)} items: a group, class or condition that it compares is missing or was never chosen"


def _bounds(
    values: Sequence[Any], clusters: Sequence[str], aggregate: Callable[..., Any] | None, value: float, level: float
) -> tuple[float, float] | None:
    name = getattr(aggregate, "__name__", "")
    if len(values) < 2 or name in _BIASED or (aggregate is not None and not _cheap(aggregate)):
        return None
    if name in _OVER_OCCUPATIONS:
        return _correlation_interval(values, name == "labour_spearman", level)
    scalar = all(isinstance(x, int | float | np.number) and math.isfinite(x) for x in values)
    order = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    place = np.array([order[name] for name in clusters])
    if name == "worst_class_recall":  # a minimum: its bootstrap distribution is shifted, which this interval corrects
        return interval(_recalls(values, place, len(order)), level=level)
    if scalar and (aggregate is None or name == "mean"):
        if len(order) == len(values) and set(map(float, values)) <= {0.0, 1.0}:
            return wilson(int(sum(values)), len(values), level)
        if set(map(float, values)) in ({0.0}, {1.0}):  # no resample differs: as many trials as there are pairs, not certainty
            return wilson(int(values[0]) * len(order), len(order), level)
        sums = np.bincount(place, weights=np.asarray(values, dtype=np.float64), minlength=len(order)).astype(np.float64)
        counts = np.bincount(place, minlength=len(order)).astype(np.float64)
        return interval(ItemScores(ids=tuple(order), numerators=sums[None, :], denominators=counts[None, :]), level=level)
    assert aggregate is not None
    return _resampled(values, place, len(order), aggregate, level)


def _correlation_interval(values: Sequence[Any], ranks: bool, level: float) -> tuple[float, float] | None:
    """Return the percentile interval of a correlation whose items are occupations, which are drawn with their gap."""
    women, gaps = results.occupation_gaps(values)
    rng = np.random.default_rng([len(gaps), 29])
    draws = [rng.integers(len(gaps), size=len(gaps)) for _ in range(_RESAMPLES)]
    defined = [x for chosen in draws if (x := correlation(women[chosen], gaps[chosen], ranks=ranks)) is not None]
    if len(defined) < (1 - _MOST_UNDEFINED) * _RESAMPLES:
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _recalls(values: Sequence[tuple[int, int]], place: np.ndarray, count: int) -> ItemScores:
    """Return right answers and documents of each class (rows) in each cluster (columns)."""
    true, answer = np.array([pair[0] for pair in values]), np.array([pair[1] for pair in values])
    of_class = true[None, :] == np.unique(true)[:, None]
    member = (place[:, None] == np.arange(count)[None, :]).astype(np.float64)
    right = (of_class & (answer == true)[None, :]).astype(np.float64) @ member
    ids = tuple(str(number) for number in range(count))
    return ItemScores(ids=ids, numerators=right, denominators=of_class.astype(np.float64) @ member, combine="min")


def _cheap(aggregate: Callable[..., Any]) -> bool:
    return str(getattr(aggregate, "__module__", "")).startswith("balora_audit.") or getattr(aggregate, "__name__", "") in _CHEAP


def _resampled(
    values: Sequence[Any], place: np.ndarray, count: int, aggregate: Callable[..., Any], level: float
) -> tuple[float, float] | None:
    """Return the percentile interval of any aggregate, whole pairs being drawn; None when too many draws leave it undefined."""
    if count < 2:
        return None
    members = [np.flatnonzero(place == number) for number in range(count)]
    rng = np.random.default_rng([count, 23])
    found = []
    for _ in range(_RESAMPLES):
        chosen = np.concatenate([members[number] for number in rng.integers(count, size=count)])
        try:
            found.append(float(aggregate([values[index] for index in chosen])))
        except (ValueError, ZeroDivisionError):
            found.append(math.nan)
    defined = np.array([x for x in found if math.isfinite(x)])
    if len(defined) < (1 - _MOST_UNDEFINED) * _RESAMPLES:
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
