"""What stands beside the models' skill: the best that is possible, a bag of words trained on the same rows, the most frequent class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from balora_audit.data import AuditDataset, Example
from balora_audit.data.references import bag_of_words, majority
from balora_audit.probes import Context
from balora_audit.probes.skill import SKILL_OF
from balora_audit.records import Reference
from balora_audit.stats import ItemScores, interval, wilson

__all__ = ["references"]


def references(dataset: AuditDataset, contexts: Iterable[Context], *, level: float) -> Iterator[Reference]:
    """Yield the references of an audit: one best possible value, the others for the training rows of every condition and seed."""
    metric = SKILL_OF[dataset.task].name
    common: dict[str, Any] = {"metric": metric, "n": len(dataset.test)}
    best = dataset.best_accuracy
    yield Reference(name="best", title="best possible", value=best, note=dataset.best_accuracy_note, **common)
    seen: set[tuple[str, int]] = set()
    for context in contexts:
        of = (str(context.condition), context.seed)
        if of in seen:
            continue
        seen.add(of)
        trained = {"condition": of[0], "seed": of[1], **common}
        yield _of(dataset, context, "bag-of-words", "bag of words", level, trained)
        if dataset.task == "classification":
            yield _of(dataset, context, "majority", "most frequent class", level, trained)


def _of(dataset: AuditDataset, context: Context, name: str, title: str, level: float, trained: dict[str, Any]) -> Reference:
    notes = {
        "bag-of-words": "TF-IDF of words and pairs of words with a linear model, trained on the same rows",
        "majority": "always the class that is most frequent in the training rows",
    }
    answers = _answers(dataset, context.train, name)
    if answers is None:
        note = "a bag of words writes no responses" if dataset.task == "generation" else "the training rows have one class only"
        return Reference(name=name, title=title, value=None, note=note, **trained)
    value, bounds = _value(dataset, answers, level)
    low, high = bounds if bounds is not None else (None, None)
    return Reference(name=name, title=title, value=value, ci_low=low, ci_high=high, note=notes[name], **trained)


def _answers(dataset: AuditDataset, train: Sequence[Example], name: str) -> np.ndarray | None:
    if name == "majority":
        return majority(train, dataset.test)
    return bag_of_words(train, dataset.test, dataset.task)


def _value(dataset: AuditDataset, answers: np.ndarray, level: float) -> tuple[float, tuple[float, float] | None]:
    if dataset.task == "classification":
        right = answers == np.array([example.label for example in dataset.test])
        return float(right.mean()), wilson(int(right.sum()), len(right), level)
    gold = np.array([example.target for example in dataset.test], dtype=np.float64)
    errors = (answers - gold) ** 2 / max(float(gold.var()), np.finfo(np.float64).tiny)
    return float(errors.mean()), interval(ItemScores.mean_of([example.id for example in dataset.test], errors), level=level)
