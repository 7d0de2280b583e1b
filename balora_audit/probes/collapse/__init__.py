"""Do the representations use fewer directions than the base's? Spectra, geometry, layers, weights (METHODS §6)."""

from __future__ import annotations

from balora_audit.extensions import built_in
from balora_audit.probes.checks import checked_measure
from balora_audit.probes.probe import Probe

__all__ = ["COLLAPSE"]

COLLAPSE = Probe(
    name="collapse",
    title="Representation collapse",
    summary="singular spectra, effective rank, isotropy, CKA and angles to base, class geometry, ΔW, intruder dimensions, t-SNE",
    measures=tuple(
        built_in(
            {
                "features": "balora_audit.probes.collapse.features:FEATURES",
                "general text": "balora_audit.probes.collapse.general:GENERAL_FEATURES",
                "weights": "balora_audit.probes.collapse.weights:WEIGHTS",
            },
            checked_measure,
        ).values()
    ),
)
