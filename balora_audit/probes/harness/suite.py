"""The tasks of a configuration, built once for all models."""

from __future__ import annotations

from typing import Any

from balora_audit.config import AuditConfig
from balora_audit.harness.evaluation import Suite
from balora_audit.scoring import harness as scoring

__all__ = ["settings_of", "suite_of"]


def suite_of(config: AuditConfig) -> Suite:
    """Return the built tasks of a configuration, the same object for every model."""
    return scoring.suite_of(settings_of(config))


def settings_of(config: AuditConfig) -> tuple[tuple[str, Any], ...]:
    """Return what a request to run the tasks has to say."""
    return scoring.task_settings(
        config.tasks,
        include=config.task_include,
        metadata=config.task_metadata,
        shots=config.task_shots,
        limit=config.limit,
        chat_template=config.task_chat_template,
    )
