"""Looking measurements up by what they are of; means over seeds beside the values of single seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from balora_audit.metric import Metric, Sentence
from balora_audit.records import AuditRecord, Claim, Comparison, Effect, FrontierPoint, Measurement, Series
from balora_audit.report.blocks import Estimate
from balora_audit.report.numbers import MISSING, interval_text, isolated, plain, value_text
from balora_audit.slices import ALL, CLEAN, Slice

__all__ = ["SKILL", "Reader", "Summary"]

SKILL = "skill"
"""The probe that is read before all others."""

_MOST_SEEDS = 5
_Value = TypeVar("_Value", str, Slice)
_Row = Measurement | Comparison | Claim | FrontierPoint | Effect


class _Key(NamedTuple):
    probe: str
    metric: str
    slice: Slice
    condition: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A metric of one model: the mean over its seeds, each seed's value, and the interval where there is one seed."""

    metric: Metric
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
    """Answers questions about a record, whose texts it isolates and whose slices it parses once.

    Parameters
    ----------
    record : AuditRecord
        What ``audit.json`` holds.
    audit_sha256 : str
        The hash of ``audit.json``, which the report carries.
    """

    def __init__(self, record: AuditRecord, *, audit_sha256: str) -> None:
        self.record = record
        self.audit_sha256 = audit_sha256
        self.models = [model.name for model in record.models]
        used = Counter(model.title for model in record.models)
        self.titles = {
            m.name: isolated(m.title) if used[m.title] == 1 else f"{isolated(m.title)} [{isolated(m.name)}]" for m in record.models
        }
        self.untrained = {model.name for model in record.models if model.method == "base"}
        self._metrics = {metric.name: _isolated(metric) for metric in record.metrics}
        self._probes = {probe.name: probe for probe in record.probes}
        rows: tuple[_Row, ...] = (*record.measurements, *record.comparisons, *record.claims, *record.frontiers, *record.attribution)
        self._slices = {text: Slice.parse(text) for text in {row.slice for row in rows}}
        self._rows: dict[_Key, list[Measurement]] = {}
        for row in record.measurements:
            key = _Key(row.probe, row.metric, self._slices[row.slice], row.condition, row.method)
            self._rows.setdefault(key, []).append(row)

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

    def place(self, model: str) -> int:
        """Return a model's position, which decides its colour and marker."""
        return self.models.index(model) if model in self.models else len(self.models)

    def probe_title(self, probe: str) -> str:
        """Return a probe's title, or its name where the record does not describe it."""
        return isolated(self._probes[probe].title if probe in self._probes else probe)

    def metric(self, name: str) -> Metric:
        """Return the record of a metric; one that the audit does not describe is shown under its own name."""
        return self._metrics.get(name) or _isolated(Metric.undescribed(name))

    def group(self, probe: str, name: str) -> list[str]:
        """Return the metrics of a probe that belong to a display of its section, in the order in which they are declared."""
        declared = self._probes[probe].metrics if probe in self._probes else ()
        return [metric for metric in declared if name in self.metric(metric).groups]

    @property
    def skill(self) -> Metric | None:
        """The metric that skill is told in: the first of the probe of skill that has a direction; None where none was measured."""
        declared = self._probes[SKILL].metrics if SKILL in self._probes else ()
        return next((known for name in declared if (known := self.metric(name)).higher_is_better is not None), None)

    def skill_of(self, condition: str) -> list[Summary | None]:
        """Return every model's skill on the clean test data, trained under a condition; nothing where it was not measured."""
        found = [] if self.skill is None else self.across(SKILL, self.skill.name, CLEAN, condition)
        return found if any(summary is not None and summary.value is not None for summary in found) else []

    def margin(self, metric: Metric) -> float | None:
        """Return the margin of a metric: the configured one, else its own."""
        margins = self.record.config.get("margins")
        given = margins.get(metric.name) if isinstance(margins, dict) else None
        return metric.margin if given is None else float(given)

    @property
    def rows_redrawn(self) -> bool:
        """Whether every seed trained on rows of its own, so that several seeds speak of the method."""
        data = self.record.provenance.get("data")
        return not isinstance(data, dict) or data.get("rows_redrawn") is not False

    def slice_of(self, row: _Row) -> Slice:
        """Return what part of the data a row of the record is of."""
        return self._slices[row.slice]

    def metric_title(self, row: _Row, silent: Collection[Slice] = (ALL, CLEAN)) -> str:
        """Return the title of a row's metric and, but for those that need no word, its slice: ``recall [nurse]``."""
        title, slice = self.metric(row.metric).title, self.slice_of(row)
        return title if slice in silent else f"{title} [{isolated(slice.title)}]"

    def get(self, probe: str, metric: str, slice: Slice, condition: str, model: str) -> Summary | None:
        """Return the summary over seeds, or None when there is no such row.

        A model that is not trained is the same under every condition: its clean row answers where it has no other,
        but for metrics that depend on the training rows.
        """
        known = self.metric(metric)
        rows = self._rows.get(_Key(probe, metric, slice, condition, model))
        if not rows and model in self.untrained and not known.of_training_rows:
            rows = self._rows.get(_Key(probe, metric, slice, "clean", model))
        if not rows:
            return None
        values = tuple(row.value for row in rows if row.value is not None)
        if model in self.untrained and len(set(values)) == 1:
            values = values[:1]  # one untrained model, evaluated once per seed with the same result
        single = next((row for row in rows if row.value is not None), None) if len(values) == 1 else None
        return Summary(
            metric=known,
            value=sum(values) / len(values) if values else None,
            low=single.ci_low if single else min(values, default=None),
            high=single.ci_high if single else max(values, default=None),
            n=rows[0].n,
            values=values,
            reason=next((row.reason for row in rows if row.reason), None),
            evidence=tuple(row.evidence for row in rows if row.evidence),
        )

    def across(self, probe: str, metric: str, slice: Slice, condition: str) -> list[Summary | None]:
        """Return one summary per model, in the audit's order."""
        return [self.get(probe, metric, slice, condition, model) for model in self.models]

    def slices(self, probe: str, metric: str, condition: str) -> list[Slice]:
        """Return the slices of a metric, in order of appearance."""
        return _unique(key.slice for key in self._rows if (key.probe, key.metric, key.condition) == (probe, metric, condition))

    def parts(self, probe: str, metric: str, condition: str) -> list[Slice]:
        """Return the slices of a metric but for all items and the clean texts."""
        return [slice for slice in self.slices(probe, metric, condition) if slice not in (ALL, CLEAN)]

    def conditions(self, probe: str, metrics: Sequence[str] = ()) -> list[str]:
        """Return the conditions under which a probe (or some of its metrics) has rows."""
        return _unique(key.condition for key in self._rows if key.probe == probe and (not metrics or key.metric in metrics))

    def metrics(self, probe: str, condition: str, slice: Slice = ALL) -> list[str]:
        """Return the metrics of a probe under a condition."""
        return _unique(key.metric for key in self._rows if (key.probe, key.condition, key.slice) == (probe, condition, slice))

    def rows(self, probe: str) -> list[Measurement]:
        """Return the measurements of a probe."""
        return [row for row in self.record.measurements if row.probe == probe]

    def measured(self, probe: str) -> bool:
        """Whether a probe has at least one number."""
        return any(row.value is not None for row in self.rows(probe))

    def series(self, probe: str, name: str) -> list[Series]:
        """Return the series of a name that belong to a model of the audit."""
        return [s for s in self.record.series if (s.probe, s.name) == (probe, name) and s.method in self.models]

    def unmeasured(self) -> list[Measurement]:
        """Return the rows that have a reason in place of a value."""
        return [row for row in self.record.measurements if row.value is None]


def _isolated(metric: Metric) -> Metric:
    """Keep the writing direction of a record's texts to themselves: it may come from another package."""
    said = metric.sentence
    return replace(
        metric,
        title=isolated(metric.title),
        meaning=isolated(metric.meaning),
        source=isolated(metric.source),
        sentence=Sentence(form=isolated(said.form), less=isolated(said.less), more=isolated(said.more)),
    )


def _unique(values: Iterable[_Value]) -> list[_Value]:
    return list(dict.fromkeys(values))
