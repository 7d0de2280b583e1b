"""Full fine-tuning on the shared base: the original weights are kept aside and put back afterwards (METHODS §1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from balora_audit.errors import ModelError
from balora_audit.models.load import LoadedModel

__all__ = ["FullTuning", "full_loaded"]


class FullTuning:
    """All weights of the base, to be trained; the base is itself again after :meth:`detach`."""

    def __init__(self, base: LoadedModel) -> None:
        self.model = base.model
        self.parameters: dict[str, nn.Parameter] = dict(base.model.named_parameters())
        self._originals = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        base.model.requires_grad_(True)

    @property
    def count(self) -> int:
        """How many numbers training can change."""
        return sum(parameter.numel() for parameter in self.parameters.values())

    def change_norm(self) -> float:
        """Return the Frobenius norm of all changes to the weights."""
        squares = [float((p.detach().float() - self._originals[n].float()).square().sum()) for n, p in self.parameters.items()]
        return math.sqrt(math.fsum(squares))

    def disable(self) -> AbstractContextManager[object]:
        """Give the original weights for the time of a block."""
        return _swapped(self.parameters, self._originals)

    def write_back(self) -> None:
        """Nothing is to be written back: the weights are the model's own."""

    def save(self, folder: Path) -> None:
        """Write the whole model, in safetensors."""
        self.model.save_pretrained(folder)  # type: ignore[operator]

    def detach(self) -> None:
        """Put the original weights back."""
        _copy(self.parameters, self._originals)
        self.model.requires_grad_(False)


@contextmanager
def full_loaded(base: LoadedModel, folder: Path) -> Iterator[Callable[[], AbstractContextManager[object]]]:
    """Put saved weights in the base's place for the time of a block and give what puts the originals back.

    Raises
    ------
    ModelError
        The folder lacks a weight of this base.
    """
    from safetensors.torch import load_file

    saved: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        saved.update(load_file(path))
    parameters = dict(base.model.named_parameters())
    missing = [name for name in parameters if name not in saved or saved[name].shape != parameters[name].shape]
    if missing:
        raise ModelError(f"{folder} has no weights for {missing[0]} of this model; delete the folder and train again")
    originals = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    _copy(parameters, saved)
    try:
        yield lambda: _swapped(parameters, originals)
    finally:
        _copy(parameters, originals)


@contextmanager
def _swapped(parameters: dict[str, nn.Parameter], others: dict[str, Tensor]) -> Iterator[None]:
    current = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    _copy(parameters, others)
    try:
        yield
    finally:
        _copy(parameters, current)


@torch.no_grad()
def _copy(parameters: dict[str, nn.Parameter], values: dict[str, Tensor]) -> None:
    for name, parameter in parameters.items():
        parameter.copy_(values[name])
