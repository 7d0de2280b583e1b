"""Input noise where the answer is a text: the likelihood of the reference response (METHODS §4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.metric import Metric
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.noise.copies import OF_COPIES, applicability, filled, grid, noisy, realised
from balora_audit.probes.noise.noisy_copies import NoisyCopies
from balora_audit.probes.scores import ResponseScores, Scores, scores_of
from balora_audit.probes.skill import RESPONSE_NLL, TOKEN_ACCURACY

__all__ = ["NOISY_RESPONSES", "NoisyResponses"]

RESPONSE_NLL_RISE = Metric(
    name="response_nll_rise",
    title="response NLL rise under noise",
    unit="nats",
    higher_is_better=False,
    meaning="NLL of the reference response given the noisy prompt minus that given the clean prompt.",
    source="METHODS §4",
    margin=0.05,
    groups=("by kind", "folded"),
    skill="follows",
)


class NoisyResponses(NoisyCopies):
    """The reference response after noisy prompts, for models trained on clean data."""

    metrics = (RESPONSE_NLL, TOKEN_ACCURACY, RESPONSE_NLL_RISE, *OF_COPIES)
    task = "generation"
    claimed = RESPONSE_NLL_RISE

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add NLL and token accuracy of the reference response, and the rise of the NLL under noise."""
        if context.dataset.task != self.task:
            return
        ids = [example.id for example in context.dataset.test]
        clean = scores_of(scores, "test", ResponseScores)
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
