"""What the trainer is compared with, built from transformers and PEFT alone: plain LoRA, and BA-LoRA as published.

Nothing of balora_audit is imported here. The published procedure is written anew from what its release does (METHODS §2):
PiSSA through PEFT, which overwrites the base; the original model as a second full copy; logits of student and teacher at all
positions; KL over all of them, masked afterwards; top-20 entropy; singular values by a randomized decomposition that autograd
differentiates through. Valid is read off the *unshifted* labels there, which costs the same as doing it right.

Shapes: B batch, T token, V vocabulary, M valid token.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import SequentialSampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

__all__ = ["Batch", "PublishedTrainer", "adapted", "stepper", "training_arguments", "verify"]

Batch = dict[str, Tensor]
"""``input_ids``, ``attention_mask`` and ``labels``, as a collator gives them to the model."""

_CONSISTENCY, _DIVERSITY, _SPECTRAL = 0.025, 0.005, 0.005
_TEMPERATURE = 2.0
_CANDIDATES = 20
_LEADING = 10
_OVERSAMPLING = 5
_POWER_ITERATIONS = 2


def training_arguments(folder: str, *, learning_rate: float, max_grad_norm: float) -> TrainingArguments:
    """Return the Trainer's own defaults (AdamW, no autocast) on the CPU, silent and without files."""
    return TrainingArguments(
        output_dir=folder,
        use_cpu=True,
        learning_rate=learning_rate,
        max_grad_norm=max_grad_norm,
        lr_scheduler_type="constant",
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        seed=0,
    )


def adapted(model: Any, rank: int, *, initialisation: bool | str, task: str = "CAUSAL_LM") -> Any:
    """Return the model with PEFT adapters of scaling 1 on every linear layer but the head, in float32."""
    return get_peft_model(
        model,
        LoraConfig(
            r=rank,
            lora_alpha=rank,
            lora_dropout=0.0,
            target_modules="all-linear",
            init_lora_weights=initialisation,  # type: ignore[arg-type]
            task_type=task,
        ),
    )


def stepper(trainer: Trainer) -> Callable[[Batch], float]:
    """Return what takes one optimiser step of a Trainer on a batch, in the order of its own loop, and gives the loss.

    The loop of ``Trainer.train`` cannot be paused to let another variant take its step, hence this copy of its calls;
    ``--verify`` of the benchmark compares the two.
    """
    trainer.create_optimizer()
    model, trainer.optimizer = trainer.accelerator.prepare(trainer.model, trainer.optimizer)
    trainer.create_scheduler(num_training_steps=1_000_000)
    trainer.model_wrapped = model
    trainer.current_gradient_accumulation_steps = 1
    model.zero_grad()

    def step(batch: Batch) -> float:
        inputs, count = trainer.get_batch_samples(iter([batch]), 1, trainer.args.device)
        trainer.callback_handler.on_step_begin(trainer.args, trainer.state, trainer.control)
        loss = trainer.training_step(model, inputs[0], count)
        trainer.state.total_flos += float(trainer.floating_point_ops(inputs[0]))
        trainer.accelerator.clip_grad_norm_(model.parameters(), trainer.args.max_grad_norm)
        trainer.callback_handler.on_pre_optimizer_step(trainer.args, trainer.state, trainer.control)
        trainer.optimizer.step()
        trainer.callback_handler.on_optimizer_step(trainer.args, trainer.state, trainer.control)
        trainer.lr_scheduler.step()
        model.zero_grad()
        trainer.state.global_step += 1
        trainer.callback_handler.on_step_end(trainer.args, trainer.state, trainer.control)
        return float(loss)

    return step


class _Clock(TrainerCallback):
    """Notes when each step of ``Trainer.train`` begins and ends."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.ended: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.begun.append(time.perf_counter())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ended.append(time.perf_counter())


class _Ordered(Trainer):
    """A Trainer that takes its rows as they come."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)


def verify(build: Callable[[], Any], settings: TrainingArguments, batches: Sequence[Batch]) -> dict[str, float]:
    """Compare :func:`stepper` with ``Trainer.train`` over two epochs from the same start.

    Returns the largest relative difference of a loss, and the median seconds of a step in either.
    """
    rows = [{name: values[index] for name, values in batch.items()} for batch in batches for index in range(len(batch["labels"]))]
    settings.per_device_train_batch_size, settings.num_train_epochs = len(batches[0]["labels"]), 2
    settings.logging_strategy, settings.logging_steps = "steps", 1
    clock = _Clock()
    whole = _Ordered(model=build(), args=settings, train_dataset=rows, callbacks=[clock])
    whole.remove_callback(PrinterCallback)
    whole.train()
    theirs = [entry["loss"] for entry in whole.state.log_history if "loss" in entry]
    step, ours, seconds = stepper(Trainer(model=build(), args=settings)), [], []
    for batch in [*batches, *batches]:
        start = time.perf_counter()
        ours.append(step(batch))
        seconds.append(time.perf_counter() - start)
    return {
        "difference": max(abs(mine - its) / abs(its) for mine, its in zip(ours, theirs, strict=True)),
        "train": statistics.median(end - begin for begin, end in zip(clock.begun, clock.ended, strict=True)),
        "driven": statistics.median(seconds),
    }


class PublishedTrainer(Trainer):
    """BA-LoRA's NLG loss at full weights, in the way the 2026 release computes it.

    ``task`` is the task loss of the last step, to compare with the other variants.
    """

    def __init__(self, *, teacher: nn.Module, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.teacher = teacher.eval().requires_grad_(False)
        self.task = float("nan")

    def compute_loss(self, model: Any, inputs: Batch, return_outputs: bool = False, **_: Any) -> Any:
        """Return task loss + λ₁·consistency + λ₂·diversity + λ₃·SVD term."""
        outputs = model(**inputs)
        student_BTV = outputs.logits
        with torch.no_grad():
            teacher_BTV = self.teacher(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        valid_BT = inputs["labels"] != -100
        loss = outputs.loss + _CONSISTENCY * _consistency(student_BTV, teacher_BTV, valid_BT)
        student_MV = student_BTV[valid_BT]
        loss = loss + _DIVERSITY * _negative_entropy(student_MV)
        loss = loss + _SPECTRAL * _negative_concentration(student_BTV.view(-1, student_BTV.shape[-1])[valid_BT.view(-1)])
        self.task = float(outputs.loss.detach())
        return (loss, outputs) if return_outputs else loss


def _consistency(student_BTV: Tensor, teacher_BTV: Tensor, valid_BT: Tensor) -> Tensor:
    log_student = functional.log_softmax(student_BTV / _TEMPERATURE, dim=-1)
    teacher = functional.softmax(teacher_BTV / _TEMPERATURE, dim=-1)
    per_token_BT = functional.kl_div(log_student, teacher, reduction="none").sum(dim=-1)
    return _TEMPERATURE**2 * (per_token_BT * valid_BT).sum() / valid_BT.sum()


def _negative_entropy(student_MV: Tensor) -> Tensor:
    log_p_MK = functional.log_softmax(student_MV.topk(_CANDIDATES, dim=-1).values, dim=-1)
    return (log_p_MK.exp() * log_p_MK).sum(dim=-1).mean()


def _negative_concentration(student_MV: Tensor) -> Tensor:
    z = student_MV.float()
    _, sigma, _ = torch.svd_lowrank(z, q=_LEADING + _OVERSAMPLING, niter=_POWER_ITERATIONS)
    return -(sigma[:_LEADING].sum() / torch.linalg.matrix_norm(z)).to(student_MV.dtype)
