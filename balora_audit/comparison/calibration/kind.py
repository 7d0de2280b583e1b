"""What a simulated statistic is: how one model's evidence is drawn, and what is true of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from balora_audit.stats import ItemScores, Jackknife
from balora_audit.stats.items import FloatArray

__all__ = ["Kind", "item_names", "normal_items"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of statistic: the metric that stands for it, how one model's evidence is drawn, and its truth at a skill.

    Parameters
    ----------
    items : callable
        (number of items, generator) → what both models share of them.
    draw : callable
        (items, skill, generator) → one model's evidence.
    truth : callable
        Skill → the statistic over the population of items.
    sizes : tuple of int, optional
        The numbers of items that it is simulated with, where they are its own.
    share : float
        Of the audits that others get; below 1 where one audit takes long.
    """

    metric: str
    items: Callable[[int, np.random.Generator], FloatArray]
    draw: Callable[[FloatArray, float, np.random.Generator], ItemScores | Jackknife]
    truth: Callable[[float], float]
    sizes: tuple[int, ...] | None = None
    share: float = 1.0


def item_names(n: int) -> tuple[str, ...]:
    """Return n names."""
    return tuple(map(str, range(n)))


def normal_items(n: int, rng: np.random.Generator) -> FloatArray:
    """Return n difficulties, standard normal."""
    return rng.normal(size=n)
