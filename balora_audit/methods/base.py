"""The pre-trained model, untouched: scored by label likelihood, or by a linear probe on its frozen features."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from balora_audit.errors import ModelError
from balora_audit.methods.method import Method
from balora_audit.models.classifier import ClassifierForward
from balora_audit.models.load import LoadedModel
from balora_audit.models.placed import Placed
from balora_audit.training.workshop import Job, Made, Recipe, Workshop

__all__ = ["BASE", "Untouched"]

_HEAD_FILE = "head.safetensors"


@dataclass(frozen=True, kw_only=True)
class Untouched(Method):
    """The base itself; where it has a classification head, that head alone is fitted."""

    unit: ClassVar[str] = "head"
    is_base: ClassVar[bool] = True
    trains: ClassVar[bool] = False

    def key(self, recipe: Recipe, rows: Mapping[str, str], seed: int, steps: int | None) -> dict[str, Any] | None:
        """Return the rows that a head is fitted to; a language model needs nothing."""
        del seed, steps
        return dict(rows) if recipe.head.kind == "classifier" else None

    def make(self, workshop: Workshop, job: Job) -> Made:
        """Fit the head as a linear probe on frozen features."""
        workshop = workshop.under(job.recipe)
        workshop.progress.stage(job.title, 1, "fit")
        start = time.perf_counter()
        rows = workshop.encode(job.train, workshop.encoder())
        workshop.set_probe_head(rows)
        head = workshop.base.head

        def save(folder: Path) -> None:
            from safetensors.torch import save_file

            save_file({name: value.detach().contiguous() for name, value in head.state_dict().items()}, folder / _HEAD_FILE)

        job.output.write(save)
        cell = {
            "trainable_parameters": sum(parameter.numel() for parameter in head.parameters()),
            "examples": len(rows),
            "steps": 0,
            "wall_seconds": round(time.perf_counter() - start, 2),
            "notes": ["a regularised linear probe on the frozen features; the base itself is untouched"],
        }
        return Made(cell=cell, passes=len(rows))

    @contextmanager
    def place(self, base: LoadedModel, folder: Path) -> Iterator[Placed]:
        """Give the base the head that was fitted."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if not isinstance(base.forward, ClassifierForward):
            raise TypeError("a language model's head is its own: nothing was fitted that could be put in place")
        try:
            head = load_file(folder / _HEAD_FILE)
            base.forward.set_head(head["weight"], head.get("bias", torch.zeros(len(head["weight"]))))
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise ModelError(f"{folder} holds no head of this model ({error}); delete the folder and train again") from error
        yield Placed(base=base)


BASE = Untouched(
    name="base",
    title="Base",
    summary="the pre-trained model, untouched; with a classification head: a linear probe on its frozen features",
    initialisation="none",
)
