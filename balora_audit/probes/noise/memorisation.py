"""Whether training memorised wrong labels: answers on the training items whose label was replaced (METHODS §4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.data.conditions import Condition
from balora_audit.data.dataset import AuditDataset
from balora_audit.metric import Metric, Sentence
from balora_audit.metrics.robustness import memorisation_ratios, recovery_ratios
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.probe import Measure, View
from balora_audit.probes.requests import on_texts
from balora_audit.probes.scores import LabelScores, ScoreRequest, Scores, scores_of
from balora_audit.slices import ALL, Slice

__all__ = ["MEMORISED_LABELS", "Memorisation"]

MEMORISATION = Metric(
    name="memorisation",
    title="memorised wrong labels",
    unit="share",
    higher_is_better=False,
    meaning="Among training items whose label was corrupted, the share predicted as the wrong training label.",
    source="METHODS §4",
    margin=0.05,
    sentence=Sentence(form="{candidate} repeated {size} {word} of the wrong training labels than {baseline}", less="less", more="more"),
    groups=("label noise",),
    of_training_rows=True,
    skill="follows",
)
RECOVERED_TRUE = Metric(
    name="recovered_true",
    title="recovered true labels",
    unit="share",
    higher_is_better=True,
    meaning="Among training items whose label was corrupted, the share predicted as the true label.",
    source="METHODS §4",
    sentence=Sentence(
        form="{candidate} recovered {size} {word} of the true labels behind wrong ones than {baseline}", less="less", more="more"
    ),
    groups=("label noise",),
    of_training_rows=True,
    skill="follows",
)
MEMORISATION_EXCESS = Metric(
    name="memorisation_excess",
    title="memorisation excess",
    unit="share",
    higher_is_better=False,
    meaning="Share of mislabelled training items answered with the wrong label after training on it, minus that of the same method trained "
    "on the true labels of the same items.",
    source="METHODS §4",
    margin=0.05,
    sentence=Sentence(form="{candidate} memorised {size} {word} of the wrong training labels than {baseline}", less="less", more="more"),
    groups=("label noise",),
    against_base="trivial",
    skill="trained",
    of_training_rows=True,
)


class Memorisation(Measure):
    """Wrong and true labels given to mislabelled training items, and what of it training on the wrong labels brought.

    A model trained on the same rows with their true labels answers the same items: the control, which the excess subtracts. A base
    that saw no labels is none.
    """

    metrics = (MEMORISATION, RECOVERED_TRUE, MEMORISATION_EXCESS)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the mislabelled training items."""
        found = []
        for key, (_, flips) in _flips(context).items():
            chosen = [example for example in context.train if example.id in flips]
            found.append(on_texts(context.dataset, key, tuple(e.id for e in chosen), tuple(e.text for e in chosen)))
        return found

    def headlines(self, dataset: AuditDataset, condition: Condition) -> tuple[str, ...]:
        """Claim what training on wrong labels brought."""
        return (MEMORISATION_EXCESS.name,) if condition.noise is not None else ()

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return all items where the model's own labels are noisy, else those of each condition that mislabels some."""
        if metric == MEMORISATION_EXCESS.name:
            return (ALL,) if context.flipped else ()
        return tuple(slice for slice, _ in _flips(context).values())

    def views(self, context: Context) -> tuple[View, ...]:
        """Show the items that the model itself was trained on with a wrong label."""
        return (View(key="flipped", title="Mislabelled training items: gold is the true label"),) if context.flipped else ()

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add the shares of wrong and of true labels, and the excess over the control."""
        for key, (slice, flips) in _flips(context).items():
            ids = [example.id for example in context.train if example.id in flips]
            pairs = np.array([flips[item] for item in ids]).reshape(-1, 2)
            answer = scores_of(scores, key, LabelScores).prediction
            for metric, of in (("memorisation", memorisation_ratios), ("recovered_true", recovery_ratios)):
                findings.rate(metric, of(answer, pairs[:, 1], pairs[:, 0]).numerators[0], ids, slice=slice)
            if context.flipped:
                _excess(context, answer == pairs[:, 1], pairs[:, 1], ids, beside, findings)


def _excess(context: Context, repeated_N: np.ndarray, wrong_N: np.ndarray, ids: list[str], beside: Beside, findings: Findings) -> None:
    """Add the share of repeated wrong labels minus the control's, item by item."""
    key = str(Slice("flips", str(context.condition)))
    if not ids:
        findings.missing("memorisation_excess", "no training label was changed")
    elif beside.control is None or key not in beside.control:
        findings.missing("memorisation_excess", beside.no_control)
    else:
        control = scores_of(beside.control, key, LabelScores).prediction == wrong_N
        findings.mean("memorisation_excess", repeated_N.astype(float) - control, ids)


def _flips(context: Context) -> dict[str, tuple[Slice, Mapping[str, tuple[int, int]]]]:
    """Return key → (slice, training id → (true label, wrong label))."""
    if context.flipped:
        return {"flipped": (ALL, context.flipped)}
    slices = {Slice("flips", condition): flips for condition, flips in context.flipped_elsewhere.items() if flips}
    return {str(slice): (slice, flips) for slice, flips in slices.items()}


MEMORISED_LABELS = Memorisation()
