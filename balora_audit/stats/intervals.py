"""The interval of one model's statistic."""

from __future__ import annotations

import numpy as np

from balora_audit.stats.items import ItemScores
from balora_audit.stats.rates import wilson
from balora_audit.stats.studentised import spread_of

__all__ = ["interval"]


def interval(scores: ItemScores, *, level: float = 0.95, n_resamples: int = 2000, seed: int = 0) -> tuple[float, float] | None:
    """Return the interval of a statistic over items, within its range: Wilson's for a rate, else that of the studentised bootstrap.

    None when there are fewer than two items, or when the items cannot say how uncertain the statistic is.
    """
    if scores.is_rate:
        counting_N = scores.denominators[0] == 1
        hits, count = int(scores.numerators[0, counting_N].sum()), int(counting_N.sum())
        return wilson(hits, count, level) if count else None
    found = spread_of(scores, level=level, n_resamples=n_resamples, seed=seed)
    if found is None:
        return None
    low, high = np.clip(found.interval(level), *scores.range)
    return float(low), float(high)
