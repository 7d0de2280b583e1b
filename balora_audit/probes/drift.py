"""How far did the model move where it was not trained? (METHODS §7)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.data.conditions import Condition
from balora_audit.data.dataset import AuditDataset
from balora_audit.metric import Metric, Sentence
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.probe import Measure, Probe
from balora_audit.probes.requests import test_set
from balora_audit.probes.scores import LabelScores, ScoreRequest, Scores, TextScores, scores_of
from balora_audit.slices import ALL, Slice

__all__ = ["DRIFT", "GeneralText", "Retention"]

KL_PER_TOKEN = Metric(
    name="kl_per_token",
    title="KL per token",
    unit="nats",
    higher_is_better=False,
    meaning="KL(base ‖ model) per token on held-out general text: how far the model moved where it was not trained.",
    source="METHODS §7",
    margin=0.02,
    sentence=Sentence(
        form="{candidate} moved {size} per token {word} from the base than {baseline} on general text", less="less far", more="further"
    ),
    groups=("headline",),
    against_base="trivial",
)
PERPLEXITY_RATIO = Metric(
    name="perplexity_ratio",
    title="perplexity ratio",
    unit="ratio",
    higher_is_better=False,
    meaning="Perplexity on held-out general text over that of the base.",
    source="METHODS §7",
    against_base="trivial",
)
RETAINED = Metric(
    name="retained",
    title="retained",
    unit="share",
    higher_is_better=True,
    meaning="Among test items the base gets right, the share still right.",
    source="METHODS §7",
    sentence=Sentence(form="{candidate} kept {size} {word} of what the base gets right than {baseline}", less="less", more="more"),
    against_base="trivial",
    follows_from_skill=True,
)
LOST = Metric(
    name="lost",
    title="lost",
    unit="share",
    higher_is_better=False,
    meaning="Among test items the base gets right, the share now wrong.",
    source="METHODS §7",
    against_base="trivial",
    follows_from_skill=True,
)
GAINED = Metric(
    name="gained",
    title="gained",
    unit="share",
    higher_is_better=True,
    meaning="Among test items the base gets wrong, the share now right.",
    source="METHODS §7",
    against_base="trivial",
    follows_from_skill=True,
)


class GeneralText(Measure):
    """Distance from the base on held-out general text, per token."""

    metrics = (KL_PER_TOKEN, PERPLEXITY_RATIO)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the general text."""
        texts = context.dataset.general
        return [ScoreRequest(key="general", kind="texts", ids=_ids(context), texts=texts)] if texts else []

    def headlines(self, dataset: AuditDataset, condition: Condition) -> tuple[str, ...]:
        """Claim the distance of a model trained on clean data."""
        return (KL_PER_TOKEN.name,) if condition.is_clean and dataset.general else ()

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return all texts, where there are any."""
        return (ALL,) if context.dataset.general else ()

    def measure(self, context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None, findings: Findings) -> None:
        """Add KL per token and the perplexity ratio."""
        if not context.dataset.general:
            reason = "there is no general text" if context.predicts_words else "a classification head gives no distribution over words"
            findings.missing("kl_per_token", reason)
            return
        found, ids = scores_of(scores, "general", TextScores), _ids(context)
        findings.ratios("kl_per_token", ids, found.kl, found.tokens)
        findings.ratios("perplexity_ratio", ids, found.nll - found.base_nll, found.tokens, combine="exp")


class Retention(Measure):
    """What became of the test items that the base gets right, and of those that it gets wrong."""

    metrics = (RETAINED, LOST, GAINED)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set when its items can be right or wrong."""
        return [test_set(context)] if context.dataset.task == "classification" else []

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return all items, when they can be right or wrong."""
        return (ALL,) if context.dataset.task == "classification" else ()

    def measure(self, context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None, findings: Findings) -> None:
        """Add the shares retained, lost and gained."""
        if context.dataset.task != "classification":
            return
        if base is None:
            findings.missing("retained", "the base model is not part of this audit")
            return
        ids = np.array([example.id for example in context.dataset.test])
        gold = np.array([example.label for example in context.dataset.test])
        right, known = (scores_of(found, "test", LabelScores).prediction == gold for found in (scores, base))
        for metric, inside, kept in (("retained", known, right), ("lost", known, ~right), ("gained", ~known, right)):
            if inside.any():
                findings.rate(metric, kept[inside], ids[inside].tolist())
            else:
                findings.missing(metric, f"the base answers {'every' if metric == 'gained' else 'no'} test item correctly")


def _ids(context: Context) -> tuple[str, ...]:
    return tuple(f"general-{index:04d}" for index in range(len(context.dataset.general)))


DRIFT = Probe(
    name="drift",
    title="Knowledge drift",
    summary="KL(base ‖ model) per token, perplexity ratio, items retained, lost and gained",
    measures=(GeneralText(), Retention()),
)
