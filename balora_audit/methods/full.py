"""Full fine-tuning on the shared base: the original weights are kept aside and put back afterwards (METHODS §1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from balora_audit.errors import ConfigurationError, ModelError
from balora_audit.methods.tuned import Tuned, TunedMethod
from balora_audit.models.load import LoadedModel
from balora_audit.models.placed import Placed, WeightChange
from balora_audit.models.spread import whole
from balora_audit.training.workshop import Workshop

__all__ = ["FULL", "Full", "FullTuning"]


class FullTuning(Tuned):
    """All weights of the base, to be trained; the base is itself again after :meth:`detach`."""

    def __init__(self, base: LoadedModel) -> None:
        self.model = base.model
        self.parameters: dict[str, nn.Parameter] = dict(base.model.named_parameters())
        self._before = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        base.model.requires_grad_(True)

    def disable(self) -> AbstractContextManager[object]:
        """Give the original weights for the time of a block."""
        return _swapped(self.parameters, self._before)

    def write_back(self) -> None:
        """Nothing is to be written back: the weights are the model's own."""

    def save(self, folder: Path) -> None:
        """Write the whole model, in safetensors."""
        self.model.save_pretrained(folder)

    def detach(self) -> None:
        """Put the original weights back."""
        _copy(self.parameters, self._before)
        self.model.requires_grad_(False)


@dataclass(frozen=True, kw_only=True)
class Full(TunedMethod):
    """Trains every weight of the base, in float32."""

    def attach(self, workshop: Workshop, seed: int) -> FullTuning:
        """Free all weights."""
        del seed
        return FullTuning(workshop.base)

    @contextmanager
    def place(self, base: LoadedModel, folder: Path) -> Iterator[Placed]:
        """Put saved weights in the base's place."""
        saved, parameters = _saved(folder), dict(base.model.named_parameters())
        missing = [name for name in parameters if name not in saved or saved[name].shape != parameters[name].shape]
        if missing:
            raise ModelError(f"{folder} has no weights for {missing[0]} of this model; delete the folder and train again")
        originals = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        _copy(parameters, saved)
        try:
            yield Placed(
                base=base,
                disabled=lambda: _swapped(parameters, originals),
                changes=lambda: _changes(base, parameters, originals),
            )
        finally:
            _copy(parameters, originals)

    def needed_bytes(self, weights_bytes: int) -> int:
        """Return twice the base's bytes: stored in float32, whatever the base's own format is."""
        return 2 * weights_bytes

    def required_dtype(self, wanted: str) -> tuple[str, str]:
        """Return float32: other formats are too coarse for small steps of all weights."""
        if wanted not in ("auto", "float32"):
            raise ConfigurationError(f"{self.name!r} updates all weights, which {wanted} is too coarse for; use --dtype float32")
        return "float32", "full fine-tuning needs it"


def _saved(folder: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    found: dict[str, Tensor] = {}
    try:
        for path in sorted(folder.glob("*.safetensors")):
            found.update(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{folder} is damaged ({error}); delete the folder and train again") from error
    return found


@torch.no_grad()
def _changes(base: LoadedModel, parameters: dict[str, nn.Parameter], originals: dict[str, Tensor]) -> Iterator[WeightChange]:
    linear = {name: m for name, m in base.model.named_modules() if isinstance(m, nn.Linear) and m is not base.head}
    moved = {name: whole(module.weight.detach()).float().clone() for name, module in linear.items()}
    with _swapped(parameters, originals):
        before = {name: whole(module.weight.detach()).float().clone() for name, module in linear.items()}
    return iter([WeightChange(name=name, weight=before[name], changed=moved[name]) for name in linear])


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


FULL = Full(
    name="full",
    title="Full fine-tuning",
    summary="all weights, no adapter; float32 only, and usually with a learning rate of its own",
    initialisation="the pre-trained weights",
)
