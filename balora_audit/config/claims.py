"""A claim as users write it in a configuration file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from balora_audit.penalties import Frozen

__all__ = ["ClaimConfig"]


class ClaimConfig(Frozen):
    """A claim in the user's words: *candidate is better than baseline on metric by more than margin, trained on condition*."""

    metric: str
    candidate: str
    baseline: str = "base"
    condition: str = "clean"
    probe: str | None = None
    slice: str = "all"
    margin: float | None = Field(default=None, ge=0, allow_inf_nan=False, description="δ; the metric's own when left out")
    direction: Literal["higher", "lower"] | None = Field(default=None, description="what is better; the metric's own when left out")
