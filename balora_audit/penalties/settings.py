"""What every settings class of the package is, and the names that presets and families of tasks go by."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["Family", "Frozen", "RegularizerPreset", "Schedule"]

Family = Literal["nlg", "nlu"]
"""Language modelling (the answer is text), or a classification or regression head."""

RegularizerPreset = Literal["iclr2026", "paper-v1"]

Schedule = Literal["constant", "staged"]


class Frozen(BaseModel):
    """Settings that cannot be changed once made, and that know every name in them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
