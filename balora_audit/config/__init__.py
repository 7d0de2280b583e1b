"""The configuration: its fields and defaults, presets, and where settings come from."""

from __future__ import annotations

from balora_audit.config.audit import PRESET_SUMMARIES, PRESETS, AuditConfig, resolve, split_value
from balora_audit.config.parts import AdapterConfig, ClaimConfig, CollapseConfig, NoiseConfig, TrainingConfig, WritingConfig

__all__ = [
    "PRESETS",
    "PRESET_SUMMARIES",
    "AdapterConfig",
    "AuditConfig",
    "ClaimConfig",
    "CollapseConfig",
    "NoiseConfig",
    "TrainingConfig",
    "WritingConfig",
    "resolve",
    "split_value",
]
