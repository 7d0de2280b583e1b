"""What a run of harness tasks gives: typed rows instead of the harness's nested dictionaries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from balora_audit.errors import unknown_name
from balora_audit.stats import ItemScores

__all__ = ["HarnessItem", "HarnessMetric", "HarnessResult", "HarnessScores"]


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

        Documents with one ``pair_id`` are one unit, with their sum over their number: they are not independent.

        Raises
        ------
        ValueError
            No item has this metric as a number, or one of them was not scored.
        """
        rows = [item for item in self.items if item.task == task and item.filter == filter_name and metric in item.values]
        if not rows:
            raise ValueError(f"no item of {task} has the number {metric!r}")
        place = {name: number for number, name in enumerate(dict.fromkeys(item.pair_id for item in rows))}
        if len(place) == len(rows):
            return ItemScores.mean_of(tuple(item.id for item in rows), np.array([item.values[metric] for item in rows]))
        sums, counts = np.zeros((1, len(place))), np.zeros((1, len(place)))
        for item in rows:
            sums[0, place[item.pair_id]] += item.values[metric]
            counts[0, place[item.pair_id]] += 1
        return ItemScores(ids=tuple(place), numerators=sums, denominators=counts)

    def scores_of(self, row: HarnessMetric) -> ItemScores | None:
        """Return the items behind an aggregate; None when it is not the mean of one number per item."""
        try:
            found = self.scores(row.task, row.metric, filter_name=row.filter)
        except ValueError:
            return None
        mean = found.value()
        return found if mean is not None and row.value is not None and abs(mean - row.value) <= 1e-9 * max(1.0, abs(mean)) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessScores:
    """A result as a unit of an audit keeps it: ``payload`` is its JSON in UTF-8, (bytes,) uint8."""

    payload: NDArray[np.uint8]

    @classmethod
    def of(cls, result: HarnessResult) -> HarnessScores:
        """Pack a result; requests are kept, of generated and scored responses all."""
        text = json.dumps(asdict(result), ensure_ascii=False, default=str)
        return cls(payload=np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8))

    def result(self) -> HarnessResult:
        """Unpack it."""
        found = json.loads(self.payload.tobytes().decode("utf-8", "surrogatepass"))
        items = [
            HarnessItem(**{**row, "requests": tuple(map(tuple, row["requests"])), "responses": tuple(row["responses"])})
            for row in found["items"]
        ]
        return HarnessResult(metrics=tuple(HarnessMetric(**row) for row in found["metrics"]), items=tuple(items))

    def rows(self) -> Iterator[dict[str, object]]:
        """Yield what ``samples/*.jsonl`` keeps of each item."""
        for item in self.result().items:
            yield {
                "set": item.task,
                "id": item.id,
                "group": item.group,
                "pair_id": item.pair_id,
                "severity": item.severity,
                "requests": item.requests,
                "responses": item.responses,
                "values": item.values,
            }
