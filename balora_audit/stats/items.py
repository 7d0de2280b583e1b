"""Per-item evidence of a metric, in the one form that every paired interval is computed from.

Nearly every metric of the audit is a simple combination of *ratios of sums over items*: accuracy is
``Σ correct / Σ 1``; the recall of class c is ``Σ correct·1[c] / Σ 1[c]``; the worst-class recall is the minimum of C such
ratios; KL per token is ``Σ KL / Σ tokens``. Resampling items is then one matrix product for all replicates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["COMBINERS", "Combine", "FloatArray", "ItemScores"]

FloatArray = NDArray[np.float64]
Combine = Literal["mean", "geometric_mean", "min", "rms", "rms_difference", "max_difference", "difference", "exp"]


def _halves(ratios_RK: FloatArray) -> FloatArray:
    half = ratios_RK.shape[1] // 2
    return np.asarray(ratios_RK[:, :half] - ratios_RK[:, half:])


def _geometric_mean(ratios_RK: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):  # one ratio of 0 makes it 0
        return np.asarray(np.exp(np.log(ratios_RK).mean(axis=1)))


COMBINERS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "mean": lambda ratios_RK: np.asarray(ratios_RK.mean(axis=1)),
    "geometric_mean": _geometric_mean,
    "min": lambda ratios_RK: np.asarray(ratios_RK.min(axis=1)),
    "rms": lambda ratios_RK: np.asarray(np.sqrt(np.mean(ratios_RK**2, axis=1))),
    "rms_difference": lambda ratios_RK: np.asarray(np.sqrt(np.mean(_halves(ratios_RK) ** 2, axis=1))),
    "max_difference": lambda ratios_RK: np.asarray(np.abs(_halves(ratios_RK)).max(axis=1)),
    "difference": lambda ratios_RK: np.asarray(ratios_RK[:, 0] - ratios_RK[:, 1]),
    "exp": lambda ratios_RK: np.asarray(np.exp(ratios_RK[:, 0])),
}
"""How K ratios become one number; inputs are (R replicates, K ratios), outputs (R,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemScores:
    """Numerators and denominators of K ratios on N items.

    Parameters
    ----------
    ids : tuple of str, length N
        Unique item ids; two models are paired on them.
    numerators, denominators : (K, N) float64
        ``ratio_k = Σ_i w_i·numerators[k, i] / Σ_i w_i·denominators[k, i]`` with item weights w.
    combine : name in `COMBINERS`
        ``rms_difference`` takes the root mean square of ``ratio_k − ratio_{k+K/2}`` for k < K/2, ``max_difference`` the
        largest of their absolute values.
    excluded : int
        How many items were left out because one of their numbers was not finite; counted here, never passed in.
    """

    ids: tuple[str, ...]
    numerators: FloatArray
    denominators: FloatArray
    combine: Combine = "mean"
    excluded: int = field(default=0, init=False, compare=False)

    def __post_init__(self) -> None:
        shape = self.numerators.shape
        if self.numerators.ndim != 2 or shape != self.denominators.shape or shape[1] != len(self.ids):
            raise ValueError(f"numerators and denominators must both be (K, {len(self.ids)}), got {shape} and {self.denominators.shape}")
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("item ids must be unique")
        if self.combine not in COMBINERS:
            raise ValueError(f"unknown combine {self.combine!r}; valid: {', '.join(COMBINERS)}")
        finite_N = np.isfinite(self.numerators).all(axis=0) & np.isfinite(self.denominators).all(axis=0)
        if not finite_N.all():
            kept = np.flatnonzero(finite_N)
            object.__setattr__(self, "ids", tuple(self.ids[index] for index in kept))
            object.__setattr__(self, "numerators", self.numerators[:, kept])
            object.__setattr__(self, "denominators", self.denominators[:, kept])
            object.__setattr__(self, "excluded", int((~finite_N).sum()))

    @classmethod
    def mean_of(cls, ids: tuple[str, ...], values: FloatArray) -> ItemScores:
        """Return the scores whose statistic is the plain mean of one value per item."""
        row = np.asarray(values, dtype=np.float64)[None, :]
        return cls(ids=ids, numerators=row, denominators=np.ones_like(row))

    def value(self) -> float | None:
        """Return the statistic on all items, or None when a ratio has no items at all."""
        totals = self.denominators.sum(axis=1)
        if len(self.ids) == 0 or np.any(totals == 0):
            return None
        return float(COMBINERS[self.combine]((self.numerators.sum(axis=1) / totals)[None, :])[0])

    def replicate(self, weights_RN: FloatArray) -> FloatArray:
        """Return the statistic under each row of item weights, shape (R,); NaN where a ratio lost all its items."""
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios_RK = (weights_RN @ self.numerators.T) / (weights_RN @ self.denominators.T)
        return COMBINERS[self.combine](ratios_RK)

    def select(self, ids: tuple[str, ...]) -> ItemScores:
        """Return the scores restricted to, and in the order of, the given ids."""
        position = {item: index for index, item in enumerate(self.ids)}
        index = [position[item] for item in ids]
        return ItemScores(
            ids=ids,
            numerators=self.numerators[:, index],
            denominators=self.denominators[:, index],
            combine=self.combine,
        )

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping (exact: floats are written in full)."""
        return {
            "ids": list(self.ids),
            "numerators": self.numerators.tolist(),
            "denominators": self.denominators.tolist(),
            "combine": self.combine,
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
        )
