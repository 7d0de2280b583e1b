"""What every kind of score has in common: arrays that can be stored and read again, and what the samples show of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import UnionType
from typing import TYPE_CHECKING, Any, Self, Union, get_args, get_origin, get_type_hints

import numpy as np

from balora_audit.errors import StoreError, Unusable

if TYPE_CHECKING:
    from balora_audit.scoring.reader import Reader
    from balora_audit.scoring.request import ScoreRequest

__all__ = ["ScoreKind", "Scores"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Arrays, one per field of a subclass.

    A field that may be None is one that can be left out when stored scores are read, to save memory: see :meth:`optional`.
    """

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, without those that are None."""
        found = {part.name: getattr(self, part.name) for part in fields(self)}
        return {name: array for name, array in found.items() if array is not None}

    @classmethod
    def optional(cls) -> frozenset[str]:
        """Return the names of the arrays that may be None, such as ``features``."""
        return frozenset(name for name, hint in get_type_hints(cls).items() if type(None) in get_args(hint))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return the scores that these arrays are; optional ones may be missing.

        Raises
        ------
        StoreError
            The names or number formats are not those of this kind.
        """
        kinds = {name: _dtype(hint) for name, hint in get_type_hints(cls).items()}
        missing, unknown = kinds.keys() - cls.optional() - arrays.keys(), arrays.keys() - kinds.keys()
        wrong = sorted(missing) or sorted(unknown) or [name for name in sorted(arrays) if arrays[name].dtype != kinds[name]]
        if wrong:
            have = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in sorted(arrays.items())) or "no arrays"
            raise StoreError(f"stored arrays are no {cls.__name__} ({wrong[0]!r} is missing, unknown or of another format): {have}")
        return cls(**arrays)

    def columns(self, request: ScoreRequest) -> dict[str, Sequence[object]]:
        """Return what ``samples/*.jsonl`` keeps of every item, by name; ``id`` among them where the items are not the request's."""
        del request
        return {}

    def require_finite(self, key: str) -> Self:
        """Return the same; raise `Unusable` where a number is not finite, so that it cannot stand for a result."""
        for name, array in self.arrays().items():
            if not np.isfinite(array).all():
                raise Unusable(f"the model gives {name.replace('_', ' ')} that are not finite on the set {key!r}")
        return self


def _dtype(hint: Any) -> np.dtype[Any]:
    array = next(part for part in get_args(hint) if part is not type(None)) if _is_union(hint) else hint
    last = get_args(array)[-1]  # NDArray[K] is ndarray[shape, dtype[K]], or an alias of it with K alone
    found: np.dtype[Any] = np.dtype(get_args(last)[0] if get_args(last) else last)
    return found


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreKind:
    """One kind of score: what comes back, and how a model in place gives it."""

    scores: type[Scores]
    score: Callable[[ScoreRequest, Reader], Scores]

    @property
    def module(self) -> str:
        """Where the kind is defined; what it imports decides its numbers."""
        return self.score.__module__
