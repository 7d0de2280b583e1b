"""The shape of the spectrum of the test items' features: how many directions they use, and how evenly (METHODS §6)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from balora_audit.metric import Metric
from balora_audit.metrics import OF_SINGULAR_VALUES, anisotropy, iso_score_of, leave_group_out_singular_values, singular_values
from balora_audit.probes.collapse.jackknife import GROUPS, deal, jackknife
from balora_audit.probes.findings import Findings
from balora_audit.slices import ALL, Slice
from balora_audit.stats import Jackknife

__all__ = ["SPECTRUM", "spectrum"]

SPECTRUM = (
    Metric(
        name="effective_rank",
        title="effective rank",
        unit="number",
        higher_is_better=None,
        meaning="Exponential of the entropy of the normalised singular values: how many directions the features of the test items use. "
        "Learning to tell classes apart lowers it, so neither end is the better one.",
        source="Roy & Vetterli 2007; METHODS §6",
        groups=("headline", "by layer"),
        skill="follows",
    ),
    Metric(
        name="singular_value_entropy",
        title="singular value entropy (SVE)",
        unit="nats",
        higher_is_better=None,
        meaning="Entropy of the normalised singular values of the features.",
        source="Chen et al. 2023, arXiv 2309.17002",
        skill="follows",
    ),
    Metric(
        name="largest_singular_value_ratio",
        title="largest singular value ratio (LSVR)",
        unit="nats",
        higher_is_better=None,
        meaning="−log of the largest singular value's share; small when one direction dominates.",
        source="Chen et al. 2023, arXiv 2309.17002",
        skill="follows",
    ),
    Metric(
        name="stable_rank",
        title="stable rank",
        unit="number",
        higher_is_better=None,
        meaning="Squared Frobenius norm over squared spectral norm.",
        source="METHODS §6",
        skill="follows",
    ),
    Metric(
        name="participation_ratio",
        title="participation ratio",
        unit="number",
        higher_is_better=None,
        meaning="(Σλ)²/Σλ² of the feature covariance's eigenvalues.",
        source="METHODS §6",
        skill="follows",
    ),
    Metric(
        name="power_law_alpha",
        title="power-law exponent α",
        unit="number",
        higher_is_better=None,
        meaning="Slope of the eigenvalue spectrum, λ_i ∝ i^(−α), by least squares on logarithms; large when few directions dominate.",
        source="Agrawal et al. 2022; METHODS §6",
        skill="follows",
    ),
    Metric(
        name="iso_score",
        title="IsoScore",
        unit="ratio",
        higher_is_better=None,
        meaning="How evenly the features fill all dimensions: 1 evenly, 0 one direction only.",
        source="Rudman et al. 2022",
        groups=("by layer",),
        skill="follows",
    ),
    Metric(
        name="anisotropy",
        title="anisotropy",
        unit="ratio",
        higher_is_better=None,
        meaning="Mean cosine similarity of random pairs of features.",
        source="Ethayarajh 2019; METHODS §6",
        groups=("by layer",),
        skill="trained",
    ),
)
_RANGE = {"iso_score": (0.0, 1.0), "power_law_alpha": (-math.inf, math.inf)}


def spectrum(x_NF: np.ndarray, findings: Findings, slice: Slice) -> None:
    """Add the metrics of the spectrum and the mean cosine of pairs; for the last layer, draw the spectrum."""
    groups = deal(len(x_NF), GROUPS)
    _of_singular_values(x_NF, groups, findings, slice)
    if np.linalg.norm(x_NF, axis=1).all():
        findings.spectral("anisotropy", jackknife(anisotropy, [x_NF], groups, (-1, 1)), slice=slice)
    else:
        findings.missing("anisotropy", "an item's features are all zero: its direction is undefined", slice=slice)


def _of_singular_values(x_NF: np.ndarray, groups: np.ndarray, findings: Findings, slice: Slice) -> None:
    whole, left_out = singular_values(x_NF), leave_group_out_singular_values(x_NF, groups)
    measures: dict[str, Callable[[np.ndarray], float]] = {
        **OF_SINGULAR_VALUES,
        "iso_score": lambda sigma: iso_score_of(sigma, x_NF.shape[1]),
    }
    for metric, of in measures.items():
        try:
            found = Jackknife(
                items=len(x_NF),
                estimate=of(whole),
                left_out=np.array([of(sigma) for sigma in left_out]),
                sizes=np.bincount(groups),
                within=_RANGE.get(metric, (0, math.inf)),
            )
        except ValueError as error:  # such as a power law through one eigenvalue
            findings.missing(metric, str(error), slice=slice)
        else:
            findings.spectral(metric, found, slice=slice)
    if slice == ALL:
        p = whole / whole.sum()
        findings.draw("spectrum", index=list(range(1, len(p) + 1)), sigma_normalised=[float(value) for value in p])
