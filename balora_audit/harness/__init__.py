"""lm-evaluation-harness: what the task files in ``tasks/`` call, and running any of its tasks on a loaded model."""

from __future__ import annotations

from balora_audit.harness.evaluation import evaluate, prepare
from balora_audit.harness.records import HarnessItem, HarnessMetric, HarnessResult

__all__ = ["HarnessItem", "HarnessMetric", "HarnessResult", "evaluate", "prepare"]
