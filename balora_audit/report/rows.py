"""Looking up measurements by what they are of; means over seeds with their range."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from balora_audit.audit import AuditRecord, Measurement, Series
from balora_audit.report.numbers import MISSING, interval_text, value_text

__all__ = ["Reader", "Summary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A metric of one model: mean over seeds; the interval is a single seed's own, or the range over several."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    values: tuple[float, ...]
    reason: str | None

    @property
    def text(self) -> str:
        """The value with its interval (one seed) or range (several), or why there is none."""
        if self.value is None:
            return f"not measured: {self.reason}" if self.reason else MISSING
        shown = value_text(self.value, self.metric)
        if len(self.values) > 1:
            return f"{shown} ({interval_text(min(self.values), max(self.values), self.metric)} over {len(self.values)} seeds)"
        return shown if self.low is None else f"{shown} ({interval_text(self.low, self.high, self.metric)})"


class Reader:
    """Answers questions about a record."""

    def __init__(self, record: AuditRecord) -> None:
        self.record = record
        self.models = [model.name for model in record.models]
        self.titles = {model.name: model.title for model in record.models}
        self._rows: dict[tuple[str, str, str, str, str], list[Measurement]] = {}
        for row in record.measurements:
            self._rows.setdefault((row.probe, row.metric, row.slice, row.condition, row.method), []).append(row)

    def get(self, probe: str, metric: str, slice: str, condition: str, model: str) -> Summary | None:
        """Return the summary over seeds, or None when there is no such row."""
        rows = self._rows.get((probe, metric, slice, condition, model))
        if not rows:
            return None
        known = [row for row in rows if row.value is not None]
        values = tuple(row.value for row in known if row.value is not None)
        single = known[0] if len(known) == 1 else None
        return Summary(
            metric=metric,
            value=sum(values) / len(values) if values else None,
            low=single.ci_low if single else min(values, default=None),
            high=single.ci_high if single else max(values, default=None),
            n=rows[0].n,
            values=values,
            reason=next((row.reason for row in rows if row.reason), None),
        )

    def slices(self, probe: str, metric: str, condition: str) -> list[str]:
        """Return the slices of a metric, in order of appearance."""
        return self._unique(r.slice for r in self.record.measurements if (r.probe, r.metric, r.condition) == (probe, metric, condition))

    def conditions(self, probe: str, metric: str | None = None) -> list[str]:
        """Return the conditions under which a probe (or one of its metrics) has rows."""
        rows = self.record.measurements
        return self._unique(r.condition for r in rows if r.probe == probe and metric in (None, r.metric))

    def metrics(self, probe: str, condition: str, slice: str = "all") -> list[str]:
        """Return the metrics of a probe under a condition."""
        rows = self.record.measurements
        return self._unique(r.metric for r in rows if (r.probe, r.condition, r.slice) == (probe, condition, slice))

    def series(self, probe: str, name: str) -> list[Series]:
        """Return the series of a name."""
        return [series for series in self.record.series if series.probe == probe and series.name == name]

    @staticmethod
    def _unique(values: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(values))
