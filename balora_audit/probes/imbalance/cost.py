"""What imbalance costs the rare classes: their recall, against a control of as many rows with balanced classes (METHODS §5)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.data.conditions import Condition
from balora_audit.data.dataset import AuditDataset
from balora_audit.metric import Metric, Sentence
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.imbalance.classes import rare_classes
from balora_audit.probes.probe import Measure
from balora_audit.probes.requests import test_set
from balora_audit.probes.scores import LabelScores, ScoreRequest, Scores, scores_of
from balora_audit.slices import ALL, Slice
from balora_audit.stats import ItemScores

__all__ = ["IMBALANCE_COST", "ImbalanceCost"]

COST = Metric(
    name="imbalance_cost",
    title="imbalance cost",
    unit="share",
    higher_is_better=False,
    meaning="Mean recall of the rarest classes of the imbalanced training data under the control (as many rows and steps, classes "
    "balanced), minus that under the imbalance.",
    source="METHODS §5",
    margin=0.05,
    sentence=Sentence(
        form="{candidate} lost {size} {word} of the rare classes' recall to imbalance than {baseline}", less="less", more="more"
    ),
    groups=("imbalance",),
    against_base="trivial",
    skill="follows",
    matched="tail_survival",
    of_training_rows=True,
)
TAIL_SURVIVAL = Metric(
    name="tail_survival",
    title="survival of rare classes",
    unit="share",
    higher_is_better=True,
    meaning="Of the items of the rarest classes that are answered correctly under the control, the share still correct under the "
    "imbalance. Between two models, of the items that both answer correctly under the control.",
    source="METHODS §5",
    margin=0.05,
    sentence=Sentence(
        form="{candidate} kept {size} {word} of its answers to rare items under imbalance than {baseline}, of those that both give "
        "correctly under the control",
        less="less",
        more="more",
    ),
    groups=("imbalance",),
    against_base="trivial",
    of_training_rows=True,
)


class ImbalanceCost(Measure):
    """Recall of the rare classes that imbalance takes away, item by item against the control."""

    metrics = (COST, TAIL_SURVIVAL)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set, of models trained on imbalance alone."""
        return [test_set(context)] if _applies(context) else []

    def headlines(self, dataset: AuditDataset, condition: Condition) -> tuple[str, ...]:
        """Claim the cost of imbalance alone."""
        alone = condition.imbalance is not None and condition.noise is None
        return (COST.name,) if alone and dataset.task == "classification" else ()

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return all items of the rare classes, under imbalance alone."""
        return (ALL,) if _applies(context) else ()

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add the cost and what survives."""
        if not _applies(context):
            return
        if beside.control is None:
            for metric in self.metrics:
                findings.missing(metric.name, beside.no_control)
            return
        gold_N = np.array([example.label for example in context.dataset.test])
        rare = rare_classes(context)
        inside_N = np.isin(gold_N, rare)
        if not inside_N.any():
            for metric in self.metrics:
                findings.missing(metric.name, "the rare classes have no test items")
            return
        ids = tuple(example.id for example, chosen in zip(context.dataset.test, inside_N, strict=True) if chosen)
        before_N, after_N = (
            (scores_of(found, "test", LabelScores).prediction == gold_N)[inside_N].astype(np.float64) for found in (beside.control, scores)
        )
        of_class_KN = np.array([gold_N[inside_N] == c for c in rare if (gold_N == c).any()], dtype=np.float64)
        findings.statistic(COST.name, ItemScores(ids=ids, numerators=of_class_KN * (before_N - after_N), denominators=of_class_KN))
        if before_N.any():
            survived = ItemScores(ids=ids, numerators=(before_N * after_N)[None], denominators=before_N[None], common=True)
            findings.statistic(TAIL_SURVIVAL.name, survived)
        else:
            findings.missing(TAIL_SURVIVAL.name, "no item of the rare classes is answered correctly under the control")


def _applies(context: Context) -> bool:
    condition = context.condition
    return condition.imbalance is not None and condition.noise is None and context.dataset.task == "classification"


IMBALANCE_COST = ImbalanceCost()
