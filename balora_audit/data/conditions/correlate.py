"""Spurious correlation: a group and a class go together in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from balora_audit.data.conditions.kind import ConditionKind
from balora_audit.data.dataset import AuditDataset, Example
from balora_audit.errors import ConfigurationError, DataError

__all__ = ["CORRELATE"]


def _thin_out(
    train: Sequence[Example], dataset: AuditDataset, share: float, seed: int, rng: np.random.Generator
) -> tuple[list[Example], dict[str, Any]]:
    """Thin out each class until its majority group has the wanted share, to a number of rows that is the same for every share.

    The majority group of a class is its larger group in the data (the first by name on a tie); with exactly balanced
    groups it alternates over the classes, so that the correlation carries information. Examples without a group, or of a
    third one, are kept aside.
    """
    groups = sorted({example.group for example in train if example.group is not None} - {"neutral"})
    if len(groups) != 2:
        raise ConfigurationError(
            f"correlate:ρ needs examples of exactly two groups besides 'neutral', the data have {groups or 'none'}; map a "
            "column with --columns group=NAME"
        )
    keep: set[str] = {example.id for example in train if example.group not in groups}
    for label, name in enumerate(dataset.label_names):
        by_group = {g: [e.id for e in train if e.label == label and e.group == g] for g in groups}
        sizes = [len(by_group[g]) for g in groups]
        if min(sizes) == 0:
            raise DataError(f"class {name!r} has training examples of one group only; correlate:ρ cannot be set there")
        major = (label % 2) if sizes[0] == sizes[1] else int(sizes[1] > sizes[0])
        # as many for every share from 0.5 to 1: what both of these allow
        total = min(sizes[major], 2 * sizes[1 - major])
        wanted = {major: round(total * share), 1 - major: total - round(total * share)}
        for index, group in enumerate(groups):
            order = rng.permutation(len(by_group[group]))[: wanted[index]]
            keep.update(by_group[group][position] for position in order)
    kept = [example for example in train if example.id in keep]
    return kept, {"correlate_kept": len(kept)}


CORRELATE = ConditionKind(
    name="correlate",
    symbol="ρ",
    summary="the majority group's share of each class is ρ in training (0.5 ≤ ρ ≤ 1); needs groups",
    example="0.9",
    allows=lambda share: 0.5 <= share <= 1,
    title=lambda share: f"group–label correlation {share:g}",
    change=_thin_out,
)
