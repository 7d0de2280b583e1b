"""Attaching, saving, loading and removing adapters on the one shared base (PEFT)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from balora_audit.errors import ConfigurationError, ModelError, Unusable
from balora_audit.methods.fast import adapted_forward
from balora_audit.methods.tuned import Tuned
from balora_audit.models.load import LoadedModel
from balora_audit.models.placed import WeightChange
from balora_audit.models.spread import whole

if TYPE_CHECKING:
    from balora_audit.config import AdapterConfig

__all__ = ["ADAPTER", "Attached", "adapted_layers", "adapter_changes", "attach", "check_adapter", "is_plain", "loaded", "target_modules"]

ADAPTER = "default"
"""What PEFT calls the one adapter of a model."""


Factors = dict[str, tuple[Tensor, Tensor]]
"""Module name → A (r, in), B (out, r), in float32."""

Initialiser = Callable[[Mapping[str, nn.Linear], int, float, int], Factors]
"""(target modules, rank r, scaling s, seed) → initial factors."""


class Form(Protocol):
    """What the form of an adapter follows from; see `balora_audit.methods.low_rank.LowRank`, which has it."""

    @property
    def name(self) -> str:
        """The method, for messages."""
        ...

    @property
    def initialise(self) -> Initialiser:
        """Initial factors."""
        ...

    @property
    def anchored(self) -> bool:
        """Whether the initial factors stay as a frozen negative branch."""
        ...

    @property
    def peft(self) -> Mapping[str, Any]:
        """Further settings of PEFT's configuration."""
        ...


def target_modules(model: nn.Module, wanted: tuple[str, ...], *, head: nn.Module | None = None) -> dict[str, nn.Linear]:
    """Return the linear layers to adapt by full name: all but the head, or those whose last name part is wanted.

    Raises
    ------
    ConfigurationError
        No layer matches; the message lists the names there are.
    """
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head}
    chosen = {name: module for name, module in linear.items() if not wanted or name.rsplit(".", 1)[-1] in wanted}
    if not chosen:
        have = sorted({name.rsplit(".", 1)[-1] for name in linear})
        asked = ", ".join(wanted) or "all linear layers"
        raise ConfigurationError(f"no module matches target_modules {asked}; linear layers here: {', '.join(have) or 'none'}")
    return chosen


class Attached(Tuned):
    """A fresh adapter on the base, ready to be trained.

    ``parameters`` are what an optimiser may change. An anchored adapter trains r of its 2r stored ranks: these are
    parameters of their own until :meth:`write_back` writes them back into PEFT's weights.
    """

    def __init__(self, base: LoadedModel, peft_model: Any, rank: int, *, anchored: bool, fast: bool) -> None:
        self.base = base
        self.model = peft_model
        self._original_head = base.head
        self._live: list[tuple[Any, nn.Parameter, nn.Parameter]] = []
        self.parameters: dict[str, nn.Parameter] = {n: p for n, p in peft_model.named_parameters() if p.requires_grad}
        if fast:
            for name, layer in adapted_layers(peft_model).items():
                self._speed_up(name, layer, rank if anchored else None)
        self._before = {name: p.detach().clone() for name, p in self.parameters.items()}

    def _speed_up(self, name: str, layer: Any, rank: int | None) -> None:
        a, b = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
        frozen = None
        if rank is not None:
            for weight in (a, b):
                weight.requires_grad_(False)
            frozen = (a.detach()[rank:], b.detach()[:, rank:])
            live_a, live_b = nn.Parameter(a.detach()[:rank].clone()), nn.Parameter(b.detach()[:, :rank].clone())
            self._live.append((layer, live_a, live_b))
            a, b = live_a, live_b
            self.parameters[f"{name}.lora_A.{ADAPTER}.weight"], self.parameters[f"{name}.lora_B.{ADAPTER}.weight"] = a, b
        layer.forward = adapted_forward(layer, a, b, frozen, layer.scaling[ADAPTER])

    def disable(self) -> AbstractContextManager[object]:
        """Switch the adapter off for the time of a block: what remains is the base."""
        context: AbstractContextManager[object] = self.model.disable_adapter()
        return context

    @torch.no_grad()
    def _fill(self) -> None:
        """Write trained parameters into PEFT's weights, beside the frozen halves, which stay."""
        for layer, live_a, live_b in self._live:
            rank = len(live_a)
            layer.lora_A[ADAPTER].weight[:rank] = live_a
            layer.lora_B[ADAPTER].weight[:, :rank] = live_b

    def write_back(self) -> None:
        """Write trained parameters into PEFT's weights and give the layers their own forward back."""
        self._fill()
        for layer in self.model.modules():
            if "lora_A" in layer.__dict__.get("_modules", {}):
                layer.__dict__.pop("forward", None)

    def save(self, folder: Path) -> None:
        """Write an ordinary PEFT adapter folder; call :meth:`write_back` first."""
        self.model.save_pretrained(folder)
        # PEFT's template of a model card has blanks that nobody filled; an adapter here is described by audit.json.
        (folder / "README.md").unlink(missing_ok=True)

    def snapshot(self, folder: Path) -> None:
        """Write the state as it is now; the layers keep the forward that training uses."""
        self._fill()
        self.save(folder)

    def detach(self) -> None:
        """Take the adapter off the base again."""
        _unload(self.base, self.model, self._original_head)


