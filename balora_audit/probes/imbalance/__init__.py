"""Who is failed? Recall by class under imbalance, gaps between groups, counterfactual twins (METHODS §5)."""

from __future__ import annotations

from balora_audit.extensions import built_in
from balora_audit.probes.checks import checked_measure
from balora_audit.probes.probe import Probe

__all__ = ["IMBALANCE"]

IMBALANCE = Probe(
    name="imbalance",
    title="Imbalance and groups",
    summary="per-class, tail and worst-class recall; cost of imbalance; group gaps over their noise; flips over placebo",
    measures=tuple(
        built_in(
            {
                "classes": "balora_audit.probes.imbalance.classes:CLASSES",
                "groups": "balora_audit.probes.imbalance.groups:GROUPS",
                "counterfactuals": "balora_audit.probes.imbalance.counterfactuals:COUNTERFACTUALS",
                "placebo": "balora_audit.probes.imbalance.placebo:PLACEBO_TWINS",
                "cost": "balora_audit.probes.imbalance.cost:IMBALANCE_COST",
            },
            checked_measure,
        ).values()
    ),
)
