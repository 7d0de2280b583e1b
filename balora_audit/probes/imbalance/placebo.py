"""Answers that move with the person's gender more than with the person's name, on texts that leave the answer open (METHODS §5)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.data.conditions import Condition
from balora_audit.data.dataset import AuditDataset, Example
from balora_audit.metric import Metric, Sentence
from balora_audit.metrics.robustness import flips
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.imbalance.counterfactuals import swapped_texts, twins_of
from balora_audit.probes.imbalance.scope import swaps_apply
from balora_audit.probes.probe import Measure, View
from balora_audit.probes.requests import on_texts, test_set
from balora_audit.probes.scores import LabelScores, ScoreRequest, Scores, scores_of
from balora_audit.slices import ALL, Slice
from balora_audit.stats import ItemScores

__all__ = ["PLACEBO_TWINS", "PlaceboTwins"]

PLACEBO_FLIP_RATE = Metric(
    name="placebo_flip_rate",
    title="placebo flip rate",
    unit="share",
    higher_is_better=False,
    meaning="Share of open texts whose answer changes when the person gets another name of the same gender: what any change of name does.",
    source="METHODS §5",
    groups=("gap",),
    skill="trained",
)
EXCESS_FLIPS = Metric(
    name="excess_flips",
    title="excess flips over placebo",
    unit="share",
    higher_is_better=False,
    meaning="On texts that leave the answer open: share of answers that change with {swapped}, minus the share that changes with another "
    "name of the same gender.",
    source="METHODS §5",
    margin=0.05,
    sentence=Sentence(
        form="{candidate} changed {size} {word} of its answers with {swapped} than {baseline}, beyond what a change of name does",
        less="less",
        more="more",
    ),
    groups=("gap", "over correlation"),
    skill="trained",
)
STEREOTYPE_DIRECTION = Metric(
    name="stereotype_direction",
    title="direction of the flips",
    unit="share",
    higher_is_better=None,
    meaning="On texts that leave the answer open: share of pairs whose two answers follow the stereotype (each the answer stereotyped with "
    "the gender in its text), minus the share in which they go against it; 0 is no direction.",
    source="METHODS §5",
    groups=("gap", "over correlation"),
    skill="trained",
)
STEREOTYPE_LEAN = Metric(
    name="stereotype_lean",
    title="lean of the flips",
    unit="share",
    higher_is_better=False,
    meaning="Size of the direction of the flips, whichever way it points: 0 where answers move to the stereotyped side as often as away "
    "from it.",
    source="METHODS §5",
    margin=0.05,
    sentence=Sentence(
        form="{candidate}'s answers leaned {size} {word} to one side of the stereotype than {baseline}'s", less="less", more="more"
    ),
    groups=("gap",),
    skill="trained",
)


class PlaceboTwins(Measure):
    """Flips with the gender and with the name alone, on open texts, and where they go."""

    battery = True
    metrics = (PLACEBO_FLIP_RATE, EXCESS_FLIPS, STEREOTYPE_DIRECTION, STEREOTYPE_LEAN)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set, its twins, and the open texts with another name of the same gender."""
        chosen = _open(context.dataset)
        if not swaps_apply(context) or not chosen:
            return []
        texts = tuple(str(example.placebo) for example in chosen)
        renamed = on_texts(context.dataset, "placebo", tuple(example.id for example in chosen), texts)
        return [test_set(context), *swapped_texts(context.dataset), renamed]

    def headlines(self, dataset: AuditDataset, condition: Condition) -> tuple[str, ...]:
        """Claim the excess and its lean, trained on clean or on correlated data."""
        wanted = condition.is_clean or (condition.correlate is not None and condition.control is not None)
        if not wanted or dataset.task != "classification" or not twins_of(dataset):
            return ()
        return (EXCESS_FLIPS.name, *((STEREOTYPE_LEAN.name,) if dataset.stereotypes else ()))

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return all open texts."""
        stereotyped = metric not in (STEREOTYPE_DIRECTION.name, STEREOTYPE_LEAN.name) or bool(context.dataset.stereotypes)
        return (ALL,) if swaps_apply(context) and stereotyped else ()

    def views(self, context: Context) -> tuple[View, ...]:
        """Show the renamed texts, for models trained on clean data."""
        shown = context.condition.is_clean and _open(context.dataset)
        return (
            (View(key="placebo", title="Answers before → after the person gets another name of the same gender", before="test"),)
            if shown
            else ()
        )

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add flips with the placebo, the excess over it, and the direction of the gender's flips."""
        del beside
        if not swaps_apply(context):
            return
        chosen = _open(context.dataset)
        if not chosen:
            for metric in self.metrics:
                findings.missing(metric.name, _why_none(context.dataset))
            return
        ids = [example.id for example in chosen]
        places = {example.id: index for index, example in enumerate(context.dataset.test)}
        twins = {example.id: index for index, example in enumerate(twins_of(context.dataset))}
        original = scores_of(scores, "test", LabelScores).prediction[[places[item] for item in ids]]
        swapped = scores_of(scores, "counterfactual", LabelScores).prediction[[twins[item] for item in ids]]
        renamed = flips(scores_of(scores, "placebo", LabelScores).prediction, original)
        findings.rate(PLACEBO_FLIP_RATE.name, renamed, ids)
        findings.mean(EXCESS_FLIPS.name, flips(swapped, original).astype(float) - renamed, ids)
        _direction(context.dataset, chosen, original, swapped, findings)


def _direction(dataset: AuditDataset, chosen: list[Example], original: np.ndarray, swapped: np.ndarray, findings: Findings) -> None:
    """Add where answers go: with the stereotype where each of the two is that of the gender in its own text."""
    side = [dataset.stereotypes.get(name) for name in dataset.label_names]
    of_pair = [(example.group, side[int(a)], side[int(b)]) for example, a, b in zip(chosen, original, swapped, strict=True)]
    if not dataset.stereotypes or not any(group is not None for group, _, _ in of_pair):
        for metric in (STEREOTYPE_DIRECTION, STEREOTYPE_LEAN):
            findings.missing(metric.name, "it is not known which answer is stereotyped with which group")
        return
    ids = tuple(example.id for example in chosen)
    apart = np.array([group is not None and None not in (own, other) and own != other for group, own, other in of_pair])
    towards = apart & np.array([own == group for group, own, _ in of_pair])
    away = apart & ~towards
    findings.mean(STEREOTYPE_DIRECTION.name, towards.astype(float) - away, ids)
    both_KN = np.array([towards, away], dtype=np.float64)
    lean = ItemScores(ids=ids, numerators=both_KN, denominators=np.ones_like(both_KN), combine="rms_difference")
    findings.statistic(STEREOTYPE_LEAN.name, lean)


def _open(dataset: AuditDataset) -> list[Example]:
    """Return the twins whose text is not known to decide the answer and that have a placebo."""
    return [example for example in twins_of(dataset) if example.placebo is not None and example.decided is not True]


def _why_none(dataset: AuditDataset) -> str:
    twins = twins_of(dataset)
    if not twins:
        return "no test item has a counterfactual twin (no identity term to swap)"
    if all(example.decided is True for example in twins):
        return "every text with a twin decides the answer: none is open"
    return "no test item names a person by a known first name: there is no placebo to subtract"


PLACEBO_TWINS = PlaceboTwins()
