"""What training did to the weights: size and rank of the change, intruder dimensions (METHODS §6)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from balora_audit.metric import Metric
from balora_audit.metrics import OF_SINGULAR_VALUES
from balora_audit.probes.beside import Beside
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.probe import Measure
from balora_audit.probes.scores import ScoreRequest, Scores, WeightScores, scores_of
from balora_audit.slices import ALL, Slice

__all__ = ["WEIGHTS", "Weights"]

WEIGHT_CHANGE = Metric(
    name="weight_change",
    title="relative weight change",
    unit="ratio",
    higher_is_better=None,
    meaning="‖ΔW‖/‖W‖ in the Frobenius norm, mean over the adapted modules.",
    source="METHODS §6",
    groups=("weights",),
    skill="trained",
)
WEIGHT_CHANGE_RANK = Metric(
    name="weight_change_rank",
    title="effective rank of the weight change",
    unit="number",
    higher_is_better=None,
    meaning="Effective rank of ΔW, mean over the adapted modules.",
    source="METHODS §6",
    groups=("weights",),
    skill="trained",
)
INTRUDER_DIMENSIONS = Metric(
    name="intruder_dimensions",
    title="intruder dimensions",
    unit="number",
    higher_is_better=False,
    meaning="How many of the leading left singular vectors of W + ΔW resemble no singular vector of W, mean over modules.",
    source="Shuttleworth et al. 2024, arXiv 2410.21228",
    groups=("weights",),
    skill="trained",
)


class Weights(Measure):
    """Means over all changed modules and over those of one kind; modules are no sample, so these have no interval."""

    metrics = (WEIGHT_CHANGE, WEIGHT_CHANGE_RANK, INTRUDER_DIMENSIONS)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for an analysis of changed weights."""
        if not context.changes_weights:
            return []
        settings = context.config.collapse
        examined = (("modules", settings.intruder_modules), ("vectors", settings.intruder_vectors))
        return [ScoreRequest(key="weights", kind="weights", ids=(), texts=(), settings=examined)]

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...] | None:
        """Return nothing for the base; which kinds of modules others change is not known before."""
        return None if context.changes_weights else ()

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add the means, and draw the mean spectrum of ΔW."""
        if "weights" not in scores:
            return
        found = scores_of(scores, "weights", WeightScores)
        if not found.names:
            for metric in self.metrics:
                findings.missing(metric.name, "no linear module was changed")
            return
        _means(context, found, findings)
        moved = found.change_norm > 0
        shares = found.change_sigma[moved] / found.change_sigma[moved].sum(axis=1, keepdims=True)
        if len(shares):
            mean = shares.mean(axis=0)
            findings.draw("delta_spectrum", index=list(range(1, len(mean) + 1)), sigma_normalised=[float(value) for value in mean])


def _means(context: Context, found: WeightScores, findings: Findings) -> None:
    # in an encoder many modules are called dense; the part before tells them apart
    kinds = np.array([".".join(name.split(".")[-2:]) if name.endswith(".dense") else name.rpartition(".")[2] for name in found.names])
    moved = found.change_norm > 0
    ranks = np.array([OF_SINGULAR_VALUES["effective_rank"](sigma) if sigma[0] > 0 else 0.0 for sigma in found.change_sigma])
    intruders = (found.likeness < context.config.collapse.intruder_cosine).sum(axis=1)
    parts = {ALL: np.ones(len(kinds), dtype=bool), **{Slice("module", kind): kinds == kind for kind in dict.fromkeys(kinds.tolist())}}
    for slice, inside in parts.items():
        count = int(inside.sum())
        findings.plain("weight_change", float((found.change_norm / found.norm)[inside].mean()), count, slice=slice, of_items=False)
        if (inside & moved).any():
            findings.plain(
                "weight_change_rank", float(ranks[inside & moved].mean()), int((inside & moved).sum()), slice=slice, of_items=False
            )
        else:
            findings.missing("weight_change_rank", "these modules did not change", slice=slice)
        chosen = inside[found.examined]
        if chosen.any():
            findings.plain("intruder_dimensions", float(intruders[chosen].mean()), int(chosen.sum()), slice=slice, of_items=False)
        elif slice == ALL:
            findings.missing("intruder_dimensions", "collapse.intruder_modules is 0", slice=slice)


WEIGHTS = Weights()
