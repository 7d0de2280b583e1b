"""Counterfactual twins: the same text with its identity terms swapped (METHODS §5)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.data.conditions import Condition
from balora_audit.data.dataset import AuditDataset, Example
from balora_audit.metric import Metric, Sentence
from balora_audit.metrics.robustness import flips
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.imbalance.scope import applies
from balora_audit.probes.probe import Measure, View
from balora_audit.probes.requests import on_texts, test_set
from balora_audit.probes.scores import LabelScores, ScoreRequest, Scores, scores_of
from balora_audit.slices import ALL, Slice

__all__ = ["COUNTERFACTUALS", "Counterfactuals"]

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
    follows_from_skill=True,
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
    follows_from_skill=True,
)


class Counterfactuals(Measure):
    """Answers before and after the swap, over all twins, by class and by group."""

    metrics = (COUNTERFACTUAL_FLIP_RATE, COUNTERFACTUAL_SHIFT)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set and its twins."""
        if not applies(context):
            return []
        found, twins = [test_set(context)], _twins(context.dataset)
        if twins:
            texts = tuple(str(example.counterfactual) for example in twins)
            found.append(on_texts(context.dataset, "counterfactual", tuple(example.id for example in twins), texts))
        return found

    def headlines(self, dataset: AuditDataset, condition: Condition) -> tuple[str, ...]:
        """Claim the flips, trained on clean or on correlated data."""
        wanted = condition.is_clean or condition.correlate is not None
        return (COUNTERFACTUAL_FLIP_RATE.name,) if wanted and _twins(dataset) and dataset.task == "classification" else ()

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return all twins, their classes and their groups."""
        return tuple(_parts(context.dataset, _twins(context.dataset))) if applies(context) else ()

    def views(self, context: Context) -> tuple[View, ...]:
        """Show the twins, for models trained on clean data."""
        if not context.condition.is_clean or not _twins(context.dataset):
            return ()
        return (View(key="counterfactual", title=f"Answers before → after {context.dataset.swapped} is swapped", before="test"),)

    def measure(self, context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None, findings: Findings) -> None:
        """Add the share of answers that flip and the shift of the gold answer's probability."""
        if not applies(context):
            return
        twins = _twins(context.dataset)
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


def _twins(dataset: AuditDataset) -> list[Example]:
    return [example for example in dataset.test if example.counterfactual is not None]


def _parts(dataset: AuditDataset, twins: list[Example]) -> dict[Slice, np.ndarray]:
    """Return slice → which of the twins are in it."""
    gold = np.array([example.label for example in twins])
    groups = np.array([example.group or "" for example in twins])
    classes = {Slice("class", name): gold == label for label, name in enumerate(dataset.label_names) if (gold == label).any()}
    of_group = {Slice("group", name): groups == name for name in sorted(set(groups.tolist()) - {""})}
    return {ALL: np.ones(len(twins), dtype=bool), **classes, **of_group}


COUNTERFACTUALS = Counterfactuals()
