"""The courses that a weight can take over training: what the staged schedule multiplies it with (METHODS §2)."""

from __future__ import annotations

import math

__all__ = ["cosine_to_a_tenth", "late_ramp"]

_FLOOR = 0.1
_OFF_SHARE = 0.20
_RAMP_SHARE = 0.05


def cosine_to_a_tenth(step: int, steps: int) -> float:
    """Return the factor that falls from 1 at the first step to a tenth at the last one, on a cosine.

    Examples
    --------
    >>> cosine_to_a_tenth(0, 101), round(cosine_to_a_tenth(50, 101), 6), round(cosine_to_a_tenth(100, 101), 6)
    (1.0, 0.55, 0.1)
    """
    progress = step / max(1, steps - 1)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return _FLOOR + (1 - _FLOOR) * cosine


def late_ramp(step: int, steps: int) -> float:
    """Return the factor that is 0 for the first 20 % of the steps, rises linearly over the next 5 % and is 1 from there on.

    Examples
    --------
    >>> [round(late_ramp(step, 1000), 6) for step in (0, 200, 225, 250, 999)]
    [0.0, 0.0, 0.5, 1.0, 1.0]
    """
    return min(1.0, max(0.0, (step / steps - _OFF_SHARE) / _RAMP_SHARE))
