"""Input noise where the answer is a number: the variance that predictions leave unexplained (METHODS §4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.metric import Metric
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.noise.copies import OF_COPIES, applicability, filled, grid, noisy, realised
from balora_audit.probes.noise.noisy_copies import NoisyCopies
from balora_audit.probes.scores import NumberScores, Scores, scores_of
from balora_audit.slices import CLEAN

__all__ = ["NOISY_NUMBERS", "NoisyNumbers"]

UNEXPLAINED_VARIANCE = Metric(
    name="unexplained_variance",
    title="unexplained variance",
    unit="ratio",
    higher_is_better=False,
    meaning="Mean squared error over the variance of the test targets (1 − R²).",
    source="METHODS §4",
    follows_from_skill=True,
)
UNEXPLAINED_RISE = Metric(
    name="unexplained_rise",
    title="rise of the unexplained variance under noise",
    unit="ratio",
    higher_is_better=False,
    meaning="Unexplained variance on the noisy copies minus that on the clean texts, same items.",
    source="METHODS §4",
    margin=0.02,
    follows_from_skill=True,
)


class NoisyNumbers(NoisyCopies):
    """Numbers predicted from noisy copies, for models trained on clean data."""

    metrics = (UNEXPLAINED_VARIANCE, UNEXPLAINED_RISE, *OF_COPIES)
    task = "regression"
    claimed = UNEXPLAINED_RISE

    def measure(self, context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None, findings: Findings) -> None:
        """Add the unexplained variance of predicted numbers, and its rise under noise."""
        if context.dataset.task != self.task:
            return
        ids = [example.id for example in context.dataset.test]
        gold = np.array([example.target for example in context.dataset.test], dtype=np.float64)
        spread = float(gold.var())
        if spread == 0:
            findings.missing("unexplained_variance", "all test targets are the same number")
            return
        values = scores_of(scores, "test", NumberScores).value
        clean = (values - gold) ** 2 / spread
        findings.mean("unexplained_variance", clean, ids, slice=CLEAN)
        if not context.condition.is_clean:
            return
        applicability(context, findings, "unexplained_rise")
        rises = []
        for kind, severity in grid(context):
            slice = noisy(kind, severity)
            copies = scores_of(scores, str(slice), NumberScores).value if str(slice) in scores else None
            errors = (filled(context, kind, severity, values, copies) - gold) ** 2 / spread
            findings.mean("unexplained_variance", errors, ids, slice=slice)
            findings.mean("unexplained_rise", errors - clean, ids, slice=slice)
            realised(context, findings, kind, severity)
            rises.append(errors - clean)
        if rises:
            findings.mean("unexplained_rise", np.mean(rises, axis=0), ids)


NOISY_NUMBERS = NoisyNumbers()
