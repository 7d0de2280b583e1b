"""The noisy copies of the test texts: made once, read by everything that measures noise."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from balora_audit.data.identity import identity_terms
from balora_audit.data.perturbations import Perturbed, perturb
from balora_audit.probes.evidence import Context, Findings

__all__ = ["applicability", "applicable_kinds", "changed", "copies", "filled", "realised", "unchanged"]

Values = NDArray[Any]


def copies(context: Context, kind: str, severity: int) -> tuple[Perturbed, ...]:
    """Return the noisy copy of every test text, in the order of the test set."""
    noise = context.config.noise
    protect = (*context.dataset.label_names, *noise.protect, *(identity_terms() if noise.protect_identity else ()))
    items = tuple((example.id, example.text) for example in context.dataset.test)
    return _copies(kind, severity, context.config.data_seed, protect, items)


@lru_cache(maxsize=256)
def _copies(kind: str, severity: int, seed: int, protect: tuple[str, ...], items: tuple[tuple[str, str], ...]) -> tuple[Perturbed, ...]:
    return tuple(perturb(kind, text, severity=severity, seed=seed, item_id=item, protect=protect) for item, text in items)


def changed(context: Context, kind: str, severity: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return ids and texts of the copies that differ from the text they were made of: only these are scored."""
    pairs = zip(context.dataset.test, copies(context, kind, severity), strict=True)
    kept = [(example.id, copy.text) for example, copy in pairs if copy.text != example.text]
    return tuple(item for item, _ in kept), tuple(text for _, text in kept)


def filled(context: Context, kind: str, severity: int, clean_N: Values, found_K: Values | None) -> Values:
    """Return one value per test item: that of its changed copy, or the clean text's where the noise changed nothing.

    ``found_K`` are the values of the changed copies, in the order of `changed`; None when there are none.
    """
    everything_N = np.array(clean_N)
    if found_K is not None:
        ids = set(changed(context, kind, severity)[0])
        everything_N[[example.id in ids for example in context.dataset.test]] = found_K
    return everything_N


def unchanged(context: Context) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Yield (set of noisy copies, set of the clean texts, ids whose copy is the text itself): those have the clean answer."""
    if not context.condition.is_clean:
        return
    everything = frozenset(example.id for example in context.dataset.test)
    severities = context.config.noise.severities
    for kind in applicable_kinds(context):
        for severity in severities:
            left = everything - set(changed(context, kind, severity)[0])
            yield f"{kind}@{severity}", "test", left
            if context.extractor is not None and severity == severities[-1]:
                yield f"written:{kind}@{severity}", "written:clean", left


def applicable_kinds(context: Context) -> tuple[str, ...]:
    """Return the kinds of noise that can change something in these texts at all."""
    severity = context.config.noise.severities[-1]
    return tuple(kind for kind in context.config.noise.kinds if any(copy.applicable for copy in copies(context, kind, severity)))


def applicability(context: Context, findings: Findings, metric: str) -> None:
    """Add, for every kind, the share of texts that it can change; where it can change none, say that the metric was not measured."""
    for kind in context.config.noise.kinds:
        made = copies(context, kind, context.config.noise.severities[-1])
        share = sum(copy.applicable > 0 for copy in made) / len(made)
        findings.plain("applicable_texts", share, len(made), slice=kind)
        if share == 0:
            findings.missing(metric, "this kind of noise applies to none of the texts", slice=kind)


def realised(context: Context, findings: Findings, kind: str, severity: int) -> None:
    """Add the share of units (characters or words) that the noise changed."""
    made = copies(context, kind, severity)
    rate = sum(copy.changed for copy in made) / sum(copy.units for copy in made)
    findings.plain("realised_rate", rate, len(made), slice=f"{kind}@{severity}")
