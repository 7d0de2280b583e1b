"""Loading the one copy of the base model that all methods of a comparison share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from balora_audit.errors import ModelError
from balora_audit.models.classifier import ClassifierForward
from balora_audit.models.decompositions import Decompositions
from balora_audit.models.forward import CausalForward
from balora_audit.models.quiet import without_bars
from balora_audit.models.spread import whole

if TYPE_CHECKING:
    from balora_audit.models.locate import ResolvedModel
    from balora_audit.penalties import Family

__all__ = ["HeadSpec", "LoadedModel", "load", "load_tokenizer", "weights_hash"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSpec:
    """How the model answers: with text (``lm``), or by a head of C outputs; ``regression`` is a head of one number."""

    kind: Literal["lm", "classifier"] = "lm"
    outputs: int = 0
    regression: bool = False

    @property
    def family(self) -> Family:
        """The family of tasks that the published regularizer settings go by."""
        return "nlg" if self.kind == "lm" else "nlu"


@dataclass(slots=True, kw_only=True)
class LoadedModel:
    """The base in memory. ``weights`` is the hash that must be the same after every method."""

    model: nn.Module
    tokenizer: Any
    forward: CausalForward | ClassifierForward
    device: torch.device
    dtype: torch.dtype
    weights: str
    limit_tokens: int
    """The longest input that the model's positions allow."""
    decompositions: Decompositions = field(default_factory=Decompositions)
    """Of its own weights, kept over all methods."""

    @property
    def head(self) -> nn.Module:
        """The output layer, which no adapter touches."""
        head: nn.Module = self.forward.head
        return head

    @property
    def head_name(self) -> str | None:
        """Name of a classification head, which is trained and so is no part of the frozen base; None for a language model."""
        return self.forward.head_name if isinstance(self.forward, ClassifierForward) else None

    def current_weights(self) -> str:
        """Return the hash of the base as it is now."""
        return weights_hash(self.model, skip=self.head_name)


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


def load(
    resolved: ResolvedModel,
    *,
    device: torch.device,
    dtype: torch.dtype,
    head: HeadSpec = HeadSpec(),
    trust_remote_code: bool = False,
) -> LoadedModel:
    """Load the base from a located folder (safetensors only), as a language model or with a classification head.

    A new head's weights come from a fixed seed: they are the same for every method, and replaced before use.

    Raises
    ------
    ModelError
        transformers cannot build it as what `head` asks for.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    options: dict[str, Any] = {"dtype": dtype, "trust_remote_code": trust_remote_code, "use_safetensors": True}
    kind: Any = AutoModelForCausalLM
    if head.kind == "classifier":
        kind, options["num_labels"] = AutoModelForSequenceClassification, head.outputs
        options["problem_type"] = "regression" if head.regression else "single_label_classification"
    try:
        with without_bars(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model: Any = kind.from_pretrained(resolved.folder, **options)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        found = resolved.config.get("architectures") or resolved.config.get("model_type")
        wanted = "a causal language model" if head.kind == "lm" else "a model with a classification head"
        raise ModelError(f"{resolved.name!r} ({found}) cannot be loaded as {wanted}: {error}") from error
    tokenizer = load_tokenizer(resolved, trust_remote_code=trust_remote_code)
    if head.kind == "classifier" and model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id  # decoders ask for it to find the last token
    model.to(device).eval().requires_grad_(False)
    forward = CausalForward(model) if head.kind == "lm" else ClassifierForward(model, head.outputs)
    positions = int(getattr(model.config, "max_position_embeddings", 0) or 0)
    loaded = LoadedModel(
        model=model,
        tokenizer=tokenizer,
        forward=forward,
        device=device,
        dtype=dtype,
        weights="",
        limit_tokens=positions or 1_000_000,
    )
    loaded.weights = loaded.current_weights()
    return loaded


def weights_hash(model: nn.Module, *, skip: str | None = None) -> str:
    """Return the SHA-256 over the base parameters' bytes, adapters left out and wrapping ignored.

    A layer that PEFT has wrapped is called ``….base_layer.weight``; the hash uses the original name, so that it can be
    compared before, during and after an adapter is attached. `skip` names a module that is trained, a new head.
    """
    digest = hashlib.sha256()
    named = {
        name.replace(".base_layer.", "."): parameter
        for name, parameter in model.named_parameters()
        if ".lora_" not in name and not (skip is not None and name.startswith(f"{skip}."))
    }
    for name in sorted(named):
        tensor = whole(named[name].detach()).cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.view(torch.uint8).numpy().data)
    return digest.hexdigest()
