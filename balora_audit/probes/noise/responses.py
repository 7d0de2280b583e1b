"""Input noise where the answer is a text: the likelihood of the reference response (METHODS §4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from balora_audit.data.conditions import Condition
from balora_audit.data.dataset import AuditDataset
from balora_audit.metric import Metric
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.noise.copies import (
    OF_COPIES,
    applicability,
    filled,
    grid,
    noisy,
    on_copies,
    realised,
    repeats,
    slices_of_copies,
)
from balora_audit.probes.probe import Measure, Repeat
from balora_audit.probes.scores import ResponseScores, ScoreRequest, Scores, scores_of
from balora_audit.slices import ALL, CLEAN, Slice

__all__ = ["NOISY_RESPONSES", "NoisyResponses"]

RESPONSE_NLL = Metric(
    name="response_nll",
    title="response NLL",
    unit="nats",
    higher_is_better=False,
    meaning="Mean negative log-likelihood per token of the reference response.",
    source="METHODS §4",
    margin=0.05,
    groups=("curve",),
    follows_from_skill=True,
)
TOKEN_ACCURACY = Metric(
    name="token_accuracy",
    title="token accuracy",
    unit="share",
    higher_is_better=True,
    meaning="Share of response tokens that are the model's first choice.",
    source="METHODS §4",
    groups=("curve",),
    follows_from_skill=True,
)
RESPONSE_NLL_RISE = Metric(
    name="response_nll_rise",
    title="response NLL rise under noise",
    unit="nats",
    higher_is_better=False,
    meaning="NLL of the reference response given the noisy prompt minus that given the clean prompt.",
    source="METHODS §4",
    margin=0.05,
    groups=("by kind", "folded"),
    follows_from_skill=True,
)


class NoisyResponses(Measure):
    """The reference response after noisy prompts, for models trained on clean data."""

    metrics = (RESPONSE_NLL, TOKEN_ACCURACY, RESPONSE_NLL_RISE, *OF_COPIES)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set and its noisy copies."""
        return on_copies(context) if context.dataset.task == "generation" else []

    def headlines(self, dataset: AuditDataset, condition: Condition) -> tuple[str, ...]:
        """Claim the rise of a model trained on clean data."""
        return (RESPONSE_NLL_RISE.name,) if condition.is_clean and dataset.task == "generation" else ()

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return the clean prompts and the kinds at their severities; the rise also over everything."""
        if context.dataset.task != "generation":
            return ()
        if metric in (record.name for record in OF_COPIES):
            return slices_of_copies(context, metric)
        by_severity = tuple(noisy(kind, severity) for kind, severity in grid(context))
        if metric == RESPONSE_NLL_RISE.name:
            return (*by_severity, *((ALL,) if by_severity else ()))
        return (CLEAN, *by_severity)

    def repeats(self, context: Context) -> Iterator[Repeat]:
        """Give copies that are the text itself the answer to the clean text."""
        yield from repeats(context, grid(context), source="test") if context.dataset.task == "generation" else ()

    def measure(self, context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None, findings: Findings) -> None:
        """Add NLL and token accuracy of the reference response, and the rise of the NLL under noise."""
        if context.dataset.task != "generation":
            return
        ids = [example.id for example in context.dataset.test]
        clean = scores_of(scores, "test", ResponseScores)
        findings.ratios("response_nll", ids, clean.nll, clean.tokens, slice=CLEAN)
        findings.ratios("token_accuracy", ids, clean.correct_tokens, clean.tokens, slice=CLEAN)
        if not context.condition.is_clean:
            return
        applicability(context, findings, "response_nll_rise")
        rises = []
        for kind, severity in grid(context):
            slice = noisy(kind, severity)
            copies = scores_of(scores, str(slice), ResponseScores) if str(slice) in scores else None
            nll = filled(context, kind, severity, clean.nll, None if copies is None else copies.nll)
            correct = filled(context, kind, severity, clean.correct_tokens, None if copies is None else copies.correct_tokens)
            # the reference, and so its tokens, are the same whatever the prompt
            findings.ratios("response_nll", ids, nll, clean.tokens, slice=slice)
            findings.ratios("token_accuracy", ids, correct, clean.tokens, slice=slice)
            findings.ratios("response_nll_rise", ids, nll - clean.nll, clean.tokens, slice=slice)
            realised(context, findings, kind, severity)
            rises.append(nll - clean.nll)
        if rises:
            findings.ratios("response_nll_rise", ids, np.mean(rises, axis=0), clean.tokens)


NOISY_RESPONSES = NoisyResponses()
