"""Tasks of lm-evaluation-harness inside an audit: the same run of `balora_audit.harness` for every model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from balora_audit.config import AuditConfig
from balora_audit.harness.evaluation import Suite
from balora_audit.probes.evidence import Context, Findings, ScoreRequest, Scores
from balora_audit.records import Measurement
from balora_audit.scoring import HarnessScores
from balora_audit.scoring import harness as scoring

__all__ = ["TasksProbe", "suite_of"]


def suite_of(config: AuditConfig) -> Suite:
    """Return the built tasks of a configuration, the same object for every model."""
    return scoring.suite_of(_settings(config))


def _settings(config: AuditConfig) -> tuple[tuple[str, Any], ...]:
    return scoring.task_settings(
        config.tasks,
        include=config.task_include,
        metadata=config.task_metadata,
        shots=config.task_shots,
        limit=config.limit,
        chat_template=config.task_chat_template,
    )


class TasksProbe:
    """The aggregates of the tasks as the harness gives them, with intervals; two models are compared unit by unit."""

    name = "harness"
    summary = "tasks of lm-evaluation-harness, named with --tasks"

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the tasks to be run; what decides their requests stands in for the texts."""
        if not context.config.tasks:
            return []
        suite = suite_of(context.config)
        texts = (suite.fingerprint,) * suite.documents
        return [ScoreRequest(key="harness", kind="harness", ids=(), texts=texts, settings=_settings(context.config))]

    def measure(self, context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None) -> Findings:
        """Return one measurement per task, metric and filter."""
        findings = Findings(context, self.name)
        found = scores.get("harness")
        if not isinstance(found, HarnessScores):
            return findings
        result = found.result()
        for row in result.metrics:
            low, high = row.interval(context.config.ci) or (None, None)
            findings.measurements.append(
                Measurement(
                    method=context.method,
                    condition=str(context.condition),
                    seed=context.seed,
                    probe=self.name,
                    metric=row.metric,
                    slice=row.slice,
                    value=row.value,
                    ci_low=low,
                    ci_high=high,
                    n=row.n_items,
                    higher_is_better=row.higher_is_better,
                    reason=row.reason,
                    evidence=context.evidence,
                )
            )
            if row.scores is not None:
                findings.scores[row.metric, row.slice] = row.scores
        return findings
