"""From an interval and a margin to a word (METHODS §8). Never from a point estimate."""

from __future__ import annotations

from balora_audit.records import Verdict

__all__ = ["minimum_detectable_effect", "verdict"]


def verdict(ci_low: float | None, ci_high: float | None, margin: float, higher_is_better: bool) -> Verdict:
    """Judge the claim *the candidate is better than the baseline by more than the margin*.

    ``supported``: the whole interval of Δ lies beyond the margin in the better direction; ``contradicted``: beyond it in the
    worse one; ``equivalent``: strictly inside ±margin; else ``inconclusive``. Without an interval: ``not run``.

    Examples
    --------
    >>> verdict(0.03, 0.08, 0.02, True), verdict(0.03, 0.08, 0.02, False), verdict(-0.01, 0.01, 0.02, True)
    ('supported', 'contradicted', 'equivalent')
    """
    if margin < 0:
        raise ValueError(f"the margin must be 0 or more, got {margin}")
    if ci_low is None or ci_high is None:
        return "not run"
    if ci_low > ci_high:
        raise ValueError(f"the interval is upside down: {ci_low} to {ci_high}")
    if ci_low > margin:
        return "supported" if higher_is_better else "contradicted"
    if ci_high < -margin:
        return "contradicted" if higher_is_better else "supported"
    if (-margin < ci_low and ci_high < margin) or ci_low == ci_high == 0:
        return "equivalent"
    return "inconclusive"


def minimum_detectable_effect(margin: float, detectable: float) -> float:
    """Return the smallest true difference of which a design would make *supported* with 80 % power.

    Parameters
    ----------
    margin : float
        δ, 0 or more: an interval that only excludes 0 supports nothing.
    detectable : float
        ``(q₀.₉₇₅ + q₀.₈)·SE`` with the quantiles of the interval (`PairedResult.detectable`).
    """
    if margin < 0 or detectable < 0:
        raise ValueError(f"margin and detectable difference must be 0 or more, got {margin} and {detectable}")
    return margin + detectable
