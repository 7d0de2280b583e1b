"""BA-LoRA's penalties by name, their settings as one model, and the published presets (METHODS §2).

Importing this needs no torch: a penalty's numbers come from `balora_audit.regularizers` when they are computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from pydantic import Field, ValidationError

from balora_audit.errors import ConfigurationError, unknown_name
from balora_audit.extensions import built_in, checked
from balora_audit.penalties.penalty import Penalty
from balora_audit.penalties.settings import Family, Frozen, RegularizerPreset, Schedule

__all__ = [
    "PENALTIES",
    "REGULARIZERS",
    "Family",
    "Frozen",
    "Penalties",
    "Penalty",
    "RegularizerPreset",
    "Schedule",
    "Weights",
    "active",
    "needs_teacher",
]


PENALTIES: dict[str, Penalty[Any]] = built_in(
    {
        "consistency": "balora_audit.penalties.consistency:CONSISTENCY",
        "diversity": "balora_audit.penalties.diversity:DIVERSITY",
        "spectral": "balora_audit.penalties.spectral:SPECTRAL",
    },
    partial(checked, Penalty, called="penalty"),  # type: ignore[type-abstract]  # it is compared with, never made
)
"""The penalties by name, in the order in which they are added to the task loss."""

Weights = Mapping[str, float]
"""λ by the name of the penalty, at one step; a penalty that is not in it has the weight 0."""


def active(weights: Weights) -> dict[str, Penalty[Any]]:
    """Return the penalties whose weight is positive: no other is computed or logged.

    Examples
    --------
    >>> list(active({"diversity": 0.1, "consistency": 0.0}))
    ['diversity']
    """
    return {name: penalty for name, penalty in PENALTIES.items() if weights.get(name, 0.0) > 0}


def needs_teacher(weights: Weights) -> bool:
    """Whether a penalty of positive weight compares with the teacher."""
    return any(penalty.needs_teacher for penalty in active(weights).values())


# pydantic lists the fields of the last base first
class Penalties(*(penalty.settings for penalty in reversed(PENALTIES.values())), Frozen):  # type: ignore[misc]
    """The settings of all penalties side by side, and the course of their weights; a weight of 0 switches a term off."""

    schedule: Schedule = Field(default="constant", description="course of the weights over the steps")

    @property
    def weights(self) -> dict[str, float]:
        """λ by the name of the penalty, as configured."""
        return {name: self.weight(name) for name in PENALTIES}

    def weight(self, name: str) -> float:
        """Return the configured λ of a penalty."""
        return float(getattr(self, name))

    def weights_at(self, step: int, steps: int) -> dict[str, float]:
        """Return λ by the name of the penalty at `step` (0-based) of `steps`.

        ``constant`` keeps the configured ones; ``staged`` lets each penalty take its own course.
        """
        if self.schedule == "constant":
            return self.weights
        return {name: self.weight(name) * penalty.staged(step, steps) for name, penalty in PENALTIES.items()}

    def only(self, names: Iterable[str]) -> Penalties:
        """Return the same settings with the weights of all other penalties at 0.

        Examples
        --------
        >>> REGULARIZERS["iclr2026"]["nlg"].only(["spectral"]).weights
        {'consistency': 0.0, 'diversity': 0.0, 'spectral': 0.005}
        """
        kept = set(names)
        return self.model_copy(update={name: 0.0 for name in PENALTIES if name not in kept})

    def override(self, changes: Mapping[str, Any]) -> Penalties:
        """Return the settings with some of them replaced.

        Raises
        ------
        ConfigurationError
            A setting that does not exist, or a value that it cannot have.
        """
        for name in changes:
            if name not in Penalties.model_fields:
                raise unknown_name("penalty setting", name, Penalties.model_fields)
        try:
            return Penalties.model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(f"penalties.{name} = {first['input']!r}: {first['msg']}") from error

    def remarks(self, *, rows: int, outputs: int, regression: bool) -> list[str]:
        """Return what a reader must know of the penalties on the logits of a head: `rows` examples by `outputs`."""
        used = active(self.weights)
        if regression:
            names = [name for name, penalty in used.items() if penalty.regression_value(self) is not None]
            those = f"{' and '.join(names)} alone {'is' if len(names) == 1 else 'are'}" if names else "none is"
            return [f"one output has no distribution, covariance or spectrum: of the regularizers, {those} used"]
        return [remark for penalty in used.values() for remark in penalty.remarks(self, rows=rows, outputs=outputs)]


_SCHEDULES: dict[RegularizerPreset, dict[Family, Schedule]] = {
    "iclr2026": {"nlg": "staged", "nlu": "constant"},
    "paper-v1": {"nlg": "constant", "nlu": "constant"},
}


def _preset(name: RegularizerPreset, family: Family) -> Penalties:
    published = [penalty.published[name][family] for penalty in PENALTIES.values() if family in penalty.published.get(name, {})]
    settings = {key: value for part in published for key, value in part.model_dump(exclude_unset=True).items()}
    return Penalties(schedule=_SCHEDULES[name][family], **settings)


REGULARIZERS: dict[str, dict[Family, Penalties]] = {
    name: {family: _preset(name, family) for family in families} for name, families in _SCHEDULES.items()
}
"""BA-LoRA's published settings, by family of task; a penalty that a preset does not name has the weight 0."""
