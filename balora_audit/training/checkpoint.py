"""Where a training run stands, on disk: enough to go on as if nothing had happened. Tensors in safetensors, the rest JSON."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from balora_audit.files import write_atomic

__all__ = ["Checkpoints", "TrainingState"]


@dataclass(slots=True, kw_only=True)
class TrainingState:
    """Trained parameters, the optimiser's memory, the random state, and plain numbers (step, curves, early stopping)."""

    parameters: dict[str, Tensor]
    optimiser: dict[str, Tensor]
    random: dict[str, Tensor]
    best: dict[str, Tensor] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)


_GROUPS = ("parameters", "optimiser", "random", "best")


class Checkpoints:
    """Keeps the last checkpoint of one training run in a folder of its own; every write appears whole or not at all.

    A checkpoint is two files that name each other; the older pair is removed after the newer one is complete.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self._folder = folder
        self.every = every

    def save(self, state: TrainingState) -> None:
        """Write a checkpoint and forget the one before."""
        from safetensors.torch import save

        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"step{int(state.numbers['step']):08d}.safetensors"
        tensors = {
            f"{group}/{key}": tensor.detach().to("cpu", copy=True).contiguous()
            for group in _GROUPS
            for key, tensor in getattr(state, group).items()
        }
        write_atomic(self._folder / name, save(tensors))
        write_atomic(self._folder / "state.json", json.dumps({"tensors": name, "numbers": state.numbers}, allow_nan=False))
        for path in self._folder.glob("step*.safetensors"):
            if path.name != name:
                path.unlink()

    def load(self) -> TrainingState | None:
        """Return the last checkpoint, or None where there is none that can be read."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            found = json.loads((self._folder / "state.json").read_text(encoding="utf-8"))
            tensors = load_file(self._folder / str(found["tensors"]))
        except (OSError, ValueError, KeyError, SafetensorError):
            return None  # training starts from the beginning then
        groups: dict[str, dict[str, Tensor]] = {group: {} for group in _GROUPS}
        for key, tensor in tensors.items():
            group, _, name = key.partition("/")
            groups[group][name] = tensor
        return TrainingState(**groups, numbers=found["numbers"])

    def clear(self) -> None:
        """Remove the checkpoint: training is done."""
        shutil.rmtree(self._folder, ignore_errors=True)


def optimiser_tensors(optimiser: torch.optim.Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return an AdamW's memory by parameter name."""
    return {
        f"{name}/{key}": torch.as_tensor(value)
        for name, parameter in parameters.items()
        for key, value in optimiser.state.get(parameter, {}).items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, parameters: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Put back what :func:`optimiser_tensors` gave."""
    for key, tensor in tensors.items():
        name, _, entry = key.rpartition("/")
        parameter = parameters[name]
        # AdamW keeps its step counter on the CPU
        optimiser.state[parameter][entry] = tensor if entry == "step" else tensor.to(parameter.device)
