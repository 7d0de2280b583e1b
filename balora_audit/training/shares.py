"""States on the way of a training that are kept beside its end: after which steps, and whether an earlier attempt kept them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["NO_SHARES", "Shares", "share_steps"]


def share_steps(shares: Sequence[float], steps: int) -> dict[float, int]:
    """Return share → the step (from 1) after which it is reached, at least 1 and below the last of `steps`.

    A share whose step is the last one's or another share's has none of its own, and is left out.

    Examples
    --------
    >>> share_steps((0.25, 0.5, 1.0), 12)
    {0.25: 3, 0.5: 6}
    >>> share_steps((0.25, 0.3, 0.5), 2)
    {0.25: 1}
    """
    found: dict[float, int] = {}
    for share in shares:
        step = max(1, min(round(share * steps), steps - 1))
        if share < 1 and step < steps and step not in found.values():
            found[share] = step
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Which shares of its steps one training keeps.

    Parameters
    ----------
    wanted : tuple of float
        Above 0, ascending; 1 is the end, which is kept anyway.
    keep : callable
        Called with a share right after its step; must leave the training as it is.
    kept : callable
        Whether a share was kept by an attempt that is now gone on with.
    """

    wanted: tuple[float, ...] = ()
    keep: Callable[[float], object] = lambda _: None
    kept: Callable[[float], bool] = lambda _: True

    def after(self, step: int, steps: int) -> None:
        """Keep what is reached after so many of all steps."""
        for share, reached in share_steps(self.wanted, steps).items():
            if reached == step:
                self.keep(share)

    def complete(self, step: int, steps: int) -> bool:
        """Whether nothing is missing of what is reached after so many of all steps: else a training cannot go on from there."""
        return all(self.kept(share) for share, reached in share_steps(self.wanted, steps).items() if reached <= step)


NO_SHARES = Shares()
"""Nothing but the end."""
