"""The tasks of a configuration, built once for all models."""

from __future__ import annotations

import json
from functools import lru_cache

from balora_audit.config import AuditConfig
from balora_audit.harness import prepare
from balora_audit.harness.evaluation import Suite

__all__ = ["suite_of"]


def suite_of(config: AuditConfig) -> Suite:
    """Return the built tasks of a configuration, the same object for every model."""
    given = config.task_include, config.task_shots, config.limit, config.task_chat_template
    return _suite(config.tasks, json.dumps(config.task_metadata, sort_keys=True), *given)


@lru_cache(maxsize=2)
def _suite(tasks: tuple[str, ...], metadata: str, include: tuple[str, ...], shots: int | None, limit: int | None, chat: bool) -> Suite:
    return prepare(tasks, include=include, metadata=json.loads(metadata), shots=shots, limit=limit, chat_template=chat)
