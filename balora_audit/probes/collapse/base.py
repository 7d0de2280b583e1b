"""How far the features are from the base's: CKA and principal angles (METHODS §6)."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from balora_audit.metric import Metric
from balora_audit.metrics import linear_cka, principal_angles, singular_values
from balora_audit.probes.collapse.jackknife import FEW_GROUPS, GROUPS, deal, jackknife
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.slices import ALL, Slice

__all__ = ["TO_BASE", "against_base"]

TO_BASE = (
    Metric(
        name="cka_to_base",
        title="CKA to base",
        unit="ratio",
        higher_is_better=None,
        meaning="Linear centred kernel alignment with the base model's features, debiased: 1 is the same geometry, 0 is none in common.",
        source="Kornblith et al. 2019; Song et al. 2012; Murphy et al. 2024, arXiv 2405.01012; METHODS §6",
        groups=("by layer",),
        against_base="trivial",
        skill="trained",
    ),
    Metric(
        name="principal_angle_to_base",
        title="mean principal angle to base",
        unit="number",
        higher_is_better=None,
        meaning="Mean angle, in radians, between the leading feature subspaces of the model and of the base; 0 is the same subspace.",
        source="Björck & Golub 1973; METHODS §6",
        groups=("by layer",),
        against_base="trivial",
        skill="trained",
    ),
)


def against_base(context: Context, x_NF: np.ndarray, base_NF: np.ndarray | None, findings: Findings, slice: Slice) -> None:
    """Add both distances from the base's features of the same items; for the last layer, draw the angles."""
    if base_NF is None or not np.ptp(base_NF, axis=0).any():
        reason = "the base model is not part of this audit" if base_NF is None else "the base's features are all the same"
        for metric in TO_BASE:
            findings.missing(metric.name, reason, slice=slice)
        return
    try:
        debiased = partial(linear_cka, debiased=True)
        findings.spectral("cka_to_base", jackknife(debiased, [x_NF, base_NF], deal(len(x_NF), GROUPS), (-1, 1)), slice=slice)
    except ValueError as error:  # too few items, or features that vary by chance alone
        findings.missing("cka_to_base", str(error), slice=slice)
    groups = deal(len(x_NF), FEW_GROUPS)
    k = min(context.config.collapse.subspace, *(int(np.count_nonzero(singular_values(side))) for side in (x_NF, base_NF)))
    if k > (len(x_NF) - np.bincount(groups).max()) - 1:
        findings.missing("principal_angle_to_base", f"{len(x_NF)} items are too few for subspaces of {k} dimensions", slice=slice)
        return
    # equal subspaces give 1e-16, which is 0
    found = jackknife(lambda x, y: round(float(principal_angles(x, y, k).mean()), 12), [x_NF, base_NF], groups, (0, math.pi / 2))
    findings.spectral("principal_angle_to_base", found, slice=slice)
    if slice == ALL:
        angles = principal_angles(x_NF, base_NF, k)
        findings.draw("principal_angles", index=list(range(1, k + 1)), radians=[float(value) for value in angles])
