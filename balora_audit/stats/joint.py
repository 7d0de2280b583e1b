"""Resamples of many statistics at once: one draw of items for all of them (METHODS §9).

Shapes: N item, R replicate, K statistic, G group of items.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from balora_audit.stats.items import FloatArray, ItemScores
from balora_audit.stats.jackknife import Jackknife
from balora_audit.stats.studentised import bootstrap_weights

__all__ = ["Evidence", "JointDraws"]

Evidence = ItemScores | Jackknife


class JointDraws:
    """Resampled values of statistics that may be of the same items.

    Statistics that share an item are of one population, whose items are drawn together; those of other texts are drawn apart. Metrics of
    a feature matrix have no resamples: theirs follow the normal distribution of their jackknife, with the same groups for all of them.

    Parameters
    ----------
    evidence : sequence
        All statistics that will be asked for.
    """

    def __init__(self, evidence: Sequence[Evidence], n_resamples: int, *, seed: int) -> None:
        self._places: dict[str, tuple[int, int]] = {}
        """Item → its population and place in it."""
        populations = _populations([found.ids for found in evidence if isinstance(found, ItemScores)])
        for number, ids in enumerate(populations):
            self._places |= {item: (number, place) for place, item in enumerate(ids)}
        self._populations = [tuple(ids) for ids in populations]
        self._weights = [_weights(len(ids), n_resamples, seed, number) for number, ids in enumerate(populations)]
        groups = {len(found.left_out) for found in evidence if isinstance(found, Jackknife)}
        self._normal = {count: np.random.default_rng([seed, 2**31, count]).normal(size=(n_resamples, count)) for count in sorted(groups)}
        sizes = [*(len(ids) for ids in populations), *groups]
        self.items = min(sizes, default=0)
        """Of the smallest population: what bounds the degrees of freedom."""

    def of(self, evidence: Sequence[Evidence]) -> FloatArray:
        """Return the resampled values of some statistics, (R, K); NaN where a ratio has lost all its items."""
        return np.stack([self._one(found) for found in evidence], axis=1)

    def _one(self, found: Evidence) -> FloatArray:
        if isinstance(found, Jackknife):
            return np.asarray(found.estimate + self._normal[len(found.left_out)] @ found.deviations)
        number = self._places[found.ids[0]][0]
        if found.ids == self._populations[number]:
            return found.values(self._weights[number])
        chosen = [self._places[item][1] for item in found.ids]
        return found.values(self._weights[number][:, chosen])


@lru_cache(maxsize=8)
def _weights(n_items: int, n_resamples: int, seed: int, population: int) -> FloatArray:
    """Return the weights of a population's items, which every claim about as many items shares: drawing them is most of the work."""
    weights_RN = bootstrap_weights(n_items, n_resamples, np.random.default_rng([seed, population]))
    weights_RN.flags.writeable = False
    return weights_RN


def _populations(of: Sequence[tuple[str, ...]]) -> list[list[str]]:
    """Return the items of each population, in order of appearance: sets of items that overlap are joined."""
    joined: list[dict[str, None]] = []
    for ids in dict.fromkeys(of):
        own = dict.fromkeys(ids)
        touched = [known for known in joined if not known.keys().isdisjoint(own)]
        merged: dict[str, None] = {}
        for known in touched:
            merged |= known
        joined = [known for known in joined if not any(known is other for other in touched)]
        joined.append(merged | own)
    return [list(known) for known in joined]
