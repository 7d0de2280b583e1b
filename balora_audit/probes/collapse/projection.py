"""t-SNE of all models' features from one joint fit: an illustration, never evidence (METHODS §6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from balora_audit.data.dataset import AuditDataset
from balora_audit.probes.context import Context
from balora_audit.records import Series

__all__ = ["joint_tsne", "projections", "usable_perplexities"]

_FEWEST = 4


def projections(features_of: Sequence[tuple[Context, np.ndarray]]) -> list[Series]:
    """Return the coordinates of all models, one joint fit for each configured perplexity that the points allow."""
    if not features_of:
        return []
    first = features_of[0][0]
    named = [(context.method, x_NF) for context, x_NF in features_of]
    return [
        Series(
            method=name,
            condition=str(first.condition),
            seed=first.seed,
            probe="collapse",
            name=f"tsne:{perplexity:g}",
            columns={key: tuple(column) for key, column in columns.items()},
        )
        for perplexity in usable_perplexities(first.config.collapse.perplexities, sum(len(x_NF) for _, x_NF in named))
        for name, columns in joint_tsne(first.dataset, named, perplexity=perplexity, seed=0).items()
    ]


def usable_perplexities(wanted: Sequence[float], points: int) -> tuple[float, ...]:
    """Return the perplexities that so many points allow: below a third of them, each once; none for fewer than four points."""
    if points < _FEWEST:
        return ()
    most = (points - 1) / 3
    return tuple(dict.fromkeys(round(min(perplexity, most), 1) for perplexity in wanted))


def joint_tsne(
    dataset: AuditDataset, features_of: Sequence[tuple[str, np.ndarray]], *, perplexity: float, seed: int
) -> dict[str, dict[str, list[float | str | None]]]:
    """Return t-SNE coordinates of all models' features from one joint fit, with each item's label.

    PCA to at most 50 dimensions, then t-SNE that starts at the PCA (van der Maaten & Hinton 2008). Distances between
    clusters and their sizes mean nothing.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    stacked = np.concatenate([x_NF for _, x_NF in features_of])
    reduced = PCA(n_components=min(50, *stacked.shape), random_state=seed).fit_transform(stacked)
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
