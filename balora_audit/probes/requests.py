"""The text sets that several probes read: asked for once, scored once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from balora_audit.data.dataset import AuditDataset
from balora_audit.probes.evidence import Context, ScoreRequest, Scores
from balora_audit.scoring import AnswerScores, LabelScores, NumberScores, ResponseScores, TextScores

__all__ = ["answer_scores", "label_scores", "number_scores", "on_texts", "response_scores", "test_set", "text_scores", "to_write"]

S = TypeVar("S", bound=Scores)


def test_set(context: Context) -> ScoreRequest:
    """Return the request for the clean test set, with features."""
    dataset = context.dataset
    ids, texts = tuple(e.id for e in dataset.test), tuple(e.text for e in dataset.test)
    return replace(on_texts(dataset, "test", ids, texts), features=True, layers=context.layers)


def on_texts(dataset: AuditDataset, key: str, ids: tuple[str, ...], texts: tuple[str, ...]) -> ScoreRequest:
    """Return the request for these texts, as labels, numbers or responses according to the task (responses by test id)."""
    prompts = tuple(dataset.render(text) for text in texts)
    if dataset.task == "classification":
        return ScoreRequest(key=key, kind="labels", ids=ids, texts=prompts, labels=dataset.label_names)
    if dataset.task == "regression":
        return ScoreRequest(key=key, kind="numbers", ids=ids, texts=prompts)
    answers = {example.id: dataset.answer(example) for example in dataset.test}
    return ScoreRequest(key=key, kind="responses", ids=ids, texts=prompts, responses=tuple(answers[i] for i in ids))


def to_write(context: Context, key: str, ids: tuple[str, ...], texts: tuple[str, ...]) -> ScoreRequest:
    """Return the request for answers that the model writes itself to these texts."""
    writing = context.config.writing
    prompts = tuple(context.dataset.render(text) for text in texts)
    settings = (("max_new_tokens", writing.max_new_tokens), ("stop", writing.stop))
    return ScoreRequest(key=key, kind="answers", ids=ids, texts=prompts, settings=settings)


def answer_scores(scores: Mapping[str, Scores], key: str) -> AnswerScores:
    """Return the written answers under a key."""
    return _of(scores, key, AnswerScores)


def label_scores(scores: Mapping[str, Scores], key: str) -> LabelScores:
    """Return the label scores under a key."""
    return _of(scores, key, LabelScores)


def number_scores(scores: Mapping[str, Scores], key: str) -> NumberScores:
    """Return the predicted numbers under a key."""
    return _of(scores, key, NumberScores)


def response_scores(scores: Mapping[str, Scores], key: str) -> ResponseScores:
    """Return the response scores under a key."""
    return _of(scores, key, ResponseScores)


def text_scores(scores: Mapping[str, Scores], key: str) -> TextScores:
    """Return the text scores under a key."""
    return _of(scores, key, TextScores)


def _of(scores: Mapping[str, Scores], key: str, kind: type[S]) -> S:
    found = scores[key]
    if not isinstance(found, kind):
        raise TypeError(f"{key!r} holds {type(found).__name__}, not {kind.__name__}")
    return found
