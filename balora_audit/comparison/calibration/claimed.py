"""Simulated evidence of what default claims rest on: differences inside an item, matched rates, features of fewer items than dimensions."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from balora_audit.comparison.calibration.kind import Kind, item_names, normal_items
from balora_audit.metrics import linear_cka, tpr_gap_squared
from balora_audit.metrics.spectral import OF_SINGULAR_VALUES, leave_group_out_singular_values, singular_values
from balora_audit.stats import ItemScores, Jackknife
from balora_audit.stats.items import FloatArray

__all__ = ["CLAIMED", "survival_scores"]

_COPIES = 4
_WIDE = (128, 576)
"""Items and dimensions of a small language model's features, as an audit has them."""

_GROUPS = 40
_PARTS = 20


def survival_scores(right_N: FloatArray, survives: float, rng: np.random.Generator) -> ItemScores:
    """Return which items are right on clean text, and how many of their noisy copies stay right, each with probability `survives`."""
    kept_N = (rng.random((len(right_N), _COPIES)) < survives).mean(axis=1)
    return ItemScores(ids=item_names(len(right_N)), numerators=(right_N * kept_N)[None], denominators=right_N[None], common=True)


def _survival(easy_N: FloatArray, skill: float, rng: np.random.Generator) -> ItemScores:
    """Draw a model whose accuracy on clean text has nothing to do with what survives: the two models of a pair are unequal in skill."""
    clean = 0.5 + rng.normal(0, 0.5)
    right_N = (easy_N + rng.normal(0, 0.3, len(easy_N)) < clean).astype(np.float64)
    return survival_scores(right_N, _survives(skill), rng)


def _survives(skill: float) -> float:
    return float(norm.cdf(1.0 + skill))


def _difference(first_N: NDArray[np.bool_], second_N: NDArray[np.bool_]) -> ItemScores:
    return ItemScores.mean_of(item_names(len(first_N)), first_N.astype(np.float64) - second_N)


def _excess(easy_N: FloatArray, skill: float, rng: np.random.Generator) -> ItemScores:
    """Draw whether an item's answer flips with the gender and with the placebo: one propensity, two thresholds."""
    gender_N, placebo_N = (easy_N + rng.normal(0, 0.5, len(easy_N)) < offset for offset in (-0.8 + skill, -1.0))
    return _difference(gender_N, placebo_N)


def _excess_truth(skill: float) -> float:
    return float(np.subtract(*norm.cdf(np.array([-0.8 + skill, -1.0]) / np.sqrt(1.25))))


def _lean(easy_N: FloatArray, skill: float, rng: np.random.Generator) -> ItemScores:
    moved_N = easy_N + rng.normal(0, 0.5, len(easy_N))
    both_KN = np.array([moved_N < -0.6 + skill / 2, moved_N > 1.0], dtype=np.float64)
    names = item_names(len(easy_N))
    return ItemScores(ids=names, numerators=both_KN, denominators=np.ones_like(both_KN), combine="rms_difference")


def _lean_truth(skill: float) -> float:
    return float(abs(norm.cdf((-0.6 + skill / 2) / np.sqrt(1.25)) - norm.cdf(-1.0 / np.sqrt(1.25))))


def _cost(easy_N: FloatArray, skill: float, rng: np.random.Generator) -> ItemScores:
    """Draw answers to two rare classes under the control and under imbalance."""
    before_N, after_N = (easy_N + rng.normal(0, 0.3, len(easy_N)) < offset for offset in (1.2, 0.8 - skill))
    of_class_KN = np.array([np.arange(len(easy_N)) % 2 == c for c in range(2)], dtype=np.float64)
    change_N = before_N.astype(np.float64) - after_N
    return ItemScores(ids=item_names(len(easy_N)), numerators=of_class_KN * change_N, denominators=of_class_KN)


def _cost_truth(skill: float) -> float:
    return float(np.subtract(*norm.cdf(np.array([1.2, 0.8 - skill]) / np.sqrt(1.09))))


def _gap_squared(easy_N: FloatArray, skill: float, rng: np.random.Generator) -> Jackknife:
    index_N = np.arange(len(easy_N))
    class_N, group_N = index_N % 2, index_N // 2 % 2
    right_N = rng.random(len(easy_N)) < norm.cdf((group_N - 0.5) * (1.2 + skill) + easy_N)
    answer_N = np.where(right_N, class_N, 1 - class_N)
    part_N = index_N // 4 % _PARTS  # each part has some of every class and group

    def of(kept_N: np.ndarray) -> float:
        return tpr_gap_squared(class_N[kept_N], answer_N[kept_N], group_N[kept_N])

    left_out = np.array([of(part_N != part) for part in range(part_N.max() + 1)])
    everything_N = np.ones(len(easy_N), dtype=bool)
    return Jackknife(items=len(easy_N), estimate=of(everything_N), left_out=left_out, sizes=np.bincount(part_N))


