"""The noisy copies of the test texts: made once, read by everything that measures noise."""

from __future__ import annotations

from functools import lru_cache

from balora_audit.data.identity import identity_terms
from balora_audit.data.perturbations import Perturbed, perturb
from balora_audit.probes.evidence import Context, Findings

__all__ = ["applicable_kinds", "copies", "inapplicable", "realised"]


def copies(context: Context, kind: str, severity: int) -> tuple[Perturbed, ...]:
    """Return the noisy copy of every test text, in the order of the test set."""
    noise = context.config.noise
    protect = (*context.dataset.label_names, *noise.protect, *(identity_terms() if noise.protect_identity else ()))
    items = tuple((example.id, example.text) for example in context.dataset.test)
    return _copies(kind, severity, context.config.data_seed, protect, items)


@lru_cache(maxsize=256)
def _copies(kind: str, severity: int, seed: int, protect: tuple[str, ...], items: tuple[tuple[str, str], ...]) -> tuple[Perturbed, ...]:
    return tuple(perturb(kind, text, severity=severity, seed=seed, item_id=item, protect=protect) for item, text in items)


def applicable_kinds(context: Context) -> tuple[str, ...]:
    """Return the kinds of noise that can change something in these texts at all."""
    severity = context.config.noise.severities[-1]
    return tuple(kind for kind in context.config.noise.kinds if any(copy.applicable for copy in copies(context, kind, severity)))


def inapplicable(context: Context, findings: Findings, metric: str) -> None:
    """Say for the other kinds that the metric was not measured."""
    for kind in context.config.noise.kinds:
        if kind not in applicable_kinds(context):
            findings.missing(metric, "this kind of noise applies to none of the texts", slice=kind)


def realised(context: Context, findings: Findings, kind: str, severity: int) -> None:
    """Add the share of units (characters or words) that the noise changed."""
    made = copies(context, kind, severity)
    rate = sum(copy.changed for copy in made) / sum(copy.units for copy in made)
    findings.plain("realised_rate", rate, len(made), slice=f"{kind}@{severity}")
