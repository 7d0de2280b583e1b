"""Intervals of rates, in closed form: a bootstrap of items that all agree would have no width (METHODS §8)."""

from __future__ import annotations

import math

from scipy.stats import norm

__all__ = ["paired_rate_error", "paired_rate_interval", "wilson"]


def wilson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval for a rate (Wilson 1927), within [0, 1].

    Raises
    ------
    ValueError
        ``n`` is not positive, or ``successes`` is not within 0 and n.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"need 0 ≤ successes ≤ n and n > 0, got {successes} of {n}")
    z = float(norm.ppf(0.5 + level / 2))
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def paired_rate_interval(only_candidate: int, only_baseline: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a difference of two rates on the same n items (Bonett & Price 2012).

    Parameters
    ----------
    only_candidate, only_baseline : int
        Items on which the candidate alone, and the baseline alone, scored.

    Notes
    -----
    One pseudo-count is added to each kind of discordant pair. A bootstrap of items that all agree has no width, however few
    they are; this interval then is ±2.8/(n + 2) at 95 % and says how little that shows.
    """
    if n <= 0 or min(only_candidate, only_baseline) < 0 or only_candidate + only_baseline > n:
        raise ValueError(f"need counts of discordant pairs within n > 0, got {only_candidate} and {only_baseline} of {n}")
    centre = (only_candidate - only_baseline) / (n + 2)
    half = float(norm.ppf(0.5 + level / 2)) * paired_rate_error(only_candidate, only_baseline, n)
    return max(-1.0, centre - half), min(1.0, centre + half)


def paired_rate_error(only_candidate: int, only_baseline: int, n: int) -> float:
    """Return the standard error of that interval: of a difference of two rates, with a pseudo-count of each kind of discordant pair."""
    a, b = (only_candidate + 1) / (n + 2), (only_baseline + 1) / (n + 2)
    return math.sqrt((a + b - (a - b) ** 2) / (n + 2))
