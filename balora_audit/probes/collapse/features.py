"""The hidden states at the last prompt token, the same items for every model: spectrum, base, classes, layers (METHODS §6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from balora_audit.data.conditions import parse
from balora_audit.probes.beside import Beside
from balora_audit.probes.collapse.base import TO_BASE, against_base
from balora_audit.probes.collapse.classes import OF_CLASSES, class_geometry
from balora_audit.probes.collapse.projection import projections
from balora_audit.probes.collapse.spectrum import SPECTRUM, spectrum
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.probe import Measure
from balora_audit.probes.requests import test_set
from balora_audit.probes.scores import ScoreRequest, Scores
from balora_audit.records import Series
from balora_audit.slices import ALL, Slice

__all__ = ["FEATURES", "Features"]


class Features(Measure):
    """Geometry of the features with delete-group jackknife intervals, and the spectra to be drawn."""

    metrics = (*SPECTRUM, *TO_BASE, *OF_CLASSES)

    def requests(self, context: Context) -> list[ScoreRequest]:
        """Ask for the test set, with its features."""
        return [test_set(context)]

    def slices(self, context: Context, metric: str) -> tuple[Slice, ...]:
        """Return the last hidden state and the layers asked for; classes have a geometry where there are classes."""
        if metric in (record.name for record in OF_CLASSES) and context.dataset.task != "classification":
            return ()
        return (ALL, *(Slice("layer", str(layer)) for layer in context.layers))

    def measure(self, context: Context, scores: Mapping[str, Scores], beside: Beside, findings: Findings) -> None:
        """Add the metrics of the last hidden state, then those of each layer."""
        self._of_matrix(context, _last(scores), None if beside.base is None else _last(beside.base), findings, ALL)
        for place, layer in enumerate(context.layers):
            other = None if beside.base is None else _of_layer(beside.base, place)
            self._of_matrix(context, _of_layer(scores, place), other, findings, Slice("layer", str(layer)))

    def across(self, cells: Sequence[tuple[Context, Mapping[str, Scores]]]) -> list[Series]:
        """Return the t-SNE of the models of the first condition and seed, from one joint fit per perplexity."""
        chosen = [
            (context, _last(scores))
            for context, scores in cells
            if context.seed == context.config.seeds[0] and context.condition == parse(context.config.conditions[0])
        ]
        return projections(chosen)

    def _of_matrix(self, context: Context, x_NF: np.ndarray, base_NF: np.ndarray | None, findings: Findings, slice: Slice) -> None:
        if not np.ptp(x_NF, axis=0).any():
            for metric in self.metrics:
                findings.missing(metric.name, "all features are the same: rank 0", slice=slice)
            return
        spectrum(x_NF, findings, slice)
        against_base(context, x_NF, base_NF, findings, slice)
        class_geometry(context, x_NF, findings, slice)


@runtime_checkable
class _WithFeatures(Protocol):
    features: NDArray[np.float32] | None
    layer_features: NDArray[np.float32] | None


def _last(scores: Mapping[str, Scores]) -> np.ndarray:
    """Return the test set's features, (N, F) float32; the metrics compute in float64."""
    found = scores["test"]
    if not isinstance(found, _WithFeatures) or found.features is None:
        raise TypeError("the test set was scored without features")
    return np.asarray(found.features)


def _of_layer(scores: Mapping[str, Scores], place: int) -> np.ndarray:
    found = scores["test"]
    if not isinstance(found, _WithFeatures) or found.layer_features is None:
        raise TypeError("the test set was scored without features of its layers")
    return np.asarray(found.layer_features[:, place])


FEATURES = Features()
