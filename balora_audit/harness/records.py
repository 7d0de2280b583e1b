"""What a run of harness tasks gives: typed rows instead of the harness's nested dictionaries."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from balora_audit.errors import unknown_name
from balora_audit.harness.scores import bounds
from balora_audit.metric import Metric
from balora_audit.stats import ItemScores, Jackknife

__all__ = ["HarnessItem", "HarnessMetric", "HarnessResult", "finite", "slice_of"]


def slice_of(task: str, version: str, shots: int, filter_name: str = "none") -> str:
    """Return what an audit calls the part of its measurements that a task is."""
    suffix = "" if filter_name == "none" else f", {filter_name}"
    return f"{task} (version {version}, {shots} shots{suffix})"


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessMetric:
    """One aggregate. ``value`` is None when it is undefined, and ``reason`` says why.

    ``scores`` is the evidence that it is made of, to be paired with another model's by `balora_audit.stats`; documents with one
    ``pair_id`` are one unit there. None where nothing is known of how documents add to it. ``higher_is_better`` is the task file's own
    word, which is what is stored; `direction` judges it.
    """

    task: str
    version: str
    shots: int
    metric: str
    filter: str
    value: float | None
    higher_is_better: bool | None
    n_items: int
    reason: str | None = None
    scores: ItemScores | Jackknife | None = field(default=None, compare=False, repr=False)

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Return the interval of the value; None when there is no evidence, or it cannot say how uncertain the value is."""
        return None if self.scores is None else bounds(self.scores, level)

    def direction(self, metrics: Mapping[str, Metric]) -> bool | None:
        """Return the task's direction, or None where the record of the metric says that neither end is better.

        A task file cannot say that: a share of stereotypical sentences is best at one half. `metrics` maps names to their records;
        a metric that is not among them keeps the task's word.
        """
        known = metrics.get(self.metric)
        return None if known is not None and known.higher_is_better is None else self.higher_is_better

    @property
    def slice(self) -> str:
        """What tells two measurements of one metric apart in an audit: task, version, shots, and a filter that matters."""
        return slice_of(self.task, self.version, self.shots, self.filter)


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessItem:
    """One document under one filter: its metrics that are numbers (None: not finite), and everything the task kept about it.

    ``requests`` are the arguments the model saw, ``responses`` what it gave: (log-likelihood, is greedy) or a text.
    """

    task: str
    id: str
    filter: str
    pair_id: str
    group: str | None
    severity: int | None
    values: dict[str, float | None]
    document: dict[str, Any]
    requests: tuple[tuple[Any, ...], ...]
    responses: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessResult:
    """Aggregates and items of one model on a list of tasks, in the order of the tasks.

    ``shortened`` counts, by task, the documents that were longer than the model's context and lost their beginning.
    """

    metrics: tuple[HarnessMetric, ...]
    items: tuple[HarnessItem, ...]
    shortened: dict[str, int] = field(default_factory=dict)

    def metric(self, task: str, metric: str, *, filter_name: str | None = None) -> HarnessMetric:
        """Return one aggregate; `ConfigurationError` with near names when there is none."""
        found = [row for row in self.metrics if row.task == task and row.metric == metric]
        found = [row for row in found if filter_name in (None, row.filter)]
        if not found:
            raise unknown_name("harness metric", f"{task}.{metric}", sorted({f"{row.task}.{row.metric}" for row in self.metrics}))
        return found[0]

    def to_json(self) -> str:
        """Return the whole result as JSON text; a number that is not finite becomes null."""
        found = {
            "metrics": [_packed(row) for row in self.metrics],
            "items": [asdict(item) for item in self.items],
            "shortened": self.shortened,
        }
        return json.dumps(finite(found), ensure_ascii=False, allow_nan=False, default=str)

    @classmethod
    def from_json(cls, text: str) -> HarnessResult:
        """Return the result that :meth:`to_json` gave."""
        found = json.loads(text)
        items = [
            HarnessItem(**{**row, "requests": tuple(map(tuple, row["requests"])), "responses": tuple(row["responses"])})
            for row in found["items"]
        ]
        return cls(metrics=tuple(map(_unpacked, found["metrics"])), items=tuple(items), shortened=found["shortened"])


def _packed(row: HarnessMetric) -> dict[str, Any]:
    plain = {part.name: getattr(row, part.name) for part in fields(row) if part.name != "scores"}
    kind = None if row.scores is None else type(row.scores).__name__
    return {**plain, "kind": kind, "scores": None if row.scores is None else row.scores.to_json()}


def _unpacked(found: dict[str, Any]) -> HarnessMetric:
    kinds: dict[str | None, Any] = {"ItemScores": ItemScores.from_json, "Jackknife": Jackknife.from_json, None: lambda _: None}
    plain = {name: value for name, value in found.items() if name not in ("kind", "scores")}
    return HarnessMetric(**plain, scores=kinds[found["kind"]](found["scores"]))


def finite(value: Any) -> Any:
    """Return the same with None for every number that is not finite: JSON has no word for it."""
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: finite(part) for name, part in value.items()}
    return [finite(part) for part in value] if isinstance(value, list | tuple) else value