def attach(
    base: LoadedModel,
    method: Form,
    settings: AdapterConfig,
    seed: int,
    *,
    factors: Callable[[], Factors] | None = None,
) -> Attached:
    """Put a fresh adapter of a method on the base.

    `factors` supplies initial factors computed before (those of an unseeded method depend on base and settings only).

    Raises
    ------
    ConfigurationError
        A rank that a matrix does not allow, no module that matches, dropout with an anchored method.
    """
    from peft import LoraConfig, get_peft_model

    modules = target_modules(base.model, settings.target_modules, head=base.head)
    check_adapter(method, settings, {name: (module.out_features, module.in_features) for name, module in modules.items()})
    initial = factors() if factors is not None else method.initialise(modules, settings.rank, settings.alpha / settings.rank, seed)
    stored = settings.rank * (2 if method.anchored else 1)
    peft_model = get_peft_model(
        base.model,
        LoraConfig(
            r=stored,
            lora_alpha=settings.alpha * stored / settings.rank,  # type: ignore[arg-type]  # PEFT divides by r, a float is fine
            lora_dropout=settings.dropout,
            target_modules=sorted(modules),
            modules_to_save=None if base.head_name is None else [base.head_name],
            bias="none",
            task_type="CAUSAL_LM" if base.head_name is None else "SEQ_CLS",
            **method.peft,
        ),
    )
    with torch.no_grad():
        for name, (a_RI, b_OR) in initial.items():
            layer: Any = base.model.get_submodule(name)
            layer.lora_A[ADAPTER].weight.copy_(torch.cat([a_RI, a_RI]) if method.anchored else a_RI)
            layer.lora_B[ADAPTER].weight.copy_(torch.cat([b_OR, -b_OR], dim=1) if method.anchored else b_OR)
    return Attached(base, peft_model, settings.rank, anchored=method.anchored, fast=is_plain(method, settings))


def is_plain(method: Form, settings: AdapterConfig) -> bool:
    """Whether the update is ``s·BA`` and nothing else, so that `balora_audit.methods.fast` gives the same as PEFT's layers."""
    return settings.dropout == 0 and not method.peft.get("use_dora")


def adapted_layers(model: nn.Module) -> dict[str, Any]:
    """Return PEFT's layers on a model by full name."""
    return {name: layer for name, layer in model.named_modules() if ADAPTER in getattr(layer, "lora_A", {})}


