"""The validation rows, on which settings are chosen: what is scored of them, and their loss (METHODS §9).

Shapes: N item.
"""

from __future__ import annotations

import numpy as np

from balora_audit.data import AuditDataset
from balora_audit.models.load import HeadSpec
from balora_audit.scoring import LabelScores, NumberScores, ResponseScores, ScoreRequest, Scores
from balora_audit.stats import ItemScores

__all__ = ["METRIC", "validation_losses", "validation_request"]

METRIC = "validation_nll"
"""What candidates are chosen by: negative log-likelihood per answer token in nats; of numbers, the squared error."""


def validation_request(dataset: AuditDataset, head: HeadSpec) -> ScoreRequest:
    """Return what is scored of the validation rows: the likelihood of what training would have asked for."""
    rows = dataset.validation
    ids, prompts = tuple(row.id for row in rows), tuple(dataset.render(row.text) for row in rows)
    if dataset.task == "regression":
        return ScoreRequest(key="validation", kind="numbers", ids=ids, texts=prompts)
    if head.kind == "classifier":
        return ScoreRequest(key="validation", kind="labels", ids=ids, texts=prompts, labels=dataset.label_names)
    return ScoreRequest(key="validation", kind="responses", ids=ids, texts=prompts, responses=tuple(dataset.answer(row) for row in rows))


def validation_losses(dataset: AuditDataset, scores: Scores) -> ItemScores:
    """Return the loss per item, in the form that paired differences are made of."""
    rows = dataset.validation
    ids = [row.id for row in rows]
    if isinstance(scores, ResponseScores):
        return ItemScores(ids=tuple(ids), numerators=scores.nll[None, :], denominators=scores.tokens[None, :].astype(np.float64))
    if isinstance(scores, LabelScores):
        gold = np.array([row.label for row in rows])
        return ItemScores.mean_of(ids, -scores.log_likelihood[np.arange(len(rows)), gold])
    if isinstance(scores, NumberScores):
        return ItemScores.mean_of(ids, (scores.value - np.array([row.target for row in rows], dtype=np.float64)) ** 2)
    raise TypeError(f"validation rows have no {type(scores).__name__}")
