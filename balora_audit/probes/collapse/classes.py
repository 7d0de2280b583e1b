"""How well the classes are set apart in feature space (METHODS §6)."""

from __future__ import annotations

import numpy as np

from balora_audit.metric import Metric
from balora_audit.metrics import knn_correct, nc1, silhouettes
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.slices import Slice

__all__ = ["OF_CLASSES", "class_geometry"]

OF_CLASSES = (
    Metric(
        name="nc1",
        title="NC1",
        unit="number",
        higher_is_better=None,
        meaning="Within-class over between-class variability of the features, tr(Σ_W Σ_B⁺)/C.",
        source="Papyan et al. 2020; METHODS §6",
        skill="follows",
    ),
    Metric(
        name="silhouette",
        title="silhouette of the classes",
        unit="ratio",
        higher_is_better=None,
        meaning="Mean silhouette of the true classes in feature space, −1 to 1: how well they are set apart.",
        source="Rousseeuw 1987; METHODS §6",
        skill="follows",
    ),
    Metric(
        name="knn_accuracy",
        title="nearest-neighbour accuracy",
        unit="share",
        higher_is_better=True,
        meaning="Share of items whose class is that of most of their nearest other items in feature space.",
        source="METHODS §6",
        groups=("by layer",),
        skill="level",
    ),
)


def class_geometry(context: Context, x_NF: np.ndarray, findings: Findings, slice: Slice) -> None:
    """Add variability, silhouette and nearest neighbours of the true classes."""
    labels = np.array([example.label if example.label is not None else -1 for example in context.dataset.test])
    ids = [example.id for example in context.dataset.test]
    reason = None
    if context.dataset.task != "classification":
        reason = "the data have no classes"
    elif len(set(labels.tolist())) < 2:
        reason = "the test set has one class only"
    elif len(set(labels.tolist())) == len(labels):
        reason = "every class has a single test item"
    if reason is not None:
        for metric in OF_CLASSES:
            findings.missing(metric.name, reason, slice=slice)
        return
    try:
        findings.plain("nc1", nc1(x_NF, labels), len(x_NF), slice=slice)
    except ValueError as error:
        findings.missing("nc1", str(error), slice=slice)
    findings.plain("silhouette", float(silhouettes(x_NF, labels).mean()), len(x_NF), slice=slice)
    k = context.config.collapse.neighbours
    if k < len(x_NF):
        findings.rate("knn_accuracy", knn_correct(x_NF, labels, k), ids, slice=slice)
    else:
        findings.missing("knn_accuracy", f"{len(x_NF)} items are too few for {k} neighbours", slice=slice)
