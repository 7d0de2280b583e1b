"""Does the answer survive noise in the input, and did training memorise noise in the labels? (METHODS §4)."""

from __future__ import annotations

from balora_audit.extensions import built_in
from balora_audit.probes.checks import checked_measure
from balora_audit.probes.probe import Probe

__all__ = ["NOISE"]

NOISE = Probe(
    name="noise",
    title="Noise robustness",
    summary="accuracy, flips, agreement and area under input noise; exact match; memorisation of wrong labels under noise:ρ",
    measures=tuple(
        built_in(
            {
                "labels": "balora_audit.probes.noise.labels:NOISY_LABELS",
                "responses": "balora_audit.probes.noise.responses:NOISY_RESPONSES",
                "numbers": "balora_audit.probes.noise.numbers:NOISY_NUMBERS",
                "written": "balora_audit.probes.noise.written:WRITTEN_ANSWERS",
                "memorisation": "balora_audit.probes.noise.memorisation:MEMORISED_LABELS",
            },
            checked_measure,
        ).values()
    ),
)
