"""What is tried before anything is compared: the axes of a grid of settings, and how candidates are measured."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pydantic import BaseModel, Field, field_validator

from balora_audit.config.training import AdapterConfig, TrainingConfig
from balora_audit.errors import unknown_name
from balora_audit.penalties import Frozen, Penalties

__all__ = ["AXES", "FrontierConfig", "Grid", "check_axes"]

Grid = dict[str, tuple[float, ...]]
"""Axis → the values that are tried."""

_TRAINING = ("learning_rate", "epochs", "batch_size", "accumulation", "warmup_share", "weight_decay", "max_grad_norm")
_ADAPTER = ("rank", "alpha", "dropout")


_NUMBERS = (int, float, int | None, float | None)
AXES: Mapping[str, tuple[str, str]] = {
    **{name: ("training", name) for name in _TRAINING},
    **{name: ("adapter", name) for name in _ADAPTER},
    **{f"penalties.{name}": ("penalties", name) for name, field in Penalties.model_fields.items() if field.annotation in _NUMBERS},
}
"""Axis → part of the settings, and its field there."""


_MODELS: Mapping[str, type[BaseModel]] = {"training": TrainingConfig, "adapter": AdapterConfig, "penalties": Penalties}


class FrontierConfig(Frozen):
    """How the candidates of a method become points of its frontier of skill and flaw."""

    shares: tuple[float, ...] = Field(
        default=(1.0,), description="shares of training after which a candidate becomes a point; 1 is its end"
    )
    kinds: int = Field(default=1, ge=0, description="kinds of noise, of noise.kinds, that candidates are tested with")

    @field_validator("shares")
    @classmethod
    def _within(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or sorted(set(value)) != list(value) or value[0] <= 0 or value[-1] != 1:
            raise ValueError(f"shares must be distinct, ascending, above 0, and end with 1, got {list(value)}")
        return value


def check_axes(grid: Grid) -> Grid:
    """Return a grid whose axes exist and whose values can be tried; `ConfigurationError` or `ValueError` where that is not so."""
    for name, values in grid.items():
        full = name.removeprefix("training.").removeprefix("adapter.")
        if full not in AXES:
            raise unknown_name("axis of tuning", name, AXES)
        if not values or len(set(values)) != len(values) or not all(math.isfinite(value) for value in values):
            raise ValueError(f"{name} needs one or more different numbers, got {list(values)}")
        part, field = AXES[full]
        for value in values:
            _MODELS[part].model_validate({field: value})
    return {name.removeprefix("training.").removeprefix("adapter."): tuple(sorted(values)) for name, values in grid.items()}
