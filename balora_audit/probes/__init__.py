"""Probes: one question each about a model. One module or package each, one line each in :data:`PROBES`; see docs/extending.md."""

from __future__ import annotations

from balora_audit.extensions import Extensions, built_in
from balora_audit.probes.beside import Beside
from balora_audit.probes.checks import checked_probe
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.foreign import find
from balora_audit.probes.probe import Measure, Probe, Repeat, View
from balora_audit.probes.requests import on_texts, test_set
from balora_audit.probes.scores import (
    AnswerScores,
    LabelScores,
    NumberScores,
    ResponseScores,
    ScoreRequest,
    Scores,
    TextScores,
    scores_of,
)

__all__ = [
    "PROBES",
    "AnswerScores",
    "Beside",
    "Context",
    "Findings",
    "LabelScores",
    "Measure",
    "NumberScores",
    "Probe",
    "Repeat",
    "ResponseScores",
    "ScoreRequest",
    "Scores",
    "TextScores",
    "View",
    "available",
    "extensions",
    "on_texts",
    "scores_of",
    "test_set",
]

PROBES: dict[str, Probe] = built_in(
    {
        "skill": "balora_audit.probes.skill:SKILL",
        "noise": "balora_audit.probes.noise:NOISE",
        "imbalance": "balora_audit.probes.imbalance:IMBALANCE",
        "collapse": "balora_audit.probes.collapse:COLLAPSE",
        "drift": "balora_audit.probes.drift:DRIFT",
        "harness": "balora_audit.probes.harness:HARNESS",
    },
    checked_probe,
)
"""The probes of this package."""


def extensions() -> Extensions[Probe]:
    """Return the probes that other packages bring, and those of this package that they add measures to."""
    return find(PROBES)


def available() -> dict[str, Probe]:
    """Return the probes by name: those of this package, with the measures that others add to them, then those of other packages."""
    return {**PROBES, **extensions().things}
