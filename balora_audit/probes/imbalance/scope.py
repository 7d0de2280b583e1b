"""Where the probe has something to say: labelled data, and a condition that leaves the labels right."""

from __future__ import annotations

from balora_audit.probes.context import Context

__all__ = ["applies", "swaps_apply"]


def applies(context: Context) -> bool:
    """Whether classes and groups are measured: not under label noise alone, and not for generation."""
    condition = context.condition
    intact = condition.noise is None or condition.imbalance is not None or condition.correlate is not None
    return intact and context.dataset.task == "classification"


def swaps_apply(context: Context) -> bool:
    """Whether counterfactual twins are measured: trained on the data as given, or on a correlation of groups and classes."""
    condition = context.condition
    return (condition.is_clean or condition.correlate is not None) and context.dataset.task == "classification"
