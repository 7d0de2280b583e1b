"""The parts of a configuration: adapters, training, noise, written answers, features, claims. Fields and defaults only."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from balora_audit.penalties import Frozen

__all__ = ["AdapterConfig", "ClaimConfig", "CollapseConfig", "NoiseConfig", "TrainingConfig", "WritingConfig"]


class AdapterConfig(Frozen):
    """Settings of every low-rank adapter; the same for all methods of a comparison."""

    rank: int = Field(default=8, ge=1, le=4096)
    alpha: float = Field(default=8.0, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] = Field(default=(), description="last name parts; empty for all linear layers but the head")


class TrainingConfig(Frozen):
    """Settings of the trainer; the same for all methods of a comparison."""

    epochs: int = Field(default=1, ge=1)
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=5e-4, gt=0)
    learning_rates: dict[str, float] = Field(default_factory=dict, description="method → learning rate, where one needs its own")
    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    decay: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
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


class NoiseConfig(Frozen):
    """Which input noise the noise probe applies."""

    kinds: tuple[str, ...] = ("typo", "swap", "ocr", "word_drop")
    severities: tuple[int, ...] = (1, 3, 5)
    protect: tuple[str, ...] = Field(default=(), description="words never touched, beside label names, numbers and URLs")
    protect_identity: bool = Field(default=False, description="also leave the identity terms alone that counterfactuals swap")

    @field_validator("severities")
    @classmethod
    def _in_range(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or sorted(set(value)) != list(value) or value[0] < 1 or value[-1] > 5:
            raise ValueError(f"severities must be distinct, ascending and within 1–5, got {list(value)}")
        return value


class WritingConfig(Frozen):
    """How answers are written and read in generation tasks."""

    extractor: str = Field(default="auto", description="auto, none, gsm8k, number, line, letter, text or regex:PATTERN")
    max_new_tokens: int = Field(default=256, ge=1)
    stop: tuple[str, ...] = Field(default=(), description="texts that end an answer, beside the end-of-text token")


class CollapseConfig(Frozen):
    """What the collapse probe looks at beside the last hidden state."""

    subspace: int = Field(default=10, ge=1, description="leading directions compared with the base's by principal angles")
    neighbours: int = Field(default=5, ge=1, description="k of the nearest-neighbour accuracy")
    perplexities: tuple[float, ...] = (30.0, 10.0)
    intruder_modules: int = Field(default=12, ge=0, description="adapted modules examined for intruder dimensions; 0: none")
    intruder_vectors: int = Field(default=10, ge=1, description="leading singular vectors examined in each module")
    intruder_cosine: float = Field(default=0.5, gt=0, lt=1, description="a vector below this likeness to all of W's is an intruder")

    @field_validator("perplexities")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or len(set(value)) != len(value) or min(value) < 1:
            raise ValueError(f"perplexities must be distinct and at least 1, got {list(value)}")
        return value


class ClaimConfig(Frozen):
    """A claim in the user's words: *candidate is better than baseline on metric by more than margin, trained on condition*."""

    metric: str
    candidate: str
    baseline: str = "base"
    condition: str = "clean"
    probe: str | None = None
    slice: str = "all"
    margin: float | None = Field(default=None, ge=0, allow_inf_nan=False, description="δ; the metric's own when left out")
    direction: Literal["higher", "lower"] | None = Field(default=None, description="what is better; the metric's own when left out")
