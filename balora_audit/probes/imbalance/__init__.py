"""Who is failed? Recall by class under imbalance, gaps between groups, counterfactual twins (METHODS §5)."""

from __future__ import annotations

from balora_audit.probes.imbalance.classes import Classes
from balora_audit.probes.imbalance.counterfactuals import Counterfactuals
from balora_audit.probes.imbalance.groups import Groups
from balora_audit.probes.probe import Probe

__all__ = ["IMBALANCE"]

IMBALANCE = Probe(
    name="imbalance",
    title="Imbalance and groups",
    summary="per-class, tail and worst-class recall; group gaps, equalized odds, demographic parity; counterfactual flips",
    measures=(Classes(), Groups(), Counterfactuals()),
)
