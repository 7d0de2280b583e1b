"""Input noise where the answer is a number: the variance that predictions leave unexplained (METHODS §4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.metric import Metric
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.noise.copies import OF_COPIES, applicability, filled, grid, noisy, realised
from balora_audit.probes.noise.noisy_copies import NoisyCopies
from balora_audit.probes.scores import NumberScores, Scores, scores_of
from balora_audit.probes.skill import UNEXPLAINED_VARIANCE

__all__ = ["NOISY_NUMBERS", "NoisyNumbers"]

UNEXPLAINED_RISE = Metric(
    name="unexplained_rise",
    title="rise of the unexplained variance under noise",
    unit="ratio",
    higher_is_better=False,
    meaning="Unexplained variance on the noisy copies minus that on the clean texts, same items.",
    source="METHODS §4",
    margin=0.02,
    skill="follows",
)


class NoisyNumbers(NoisyCopies):
    """Numbers predicted from noisy copies, for models trained on clean data."""

    metrics = (UNEXPLAINED_VARIANCE, UNEXPLAINED_RISE, *OF_COPIES)
    task = "regression"
    claimed = UNEXPLAINED_RISE

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add the unexplained variance of predicted numbers, and its rise under noise."""
        if context.dataset.task != self.task:
            return
        ids = [example.id for example in context.dataset.test]
        gold = np.array([example.target for example in context.dataset.test], dtype=np.float64)
        spread = float(gold.var())
        if spread == 0:
            return  # said where skill is measured
        values = scores_of(scores, "test", NumberScores).value
        clean = (values - gold) ** 2 / spread
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
