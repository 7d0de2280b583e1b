"""A model's modules and their shapes without its weights, to check settings against before anything is computed."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from balora_audit.models.classifier import ClassifierForward
from balora_audit.models.load import HeadSpec
from balora_audit.models.locate import ResolvedModel

__all__ = ["skeleton"]


def skeleton(resolved: ResolvedModel, head: HeadSpec, *, trust_remote_code: bool = False) -> tuple[nn.Module, nn.Module] | None:
    """Return (model, head) on the meta device, or None where the configuration alone does not say (a GGUF not converted yet)."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    if not (resolved.folder / "config.json").is_file():
        return None
    try:
        config = AutoConfig.from_pretrained(resolved.folder, trust_remote_code=trust_remote_code)
        kind: Any = AutoModelForCausalLM
        if head.kind == "classifier":
            kind, config.num_labels = AutoModelForSequenceClassification, head.outputs
        with torch.device("meta"):
            model: Any = kind.from_config(config, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError):
        return None  # loading will say what is wrong
    last = model.get_output_embeddings() if head.kind == "lm" else ClassifierForward(model, head.outputs).head
    return model, last
