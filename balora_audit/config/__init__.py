"""The configuration: its fields and defaults, presets, and where settings come from."""

from __future__ import annotations

from balora_audit.config.audit import AuditConfig
from balora_audit.config.claims import ClaimConfig
from balora_audit.config.options import Setting, file_only, nearest, settings_of
from balora_audit.config.presets import PRESET_SUMMARIES, PRESETS
from balora_audit.config.probes import CollapseConfig, NoiseConfig, WritingConfig
from balora_audit.config.resolve import nested, resolve
from balora_audit.config.training import AdapterConfig, TrainingConfig

__all__ = [
    "PRESETS",
    "PRESET_SUMMARIES",
    "AdapterConfig",
    "AuditConfig",
    "ClaimConfig",
    "CollapseConfig",
    "NoiseConfig",
    "Setting",
    "TrainingConfig",
    "WritingConfig",
    "file_only",
    "nearest",
    "nested",
    "resolve",
    "settings_of",
]
