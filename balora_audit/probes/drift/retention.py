"""What became of the test items that the base gets right and wrong (METHODS §7)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.metric import Metric, Sentence
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.probe import Measure
from balora_audit.probes.requests import test_set
from balora_audit.probes.scores import LabelScores, ScoreRequest, Scores, scores_of
from balora_audit.slices import ALL, Slice

__all__ = ["RETENTION", "Retention"]

RETAINED = Metric(
    name="retained",
    title="retained",
    unit="share",
    higher_is_better=True,
    meaning="Among test items the base gets right, the share still right.",
    source="METHODS §7",
    sentence=Sentence(form="{candidate} kept {size} {word} of what the base gets right than {baseline}", less="less", more="more"),
    against_base="trivial",
    skill="follows",
)
LOST = Metric(
    name="lost",
    title="lost",
    unit="share",
    higher_is_better=False,
    meaning="Among test items the base gets right, the share now wrong.",
    source="METHODS §7",
    against_base="trivial",
    skill="follows",
)
GAINED = Metric(
    name="gained",
    title="gained",
    unit="share",
    higher_is_better=True,
    meaning="Among test items the base gets wrong, the share now right.",
    source="METHODS §7",
    against_base="trivial",
    skill="follows",
)


class Retention(Measure):
    """What became of the test items that the base gets right, and of those that it gets wrong."""

    metrics = (RETAINED, LOST, GAINED)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set when its items can be right or wrong."""
        return [test_set(context)] if context.dataset.task == "classification" else []

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return all items, when they can be right or wrong."""
        return (ALL,) if context.dataset.task == "classification" else ()

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add the shares retained, lost and gained."""
        if context.dataset.task != "classification":
            return
        if beside.base is None:
            findings.missing("retained", "the base model is not part of this audit")
            return
        ids = np.array([example.id for example in context.dataset.test])
        gold = np.array([example.label for example in context.dataset.test])
        right, known = (scores_of(found, "test", LabelScores).prediction == gold for found in (scores, beside.base))
        for metric, inside, kept in (("retained", known, right), ("lost", known, ~right), ("gained", ~known, right)):
            if inside.any():
                findings.rate(metric, kept[inside], ids[inside].tolist())
            else:
                findings.missing(metric, f"the base answers {'every' if metric == 'gained' else 'no'} test item correctly")


RETENTION = Retention()
