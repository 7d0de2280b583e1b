"""How models are fine-tuned: the adapters' settings and the trainer's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from balora_audit.config.options import Option
from balora_audit.penalties import Frozen

__all__ = ["AdapterConfig", "TrainingConfig"]


class AdapterConfig(Frozen):
    """Settings of every low-rank adapter; the same for all methods of a comparison."""

    rank: Annotated[int, Option(short="--rank")] = Field(default=8, ge=1, le=4096, description="rank of the update")
    alpha: Annotated[float, Option(short="--alpha")] = Field(default=8.0, gt=0, description="α; the update is scaled by α / rank")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of an adapter's inputs set to zero in training")
    target_modules: tuple[str, ...] = Field(
        default=(), description="modules that get an adapter, by the last part of their name; all linear layers but the head when empty"
    )


class TrainingConfig(Frozen):
    """Settings of the trainer; the same for all methods of a comparison."""

    epochs: Annotated[int, Option(short="--epochs")] = Field(
        default=2, ge=1, description="passes over the training rows; a condition with fewer rows makes more, for as many steps"
    )
    batch_size: Annotated[int, Option(short="--batch-size")] = Field(default=8, ge=1, description="rows per batch")
    learning_rate: Annotated[float, Option(short="--lr")] = Field(default=5e-4, gt=0, description="highest learning rate")
    learning_rates: Annotated[dict[str, float], Option("METHOD=X,…")] = Field(
        default_factory=dict, description="learning rates of methods that need their own"
    )
    warmup_share: float = Field(default=0.05, ge=0, lt=1, description="share of the steps in which the learning rate rises")
    decay: Literal["cosine", "linear", "constant"] = Field(default="cosine", description="how the learning rate falls afterwards")
    weight_decay: float = Field(default=0.0, ge=0, description="weight decay of AdamW")
    max_grad_norm: float = Field(default=1.0, gt=0, description="norm that gradients are clipped to")
    max_tokens: int = Field(default=512, ge=8, description="longest prompt + answer; longer prompts lose their beginning")
    accumulation: int = Field(default=1, ge=1, description="batches per optimiser step")
    gradient_checkpointing: bool = Field(default=False, description="recompute activations in the backward pass: slower, smaller")
    patience: int = Field(default=0, ge=0, description="stop after this many epochs without a better validation loss; 0: never")
    validation_share: float = Field(default=0.1, gt=0, lt=1, description="training rows kept aside when patience is set")
    teacher_head: Literal["probe", "init"] = Field(default="probe", description="where a classifier's head starts, and its teacher's")
    checkpoint_steps: int = Field(default=100, ge=0, description="optimiser steps between checkpoints; 0: none")
    teacher_cache_gb: float = Field(default=2.0, gt=0, description="bound of the teacher's cache, in memory and on disk")

    def learning_rate_of(self, method: str) -> float:
        """Return the learning rate that a method trains with."""
        return self.learning_rates.get(method, self.learning_rate)

    @property
    def deciding(self) -> dict[str, Any]:
        """The settings that decide what training gives; where checkpoints and caches lie does not."""
        return self.model_dump(mode="json", exclude={"checkpoint_steps", "teacher_cache_gb", "learning_rates", "learning_rate"})
