"""Probes: one question each about a model. One file each, one line each in :data:`PROBES`."""

from __future__ import annotations

from balora_audit.probes.collapse import CollapseProbe
from balora_audit.probes.drift import DriftProbe
from balora_audit.probes.evidence import Probe
from balora_audit.probes.imbalance import ImbalanceProbe
from balora_audit.probes.noise import NoiseProbe
from balora_audit.probes.tasks import TasksProbe

__all__ = ["PROBES", "Probe"]

PROBES: dict[str, Probe] = {
    "noise": NoiseProbe(),
    "imbalance": ImbalanceProbe(),
    "collapse": CollapseProbe(),
    "drift": DriftProbe(),
    "harness": TasksProbe(),
}
