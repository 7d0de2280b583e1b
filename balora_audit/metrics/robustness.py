"""What noise in inputs and labels does to answers (METHODS §4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from balora_audit.metrics.arrays import Float, labels, of_one_length
from balora_audit.metrics.ratios import Ratios

__all__ = [
    "agreement",
    "flip_rate",
    "flips",
    "mce",
    "memorisation",
    "memorisation_ratios",
    "recovery_ratios",
    "relative_drop",
    "relative_mce",
    "severity_area",
]


def flip_rate(p: Any, q: Any) -> float:
    """Return the share of items on which two sets of answers differ; symmetric."""
    a, b = labels(p, name="p"), labels(q, name="q")
    of_one_length(p=a, q=b)
    return float(flips(a, b).mean())


def flips(p: Any, q: Any) -> NDArray[np.bool_]:
    """Return whether each answer differs from the other one to its item; (…, N) answers against (N,) or as many."""
    return np.asarray(np.asarray(p) != np.asarray(q))


def agreement(answers: Any) -> Float:
    """Return for each item the share of pairs of its noisy copies that have the same answer, (copies, N) → (N,), 0 to 1.

    With n_c copies answered c, of R ≥ 2: ``Σ n_c(n_c − 1) / (R(R − 1))``.
    """
    a: NDArray[np.int64] = np.asarray(answers)
    if a.ndim != 2 or len(a) < 2:
        raise ValueError(f"need at least two copies of every item, (copies, items), got shape {a.shape}")
    counts = np.stack([(a == c).sum(axis=0) for c in np.unique(a)])
    return np.asarray((counts * (counts - 1)).sum(axis=0) / (len(a) * (len(a) - 1)), dtype=np.float64)


def memorisation(pred: Any, noisy: Any, clean: Any) -> float:
    """Return, among items whose noisy and clean labels differ, the share predicted as the noisy label.

    Raises `ValueError` when no label differs: there is nothing that could have been memorised.
    """
    found = memorisation_ratios(pred, noisy, clean).value()
    if found is None:
        raise ValueError("no noisy label differs from the clean one: memorisation is undefined")
    return found


def memorisation_ratios(pred: Any, noisy: Any, clean: Any) -> Ratios:
    """Return the rate of items answered with the noisy label, among those where it differs from the clean one."""
    answer, wrong, true = labels(pred, name="pred"), labels(noisy, name="noisy"), labels(clean, name="clean")
    of_one_length(pred=answer, noisy=wrong, clean=true)
    changed = wrong != true
    return Ratios(numerators=(changed & (answer == wrong)).astype(np.float64)[None], denominators=changed.astype(np.float64)[None])


def recovery_ratios(pred: Any, noisy: Any, clean: Any) -> Ratios:
    """Return the rate of items answered with the clean label, among those where the noisy one differs from it."""
    return memorisation_ratios(pred, noisy=clean, clean=noisy)


def relative_drop(clean: float, noisy: float) -> float:
    """Return ``(clean − noisy)/clean`` for two accuracies (PromptBench's performance drop rate); at most 1."""
    if not (0 < clean <= 1 and 0 <= noisy <= 1):
        raise ValueError(f"need 0 < clean ≤ 1 and 0 ≤ noisy ≤ 1, got {clean} and {noisy}")
    return (clean - noisy) / clean


def severity_area(severities: Sequence[float], values: Any) -> float:
    """Return the area under values over severities by the trapezoid rule, divided by the range: a mean over severity."""
    x, y = np.asarray(severities, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2 or (np.diff(x) <= 0).any():
        raise ValueError("need at least two ascending severities and one value for each")
    return float(np.trapezoid(y, x) / (x[-1] - x[0]))


def relative_mce(errors: Any, clean: float, base_errors: Any, base_clean: float) -> float:
    """Return the relative mean corruption error: ``mean over kinds of Σ_s (E − E_clean) / Σ_s (E_base − E_base,clean)``.

    As `mce`, with the error on clean texts taken off on both sides: what noise adds (Hendrycks & Dietterich 2019, arXiv 1903.12261).

    Raises
    ------
    ValueError
        Some kind of noise adds nothing to the base's errors: the ratio is undefined.
    """
    mine: Float = np.asarray(errors, dtype=np.float64)
    base: Float = np.asarray(base_errors, dtype=np.float64)
    if mine.ndim != 2 or mine.shape != base.shape:
        raise ValueError(f"need two (kinds, severities) matrices of one shape, got {mine.shape} and {base.shape}")
    rise_K, base_rise_K = (mine - clean).sum(axis=1), (base - base_clean).sum(axis=1)
    if (base_rise_K <= 0).any():
        raise ValueError("some kind of noise adds nothing to the base's errors: the ratio is undefined")
    return float((rise_K / base_rise_K).mean())


def mce(errors: Any, base_errors: Any) -> float:
    """Return the mean corruption error: ``mean over kinds of Σ_s E[kind, s] / Σ_s E_base[kind, s]``.

    Both (kinds, severities), error rates (Hendrycks & Dietterich 2019, arXiv 1903.12261, with `base` in AlexNet's place).
    """
    mine: Float = np.asarray(errors, dtype=np.float64)
    base: Float = np.asarray(base_errors, dtype=np.float64)
    if mine.ndim != 2 or mine.shape != base.shape:
        raise ValueError(f"need two (kinds, severities) matrices of one shape, got {mine.shape} and {base.shape}")
    if (base.sum(axis=1) <= 0).any():
        raise ValueError("the base makes no error under some kind of noise: the ratio is undefined")
    return float((mine.sum(axis=1) / base.sum(axis=1)).mean())
