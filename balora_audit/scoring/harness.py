"""Tasks of lm-evaluation-harness on the model in place: the same run of `balora_audit.harness` for every model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from balora_audit.harness.evaluation import Suite, prepare
from balora_audit.harness.records import HarnessResult
from balora_audit.scoring.reader import Reader
from balora_audit.scoring.request import ScoreRequest
from balora_audit.scoring.scores import ScoreKind, Scores

__all__ = ["HARNESS", "HarnessScores", "suite_of", "task_settings"]

Settings = tuple[tuple[str, Any], ...]


def task_settings(
    tasks: tuple[str, ...],
    *,
    include: tuple[str, ...] = (),
    metadata: Mapping[str, Any] | None = None,
    shots: int | None = None,
    limit: int | None = None,
    chat_template: bool = False,
) -> Settings:
    """Return the settings of a request; see `balora_audit.harness.prepare` for what they mean."""
    return (
        ("tasks", tasks),
        ("include", include),
        ("metadata", json.dumps(metadata or {}, sort_keys=True)),
        ("shots", shots),
        ("limit", limit),
        ("chat_template", chat_template),
    )


@lru_cache(maxsize=2)
def suite_of(settings: Settings) -> Suite:
    """Return the built tasks of a request's settings, the same object for every model."""
    given = dict(settings)
    return prepare(given.pop("tasks"), metadata=json.loads(given.pop("metadata")), **given)


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessScores(Scores):
    """A result as a unit of an audit keeps it: ``payload`` is its JSON in UTF-8, (bytes,) uint8."""

    payload: NDArray[np.uint8]

    @classmethod
    def of(cls, result: HarnessResult) -> Self:
        """Pack a result; requests are kept, of generated and scored responses all."""
        return cls(payload=np.frombuffer(result.to_json().encode("utf-8", "surrogatepass"), dtype=np.uint8))

    def result(self) -> HarnessResult:
        """Unpack it; a number that was not finite is None."""
        return HarnessResult.from_json(self.payload.tobytes().decode("utf-8", "surrogatepass"))

    def columns(self, request: ScoreRequest) -> dict[str, Sequence[object]]:
        """Return what is known of every document; the sets are the tasks."""
        del request
        items = self.result().items
        return {
            "set": [item.task for item in items],
            **{
                name: [getattr(item, name) for item in items]
                for name in ("id", "group", "pair_id", "severity", "requests", "responses", "values")
            },
        }


def _score(request: ScoreRequest, reader: Reader) -> HarnessScores:
    # the adapter is in place on the base, which is the model that the harness then gets
    result = suite_of(request.settings).evaluate(reader.base.model, reader.base.tokenizer)
    reader.encoder.truncated += sum(result.shortened.values())
    reader.advance(len(request.texts))
    return HarnessScores.of(result)


HARNESS = ScoreKind(scores=HarnessScores, score=_score)
