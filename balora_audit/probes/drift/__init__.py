"""How far did the model move where it was not trained? (METHODS §7)."""

from __future__ import annotations

from balora_audit.extensions import built_in
from balora_audit.probes.checks import checked_measure
from balora_audit.probes.probe import Probe

__all__ = ["DRIFT"]

DRIFT = Probe(
    name="drift",
    title="Knowledge drift",
    summary="KL(base ‖ model) per token, perplexity ratio, items retained, lost and gained",
    measures=tuple(
        built_in(
            {
                "general text": "balora_audit.probes.drift.general:GENERAL_TEXT",
                "retention": "balora_audit.probes.drift.retention:RETENTION",
            },
            checked_measure,
        ).values()
    ),
)
