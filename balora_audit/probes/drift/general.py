"""How far the model moved from the base on held-out general text (METHODS §7)."""

from __future__ import annotations

from collections.abc import Mapping

from balora_audit.data.conditions import Condition
from balora_audit.data.dataset import AuditDataset
from balora_audit.metric import Metric, Sentence
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.probe import Measure
from balora_audit.probes.requests import general_ids, general_texts
from balora_audit.probes.scores import ScoreRequest, Scores, TextScores, scores_of
from balora_audit.slices import ALL, Slice

__all__ = ["GENERAL_TEXT", "GeneralText"]

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
    skill="trained",
)
PERPLEXITY_RATIO = Metric(
    name="perplexity_ratio",
    title="perplexity ratio",
    unit="ratio",
    higher_is_better=False,
    meaning="Perplexity on held-out general text over that of the base.",
    source="METHODS §7",
    against_base="trivial",
    skill="trained",
)


class GeneralText(Measure):
    """Distance from the base on held-out general text, per token."""

    battery = True
    metrics = (KL_PER_TOKEN, PERPLEXITY_RATIO)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the general text."""
        return general_texts(context)

    def headlines(self, dataset: AuditDataset, condition: Condition) -> tuple[str, ...]:
        """Claim the distance of a model trained on clean data."""
        return (KL_PER_TOKEN.name,) if condition.is_clean and dataset.general else ()

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return all texts, where there are any."""
        return (ALL,) if context.dataset.general else ()

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add KL per token and the perplexity ratio."""
        if not context.dataset.general:
            reason = "there is no general text" if context.predicts_words else "a classification head gives no distribution over words"
            findings.missing("kl_per_token", reason)
            return
        found, ids = scores_of(scores, "general", TextScores), general_ids(context)
        findings.ratios("kl_per_token", ids, found.kl, found.tokens)
        findings.ratios("perplexity_ratio", ids, found.nll - found.base_nll, found.tokens, combine="exp")


GENERAL_TEXT = GeneralText()
