"""Recall by class, and what is made of it: head, medium and tail thirds, the worst class, means (METHODS §5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from balora_audit.metric import Metric
from balora_audit.metrics import prior_shift
from balora_audit.metrics.classification import balanced_accuracy_ratios, g_mean_ratios, macro_f1_ratios, worst_class_recall_ratios
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.imbalance.scope import applies
from balora_audit.probes.probe import Measure, View
from balora_audit.probes.requests import test_set
from balora_audit.probes.scores import LabelScores, ScoreRequest, Scores, scores_of
from balora_audit.slices import ALL, Slice
from balora_audit.stats import ItemScores

__all__ = ["CLASSES", "Classes", "rare_classes"]

RECALL = Metric(
    name="recall",
    title="recall",
    unit="share",
    higher_is_better=True,
    meaning="Share of a class's items that are found.",
    source="METHODS §5",
    against_base="always",
    skill="level",
)
BALANCED_ACCURACY = Metric(
    name="balanced_accuracy",
    title="balanced accuracy",
    unit="share",
    higher_is_better=True,
    meaning="Mean of the per-class recalls.",
    source="METHODS §5",
    margin=0.02,
    groups=("recall over imbalance",),
    against_base="always",
    skill="level",
)
HEAD_RECALL = Metric(
    name="head_recall",
    title="head recall",
    unit="share",
    higher_is_better=True,
    meaning="Mean recall of the third of classes trained on most.",
    source="METHODS §5",
    groups=("recall over imbalance",),
    against_base="always",
    of_training_rows=True,
    skill="level",
)
MEDIUM_RECALL = Metric(
    name="medium_recall",
    title="medium recall",
    unit="share",
    higher_is_better=True,
    meaning="Mean recall of the middle third of classes.",
    source="METHODS §5",
    groups=("recall over imbalance",),
    against_base="always",
    of_training_rows=True,
    skill="level",
)
TAIL_RECALL = Metric(
    name="tail_recall",
    title="tail recall",
    unit="share",
    higher_is_better=True,
    meaning="Mean recall of the third of classes trained on least.",
    source="METHODS §5",
    margin=0.05,
    groups=("recall over imbalance",),
    against_base="always",
    of_training_rows=True,
    skill="level",
)
WORST_CLASS_RECALL = Metric(
    name="worst_class_recall",
    title="worst-class recall",
    unit="share",
    higher_is_better=True,
    meaning="The smallest per-class recall.",
    source="METHODS §5",
    margin=0.05,
    groups=("recall over imbalance", "gap"),
    against_base="always",
    skill="level",
)
MACRO_F1 = Metric(
    name="macro_f1",
    title="macro F1",
    unit="share",
    higher_is_better=True,
    meaning="Mean of the per-class F1 scores.",
    source="METHODS §5",
    against_base="always",
    skill="level",
)
G_MEAN = Metric(
    name="g_mean",
    title="G-mean",
    unit="share",
    higher_is_better=True,
    meaning="Geometric mean of the per-class recalls.",
    source="METHODS §5",
    against_base="always",
    skill="level",
)
PRIOR_SHIFT = Metric(
    name="prior_shift",
    title="prior shift",
    unit="nats",
    higher_is_better=False,
    meaning="KL divergence between the distribution of answers and that of labels.",
    source="METHODS §5",
    groups=("gap",),
    against_base="always",
    skill="follows",
)


class Classes(Measure):
    """Recall by class and over all classes, in thirds by how much each was trained on."""

    metrics = (RECALL, BALANCED_ACCURACY, HEAD_RECALL, MEDIUM_RECALL, TAIL_RECALL, WORST_CLASS_RECALL, MACRO_F1, G_MEAN, PRIOR_SHIFT)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set."""
        return [test_set(context)] if applies(context) else []

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return the classes of the recall; everything else is over all of them."""
        if not applies(context):
            return ()
        return tuple(Slice("class", name) for name in context.dataset.label_names) if metric == RECALL.name else (ALL,)

    def views(self, context: Context) -> tuple[View, ...]:
        """Show the test items, for models trained on imbalanced classes."""
        return () if context.condition.imbalance is None else (View(key="test", title="Answers after training on imbalanced classes"),)

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add the recalls, what is made of them, and the prior shift."""
        if context.dataset.task != "classification":
            findings.missing("balanced_accuracy", "the data have no classes")
        elif applies(context):
            _recalls(context, scores_of(scores, "test", LabelScores).prediction, findings)


def _recalls(context: Context, answer: np.ndarray, findings: Findings) -> None:
    names = context.dataset.label_names
    ids = [example.id for example in context.dataset.test]
    gold = np.array([example.label for example in context.dataset.test])
    present = [index for index in range(len(names)) if (gold == index).any()]
    for index, name in enumerate(names):
        inside = gold == index
        findings.rate("recall", (answer == gold)[inside], np.array(ids)[inside].tolist(), slice=Slice("class", name))

    for metric, of in (
        ("balanced_accuracy", balanced_accuracy_ratios),
        ("worst_class_recall", worst_class_recall_ratios),
        ("g_mean", g_mean_ratios),
        ("macro_f1", macro_f1_ratios),
    ):
        findings.statistic(metric, ItemScores.of(ids, of(gold, answer, present)))
    thirds = _thirds(context, present)
    if thirds is None:
        for metric in ("head_recall", "medium_recall", "tail_recall"):
            findings.missing(metric, "fewer than three classes: there are no thirds")
    else:
        for metric, chosen in zip(("head_recall", "medium_recall", "tail_recall"), thirds, strict=True):
            if chosen:
                findings.statistic(metric, ItemScores.of(ids, balanced_accuracy_ratios(gold, answer, chosen)))
            else:
                findings.missing(metric, "no class of this kind has test items")
    findings.plain("prior_shift", prior_shift(gold, answer), len(ids))


def _thirds(context: Context, present: list[int]) -> tuple[list[int], list[int], list[int]] | None:
    if len(present) < 3:
        return None
    counts = Counter(example.label for example in context.train)
    ordered = sorted(present, key=lambda index: (-counts[index], index))
    share = max(1, len(ordered) // 3)
    return ordered[:share], ordered[share:-share], ordered[-share:]


def rare_classes(context: Context) -> list[int]:
    """Return the classes with test items that were trained on least: the tail third, or the rarest one of two."""
    present = sorted({example.label for example in context.dataset.test if example.label is not None})
    thirds = _thirds(context, present)
    counts = Counter(example.label for example in context.train)
    return thirds[2] if thirds is not None else sorted(present, key=lambda index: (counts[index], -index))[:1]


CLASSES = Classes()
