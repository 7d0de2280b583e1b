"""How many directions the model uses on general text, which training did not ask about: dimensions lost there are lost (METHODS §6)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.data.conditions import Condition
from balora_audit.data.dataset import AuditDataset
from balora_audit.metric import Metric, Sentence
from balora_audit.metrics import rank_curve, rankme, singular_values
from balora_audit.metrics.spectral import OF_SINGULAR_VALUES, leave_group_out_singular_values
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.probe import Measure
from balora_audit.probes.requests import general_texts
from balora_audit.probes.scores import ScoreRequest, Scores, TextScores, scores_of
from balora_audit.slices import ALL, Slice
from balora_audit.stats import Jackknife

__all__ = ["GENERAL_FEATURES", "GeneralFeatures"]

GENERAL_RANK = Metric(
    name="general_effective_rank",
    title="effective rank on general text",
    unit="number",
    higher_is_better=True,
    meaning="Exponential of the entropy of the normalised singular values of the token features of held-out general text. It grows with "
    "the number of tokens: compare it between models on the same tokens only.",
    source="Roy & Vetterli 2007; METHODS §6",
    margin=0.05,
    sentence=Sentence(form="{candidate} used {size} {word} directions than {baseline} on general text", less="fewer", more="more"),
    groups=("headline",),
    skill="trained",
    relative_margin=True,
)
GENERAL_RANKME = Metric(
    name="general_rankme",
    title="RankMe on general text",
    unit="number",
    higher_is_better=True,
    meaning="The same of the features as they are, not centred.",
    source="Garrido et al. 2023",
    skill="trained",
)
_GROUPS = 16
_DRAWS = 2
_SMALLEST = 16


class GeneralFeatures(Measure):
    """Rank of the features of general text with delete-group jackknife intervals over texts, and the rank over the number of tokens."""

    battery = True
    metrics = (GENERAL_RANK, GENERAL_RANKME)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the general text, with its features."""
        return general_texts(context)

    def headlines(self, dataset: AuditDataset, condition: Condition) -> tuple[str, ...]:
        """Claim the effective rank of a model trained on clean data."""
        return (GENERAL_RANK.name,) if condition.is_clean and len(dataset.general) > 1 else ()

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return all tokens, where there is general text."""
        return (ALL,) if len(context.dataset.general) > 1 else ()

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add both ranks; trained on clean data, draw the rank over the number of tokens."""
        del beside
        reason = _why_none(context)
        if reason is None:
            found = scores_of(scores, "general", TextScores)
            if found.features is None or found.feature_text is None:
                raise TypeError("the general text was scored without features")
            if len(np.unique(found.feature_text)) > 1 and np.ptp(found.features, axis=0).any():
                _ranks(context, found.features, found.feature_text, findings)
                return
            reason = "the general texts are too short, or all features are the same"
        for metric in self.metrics:
            findings.missing(metric.name, reason)


def _why_none(context: Context) -> str | None:
    if len(context.dataset.general) > 1:
        return None
    if not context.predicts_words:
        return "a classification head reads no general text"
    return "there is one general text only, and intervals leave texts out" if context.dataset.general else "there is no general text"


def _ranks(context: Context, x_PF: np.ndarray, text_P: np.ndarray, findings: Findings) -> None:
    _, place_P = np.unique(text_P, return_inverse=True)  # texts of one token have none
    groups_P = place_P % _GROUPS
    rank = OF_SINGULAR_VALUES["effective_rank"]
    whole = singular_values(x_PF)
    left_out = np.array([rank(sigma) for sigma in leave_group_out_singular_values(x_PF, groups_P, precise=False)])
    found = Jackknife(items=len(x_PF), estimate=rank(whole), left_out=left_out, sizes=np.bincount(groups_P), within=(0, np.inf))
    findings.spectral(GENERAL_RANK.name, found)
    findings.plain(GENERAL_RANKME.name, rankme(x_PF), len(x_PF))
    if not context.condition.is_clean:
        return
    sizes = sorted({*(size for power in range(4, 16) if (size := 2**power) < len(x_PF) and size >= _SMALLEST), len(x_PF)})
    curve = rank_curve(x_PF, sizes, seed=context.config.data_seed, draws=_DRAWS)
    findings.draw("rank_curve", tokens=sizes, rank=[float(value) for value in curve])


GENERAL_FEATURES = GeneralFeatures()
