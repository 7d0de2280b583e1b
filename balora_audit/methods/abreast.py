"""Several adapters of one form on the base at once: each passes its own rows of a batch, all share the pass through the base."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from balora_audit.methods.adapter import ADAPTER, Attached, adapted_layers
from balora_audit.methods.fast import abreast_forward
from balora_audit.methods.tuned import Tuned
from balora_audit.models.forward import CausalForward
from balora_audit.models.load import LoadedModel

__all__ = ["Abreast", "Member", "rows_stay_apart"]


class Member(Tuned):
    """One of the adapters: parameters of its own, in a place that all members share.

    Only one at a time stands in PEFT's weights: call :meth:`save` right after :meth:`write_back`.
    """

    def __init__(self, attached: Attached, before: dict[str, Tensor]) -> None:
        self.model, self._attached, self._before = attached.model, attached, before
        self.parameters = {name: nn.Parameter(value.clone()) for name, value in before.items()}

    def factors(self, layer: str) -> tuple[nn.Parameter, nn.Parameter]:
        """Return A (r, in) and B (out, r) in the layer of this full name."""
        return self.parameters[f"{layer}.lora_A.{ADAPTER}.weight"], self.parameters[f"{layer}.lora_B.{ADAPTER}.weight"]

    def disable(self) -> AbstractContextManager[object]:
        """Switch all members off for the time of a block: what remains is the base."""
        return self._attached.disable()

    @torch.no_grad()
    def write_back(self) -> None:
        """Write this member into PEFT's weights, over the one before; an anchored adapter's frozen half stays."""
        for name, layer in adapted_layers(self.model).items():
            a_rI, b_Or = self.factors(name)
            layer.lora_A[ADAPTER].weight[: len(a_rI)] = a_rI
            layer.lora_B[ADAPTER].weight[:, : len(a_rI)] = b_Or

    def save(self, folder: Path) -> None:
        """Write an ordinary PEFT adapter folder, as if this member had been trained alone."""
        self._attached.save(folder)

    def detach(self) -> None:
        """Nothing is to be done: `Abreast.detach` takes all members off at once."""


class Abreast:
    """As many adapters as asked that start where a fresh one stands, in its place.

    A pass takes the rows of the first member that is left, then as many of the next, and so on.

    Parameters
    ----------
    attached : Attached
        For which `balora_audit.methods.adapter.is_plain` holds. Its own parameters take no part.
    count : int
    """

    def __init__(self, attached: Attached, count: int) -> None:
        self.model: Any = attached.model
        self._attached = attached
        before = {name: parameter.detach().clone() for name, parameter in attached.parameters.items()}
        self.members = [Member(attached, before) for _ in range(count)]
        self._left = list(self.members)
        for name, layer in adapted_layers(self.model).items():
            self._widen(name, layer)

    def _widen(self, name: str, layer: Any) -> None:
        rank = len(self.members[0].factors(name)[0])
        a_RI, b_OR = (side[ADAPTER].weight.detach() for side in (layer.lora_A, layer.lora_B))
        frozen = (a_RI[rank:].clone(), b_OR[:, rank:].clone()) if len(a_RI) > rank else None
        layer.forward = abreast_forward(layer, lambda: [member.factors(name) for member in self._left], frozen, layer.scaling[ADAPTER])

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """All members' parameters."""
        return {f"{index}.{name}": p for index, member in enumerate(self.members) for name, p in member.parameters.items()}

    def drop(self, index: int) -> None:
        """Leave a member out of the passes to come; its parameters stay as they are."""
        self._left.remove(self.members[index])

    def disable(self) -> AbstractContextManager[object]:
        """Switch all members off for the time of a block: what remains is the base."""
        return self._attached.disable()

    def detach(self) -> None:
        """Take all members off the base."""
        self._attached.detach()


@torch.no_grad()
def rows_stay_apart(base: LoadedModel, layers: dict[str, nn.Linear]) -> bool:
    """Whether a batch reaches all these layers whole and in order, (B, T, in), and training draws nothing at random.

    Both are tried on a few tokens. A mixture of experts sends tokens, not rows, through its layers; a base with dropout of its own
    would draw other numbers for adapters abreast than for one alone.
    """
    if not isinstance(base.forward, CausalForward):
        return False
    weight = base.forward.head.weight
    ids_BT = torch.arange(1, 16, device=base.device).remainder(weight.shape[0]).view(3, 5)
    shapes: dict[str, set[tuple[int, ...]]] = {name: set() for name in layers}
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: shapes[name].add(tuple(inputs[0].shape[:-1])))
        for name, layer in layers.items()
    ]
    base.model.train()
    passes = []
    try:
        for seed in (0, 1):
            with torch.random.fork_rng(devices=[base.device] if base.device.type == "cuda" else []):
                torch.manual_seed(seed)
                passes.append(base.forward.run(ids_BT, torch.ones_like(ids_BT)).states_BTD)
    finally:
        base.model.eval()
        for hook in hooks:
            hook.remove()
    return all(seen == {tuple(ids_BT.shape)} for seen in shapes.values()) and torch.allclose(passes[0], passes[1], rtol=1e-3, atol=1e-3)
