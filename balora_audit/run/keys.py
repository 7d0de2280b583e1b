"""Content addresses of units of work: the same key, the same result, whatever run computed it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from balora_audit.data.dataset import AuditDataset, fingerprint
from balora_audit.methods import Method
from balora_audit.models.locate import ResolvedModel
from balora_audit.probes import Context
from balora_audit.run import provenance
from balora_audit.run.code import code_hash
from balora_audit.scoring import KINDS, ScoreRequest
from balora_audit.training.workshop import Recipe

__all__ = ["UnitKeys", "content_key"]


def content_key(kind: str, parts: Mapping[str, Any]) -> str:
    """Return the content address of a unit: kind and SHA-256 over everything that decides its result."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=list)
    return f"{kind}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitKeys:
    """What all units of an audit depend on, and the keys of its trainings and scores."""

    recipe: Recipe
    dataset: AuditDataset
    model: ResolvedModel
    device: str
    dtype: str

    def training(
        self, method: Method, context: Context, recipe: Recipe, *, among: tuple[float, ...] = (), shares: tuple[float, ...] = ()
    ) -> str | None:
        """Return the content address of what a recipe makes for a cell; None for a bare base.

        `among` are the other learning rates of the same pass, `shares` those of the steps after which the state is kept too.
        """
        rows = {"rows": fingerprint(context.train), "task": self.dataset.task}
        parts = method.key(recipe, rows, context.seed, context.steps)
        if parts is None:
            return None
        further = {name: value for name, value in (("among", among), ("shares", shares)) if value}
        return content_key(method.unit, {**self._environment(*method.modules), **parts, **further})

    def scores(self, train_key: str | None, request: ScoreRequest) -> str:
        """Return the content address of the scores that a request asks of what was made."""
        environment = self._environment(KINDS[request.kind].module)
        return content_key("score", {**environment, "adapter": train_key, "request": request.content})

    def _environment(self, *modules: str) -> dict[str, Any]:
        return {
            "code": code_hash(*modules),
            "versions": provenance.versions(),
            "model": self.model.fingerprint,
            "device": self.device,
            "dtype": self.dtype,
            "limit_tokens": self.recipe.training.max_tokens,
            "prompt": self.dataset.prompt,
            "label_names": self.dataset.label_names,
            "head": repr(self.recipe.head),
            "chat_template": self.recipe.chat_template,
        }
