"""What a configuration leaves open, decided from the data and the model before anything is computed: errors come from here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from balora_audit.config import AuditConfig
from balora_audit.data import AuditDataset
from balora_audit.data.conditions import Condition, apply, parse
from balora_audit.errors import ConfigurationError, DataError
from balora_audit.methods import Method
from balora_audit.metrics import exact_match, find_extractor, guess_extractor
from balora_audit.models.load import HeadSpec
from balora_audit.models.locate import ResolvedModel
from balora_audit.models.precision import choose_dtype
from balora_audit.models.skeleton import skeleton

__all__ = ["check_modules", "choose_conditions", "choose_extractor", "choose_format", "choose_head", "choose_layers", "with_controls"]


def choose_conditions(config: AuditConfig, dataset: AuditDataset, methods: Mapping[str, Method]) -> tuple[Condition, ...]:
    """Return the training conditions.

    Raises
    ------
    ConfigurationError
        Two of them are the same, or the data have no labels that they could change, or a model cannot be measured beside any.
    """
    parsed = tuple(parse(text) for text in config.conditions)
    if len({str(condition) for condition in parsed}) != len(parsed):
        raise ConfigurationError(f"conditions name the same thing twice: {', '.join(config.conditions)}")
    labelled = [str(condition) for condition in parsed if not condition.is_clean]
    if labelled and dataset.task != "classification":
        raise ConfigurationError(f"condition {labelled[0]!r} changes class labels, and the data have none; use --conditions clean")
    for method in methods.values():
        method.check_conditions(parsed)
    return parsed


def with_controls(
    config: AuditConfig, dataset: AuditDataset, conditions: tuple[Condition, ...]
) -> tuple[tuple[Condition, ...], dict[Condition, str]]:
    """Return the conditions with the controls that the active probes compare with, and why a control cannot be made.

    A control that the data do not allow under one seed is left out under all.
    """
    wanted: dict[Condition, None] = dict.fromkeys(conditions)
    unmade: dict[Condition, str] = {}
    waiting = list(conditions)
    while waiting:
        condition = waiting.pop(0)
        control = condition.control
        probe = "imbalance" if condition.noise is None else "noise"
        if control is None or control in wanted or control in unmade or probe not in config.active_probes:
            continue
        try:
            for seed in config.seeds:
                apply(dataset, control, seed)
        except DataError as error:
            unmade[control] = f"{condition} has no control: {error}"
        else:
            wanted[control] = None
            waiting.append(control)
    return tuple(wanted), unmade


def choose_head(wanted: str, dataset: AuditDataset, model: ResolvedModel) -> HeadSpec:
    """Return how the model answers: ``auto`` lets a causal language model answer with text and gives others a head.

    Raises
    ------
    ConfigurationError
        Generation without a language model.
    """
    named = [str(name) for name in model.config.get("architectures") or ["LMHeadModel"]]
    causal = any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in named)
    regression = dataset.task == "regression"
    kind = wanted if wanted != "auto" else "lm" if causal and not regression else "classifier"
    if kind == "lm" and regression:
        raise ConfigurationError("numbers are predicted by a head, not by text; leave out --head lm")
    if dataset.task == "generation" and (kind == "classifier" or not causal):
        raise ConfigurationError(f"{model.name!r} ({named[0]}) writes no text, and the data are prompts and responses")
    if kind == "lm":
        return HeadSpec()
    return HeadSpec(kind="classifier", outputs=1 if regression else len(dataset.label_names), regression=regression)


def check_modules(config: AuditConfig, methods: Iterable[Method], model: ResolvedModel, head: HeadSpec) -> None:
    """Raise `ConfigurationError` where an adapter does not fit the modules of the model, as far as these are known yet."""
    found = skeleton(model, head, trust_remote_code=config.trust_remote_code)
    if found is not None:
        for method in methods:
            method.check_modules(config.adapter, *found)


def choose_format(config: AuditConfig, methods: Mapping[str, Method], device: torch.device, model: ResolvedModel) -> tuple[str, str]:
    """Return the number format by name, and the reason for it in words."""
    required = [found for method in methods.values() if (found := method.required_dtype(config.dtype)) is not None]
    if required:
        return required[0]
    dtype, reason = choose_dtype(config.dtype, device, int(model.config.get("hidden_size") or 0))
    return str(dtype).removeprefix("torch."), reason


def choose_layers(config: AuditConfig, model: ResolvedModel) -> tuple[int, ...]:
    """Return the layers whose features are measured besides the last one; 0 is the embeddings."""
    count = int(model.config.get("num_hidden_layers") or model.config.get("n_layer") or 0)
    if config.layers == "all":
        if count == 0:
            raise ConfigurationError(f"the configuration of {model.name!r} does not say how many layers it has; name them: --layers 0,1")
        return tuple(range(count + 1))
    wrong = [layer for layer in config.layers if layer < 0 or (count and layer > count)]
    if wrong:
        raise ConfigurationError(f"--layers {wrong[0]}: {model.name!r} has layers 1 to {count}, and 0 for the embeddings")
    return tuple(dict.fromkeys(config.layers))


def choose_extractor(config: AuditConfig, dataset: AuditDataset) -> str | None:
    """Return how written answers are read; the references must have answers under it before anything is computed."""
    if dataset.task != "generation" or config.writing.extractor == "none":
        return None
    references = [str(example.response) for example in dataset.test]
    extractor = guess_extractor(references) if config.writing.extractor == "auto" else config.writing.extractor
    if extractor is None:
        return None
    exact_match(references, references, find_extractor(extractor))
    if config.writing.max_new_tokens > config.training.max_tokens - 8:
        raise ConfigurationError(
            f"writing.max_new_tokens {config.writing.max_new_tokens} leaves no room for a prompt within training.max_tokens "
            f"{config.training.max_tokens}; lower the one or raise the other"
        )
    return extractor
