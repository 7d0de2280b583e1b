"""What a probe hands back: measurements with their intervals, the evidence behind them, and what is to be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from balora_audit.metric import Metric
from balora_audit.probes.context import Context
from balora_audit.records import Measurement, Series
from balora_audit.slices import ALL, Slice
from balora_audit.stats import ItemScores, Jackknife, interval, wilson
from balora_audit.stats.items import Combine

__all__ = ["Findings"]


class Declaring(Protocol):
    """Who hands findings back: it has a name, and a record of every metric in them. A `balora_audit.probes.Probe` does."""

    @property
    def name(self) -> str:
        """As ``audit.json`` calls it."""
        ...

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Name → record."""
        ...

    def record(self, metric: str) -> Metric | None:
        """Return the record of a metric, None for one that is not declared."""
        ...


@dataclass(slots=True)
class Findings:
    """Collects measurements with their intervals, and the per-item evidence that comparisons are computed from."""

    context: Context
    probe: Declaring
    measurements: list[Measurement] = field(default_factory=list)
    scores: dict[tuple[str, Slice], ItemScores | Jackknife] = field(default_factory=dict)
    series: list[Series] = field(default_factory=list)

    def rate(self, metric: str, values: Sequence[bool] | np.ndarray, ids: Sequence[str], *, slice: Slice = ALL) -> None:
        """Add the share of items for which `values` is true, with a Wilson interval."""
        flags = np.asarray(values, dtype=np.float64)
        if len(flags) == 0:
            self.missing(metric, "no item to measure it on", slice=slice)
            return
        self.scores[metric, slice] = ItemScores.mean_of(tuple(ids), flags)
        low, high = wilson(int(flags.sum()), len(flags), self.context.config.ci)
        self._add(metric, slice, float(flags.mean()), (low, high), len(flags))

    def mean(self, metric: str, values: np.ndarray, ids: Sequence[str], *, slice: Slice = ALL) -> None:
        """Add the mean of one number per item, with a bootstrap interval."""
        self.statistic(metric, ItemScores.mean_of(tuple(ids), np.asarray(values, dtype=np.float64)), slice=slice)

    def ratios(
        self,
        metric: str,
        ids: Sequence[str],
        numerators: np.ndarray,
        denominators: np.ndarray,
        *,
        combine: Combine = "mean",
        slice: Slice = ALL,
    ) -> None:
        """Add a combination of ratios of sums over items, with a bootstrap interval."""
        scores = ItemScores(
            ids=tuple(ids),
            numerators=np.atleast_2d(np.asarray(numerators, dtype=np.float64)),
            denominators=np.atleast_2d(np.asarray(denominators, dtype=np.float64)),
            combine=combine,
        )
        self.statistic(metric, scores, slice=slice)

    def statistic(self, metric: str, scores: ItemScores, *, slice: Slice = ALL) -> None:
        """Add the statistic of per-item scores, with a bootstrap interval."""
        value = scores.value()
        if value is None:
            self.missing(metric, "a class or group has no items in the test set", slice=slice)
            return
        self.scores[metric, slice] = scores
        config = self.context.config
        bounds = interval(scores, level=config.ci, n_resamples=config.resamples, seed=0)
        self._add(metric, slice, value, bounds, len(scores.ids))

    def spectral(self, metric: str, found: Jackknife, *, slice: Slice = ALL) -> None:
        """Add a metric of the whole feature matrix, with a jackknife interval."""
        self.scores[metric, slice] = found
        self._add(metric, slice, found.estimate, found.interval(self.context.config.ci), found.items)

    def plain(self, metric: str, value: float, n: int, *, slice: Slice = ALL, of_items: bool = True) -> None:
        """Add a number that has no interval of its own; unless it is one `of_items`, no item stands behind it."""
        self._row(metric, slice, float(value), None, n, None, of_items=of_items)

    def missing(self, metric: str, reason: str, *, slice: Slice = ALL) -> None:
        """Record that a metric could not be measured, and why."""
        self._row(metric, slice, None, None, 0, reason)

    def draw(self, name: str, **columns: Sequence[float | str | None]) -> None:
        """Add numbers that are meant to be drawn."""
        context = self.context
        self.series.append(
            Series(
                **context.cell._asdict(),
                probe=self.probe.name,
                name=name,
                columns={key: tuple(values) for key, values in columns.items()},
            )
        )

    def row(self, row: Measurement, scores: ItemScores | Jackknife | None) -> None:
        """Add a measurement that was made elsewhere, and the evidence behind it where there is any."""
        self.measurements.append(row)
        if scores is not None:
            self.scores[row.metric, Slice.parse(row.slice)] = scores

    def _declared(self, metric: str) -> Metric:
        found = self.probe.record(metric)
        if found is None:
            raise ValueError(f"the probe {self.probe.name!r} declares no metric {metric!r}; it has {', '.join(self.probe.metrics)}")
        return found

    def _add(self, metric: str, slice: Slice, value: float, bounds: tuple[float, float] | None, n: int) -> None:
        self._row(metric, slice, float(value), bounds, n, None)

    def _row(
        self,
        metric: str,
        slice: Slice,
        value: float | None,
        bounds: tuple[float, float] | None,
        n: int,
        reason: str | None,
        *,
        of_items: bool = True,
    ) -> None:
        low, high = bounds if bounds is not None else (None, None)
        context = self.context
        self.measurements.append(
            Measurement(
                **context.cell._asdict(),
                probe=self.probe.name,
                metric=metric,
                slice=str(slice),
                value=value,
                ci_low=low,
                ci_high=high,
                n=n,
                higher_is_better=self._declared(metric).higher_is_better,
                reason=reason,
                evidence=context.evidence if of_items else None,
            )
        )
