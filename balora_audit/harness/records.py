"""What a run of harness tasks gives: typed rows instead of the harness's nested dictionaries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from balora_audit.errors import unknown_name
from balora_audit.stats import ItemScores

__all__ = ["HarnessItem", "HarnessMetric", "HarnessResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessMetric:
    """One aggregate. ``value`` is None when it is undefined, and ``reason`` says why; the interval may lack on its own."""

    task: str
    version: str
    shots: int
    metric: str
    filter: str
    value: float | None
    higher_is_better: bool | None
    n_items: int
    ci_low: float | None = None
    ci_high: float | None = None
    reason: str | None = None

    @property
    def slice(self) -> str:
        """What tells two measurements of one metric apart in an audit: task, version, shots, and a filter that matters."""
        suffix = "" if self.filter == "none" else f", {self.filter}"
        return f"{self.task} (version {self.version}, {self.shots} shots{suffix})"


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessItem:
    """One document under one filter: its metrics that are numbers, and everything the task kept about it.

    ``requests`` are the arguments the model saw, ``responses`` what it gave: (log-likelihood, is greedy) or a text.
    """

    task: str
    id: str
    filter: str
    pair_id: str
    group: str | None
    severity: int | None
    values: dict[str, float]
    document: dict[str, Any]
    requests: tuple[tuple[Any, ...], ...]
    responses: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessResult:
    """Aggregates and items of one model on a list of tasks, in the order of the tasks."""

    metrics: tuple[HarnessMetric, ...]
    items: tuple[HarnessItem, ...]

    def metric(self, task: str, metric: str, *, filter_name: str | None = None) -> HarnessMetric:
        """Return one aggregate; `ConfigurationError` with near names when there is none."""
        found = [row for row in self.metrics if row.task == task and row.metric == metric]
        found = [row for row in found if filter_name in (None, row.filter)]
        if not found:
            raise unknown_name("harness metric", f"{task}.{metric}", sorted({f"{row.task}.{row.metric}" for row in self.metrics}))
        return found[0]

    def scores(self, task: str, metric: str, *, filter_name: str = "none") -> ItemScores:
        """Return the items of a metric that is their mean, to be paired with another model's.

        Raises
        ------
        ValueError
            No item has this metric as a number, or one of them was not scored.
        """
        rows = [item for item in self.items if item.task == task and item.filter == filter_name and metric in item.values]
        if not rows:
            raise ValueError(f"no item of {task} has the number {metric!r}")
        return ItemScores.mean_of(tuple(item.id for item in rows), np.array([item.values[metric] for item in rows]))
