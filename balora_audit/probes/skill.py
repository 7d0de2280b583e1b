"""How good is the model at its task? Asked first of every model: many flaws follow from skill alone (METHODS §9)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.data.conditions import Condition
from balora_audit.data.dataset import AuditDataset, Task
from balora_audit.metric import Metric, Sentence
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.probe import Measure, Probe, View
from balora_audit.probes.requests import test_set
from balora_audit.probes.scores import LabelScores, NumberScores, ResponseScores, ScoreRequest, Scores, scores_of
from balora_audit.slices import CLEAN, Slice

__all__ = ["ACCURACY", "RESPONSE_NLL", "SKILL", "SKILL_OF", "TOKEN_ACCURACY", "UNEXPLAINED_VARIANCE", "TestAnswers"]

ACCURACY = Metric(
    name="accuracy",
    title="accuracy",
    unit="share",
    higher_is_better=True,
    meaning="Share of items answered correctly.",
    source="METHODS §4, §9",
    margin=0.02,
    sentence=Sentence(form="{candidate} was {size} {word} accurate than {baseline}", less="less", more="more"),
    groups=("curve",),
    skill="level",
)
RESPONSE_NLL = Metric(
    name="response_nll",
    title="response NLL",
    unit="nats",
    higher_is_better=False,
    meaning="Mean negative log-likelihood per token of the reference response.",
    source="METHODS §4, §9",
    margin=0.05,
    groups=("curve",),
    skill="level",
)
TOKEN_ACCURACY = Metric(
    name="token_accuracy",
    title="token accuracy",
    unit="share",
    higher_is_better=True,
    meaning="Share of response tokens that are the model's first choice.",
    source="METHODS §4",
    groups=("curve",),
    skill="level",
)
UNEXPLAINED_VARIANCE = Metric(
    name="unexplained_variance",
    title="unexplained variance",
    unit="ratio",
    higher_is_better=False,
    meaning="Mean squared error over the variance of the test targets (1 − R²).",
    source="METHODS §4, §9",
    margin=0.05,
    skill="level",
)
TIED_ANSWERS = Metric(
    name="tied_answers",
    title="tied answers",
    unit="share",
    higher_is_better=None,
    meaning="Share of items whose likeliest answers have exactly the same likelihood; one of them is then drawn, without favour.",
    source="METHODS §4",
)

SKILL_OF: dict[Task, Metric] = {"classification": ACCURACY, "generation": RESPONSE_NLL, "regression": UNEXPLAINED_VARIANCE}
"""What skill is, by the task of the data, on its clean test texts: it decides whether two models are compared on what follows from it."""


class TestAnswers(Measure):
    """The clean test data, answered by every model under every condition."""

    __test__ = False  # pytest looks for classes by name

    battery = True
    metrics = (ACCURACY, RESPONSE_NLL, TOKEN_ACCURACY, UNEXPLAINED_VARIANCE, TIED_ANSWERS)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set."""
        return [test_set(context)]

    def headlines(self, dataset: AuditDataset, condition: Condition) -> tuple[str, ...]:
        """Claim the skill of models trained on clean data."""
        return (SKILL_OF[dataset.task].name,) if condition.is_clean else ()

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return the clean texts, for what the task has."""
        return (CLEAN,) if metric in _METRICS_OF[context.dataset.task] else ()

    def views(self, context: Context) -> tuple[View, ...]:
        """Show the test items, for models trained on clean data."""
        shown = context.condition.is_clean and context.dataset.task == "classification"
        return (View(key="test", title="Answers to the clean test texts"),) if shown else ()

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add accuracy and ties, or the likelihood of the reference responses, or the variance that is left."""
        del beside
        test = context.dataset.test
        ids = [example.id for example in test]
        if context.dataset.task == "classification":
            labels = scores_of(scores, "test", LabelScores)
            findings.rate(ACCURACY.name, labels.prediction == np.array([example.label for example in test]), ids, slice=CLEAN)
            findings.plain(TIED_ANSWERS.name, float(labels.tied.mean()), len(ids), slice=CLEAN)
        elif context.dataset.task == "generation":
            responses = scores_of(scores, "test", ResponseScores)
            findings.ratios(RESPONSE_NLL.name, ids, responses.nll, responses.tokens, slice=CLEAN)
            findings.ratios(TOKEN_ACCURACY.name, ids, responses.correct_tokens, responses.tokens, slice=CLEAN)
        else:
            gold = np.array([example.target for example in test], dtype=np.float64)
            if gold.var() == 0:
                findings.missing(UNEXPLAINED_VARIANCE.name, "all test targets are the same number", slice=CLEAN)
                return
            errors = (scores_of(scores, "test", NumberScores).value - gold) ** 2 / float(gold.var())
            findings.mean(UNEXPLAINED_VARIANCE.name, errors, ids, slice=CLEAN)


_METRICS_OF: dict[Task, tuple[str, ...]] = {
    "classification": (ACCURACY.name, TIED_ANSWERS.name),
    "generation": (RESPONSE_NLL.name, TOKEN_ACCURACY.name),
    "regression": (UNEXPLAINED_VARIANCE.name,),
}

SKILL = Probe(
    name="skill",
    title="Task skill",
    summary="accuracy (or likelihood, or unexplained variance) on the clean test data; always measured, since many flaws follow from it",
    measures=(TestAnswers(),),
)
