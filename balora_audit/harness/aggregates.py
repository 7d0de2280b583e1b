"""From the harness's nested results to records, with the evidence behind every aggregate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from balora_audit.harness.records import HarnessItem, HarnessMetric
from balora_audit.harness.scores import scores_behind

__all__ = ["items_of", "metrics_of"]


def metrics_of(found: Mapping[str, Any], tasks: Mapping[str, Any]) -> tuple[HarnessMetric, ...]:
    """Return every aggregate of every task; NaN becomes None with a reason."""
    rows = []
    for name, task in tasks.items():
        samples = found["samples"][name]
        for key, value in found["results"][name].items():
            metric, comma, filter_name = key.partition(",")
            if not comma or metric.endswith("_stderr"):
                continue
            kept = [sample for sample in samples if sample["filter"] == filter_name and metric in sample]
            values, defined = [sample[metric] for sample in kept], _number(value)
            behind = None if defined is None else scores_behind(task.aggregation().get(metric), values, [_unit(s) for s in kept])
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
                    reason=_why(values) if defined is None else None,
                    scores=behind,
                )
            )
    return tuple(rows)


def _direction(metric: str, task: Any) -> bool | None:
    said = task.higher_is_better().get(metric)
    return None if said is None else bool(said)


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
        pair_id=_unit(sample),
        group=None if group is None else str(group),
        severity=severity if isinstance(severity, int) else None,
        values={name: float(sample[name]) for name in sample["metrics"] if isinstance(sample[name], int | float | np.number | np.bool_)},
        document=doc,
        requests=tuple(tuple(arguments) for arguments in sample["arguments"]),
        responses=tuple(sample["filtered_resps"]),
    )


def _unit(sample: Mapping[str, Any]) -> str:
    """Return what is resampled as one: documents of one pair are not independent."""
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
