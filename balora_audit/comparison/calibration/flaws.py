"""Simulated flaws of tuned methods: how each depends on skill, and how one model's evidence of it is drawn.

Shapes: N item, M text, D feature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.stats import norm

from balora_audit.comparison.calibration.kind import item_names, normal_items
from balora_audit.comparison.calibration.simulate import KINDS
from balora_audit.stats import ItemScores, Jackknife
from balora_audit.stats.items import FloatArray

__all__ = ["FLAWS", "TEST_ITEMS", "Flaw"]

TEST_ITEMS = 384
_TEXTS, _ROWS = 72, 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """What is asked of two tuned methods.

    Parameters
    ----------
    probe, metric
        The record that stands for it, with its margin and its direction.
    at : callable
        Skill → flaw: the one frontier of both methods.
    draw : callable
        (truth, what all models share of the items, generator) → one model's evidence.
    shared : callable
        Generator → what all models share of the items.
    gap : float
        A clear vertical gap, to be found.
    between : float
        Standard deviation over seeds of a checkpoint's flaw at its skill, where there are several.
    """

    probe: str
    metric: str
    at: Callable[[float], float]
    draw: Callable[[float, FloatArray, np.random.Generator], ItemScores | Jackknife]
    shared: Callable[[np.random.Generator], FloatArray]
    gap: float
    between: float


def _items(rng: np.random.Generator) -> FloatArray:
    return normal_items(TEST_ITEMS, rng)


def _rate(truth: float, flawed_N: FloatArray, rng: np.random.Generator) -> ItemScores:
    """Draw a rate on the test items themselves."""
    hit_N = flawed_N + rng.normal(0, 0.6, len(flawed_N)) < norm.ppf(truth) * np.sqrt(1.36)
    return ItemScores.mean_of(item_names(len(flawed_N)), hit_N.astype(np.float64))


def _texts(rng: np.random.Generator) -> FloatArray:
    return normal_items(_TEXTS, rng)


def _per_token(truth: float, hard_M: FloatArray, rng: np.random.Generator) -> ItemScores:
    """Draw a mean per token of texts that are no test items, log-normal from text to text."""
    tokens_M = np.asarray(24.0 + np.arange(len(hard_M)) % 80, dtype=np.float64)
    value_M = max(truth, 0.0) * np.exp(0.5 * hard_M + 0.15 * rng.normal(size=len(hard_M)) - (0.25 + 0.0225) / 2)
    names = tuple(f"text {index}" for index in range(len(hard_M)))
    return ItemScores(ids=names, numerators=(value_M * tokens_M)[None], denominators=tokens_M[None])


def _features(rng: np.random.Generator) -> FloatArray:
    return KINDS["jackknife"].items(_ROWS, rng)


def _rank(truth: float, z_ND: FloatArray, rng: np.random.Generator) -> Jackknife:
    """Draw the effective rank of features whose spectrum falls as skill rises."""
    flat = float(np.interp(truth, _RANKS, _FLATNESS))
    return cast(Jackknife, KINDS["jackknife"].draw(z_ND, flat, rng))


_FLATNESS = np.linspace(-3.0, 1.8, 97)
_RANKS = np.array([KINDS["jackknife"].truth(flat) for flat in _FLATNESS])
"""The effective rank of eight features rises with how flat their spectrum is."""


FLAWS: dict[str, Flaw] = {
    "flips": Flaw(
        probe="imbalance", metric="counterfactual_flip_rate", at=lambda s: 0.08 + 0.5 * max(0.0, s - 0.4) ** 1.5,
        draw=_rate, shared=_items, gap=0.12, between=0.015,
    ),
    "KL": Flaw(
        probe="drift", metric="kl_per_token", at=lambda s: 0.05 * float(np.exp(11 * (s - 0.6))),
        draw=_per_token, shared=_texts, gap=0.15, between=0.015,
    ),
    "noise": Flaw(
        probe="noise", metric="accuracy_under_noise", at=lambda s: 0.3 + 0.75 * (s - 0.35),
        draw=_rate, shared=_items, gap=-0.1, between=0.015,
    ),
    "rank": Flaw(
        probe="collapse", metric="general_effective_rank", at=lambda s: 6.4 - 2.5 * (s - 0.45),
        draw=_rank, shared=_features, gap=-0.8, between=0.1,
    ),
}  # fmt: skip
"""By the name on the page."""
