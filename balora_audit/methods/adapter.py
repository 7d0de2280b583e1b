"""Attaching, saving, loading and removing adapters on the one shared base (PEFT)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from balora_audit.config import AdapterConfig
from balora_audit.errors import ConfigurationError, ModelError, UnitError
from balora_audit.methods.method import Factors, Method, Prepared

__all__ = ["attach", "change_norm", "keep_anchor", "loaded", "target_modules", "trainable_parameters", "without"]

_ADAPTER = "default"


def target_modules(model: nn.Module, wanted: tuple[str, ...]) -> dict[str, nn.Linear]:
    """Return the linear layers to adapt by full name: all but the head, or those whose last name part is wanted.

    Raises
    ------
    ConfigurationError
        No layer matches; the message lists the names there are.
    """
    head = model.get_output_embeddings()  # type: ignore[operator]
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head}
    chosen = {name: module for name, module in linear.items() if not wanted or name.rsplit(".", 1)[-1] in wanted}
    if not chosen:
        have = sorted({name.rsplit(".", 1)[-1] for name in linear})
        asked = ", ".join(wanted) or "all linear layers"
        raise ConfigurationError(f"no module matches target_modules {asked}; linear layers here: {', '.join(have) or 'none'}")
    return chosen


def attach(
    model: nn.Module,
    method: Method,
    settings: AdapterConfig,
    seed: int,
    *,
    factors: Callable[[], Factors] | None = None,
) -> tuple[Any, Prepared]:
    """Put a fresh adapter of a method on the base and return (PEFT model, what was attached).

    `factors` supplies initial factors computed before (they depend on the base and the settings only for PiSSA).
    """
    from peft import LoraConfig, get_peft_model

    if method.initialise is None:
        raise ValueError(f"method {method.name!r} trains nothing, there is no adapter to attach")
    modules = target_modules(model, settings.target_modules)
    initial = factors() if factors is not None else method.initialise(modules, settings, seed)
    stored = settings.rank * (2 if method.anchored else 1)
    scaling = settings.alpha / settings.rank
    peft_model = get_peft_model(
        model,
        LoraConfig(
            r=stored,
            lora_alpha=scaling * stored,  # type: ignore[arg-type]  # PEFT divides by r, a float is fine
            lora_dropout=settings.dropout,
            target_modules=sorted(modules),
            init_lora_weights=False,
            bias="none",
            task_type="CAUSAL_LM",
        ),
    )
    with torch.no_grad():
        for name, (a_RI, b_OR) in initial.items():
            layer: Any = model.get_submodule(name)
            a, b = layer.lora_A[_ADAPTER].weight, layer.lora_B[_ADAPTER].weight
            a.copy_(torch.cat([a_RI, a_RI]) if method.anchored else a_RI)
            b.copy_(torch.cat([b_OR, -b_OR], dim=1) if method.anchored else b_OR)
            if method.anchored:
                a.register_hook(_freeze_rows(settings.rank))
                b.register_hook(_freeze_columns(settings.rank))
    return peft_model, Prepared(
        rank=settings.rank,
        stored_rank=stored,
        scaling=scaling,
        modules=tuple(sorted({n.rsplit(".", 1)[-1] for n in modules})),
    )


def _freeze_rows(rank: int) -> Callable[[torch.Tensor], torch.Tensor]:
    def hook(gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.clone()
        gradient[rank:] = 0
        return gradient

    return hook


def _freeze_columns(rank: int) -> Callable[[torch.Tensor], torch.Tensor]:
    def hook(gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.clone()
        gradient[:, rank:] = 0
        return gradient

    return hook


def trainable_parameters(peft_model: Any, prepared: Prepared) -> int:
    """Return how many numbers training can change; the frozen half of an anchored adapter does not count."""
    stored: int = sum(parameter.numel() for parameter in peft_model.parameters() if parameter.requires_grad)
    return stored * prepared.rank // prepared.stored_rank


def keep_anchor(peft_model: Any) -> dict[str, torch.Tensor]:
    """Return a copy of all adapter weights, to tell afterwards whether training changed them."""
    return {name: p.detach().clone() for name, p in peft_model.named_parameters() if p.requires_grad}


def change_norm(peft_model: Any, before: dict[str, torch.Tensor]) -> float:
    """Return the Frobenius norm of all changes to the adapter since `before` (0 means that nothing was learned)."""
    total = 0.0
    for name, parameter in peft_model.named_parameters():
        if parameter.requires_grad:
            total += float((parameter.detach().float() - before[name].float()).square().sum())
    return math.sqrt(total)


@contextmanager
def loaded(model: nn.Module, folder: Path | None) -> Iterator[Any]:
    """Put a saved adapter on the base for the time of the block and give the PEFT model; None leaves the base as it is.

    Raises
    ------
    ModelError
        The folder is no adapter of this base.
    UnitError
        The adapter is zero: it would be the base under another name.
    """
    if folder is None:
        yield None
        return
    from peft import PeftModel

    try:
        peft_model: Any = PeftModel.from_pretrained(model, str(folder), is_trainable=False)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"{folder} is not a PEFT adapter of this model: {error}") from error
    try:
        _refuse_zero(peft_model, folder)
        peft_model.eval()
        yield peft_model
    finally:
        peft_model.unload()


def without(peft_model: Any) -> Callable[[], AbstractContextManager[object]]:
    """Return what switches an adapter off for the time of a block; for the bare base (None), nothing is to be done."""
    return nullcontext if peft_model is None else peft_model.disable_adapter


def _refuse_zero(peft_model: Any, folder: Path) -> None:
    for module in peft_model.modules():
        factors = getattr(module, "lora_B", None)
        if factors is not None and _ADAPTER in factors:
            b_OR, a_RI = factors[_ADAPTER].weight.float(), module.lora_A[_ADAPTER].weight.float()
            # An untrained anchored adapter cancels to rounding error, not to zero, hence the relative bound.
            if bool((b_OR @ a_RI).abs().max() > 1e-6 * (b_OR.abs() @ a_RI.abs()).max()):
                return
    raise UnitError(f"the adapter in {folder} is zero: it changes nothing, so it cannot stand for a fine-tuned model")
