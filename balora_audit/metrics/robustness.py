"""What noise in inputs and labels does to answers (METHODS §4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from balora_audit.metrics.arrays import Float, labels

__all__ = ["agreement", "flip_rate", "mce", "memorisation", "relative_drop", "severity_area"]


def flip_rate(p: Any, q: Any) -> float:
    """Return the share of items on which two sets of answers differ; symmetric."""
    a, b = labels(p, name="p"), labels(q, name="q")
    if len(a) != len(b):
        raise ValueError(f"p and q must have one length, got {len(a)} and {len(b)}")
    return float((a != b).mean())


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
    answer, wrong, true = labels(pred, name="pred"), labels(noisy, name="noisy"), labels(clean, name="clean")
    if not len(answer) == len(wrong) == len(true):
        raise ValueError(f"pred, noisy and clean must have one length, got {len(answer)}, {len(wrong)} and {len(true)}")
    changed = wrong != true
    if not changed.any():
        raise ValueError("no noisy label differs from the clean one: memorisation is undefined")
    return float((answer[changed] == wrong[changed]).mean())


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
