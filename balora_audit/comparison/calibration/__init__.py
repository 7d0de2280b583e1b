"""Calibration: simulated audits with a known truth, judged by the code that judges real ones."""

from __future__ import annotations

from balora_audit.comparison.calibration.page import write
from balora_audit.comparison.calibration.study import calibrate

__all__ = ["calibrate", "write"]
