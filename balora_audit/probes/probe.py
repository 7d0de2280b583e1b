"""What a probe is: one question about a model, answered by a tuple of measures; each declares the metrics that it measures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from balora_audit.data.conditions import Condition
from balora_audit.data.dataset import AuditDataset
from balora_audit.metric import Metric
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.requests import one_per_key
from balora_audit.probes.scores import ScoreRequest, Scores
from balora_audit.records import Series
from balora_audit.slices import ALL, Slice

__all__ = ["Measure", "Probe", "Repeat", "View"]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Scored items that a reader is shown with every model's answer: the set of a key, or how its answers follow on those of `before`."""

    key: str
    title: str
    before: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """Items of the set `key` that were not scored again, since their texts, and so their answers, are those of the set `source`."""

    key: str
    source: str
    ids: frozenset[str]


class Measure(ABC):
    """Measures some metrics of one model: says which texts it needs scored, and turns the scores into measurements.

    A measure never touches a model, and draws from seeded generators only. One from another package also says, in ``probe``, the
    name of the probe that it joins.

    Attributes
    ----------
    metrics : tuple of Metric
        The records of what it measures, in the order in which a reader meets them.
    battery : bool
        Whether it belongs to the light battery that every candidate of a tuning is tested with; its metrics then have frontiers.

    Notes
    -----
    ``Metric.skill`` is ``level`` for what is counted from right answers; ``follows`` for what is lost of them and for answers that
    change, of which there are fewer where more are right (METHODS §4), and for rank and class geometry of features of the test items,
    since telling classes apart lowers both (§6); ``trained`` for differences between groups, distances from the base and everything
    else that grows as training goes on (§9); ``unrelated`` for what is compared at equal skill already, such as survival on items that
    both models get right.
    """

    metrics: tuple[Metric, ...] = ()
    battery: bool = False
    probe: str

    def record(self, metric: str) -> Metric | None:
        """Return the record of a metric, None for one that is not measured here; to override where names come from outside."""
        return next((known for known in self.metrics if known.name == metric), None)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Return the texts to score for a model; none where the measure does not apply."""
        del context
        return []

    def headlines(self, dataset: AuditDataset, condition: Condition) -> tuple[str, ...]:
        """Return the metrics that are claimed by default, as far as data and condition can decide them."""
        del dataset, condition
        return ()

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...] | None:
        """Return the slices that one of its metrics will have for a model; None where that cannot be known before training."""
        del context, metric
        return (ALL,)

    @abstractmethod
    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add what the scores of the requests say, beside those of the base and of the control on their own requests, to the findings."""

    def views(self, context: Context) -> tuple[View, ...]:
        """Return the items that a reader is shown of models under these circumstances."""
        del context
        return ()

    def repeats(self, context: Context) -> Iterable[Repeat]:
        """Return what completes the evidence of the requested sets: items that have the answers of another set."""
        del context
        return ()

    def across(self, cells: Sequence[tuple[Context, Mapping[str, Scores]]]) -> list[Series]:
        """Return what is fitted to all models of the audit together; `cells` are those that were scored, in the audit's order."""
        del cells
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question about a model. The order of its measures is that of its requests, measurements and metrics."""

    name: str
    title: str
    summary: str
    measures: tuple[Measure, ...]

    @property
    def battery(self) -> Probe | None:
        """The probe with those of its measures that candidates of a tuning are tested with; None where there is none."""
        chosen = tuple(measure for measure in self.measures if measure.battery)
        return replace(self, measures=chosen) if chosen else None

    @property
    def metrics(self) -> dict[str, Metric]:
        """Name → record, in the order of declaration; what several measures share stands where the last of them has it."""
        found: dict[str, Metric] = {}
        for metric in (metric for measure in self.measures for metric in measure.metrics):
            found.pop(metric.name, None)
            found[metric.name] = metric
        return found

    def record(self, metric: str) -> Metric | None:
        """Return the record of a metric, None for one that the probe does not measure."""
        return next((found for measure in self.measures if (found := measure.record(metric)) is not None), None)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Return the texts to score for a model, each set once.

        Raises
        ------
        ValueError
            Two measures ask for different texts under one key.
        """
        asked = (request for measure in self.measures for request in measure.requests(context))
        return list(one_per_key(asked, f"measures of the probe {self.name!r}").values())

    def headlines(self, dataset: AuditDataset, condition: Condition) -> tuple[str, ...]:
        """Return the metrics that are claimed by default."""
        return tuple(dict.fromkeys(name for measure in self.measures for name in measure.headlines(dataset, condition)))

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...] | None:
        """Return the slices that a metric will have for a model; none where it is not measured, None where that is not known before."""
        found: dict[Slice, None] = {}
        for measure in self.measures:
            if measure.record(metric) is not None:
                slices = measure.slices(context, metric)
                if slices is None:
                    return None
                found |= dict.fromkeys(slices)
        return tuple(found)

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside = Beside()) -> Findings:  # noqa: B008 - frozen
        """Return what all measures find; `beside` are the scores of the other models that they look at."""
        findings = Findings(context, self)
        for measure in self.measures:
            measure.measure(context, scores, beside, findings)
        return findings

    def views(self, context: Context) -> tuple[View, ...]:
        """Return the items that a reader is shown."""
        return tuple(view for measure in self.measures for view in measure.views(context))

    def repeats(self, context: Context) -> list[Repeat]:
        """Return what completes the evidence of the requested sets."""
        return [repeat for measure in self.measures for repeat in measure.repeats(context)]

    def across(self, cells: Sequence[tuple[Context, Mapping[str, Scores]]]) -> list[Series]:
        """Return what the measures fit to all models of the audit together."""
        return [series for measure in self.measures for series in measure.across(cells)]
