"""What one training keeps from step to step: parameters, optimiser, last good state, curves. Whose loss it was matters nothing here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from balora_audit.errors import UnitError
from balora_audit.penalties import PENALTIES, Penalties, Weights
from balora_audit.training.checkpoint import TrainingState, optimiser_tensors, restore_optimiser
from balora_audit.training.examples import TrainingRow, order_hash
from balora_audit.training.schedules import learning_rate_factor

if TYPE_CHECKING:
    from balora_audit.config import TrainingConfig

__all__ = ["Descent", "Diverged", "TrainingLog"]


class Diverged(UnitError):
    """The loss stopped being finite; the parameters are back at the last state whose loss was finite."""


@dataclass(slots=True, kw_only=True)
class TrainingLog:
    """What training did. ``curves`` holds one value per step for ``step``, ``total`` and every term that was in the loss."""

    steps: int
    seen: int
    """Rows in these steps, each as often as it was trained on."""
    epochs: float
    """How often these steps went through the rows that were not kept aside."""
    wall_seconds: float
    peak_memory_bytes: int | None
    curves: dict[str, list[float | None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    order_sha256: str = ""
    """Over the ids in the order of training."""

    @property
    def last(self) -> dict[str, float]:
        """The last recorded value of every term."""
        found = {}
        for name, values in self.curves.items():
            present = [value for value in values if value is not None]
            if name != "step" and present:
                found[name] = present[-1]
        return found


class Descent:
    """Takes the steps of one training, from gradients that are there.

    Parameters
    ----------
    parameters : mapping
        What changes, by name.
    settings : TrainingConfig
    learning_rate : float
        The peak of the schedule.
    penalties : Penalties, optional
        Those in the loss, for the names of the curves.
    """

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], settings: TrainingConfig, *, learning_rate: float, penalties: Penalties | None
    ) -> None:
        self.parameters, self._settings, self._learning_rate = dict(parameters), settings, learning_rate
        self._optimiser = torch.optim.AdamW(list(self.parameters.values()), lr=learning_rate, weight_decay=settings.weight_decay)
        self._good = [parameter.detach().clone() for parameter in self.parameters.values()]
        names = ["step", "total", "task", *(PENALTIES if penalties else ())]
        self.numbers: dict[str, Any] = {
            "step": 0, "skipped": 0, "seconds": 0.0, "best": None, "waited": 0, "curves": {name: [] for name in names},
        }  # fmt: skip
        """Plain numbers that a checkpoint keeps."""

    def update(self, values: dict[str, float], weights: Weights, step: int, steps: int) -> None:
        """Do step `step` (0-based) of `steps` with the gradients that are there; add the weighted sum of the loss's terms to `values`.

        Raises
        ------
        Diverged
            A term or the gradient is not finite.
        """
        values["total"] = values["task"] + sum(weight * values.get(name, 0.0) for name, weight in weights.items())
        norm = nn.utils.clip_grad_norm_(list(self.parameters.values()), self._settings.max_grad_norm)
        if not all(math.isfinite(value) for value in (*values.values(), float(norm))):
            self.put(dict(zip(self.parameters, self._good, strict=True)))
            said = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            raise Diverged(
                f"the loss is not finite at step {step + 1} of {steps} ({said}, gradient {float(norm):.4g}); try a smaller learning rate"
            )
        torch._foreach_copy_(self._good, [parameter.detach() for parameter in self.parameters.values()])
        for settings in self._optimiser.param_groups:
            settings["lr"] = self._learning_rate * learning_rate_factor(step, steps, self._settings)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)

    def record(self, step: int, values: Mapping[str, float]) -> None:
        """Add what a step gave to the curves; nothing means that it was skipped."""
        for name, curve in self.numbers["curves"].items():
            curve.append(step + 1 if name == "step" else values.get(name))
        self.numbers["step"] = step + 1
        self.numbers["skipped"] += not values

    @torch.no_grad()
    def put(self, values: Mapping[str, Tensor]) -> None:
        """Set parameters by name."""
        for name, value in values.items():
            self.parameters[name].copy_(value)

    def state(self, *, random: dict[str, Tensor], best: dict[str, Tensor]) -> TrainingState:
        """Return where it stands, for a checkpoint."""
        parameters: dict[str, Tensor] = dict(self.parameters)
        memory = optimiser_tensors(self._optimiser, parameters)
        return TrainingState(parameters=parameters, optimiser=memory, random=random, best=best, numbers=self.numbers)

    def resume(self, saved: TrainingState) -> None:
        """Go on from where :meth:`state` stood."""
        self.put(saved.parameters)
        restore_optimiser(self._optimiser, dict(self.parameters), saved.optimiser)
        self.numbers.update(saved.numbers)

    def log(
        self,
        planned: Sequence[Sequence[Sequence[TrainingRow]]],
        rows: int,
        *,
        wall_seconds: float,
        peak_memory_bytes: int | None,
        notes: Sequence[str] = (),
    ) -> TrainingLog:
        """Return what was done of the planned steps on so many rows."""
        done, skipped = self.numbers["step"], self.numbers["skipped"]
        seen = sum(len(batch) for group in planned[:done] for batch in group)
        return TrainingLog(
            steps=done,
            seen=seen,
            epochs=seen / max(1, rows),
            wall_seconds=wall_seconds,
            peak_memory_bytes=peak_memory_bytes,
            curves=self.numbers["curves"],
            notes=[*notes, *([f"{skipped} steps had no valid position and were skipped"] if skipped else [])],
            order_sha256=order_hash(planned),
        )
