"""Per-item evidence of a metric, in the one form that every paired interval is computed from.

Resampling items is one matrix product for all replicates of all the ratios that a metric is made of (`balora_audit.metrics.ratios`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from balora_audit.metrics.arrays import Float as FloatArray
from balora_audit.metrics.ratios import Combine, Ratios, mean_ratio

__all__ = ["Combine", "FloatArray", "ItemScores"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemScores(Ratios):
    """Ratios of sums over items that have names, so that two models can be paired on them.

    Parameters
    ----------
    ids : tuple of str, length N
        Unique item ids.
    common : bool
        Whether the denominators say on which items a model qualifies (such as those that it answers correctly on clean text), so that two
        models are compared on the items on which both do.
    excluded : int
        How many items were left out because one of their numbers was not finite; counted here, never passed in.
    """

    ids: tuple[str, ...]
    common: bool = False
    excluded: int = field(default=0, init=False, compare=False)

    def __post_init__(self) -> None:
        Ratios.__post_init__(self)  # super() without arguments does not find the class that slots make anew
        if self.numerators.shape[1] != len(self.ids):
            raise ValueError(f"numerators and denominators must be of {len(self.ids)} items, got {self.numerators.shape[1]}")
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("item ids must be unique")
        finite_N = np.isfinite(self.numerators).all(axis=0) & np.isfinite(self.denominators).all(axis=0)
        if not finite_N.all():
            kept = np.flatnonzero(finite_N)
            object.__setattr__(self, "ids", tuple(self.ids[index] for index in kept))
            object.__setattr__(self, "numerators", self.numerators[:, kept])
            object.__setattr__(self, "denominators", self.denominators[:, kept])
            object.__setattr__(self, "excluded", int((~finite_N).sum()))

    @classmethod
    def of(cls, ids: Sequence[str], ratios: Ratios) -> ItemScores:
        """Return the scores whose statistic is that of the given ratios, item by item."""
        return cls(ids=tuple(ids), numerators=ratios.numerators, denominators=ratios.denominators, combine=ratios.combine)

    @classmethod
    def mean_of(cls, ids: Sequence[str], values: FloatArray) -> ItemScores:
        """Return the scores whose statistic is the plain mean of one value per item."""
        return cls.of(ids, mean_ratio(values))

    def select(self, ids: tuple[str, ...]) -> ItemScores:
        """Return the scores restricted to, and in the order of, the given ids."""
        position = {item: index for index, item in enumerate(self.ids)}
        index = [position[item] for item in ids]
        return ItemScores(
            ids=ids,
            numerators=self.numerators[:, index],
            denominators=self.denominators[:, index],
            combine=self.combine,
            common=self.common,
        )

    def where(self, counting_KN: FloatArray) -> ItemScores:
        """Return the same scores with the items left out of each ratio for which `counting_KN`, (K, N) of 0 and 1, is 0."""
        return replace(self, numerators=self.numerators * counting_KN, denominators=self.denominators * counting_KN)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping (exact: floats are written in full)."""
        return {
            "ids": list(self.ids),
            "numerators": self.numerators.tolist(),
            "denominators": self.denominators.tolist(),
            "combine": self.combine,
            "common": self.common,
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> ItemScores:
        """Rebuild from what :meth:`to_json` gave."""
        count = len(found["ids"])
        return cls(
            ids=tuple(found["ids"]),
            numerators=np.asarray(found["numerators"], dtype=np.float64).reshape(-1, count),
            denominators=np.asarray(found["denominators"], dtype=np.float64).reshape(-1, count),
            combine=found["combine"],
            common=found.get("common", False),
        )
