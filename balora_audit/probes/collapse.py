"""Do the representations use fewer directions than the base's? Spectra, geometry, joint t-SNE (METHODS §6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from balora_audit.data.dataset import AuditDataset
from balora_audit.harness.records import HarnessScores
from balora_audit.metrics import OF_SINGULAR_VALUES, anisotropy, linear_cka, nc1, normalised_spectrum, singular_values
from balora_audit.probes.evidence import Context, Findings, Jackknife, ScoreRequest, Scores
from balora_audit.probes.requests import test_set
from balora_audit.scoring.protocol import TextScores

__all__ = ["CollapseProbe", "joint_tsne"]

_GROUPS = 40


class CollapseProbe:
    """Spectral and geometric measures of the last hidden state at the last prompt token, same items for every model."""

    name = "collapse"
    summary = "singular spectra, effective rank, SVE, LSVR, anisotropy, CKA to base, NC1, joint t-SNE"

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set's features."""
        return [test_set(context.dataset)]

    def measure(self, context: Context, scores: Mapping[str, Scores], base: Mapping[str, Scores] | None) -> Findings:
        """Return the metrics with delete-group jackknife intervals, and the normalised spectrum."""
        findings = Findings(context, self.name)
        x_NF = features(scores)
        groups = _deal(len(x_NF))
        if not np.ptp(x_NF, axis=0).any():
            for metric in (*OF_SINGULAR_VALUES, "anisotropy"):
                findings.missing(metric, "all features are the same: rank 0")
            return findings
        for metric, found in _of_spectra(x_NF, groups).items():
            findings.spectral(metric, found)
        findings.spectral("anisotropy", _jackknife(anisotropy, [x_NF], groups))
        if base is None:
            findings.missing("cka_to_base", "the base model is not part of this audit")
        else:
            findings.spectral("cka_to_base", _jackknife(linear_cka, [x_NF, features(base)], groups))
        self._geometry(context, x_NF, findings)
        spectrum = normalised_spectrum(x_NF)
        findings.draw("spectrum", index=list(range(1, len(spectrum) + 1)), sigma_normalised=[float(s) for s in spectrum])
        return findings

    @staticmethod
    def _geometry(context: Context, x_NF: np.ndarray, findings: Findings) -> None:
        if context.dataset.task != "classification":
            findings.missing("nc1", "the data have no classes")
            return
        labels = np.array([example.label for example in context.dataset.test])
        if len(set(labels.tolist())) < 2:
            findings.missing("nc1", "the test set has one class only")
            return
        findings.plain("nc1", nc1(x_NF, labels), len(x_NF))


def features(scores: Mapping[str, Scores]) -> np.ndarray:
    """Return the test set's features, (N, F) float64."""
    found = scores["test"]
    if isinstance(found, TextScores | HarnessScores) or found.features is None:
        raise TypeError("the test set was scored without features")
    return found.features.astype(np.float64)


def joint_tsne(
    dataset: AuditDataset, features_of: Sequence[tuple[str, np.ndarray]], *, seed: int
) -> dict[str, dict[str, list[float | str | None]]]:
    """Return t-SNE coordinates of all models' features from one joint fit, with each item's label.

    PCA to at most 50 dimensions, PCA initialisation, perplexity 30 or what the number of points allows. Illustration
    only: distances between clusters and their sizes mean nothing.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    stacked = np.concatenate([x_NF for _, x_NF in features_of])
    reduced = PCA(n_components=min(50, *stacked.shape), random_state=seed).fit_transform(stacked)
    perplexity = min(30.0, (len(stacked) - 1) / 3)
    points = TSNE(n_components=2, init="pca", perplexity=perplexity, random_state=seed).fit_transform(reduced)
    labels = [dataset.label_names[e.label] if e.label is not None else None for e in dataset.test]
    found: dict[str, dict[str, list[float | str | None]]] = {}
    for index, (name, x_NF) in enumerate(features_of):
        part = points[index * len(x_NF) : (index + 1) * len(x_NF)]
        found[name] = {
            "x": [round(float(value), 3) for value in part[:, 0]],
            "y": [round(float(value), 3) for value in part[:, 1]],
            "label": list(labels),
        }
    return found


def _deal(count: int) -> np.ndarray:
    return np.arange(count) % min(count, _GROUPS)


def _of_spectra(x_NF: np.ndarray, groups: np.ndarray) -> dict[str, Jackknife]:
    """Return every measure of the singular values, from one decomposition per group left out."""
    spectra = [singular_values(x_NF[groups != group]) for group in range(int(groups.max()) + 1)]
    whole = singular_values(x_NF)
    return {
        metric: Jackknife(items=len(x_NF), estimate=of(whole), left_out=np.array([of(sigma) for sigma in spectra]))
        for metric, of in OF_SINGULAR_VALUES.items()
    }


def _jackknife(function: Callable[..., float], matrices: Sequence[np.ndarray], groups: np.ndarray) -> Jackknife:
    left_out = [float(function(*(matrix[groups != group] for matrix in matrices))) for group in range(int(groups.max()) + 1)]
    return Jackknife(items=len(groups), estimate=float(function(*matrices)), left_out=np.array(left_out))
