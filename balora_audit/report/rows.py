"""Looking measurements up by what they are of; means over seeds beside the values of single seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from balora_audit.records import AuditRecord, Measurement, Series
from balora_audit.report.blocks import Estimate
from balora_audit.report.numbers import METRICS, MISSING, PROBE_TITLES, info, interval_text, isolated, plain, value_text

__all__ = ["Reader", "Summary"]

_MOST_SEEDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A metric of one model: the mean over its seeds, each seed's value, and the interval where there is one seed."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    values: tuple[float, ...]
    reason: str | None
    evidence: tuple[str, ...]

    @property
    def cell(self) -> Estimate:
        """The value, and beneath it its interval (one seed) or the values of the seeds that it is the mean of."""
        if self.value is None:
            return Estimate(text=MISSING)
        shown = value_text(self.value, self.metric)
        if len(self.values) > _MOST_SEEDS:
            reach = interval_text(min(self.values), max(self.values), self.metric)
            return Estimate(text=shown, below=f"{len(self.values)} seeds: {reach}")
        if len(self.values) > 1:
            return Estimate(text=shown, below="seeds " + " · ".join(plain(value, self.metric) for value in self.values))
        return Estimate(text=shown, below=None if self.low is None else interval_text(self.low, self.high, self.metric))


class Reader:
    """Answers questions about a record."""

    def __init__(self, record: AuditRecord) -> None:
        self.record = record
        self.models = [model.name for model in record.models]
        used = Counter(model.title for model in record.models)
        self.titles = {
            m.name: isolated(m.title) if used[m.title] == 1 else f"{isolated(m.title)} [{isolated(m.name)}]" for m in record.models
        }
        self.untrained = {model.name for model in record.models if model.method == "base"}
        METRICS.clear()
        PROBE_TITLES.clear()
        METRICS.update({metric.name: metric for metric in record.metrics})
        PROBE_TITLES.update({probe.name: isolated(probe.title) for probe in record.probes})
        self._rows: dict[tuple[str, str, str, str, str], list[Measurement]] = {}
        for row in record.measurements:
            self._rows.setdefault((row.probe, row.metric, row.slice, row.condition, row.method), []).append(row)

    @property
    def seeds(self) -> list[int]:
        """The seeds that models were trained with."""
        return sorted({cell.seed for cell in self.record.cells} or {row.seed for row in self.record.measurements})

    @property
    def level(self) -> str:
        """The level of the intervals, as it is printed: ``95 %``."""
        found = self.record.config.get("ci")
        level = found if isinstance(found, float) else next((row.ci_level for row in self.record.comparisons), 0.95)
        return f"{100 * level:g}\N{NO-BREAK SPACE}%"

    def title(self, model: str) -> str:
        """Return a model's title, or its name where the record does not describe it."""
        return self.titles.get(model, isolated(model))

    def probe_title(self, probe: str) -> str:
        """Return a probe's title, or its name where nothing is known of it."""
        return PROBE_TITLES.get(probe, isolated(probe))

    def place(self, model: str) -> int:
        """Return a model's position, which decides its colour and marker."""
        return self.models.index(model) if model in self.models else len(self.models)

    def get(self, probe: str, metric: str, slice: str, condition: str, model: str) -> Summary | None:
        """Return the summary over seeds, or None when there is no such row.

        A model that is not trained is the same under every condition: its clean row answers where it has no other,
        but for metrics that depend on the training labels.
        """
        rows = self._rows.get((probe, metric, slice, condition, model))
        if not rows and model in self.untrained and not info(metric).of_training_rows:
            rows = self._rows.get((probe, metric, slice, "clean", model))
        if not rows:
            return None
        values = tuple(row.value for row in rows if row.value is not None)
        if model in self.untrained and len(set(values)) == 1:
            values = values[:1]  # one untrained model, evaluated once per seed with the same result
        single = next((row for row in rows if row.value is not None), None) if len(values) == 1 else None
        return Summary(
            metric=metric,
            value=sum(values) / len(values) if values else None,
            low=single.ci_low if single else min(values, default=None),
            high=single.ci_high if single else max(values, default=None),
            n=rows[0].n,
            values=values,
            reason=next((row.reason for row in rows if row.reason), None),
            evidence=tuple(row.evidence for row in rows if row.evidence),
        )

    def across(self, probe: str, metric: str, slice: str, condition: str) -> list[Summary | None]:
        """Return one summary per model, in the audit's order."""
        return [self.get(probe, metric, slice, condition, model) for model in self.models]

    def slices(self, probe: str, metric: str, condition: str) -> list[str]:
        """Return the slices of a metric, in order of appearance."""
        rows = self.record.measurements
        return _unique(row.slice for row in rows if (row.probe, row.metric, row.condition) == (probe, metric, condition))

    def conditions(self, probe: str, metrics: Sequence[str] = ()) -> list[str]:
        """Return the conditions under which a probe (or some of its metrics) has rows."""
        rows = self.record.measurements
        return _unique(row.condition for row in rows if row.probe == probe and (not metrics or row.metric in metrics))

    def metrics(self, probe: str, condition: str, slice: str = "all") -> list[str]:
        """Return the metrics of a probe under a condition."""
        rows = self.record.measurements
        return _unique(row.metric for row in rows if (row.probe, row.condition, row.slice) == (probe, condition, slice))

    def measured(self, probe: str) -> bool:
        """Whether a probe has at least one number."""
        return any(row.value is not None for row in self.record.measurements if row.probe == probe)

    def series(self, probe: str, name: str) -> list[Series]:
        """Return the series of a name that belong to a model of the audit."""
        return [s for s in self.record.series if (s.probe, s.name) == (probe, name) and s.method in self.models]

    def unmeasured(self, probe: str | None = None) -> list[Measurement]:
        """Return the rows that have a reason in place of a value."""
        return [row for row in self.record.measurements if row.value is None and probe in (None, row.probe)]


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
