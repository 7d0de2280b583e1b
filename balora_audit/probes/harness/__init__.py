"""Tasks of lm-evaluation-harness inside an audit: the same run of `balora_audit.harness` for every model."""

from __future__ import annotations

from balora_audit.extensions import built_in
from balora_audit.probes.checks import checked_measure
from balora_audit.probes.harness.records import BIAS_TYPES
from balora_audit.probes.harness.suite import suite_of
from balora_audit.probes.probe import Probe

__all__ = ["BIAS_TYPES", "HARNESS", "suite_of"]

HARNESS = Probe(
    name="harness",
    title="lm-evaluation-harness tasks",
    summary="tasks of lm-evaluation-harness, named with --tasks",
    measures=tuple(
        built_in(
            {
                "tasks": "balora_audit.probes.harness.tasks:TASKS",
            },
            checked_measure,
        ).values()
    ),
)
