"""Probes: one question each about a model. One file each, one line each in :data:`PROBES`; see docs/extending.md."""

from __future__ import annotations

from balora_audit.probes.collapse import CollapseProbe
from balora_audit.probes.drift import DriftProbe
from balora_audit.probes.evidence import Context, Findings, Probe, ScoreRequest, Scores
from balora_audit.probes.imbalance import ImbalanceProbe
from balora_audit.probes.noise import NoiseProbe
from balora_audit.probes.requests import label_scores, number_scores, on_texts, response_scores, test_set, text_scores
from balora_audit.probes.tasks import TasksProbe

__all__ = [
    "PROBES",
    "Context",
    "Findings",
    "Probe",
    "ScoreRequest",
    "Scores",
    "label_scores",
    "number_scores",
    "on_texts",
    "response_scores",
    "test_set",
    "text_scores",
]

PROBES: dict[str, Probe] = {
    "noise": NoiseProbe(),
    "imbalance": ImbalanceProbe(),
    "collapse": CollapseProbe(),
    "drift": DriftProbe(),
    "harness": TasksProbe(),
}
