"""The aggregates of the tasks as the harness gives them, with intervals; two models are compared unit by unit."""

from __future__ import annotations

from collections.abc import Mapping

from balora_audit.harness.records import slice_of
from balora_audit.metric import Metric
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.harness.records import TASK_METRICS, task_metric
from balora_audit.probes.harness.suite import settings_of, suite_of
from balora_audit.probes.probe import Measure
from balora_audit.probes.scores import HarnessScores, ScoreRequest, Scores, scores_of
from balora_audit.records import Measurement
from balora_audit.slices import Slice

__all__ = ["TASKS", "Tasks"]


class Tasks(Measure):
    """One measurement per task, metric and filter."""

    metrics = TASK_METRICS

    def record(self, metric: str) -> Metric:
        """Return the record of a metric; a task file can name any."""
        return task_metric(metric)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the tasks to be run; what decides their requests stands in for the texts."""
        if not context.config.tasks:
            return []
        suite = suite_of(context.config)
        texts = (suite.fingerprint,) * suite.documents
        return [ScoreRequest(key="harness", kind="harness", ids=(), texts=texts, settings=settings_of(context.config))]

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return the tasks that have the metric, under each of their filters."""
        if not context.config.tasks:
            return ()
        found = []
        for name, task in suite_of(context.config).tasks.items():
            if metric in task.aggregation():
                filters = [given["name"] for given in task.get_config("filter_list") or [{"name": "none"}]]
                found += [slice_of(name, str(task.VERSION), task.get_config("num_fewshot"), filter_name) for filter_name in filters]
        return tuple(Slice.parse(text) for text in found)

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add the aggregates, and the evidence behind those whose items are known."""
        if "harness" not in scores:
            return
        known = findings.probe.metrics
        for row in scores_of(scores, "harness", HarnessScores).result().metrics:
            low, high = row.interval(context.config.ci) or (None, None)
            found = Measurement(
                **context.cell._asdict(),
                probe=findings.probe.name,
                metric=row.metric,
                slice=row.slice,
                value=row.value,
                ci_low=low,
                ci_high=high,
                n=row.n_items,
                higher_is_better=row.direction(known),
                reason=row.reason,
                evidence=context.evidence,
            )
            findings.row(found, row.scores)


TASKS = Tasks()
