"""Loading the one copy of the base model that all methods of a comparison share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from balora_audit.errors import ModelError
from balora_audit.models.forward import CausalForward
from balora_audit.models.locate import ResolvedModel

__all__ = ["LoadedModel", "load", "load_tokenizer", "weights_hash"]


@dataclass(slots=True, kw_only=True)
class LoadedModel:
    """The base in memory. ``weights`` is the hash that must be the same after every method."""

    model: nn.Module
    tokenizer: Any
    forward: CausalForward
    device: torch.device
    dtype: torch.dtype
    weights: str


def load_tokenizer(resolved: ResolvedModel, *, trust_remote_code: bool = False) -> Any:
    """Load the tokenizer of a model folder; raises `ModelError` when there is none that transformers can read."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(resolved.folder, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"the tokenizer of {resolved.name!r} in {resolved.folder} cannot be loaded: {error}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # padding is masked everywhere, so any id will do
    return tokenizer


def load(resolved: ResolvedModel, *, device: torch.device, dtype: torch.dtype, trust_remote_code: bool = False) -> LoadedModel:
    """Load a causal language model from a located folder (safetensors only).

    Raises
    ------
    ModelError
        transformers cannot build it, or it is no causal language model.
    """
    from transformers import AutoModelForCausalLM

    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            resolved.folder, dtype=dtype, trust_remote_code=trust_remote_code, use_safetensors=True
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        kind = resolved.config.get("architectures") or resolved.config.get("model_type")
        raise ModelError(f"{resolved.name!r} ({kind}) cannot be loaded as a causal language model: {error}") from error
    model.to(device).eval().requires_grad_(False)
    return LoadedModel(
        model=model,
        tokenizer=load_tokenizer(resolved, trust_remote_code=trust_remote_code),
        forward=CausalForward(model),
        device=device,
        dtype=dtype,
        weights=weights_hash(model),
    )


def weights_hash(model: nn.Module) -> str:
    """Return the SHA-256 over the base parameters' bytes, adapters left out and wrapping ignored.

    A layer that PEFT has wrapped is called ``….base_layer.weight``; the hash uses the original name, so that it can be
    compared before, during and after an adapter is attached.
    """
    digest = hashlib.sha256()
    named = {name.replace(".base_layer.", "."): parameter for name, parameter in model.named_parameters() if ".lora_" not in name}
    for name in sorted(named):
        tensor = named[name].detach().cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.view(torch.uint8).numpy().data)
    return digest.hexdigest()