def _gap_squared_truth(skill: float) -> float:
    half = (1.2 + skill) / 2 / np.sqrt(2)
    return float((norm.cdf(half) - norm.cdf(-half)) ** 2)


def _wide_items(n: int, rng: np.random.Generator) -> FloatArray:
    return rng.normal(size=(n, _WIDE[1]))


def _falling(skill: float) -> FloatArray:
    return np.asarray(np.exp(-np.arange(_WIDE[1]) * (0.02 - 0.004 * skill)), dtype=np.float64)


def _dealt(n: int) -> NDArray[np.int64]:
    return np.asarray(np.arange(n) % _GROUPS)


def _wide_features(z_ND: FloatArray, skill: float, rng: np.random.Generator) -> FloatArray:
    return np.asarray((0.9 * z_ND + np.sqrt(1 - 0.81) * rng.normal(size=z_ND.shape)) * _falling(skill))


def _wide_rank(z_ND: FloatArray, skill: float, rng: np.random.Generator) -> Jackknife:
    x_ND, of = _wide_features(z_ND, skill, rng), OF_SINGULAR_VALUES["effective_rank"]
    groups_N = _dealt(len(x_ND))
    left_out = np.array([of(sigma) for sigma in leave_group_out_singular_values(x_ND, groups_N)])
    return Jackknife(items=len(x_ND), estimate=of(singular_values(x_ND)), left_out=left_out, sizes=np.bincount(groups_N))


_GRID = np.linspace(-1.5, 2.0, 8)
_TRUTH_DRAWS = 60


@cache
def _rank_curve() -> FloatArray:
    """Return the expected rank of as many items at skills on a grid, from draws of their own: a rank has no truth without its N."""
    rng = np.random.default_rng(2024)
    sums = np.zeros(len(_GRID))
    for _ in range(_TRUTH_DRAWS):
        z_ND = _wide_items(_WIDE[0], rng)
        state = rng.bit_generator.state
        for place, skill in enumerate(_GRID):
            rng.bit_generator.state = state  # the same noise at every skill
            sums[place] += OF_SINGULAR_VALUES["effective_rank"](singular_values(_wide_features(z_ND, skill, rng)))
    return np.asarray(sums / _TRUTH_DRAWS)


def _wide_rank_truth(skill: float) -> float:
    return float(np.interp(skill, _GRID, _rank_curve()))


def _kept(skill: float) -> float:
    return 0.6 - 0.2 * float(np.tanh(skill))


def _wide_cka(z_ND: FloatArray, skill: float, rng: np.random.Generator) -> Jackknife:
    """Draw features that share a part with the base's, and their debiased CKA with it."""
    base_ND, own_ND = z_ND * _falling(0.0), rng.normal(size=z_ND.shape) * _falling(0.0)
    x_ND = _kept(skill) * base_ND + (1 - _kept(skill)) * own_ND
    groups_N = _dealt(len(x_ND))

    def of(kept_N: np.ndarray) -> float:
        return linear_cka(x_ND[kept_N], base_ND[kept_N], debiased=True)

    left_out = np.array([of(groups_N != group) for group in range(_GROUPS)])
    everything_N = np.ones(len(x_ND), dtype=bool)
    return Jackknife(items=len(x_ND), estimate=of(everything_N), left_out=left_out, sizes=np.bincount(groups_N), within=(-1, 1))


def _wide_cka_truth(skill: float) -> float:
    shared, own = _kept(skill) ** 2, (1 - _kept(skill)) ** 2
    return shared / (shared + own)  # of covariances that are multiples of one another


CLAIMED: dict[str, Kind] = {
    "survival": Kind(metric="survival", items=normal_items, draw=_survival, truth=_survives),
    "excess": Kind(metric="excess_flips", items=normal_items, draw=_excess, truth=_excess_truth),
    "lean": Kind(metric="stereotype_lean", items=normal_items, draw=_lean, truth=_lean_truth),
    "cost": Kind(metric="imbalance_cost", items=normal_items, draw=_cost, truth=_cost_truth),
    "gap squared": Kind(metric="tpr_gap_squared", items=normal_items, draw=_gap_squared, truth=_gap_squared_truth, sizes=(150, 400)),
    "wide rank": Kind(
        metric="general_effective_rank", items=_wide_items, draw=_wide_rank, truth=_wide_rank_truth, sizes=(_WIDE[0],), share=0.25
    ),
    "wide CKA": Kind(metric="cka_to_base", items=_wide_items, draw=_wide_cka, truth=_wide_cka_truth, sizes=(_WIDE[0],), share=0.25),
}
"""By the name on the page."""
