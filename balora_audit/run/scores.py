"""The scores of one cell as a mapping: each set is read from the store when it is asked for."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping

from balora_audit.errors import StoreError
from balora_audit.run.store import RunStore
from balora_audit.scoring import KINDS, Scores

__all__ = ["FEATURES", "StoredScores", "read_scores"]

FEATURES = frozenset({"features", "layer_features"})
"""The large arrays, which may stay on the disk where only answers are read."""


class StoredScores(Mapping[str, Scores]):
    """Key of the requested set → its scores. What was read is kept until this object goes.

    Parameters
    ----------
    store : RunStore
    units : mapping
        Key of the set → key of the unit.
    lost : container of str
        Units that failed: their sets are not there.
    without : collection of str
        Names of arrays that are not wanted.
    """

    def __init__(self, store: RunStore, units: Mapping[str, str], *, lost: Container[str] = (), without: Collection[str] = ()) -> None:
        self._store, self._without = store, without
        self._units = {key: unit for key, unit in units.items() if unit not in lost}
        self._read: dict[str, Scores] = {}

    def __getitem__(self, key: str) -> Scores:
        """Return the scores of a set, read on first use."""
        if key not in self._read:
            self._read[key] = read_scores(self._store, self._units[key], without=self._without)
        return self._read[key]

    def __contains__(self, key: object) -> bool:
        """Whether the set was scored; reads nothing."""
        return key in self._units

    def __iter__(self) -> Iterator[str]:
        return iter(self._units)

    def __len__(self) -> int:
        return len(self._units)


def read_scores(store: RunStore, unit: str, *, without: Collection[str] = ()) -> Scores:
    """Return the stored scores of a unit; raises `StoreError` when they are damaged."""
    kind = store.note(unit).get("kind")
    if kind not in KINDS:
        raise StoreError(f"the stored unit {unit} has scores of an unknown kind {kind!r}; delete its folder and run again")
    try:
        return KINDS[kind].scores.from_arrays(store.arrays(unit, without=without))
    except StoreError as error:
        raise StoreError(f"the stored unit {unit} is damaged: {error}; delete its folder and run again") from error
