"""The pre-trained model, untouched: scored by label likelihood, or by a linear probe on its frozen features."""

from __future__ import annotations

from balora_audit.methods.method import Method

__all__ = ["BASE"]

BASE = Method(
    name="base",
    title="Base",
    summary="the pre-trained model, untouched; with a classification head: a linear probe on its frozen features",
    initialisation="none",
    tuning="none",
)
