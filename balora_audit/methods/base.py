"""The pre-trained model, untouched: scored zero-shot by label likelihood."""

from __future__ import annotations

from balora_audit.methods.method import Method

__all__ = ["BASE"]

BASE = Method(
    name="base",
    title="Base",
    summary="the pre-trained model, untouched",
    initialisation="none",
    initialise=None,
)
