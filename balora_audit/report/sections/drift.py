"""Section 9: how far a model moved where it was not trained, and what it kept of what the base gets right."""

from __future__ import annotations

from balora_audit.report.blocks import Block, Section
from balora_audit.report.numbers import condition_title
from balora_audit.report.rows import Reader
from balora_audit.report.tables import by_condition, metric_table, section_or_reason

__all__ = ["drift"]

_PROBE = "drift"


def drift(reader: Reader) -> Section:
    """Return the drift measurements by training condition."""
    blocks: list[Block] = [*by_condition(reader, _PROBE, "kl_per_token")]
    for condition in reader.conditions(_PROBE):
        metrics = reader.metrics(_PROBE, condition)
        if metrics:
            caption = f"Distance from the base, trained on {condition_title(condition)}"
            blocks.append(metric_table(reader, _PROBE, condition, metrics, caption))
    return section_or_reason(reader, _PROBE, "Knowledge drift", blocks)