def check_adapter(method: Form, settings: AdapterConfig, shapes: dict[str, tuple[int, int]]) -> None:
    """Raise `ConfigurationError` where the settings cannot hold for modules of these (out, in) shapes."""
    if method.anchored and settings.dropout > 0:
        raise ConfigurationError(
            f"adapter.dropout {settings.dropout:g} does not go with {method.name}: its initial pair would no longer cancel; use 0"
        )
    for name, shape in shapes.items():
        if settings.rank > min(shape):
            raise ConfigurationError(f"rank {settings.rank} is larger than module {name} of shape {shape} allows; use at most {min(shape)}")


@contextmanager
def loaded(base: LoadedModel, folder: Path) -> Iterator[Callable[[], AbstractContextManager[object]]]:
    """Put a saved adapter on the base for the time of the block and give what switches it off.

    Raises
    ------
    ModelError
        The folder is damaged, or no adapter of this base.
    Unusable
        The adapter is zero: it would be the base under another name.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    head, modules = base.head, dict(base.model.named_modules())
    try:
        peft_model: Any = PeftModel.from_pretrained(base.model, str(folder), is_trainable=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        _put_back(base.model, modules)
        raise ModelError(f"{folder} is damaged, or not a PEFT adapter of this model: {error}") from error
    try:
        _refuse_zero(peft_model, folder)
        peft_model.eval()
        yield peft_model.disable_adapter
    finally:
        _unload(base, peft_model, head)


def _unload(base: LoadedModel, peft_model: Any, head: nn.Module) -> None:
    peft_model.unload()
    if base.head_name is not None:  # PEFT leaves the trained copy of the head in the original's place
        parent, _, last = base.head_name.rpartition(".")
        setattr(base.model.get_submodule(parent), last, head)


def _put_back(model: Any, modules: dict[str, nn.Module]) -> None:
    """Give a model its modules back where PEFT failed after it had wrapped some of them."""
    for name, module in modules.items():
        parent, _, last = name.rpartition(".")
        if last and model.get_submodule(name) is not module:
            setattr(model.get_submodule(parent), last, module)
    if hasattr(model, "peft_config"):
        del model.peft_config


def _refuse_zero(peft_model: Any, folder: Path) -> None:
    for module in peft_model.modules():
        factors = getattr(module, "lora_B", None)
        if factors is not None and ADAPTER in factors:
            b_OR, a_RI = factors[ADAPTER].weight.float(), module.lora_A[ADAPTER].weight.float()
            # An untrained anchored adapter cancels to rounding error, not to zero, hence the relative bound.
            if bool((b_OR @ a_RI).abs().max() > 1e-6 * (b_OR.abs() @ a_RI.abs()).max()):
                return
    raise Unusable(f"the adapter in {folder} is zero: it changes nothing, so it cannot stand for a fine-tuned model")


def adapter_changes(model: nn.Module) -> Iterator[WeightChange]:
    """Yield what the adapter that is loaded on a model changes, module by module."""
    for name, adapted in adapted_layers(model).items():
        weight: Tensor = whole(adapted.base_layer.weight.detach()).float()
        b_OR, a_RI = (whole(side[ADAPTER].weight.detach()).float() for side in (adapted.lora_B, adapted.lora_A))
        if weight.shape != (len(b_OR), a_RI.shape[1]):
            weight = weight.T  # GPT-2 keeps its matrices transposed
        scaled_OR = adapted.scaling[ADAPTER] * b_OR
        if ADAPTER in getattr(adapted, "lora_magnitude_vector", {}):  # DoRA rescales whole rows of W + ΔW
            moved = weight + scaled_OR @ a_RI
            magnitude_O = adapted.lora_magnitude_vector[ADAPTER].weight.detach().float()
            yield WeightChange(name=name, weight=weight, changed=moved * (magnitude_O / moved.norm(dim=1))[:, None])
        else:
            yield WeightChange(name=name, weight=weight, factors=(scaled_OR, a_RI))
