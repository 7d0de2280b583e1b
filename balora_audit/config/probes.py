"""What the probes are asked: noise of the inputs, features that are looked at, answers that are written."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from balora_audit.config.options import Option
from balora_audit.config.values import texts
from balora_audit.penalties import Frozen

__all__ = ["CollapseConfig", "NoiseConfig", "WritingConfig"]


class NoiseConfig(Frozen):
    """Which input noise the noise probe applies."""

    kinds: tuple[str, ...] = Field(default=("typo", "swap", "ocr", "word_drop"), description="kinds of noise (ls perturbations)")
    severities: tuple[int, ...] = Field(default=(3,), description="severities of each kind, from 1 to 5")
    protect: tuple[str, ...] = Field(default=(), description="words never touched, beside label names, numbers and URLs")
    protect_identity: bool = Field(default=False, description="also leave the identity terms alone that counterfactuals swap")

    @field_validator("severities")
    @classmethod
    def _in_range(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or sorted(set(value)) != list(value) or value[0] < 1 or value[-1] > 5:
            raise ValueError(f"severities must be distinct, ascending and within 1–5, got {list(value)}")
        return value


class CollapseConfig(Frozen):
    """What the collapse probe looks at beside the last hidden state."""

    subspace: int = Field(default=10, ge=1, description="leading directions compared with the base's by principal angles")
    neighbours: int = Field(default=5, ge=1, description="k of the nearest-neighbour accuracy")
    perplexities: tuple[float, ...] = Field(default=(30.0, 10.0), description="perplexities of the t-SNE maps")
    intruder_modules: int = Field(default=12, ge=0, description="adapted modules examined for intruder dimensions; 0: none")
    intruder_vectors: int = Field(default=10, ge=1, description="leading singular vectors examined in each module")
    intruder_cosine: float = Field(default=0.5, gt=0, lt=1, description="a vector below this likeness to all of W's is an intruder")

    @field_validator("perplexities")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or len(set(value)) != len(value) or min(value) < 1:
            raise ValueError(f"perplexities must be distinct and at least 1, got {list(value)}")
        return value


class WritingConfig(Frozen):
    """How answers are written and read in generation tasks."""

    extractor: Annotated[str, Option("NAME")] = Field(
        default="auto", description="how an answer is read: auto, none, gsm8k, number, line, letter, text or regex:PATTERN"
    )
    max_new_tokens: int = Field(default=256, ge=1, description="longest answer, in tokens")
    stop: Annotated[tuple[str, ...], Option(parse=texts)] = Field(
        default=(), description=r"texts that end an answer, beside the end-of-text token; \n is a line break"
    )
