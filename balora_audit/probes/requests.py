"""The text sets that several probes read: asked for once, scored once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from balora_audit.data.dataset import AuditDataset
from balora_audit.probes.context import Context
from balora_audit.probes.scores import ScoreRequest

__all__ = ["general_ids", "general_texts", "on_texts", "one_per_key", "test_set", "to_write"]


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


def general_texts(context: Context) -> list[ScoreRequest]:
    """Return the request for the general text, with the features of its tokens; none where there is no such text."""
    texts = context.dataset.general
    return [ScoreRequest(key="general", kind="texts", ids=general_ids(context), texts=texts, features=True)] if texts else []


def general_ids(context: Context) -> tuple[str, ...]:
    """Return what the general texts are called."""
    return tuple(f"general-{index:04d}" for index in range(len(context.dataset.general)))


def one_per_key(requests: Iterable[ScoreRequest], askers: str) -> dict[str, ScoreRequest]:
    """Return each requested set once, by its key; `askers` are those who may not disagree, for the error.

    Raises
    ------
    ValueError
        One key stands for different texts.
    """
    found: dict[str, ScoreRequest] = {}
    for request in requests:
        if found.setdefault(request.key, request).content != request.content:
            raise ValueError(f"two {askers} ask for different texts under the key {request.key!r}")
    return found


def to_write(context: Context, key: str, ids: tuple[str, ...], texts: tuple[str, ...]) -> ScoreRequest:
    """Return the request for answers that the model writes itself to these texts."""
    writing = context.config.writing
    prompts = tuple(context.dataset.render(text) for text in texts)
    settings = (("max_new_tokens", writing.max_new_tokens), ("stop", writing.stop))
    return ScoreRequest(key=key, kind="answers", ids=ids, texts=prompts, settings=settings)
