"""One chunk of positions in the fused head pass: what its logits give, and what a penalty adds to value and gradient.

M positions of the chunk, V words. Everything is worked out in place, on as few M×V buffers as the terms need.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Set
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Chunk", "ChunkTerm"]


class Chunk:
    """The student's softmax on a chunk, and the gradient at its logits that is built up from it.

    Parameters
    ----------
    shifted_MV : Tensor
        Float32 logits, each row less its largest.
    temperatures : set of float
        Those T for which a term reads ``exp(z/T)``.
    teacher_logits : callable, optional
        Gives the teacher's float32 logits (M, V) in a buffer that belongs to the caller.
    """

    def __init__(self, shifted_MV: Tensor, temperatures: Set[float], teacher_logits: Callable[[], Tensor] | None) -> None:
        self.shifted_MV = shifted_MV
        self.teacher_logits = teacher_logits
        self.tempered_MV = {t: (shifted_MV / t).exp_() for t in sorted(temperatures) if t != 1.0}
        """``exp(z/T)`` by T, for T other than 1."""
        root = self.tempered_MV.get(2.0)
        exponentials = shifted_MV.exp() if root is None else root * root  # a product is cheaper than an exponential
        self.mass_M1 = exponentials.sum(dim=1, keepdim=True)
        """Σ exp(z)."""
        self.log_mass_M1 = self.mass_M1.log()
        self.gradient_MV = exponentials.div_(self.mass_M1)
        """The softmax, until the terms have given their values; then the gradient at the logits, times the number of positions."""


class ChunkTerm(ABC):
    """A penalty that is a mean over positions, on one chunk of them. A new one is made for every chunk.

    The pass calls `begin`, `value` and `add_gradient` of all terms in this order, each for all terms before the next. A term keeps
    between the calls what it needs.

    Parameters
    ----------
    weight : float
        λ at this step.
    """

    temperature: float = 1.0
    """T of the exponentials that the term reads in `Chunk.tempered_MV`."""

    softmax_multiple: float = 0.0
    """How many times the softmax (T = 1) itself stands in the weighted gradient: these are added in one multiplication."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def begin(self, logits_MV: Tensor) -> None:  # noqa: B027 - most terms need nothing of the kind
        """Read off the logits as the head gave them; afterwards they are shifted in place."""

    @abstractmethod
    def value(self, chunk: Chunk) -> Tensor:
        """Return the unweighted sum over the chunk's positions, in float64; the chunk's gradient is still the softmax."""

    @abstractmethod
    def add_gradient(self, chunk: Chunk) -> None:
        """Add the rest of the weighted gradient at the logits, of the sum over positions, to ``chunk.gradient_MV``."""
