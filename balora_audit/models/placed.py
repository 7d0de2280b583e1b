"""A base with a method's result in place on it: what scoring reads, whichever method made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from torch import Tensor

from balora_audit.models.load import LoadedModel

__all__ = ["Placed", "WeightChange"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightChange:
    """One linear module: W (out, in), and ΔW as factors (s·B, A) or, where no factors tell all, as W + ΔW; float32."""

    name: str
    weight: Tensor
    factors: tuple[Tensor, Tensor] | None = None
    changed: Tensor | None = None


def _no_changes() -> Iterator[WeightChange]:
    return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The base with what a method made of it; by default with nothing, as the pre-trained model itself.

    Parameters
    ----------
    disabled : callable
        Gives a context in which the base is what it was, for the time of a block.
    changes : callable
        Gives the changed linear modules, in the model's order; none where no weight of the base changes.
    """

    base: LoadedModel
    disabled: Callable[[], AbstractContextManager[object]] = nullcontext
    changes: Callable[[], Iterator[WeightChange]] = _no_changes
