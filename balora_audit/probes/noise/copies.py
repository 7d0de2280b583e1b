"""The noisy copies of the test texts: made once, read by everything that measures noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from balora_audit.data.identity import identity_terms
from balora_audit.data.perturbations import Perturbation, Perturbed, perturb
from balora_audit.metric import Metric
from balora_audit.probes.context import Context
from balora_audit.probes.findings import Findings
from balora_audit.probes.probe import Repeat
from balora_audit.probes.requests import on_texts, test_set
from balora_audit.probes.scores import ScoreRequest
from balora_audit.slices import Slice

__all__ = [
    "OF_COPIES",
    "applicability",
    "applicable_kinds",
    "changed",
    "copies",
    "filled",
    "grid",
    "noisiest",
    "noisy",
    "of_kind",
    "on_copies",
    "realised",
    "repeats",
    "slices_of_copies",
]

Values = NDArray[Any]

REALISED_RATE = Metric(
    name="realised_rate",
    title="realised noise rate",
    unit="share",
    higher_is_better=None,
    meaning="Share of characters (or words) that the noise changed.",
    source="METHODS §4",
    groups=("folded",),
)
APPLICABLE_TEXTS = Metric(
    name="applicable_texts",
    title="texts that the noise can change",
    unit="share",
    higher_is_better=None,
    meaning="Share of texts in which this kind of noise finds anything to change; the others count unchanged.",
    source="METHODS §4",
    groups=("folded",),
)
OF_COPIES = (REALISED_RATE, APPLICABLE_TEXTS)


def noisy(kind: str, severity: int) -> Slice:
    """Return the slice of the copies of one kind at one severity; printed, it is the key that they are scored under."""
    return Slice("noise", kind, severity)


def of_kind(kind: str) -> Slice:
    """Return the slice of all severities of one kind."""
    return Slice("part", kind)


def copies(context: Context, kind: str, severity: int) -> tuple[Perturbed, ...]:
    """Return the noisy copy of every test text, in the order of the test set."""
    noise = context.config.noise
    protect = (*context.dataset.label_names, *noise.protect, *(identity_terms() if noise.protect_identity else ()))
    items = tuple((example.id, example.text) for example in context.dataset.test)
    return _copies(context.perturbations[kind], severity, context.config.data_seed, protect, items)


@lru_cache(maxsize=256)
def _copies(
    noise: Perturbation, severity: int, seed: int, protect: tuple[str, ...], items: tuple[tuple[str, str], ...]
) -> tuple[Perturbed, ...]:
    return tuple(perturb(noise, text, severity=severity, seed=seed, item_id=item, protect=protect) for item, text in items)


def changed(context: Context, kind: str, severity: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return ids and texts of the copies that differ from the text they were made of: only these are scored."""
    pairs = zip(context.dataset.test, copies(context, kind, severity), strict=True)
    kept = [(example.id, copy.text) for example, copy in pairs if copy.text != example.text]
    return tuple(item for item, _ in kept), tuple(text for _, text in kept)


def on_copies(context: Context) -> list[ScoreRequest]:
    """Return the requests for the test set and for the copies in the grid that differ from it; the others have its answers."""
    found = [test_set(context)]
    for kind, severity in grid(context):
        ids, texts = changed(context, kind, severity)
        if ids:
            found.append(on_texts(context.dataset, str(noisy(kind, severity)), ids, texts))
    return found


def filled(context: Context, kind: str, severity: int, clean_N: Values, found_K: Values | None) -> Values:
    """Return one value per test item: that of its changed copy, or the clean text's where the noise changed nothing.

    ``found_K`` are the values of the changed copies, in the order of `changed`; None when there are none.
    """
    everything_N = np.array(clean_N)
    if found_K is not None:
        ids = set(changed(context, kind, severity)[0])
        everything_N[[example.id in ids for example in context.dataset.test]] = found_K
    return everything_N


def repeats(context: Context, chosen: Sequence[tuple[str, int]], *, source: str, prefix: str = "") -> Iterator[Repeat]:
    """Yield, for these kinds and severities, the items whose copy is the text itself: they have the answer of the set `source`."""
    everything = frozenset(example.id for example in context.dataset.test)
    for kind, severity in chosen:
        ids = everything - set(changed(context, kind, severity)[0])
        yield Repeat(key=f"{prefix}{noisy(kind, severity)}", source=source, ids=ids)


def applicable_kinds(context: Context) -> tuple[str, ...]:
    """Return the kinds of noise that can change something in these texts at all."""
    severity = context.config.noise.severities[-1]
    return tuple(kind for kind in context.config.noise.kinds if any(copy.applicable for copy in copies(context, kind, severity)))


def grid(context: Context) -> list[tuple[str, int]]:
    """Return every kind and severity that the test texts are copied with: none for a model that was not trained on clean data."""
    if not context.condition.is_clean:
        return []
    return [(kind, severity) for kind in applicable_kinds(context) for severity in context.config.noise.severities]


def noisiest(context: Context) -> list[tuple[str, int]]:
    """Return the highest severity of every kind in the grid."""
    return [(kind, severity) for kind, severity in grid(context) if severity == context.config.noise.severities[-1]]


def slices_of_copies(context: Context, metric: str) -> tuple[Slice, ...]:
    """Return the slices of what is counted of the copies themselves: the kinds, or the kinds and severities."""
    if metric == APPLICABLE_TEXTS.name:
        return tuple(of_kind(kind) for kind in context.config.noise.kinds) if context.condition.is_clean else ()
    return tuple(noisy(kind, severity) for kind, severity in grid(context))


def applicability(context: Context, findings: Findings, metric: str) -> None:
    """Add, for every kind, the share of texts that it can change; where it can change none, say that the metric was not measured."""
    for kind in context.config.noise.kinds:
        made = copies(context, kind, context.config.noise.severities[-1])
        share = sum(copy.applicable > 0 for copy in made) / len(made)
        findings.plain("applicable_texts", share, len(made), slice=of_kind(kind))
        if share == 0:
            findings.missing(metric, "this kind of noise applies to none of the texts", slice=of_kind(kind))


def realised(context: Context, findings: Findings, kind: str, severity: int) -> None:
    """Add the share of units (characters or words) that the noise changed."""
    made = copies(context, kind, severity)
    rate = sum(copy.changed for copy in made) / sum(copy.units for copy in made)
    findings.plain("realised_rate", rate, len(made), slice=noisy(kind, severity))
