"""Counterfactual twins: the same text with its identity terms swapped (METHODS §5)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.data.dataset import AuditDataset, Example
from balora_audit.metric import Metric, Sentence
from balora_audit.metrics.robustness import flips
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.imbalance.scope import swaps_apply
from balora_audit.probes.probe import Measure, View
from balora_audit.probes.requests import on_texts, test_set
from balora_audit.probes.scores import LabelScores, ScoreRequest, Scores, scores_of
from balora_audit.slices import ALL, Slice

__all__ = ["COUNTERFACTUALS", "Counterfactuals", "swapped_texts", "twins_of"]

COUNTERFACTUAL_FLIP_RATE = Metric(
    name="counterfactual_flip_rate",
    title="counterfactual flip rate",
    unit="share",
    higher_is_better=False,
    meaning="Share of items whose answer changes when only {swapped} changes in the text.",
    source="Garg et al. 2019; METHODS §5",
    margin=0.02,
    sentence=Sentence(
        form="{candidate} changed {size} {word} of its answers than {baseline} when only {swapped} changes", less="less", more="more"
    ),
    groups=("gap", "over correlation"),
    against_base="always",
    skill="trained",
)
COUNTERFACTUAL_SHIFT = Metric(
    name="counterfactual_shift",
    title="counterfactual shift",
    unit="share",
    higher_is_better=False,
    meaning="Mean absolute change of the gold answer's probability when only {swapped} changes.",
    source="Garg et al. 2019; METHODS §5",
    groups=("gap",),
    against_base="always",
    skill="trained",
)


class Counterfactuals(Measure):
    """Answers before and after the swap, over all twins, by class and by group."""

    metrics = (COUNTERFACTUAL_FLIP_RATE, COUNTERFACTUAL_SHIFT)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set and its twins."""
        if not swaps_apply(context):
            return []
        return [test_set(context), *swapped_texts(context.dataset)]

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return all twins, their classes and their groups."""
        return tuple(_parts(context.dataset, twins_of(context.dataset))) if swaps_apply(context) else ()

    def views(self, context: Context) -> tuple[View, ...]:
        """Show the twins, for models trained on clean data."""
        if not context.condition.is_clean or not twins_of(context.dataset):
            return ()
        return (View(key="counterfactual", title=f"Answers before → after {context.dataset.swapped} is swapped", before="test"),)

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add the share of answers that flip and the shift of the gold answer's probability."""
        if not swaps_apply(context):
            return
        twins = twins_of(context.dataset)
        if not twins:
            for metric in self.metrics:
                findings.missing(metric.name, "no test item has a counterfactual twin (no identity term to swap)")
            return
        position = {example.id: index for index, example in enumerate(context.dataset.test)}
        rows = [position[example.id] for example in twins]
        test, swapped = (scores_of(scores, key, LabelScores) for key in ("test", "counterfactual"))
        gold = np.array([example.label for example in twins])
        flipped = flips(swapped.prediction, test.prediction[rows])
        shift = np.abs(swapped.probability[np.arange(len(rows)), gold] - test.probability[rows, gold])
        for slice, inside in _parts(context.dataset, twins).items():
            ids = [example.id for example, chosen in zip(twins, inside, strict=True) if chosen]
            findings.rate("counterfactual_flip_rate", flipped[inside], ids, slice=slice)
            findings.mean("counterfactual_shift", shift[inside], ids, slice=slice)


def swapped_texts(dataset: AuditDataset) -> list[ScoreRequest]:
    """Return the request for the twins' other texts; none where there are no twins."""
    twins = twins_of(dataset)
    texts = tuple(str(example.counterfactual) for example in twins)
    return [on_texts(dataset, "counterfactual", tuple(example.id for example in twins), texts)] if twins else []


def twins_of(dataset: AuditDataset) -> list[Example]:
    """Return the test items that have a twin, in the order of the test set."""
    return [example for example in dataset.test if example.counterfactual is not None]


def _parts(dataset: AuditDataset, twins: list[Example]) -> dict[Slice, np.ndarray]:
    """Return slice → which of the twins are in it."""
    gold = np.array([example.label for example in twins])
    groups = np.array([example.group or "" for example in twins])
    classes = {Slice("class", name): gold == label for label, name in enumerate(dataset.label_names) if (gold == label).any()}
    of_group = {Slice("group", name): groups == name for name in sorted(set(groups.tolist()) - {""})}
    return {ALL: np.ones(len(twins), dtype=bool), **classes, **of_group}


COUNTERFACTUALS = Counterfactuals()
