"""Does the answer survive noise in the input, and did training memorise noise in the labels? (METHODS §4)."""

from __future__ import annotations

from balora_audit.probes.noise.labels import NoisyLabels
from balora_audit.probes.noise.memorisation import Memorisation
from balora_audit.probes.noise.numbers import NoisyNumbers
from balora_audit.probes.noise.responses import NoisyResponses
from balora_audit.probes.noise.written import WrittenAnswers
from balora_audit.probes.probe import Probe

__all__ = ["NOISE"]

NOISE = Probe(
    name="noise",
    title="Noise robustness",
    summary="accuracy, flips, agreement and area under input noise; exact match; memorisation of wrong labels under noise:ρ",
    measures=(NoisyLabels(), NoisyResponses(), NoisyNumbers(), WrittenAnswers(), Memorisation()),
)
