"""Differences between families of models at equal skill: contrasts of their frontiers of (skill, flaw) (METHODS §9).

Shapes: C family, K point of a frontier, R replicate, Q piece of the common range, S seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from balora_audit.stats.items import FloatArray, ItemScores
from balora_audit.stats.joint import Evidence, JointDraws
from balora_audit.stats.seeds import POWER, over_seeds

__all__ = ["Contrast", "Curve", "Levels", "common_levels", "contrast", "curvature", "frontier_contrast", "rising"]

_FEWEST_FOR_CURVATURE = 2
"""Points more than families, without which a parabola says nothing."""

_MOST_WITHOUT = 0.1
"""Of the resamples, at most this share may have no common range of skill."""

_UNCERTAIN = "too few items differ for an interval that could be trusted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One family under one seed: the evidence of skill and of the flaw at each of its K points."""

    skill: tuple[Evidence, ...]
    flaw: tuple[Evidence, ...]

    def __post_init__(self) -> None:
        if len(self.skill) != len(self.flaw) or not self.skill:
            raise ValueError(f"a curve needs a skill and a flaw for each of at least one point, got {len(self.skill)} and {len(self.flaw)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """A weighted sum over families, with its interval; without one, ``reason`` says why. Without a common range there is no sum.

    ``levels`` are the families' own values. Of frontiers, ``skill_low`` and ``skill_high`` are the ends of the common range of skill, and
    ``interpolation`` is how far the sum could be off because points are joined by straight lines; the interval contains it.
    """

    delta: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    levels: tuple[float, ...] = ()
    skill_low: float | None = None
    skill_high: float | None = None
    interpolation: float = 0.0
    detectable: float | None = None
    n_items: int = 0
    reason: str | None = None


def frontier_contrast(
    families: Sequence[Sequence[Curve]],
    weights: Sequence[float],
    *,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Contrast:
    """Return Σ_c w_c · (mean of family c's frontier over the range of skill that all have in common), with its interval.

    Parameters
    ----------
    families : sequence of C sequences of S curves
        One curve for each seed.
    weights : sequence of C numbers
        That sum to 0: (1, −1) is the gap of the first frontier over the second.
    level, n_resamples, seed
        Of the interval, of the bootstrap, of its generator.

    Notes
    -----
    METHODS §9. Items are resampled once for all points of all frontiers and all seeds (`JointDraws`), and the frontiers are joined anew in
    each resample: points move in both directions. One seed: Δ ± q·SE with the standard deviation of the resamples and a normal q.
    Several: `over_seeds`.

    Straight lines between few points of a bent curve lie to one side of it, further off where points lie further apart, so that two
    families on one and the same curve show a gap. How bent a curve is that all would share follows from all points (`curvature`); by how
    much that would change the contrast widens the interval on both sides.
    """
    w_C = _weights_of(families, weights)
    draws = JointDraws([e for family in families for curve in family for e in (*curve.skill, *curve.flaw)], n_resamples, seed=seed)
    deltas, resampled, ranges, levels, bends = [], [], [], [], []
    for curves in zip(*families, strict=True):
        points = [(_observed(curve.skill), _observed(curve.flaw)) for curve in curves]
        if any(value is None for pair in points for values in pair for value in values):
            return Contrast(reason="a point of a frontier has no value")
        xs = [np.array([skills], dtype=np.float64) for skills, _ in points]
        ys = [np.array([flaws], dtype=np.float64) for _, flaws in points]
        found = common_levels(xs, ys)
        if not math.isfinite(found.means_RC[0, 0]):
            return Contrast(reason="the frontiers have no common range of skill")
        levels.append(found.means_RC[0])
        deltas.append(float(found.means_RC[0] @ w_C))
        ranges.append((float(found.low_R[0]), float(found.high_R[0])))
        bends.append(abs(curvature([x[0] for x in xs], [y[0] for y in ys]) * float(found.bows_RC[0] @ w_C)))
        again = common_levels([draws.of(curve.skill) for curve in curves], [draws.of(curve.flaw) for curve in curves])
        resampled.append(again.means_RC @ w_C)
    whole = Contrast(
        delta=float(np.mean(deltas)),
        levels=tuple(float(value) for value in np.mean(levels, axis=0)),
        skill_low=float(np.mean([low for low, _ in ranges])),
        skill_high=float(np.mean([high for _, high in ranges])),
        interpolation=float(np.mean(bends)),
        n_items=min(_counting(found) for family in families for curve in family for found in curve.flaw),
    )
    return _with_interval(whole, np.array(deltas), np.stack(resampled), draws.items, level)


def contrast(
    families: Sequence[Sequence[Evidence]], weights: Sequence[float], *, level: float = 0.95, n_resamples: int = 2000, seed: int = 0
) -> Contrast:
    """Return Σ_c w_c · (value of family c), one piece of evidence for each seed, with the interval of `frontier_contrast`."""
    w_C = _weights_of(families, weights)
    draws = JointDraws([found for family in families for found in family], n_resamples, seed=seed)
    values = [_observed(of_seed) for of_seed in zip(*families, strict=True)]
    if any(value is None for of_seed in values for value in of_seed):
        return Contrast(reason="one of the models has no value")
    value_SC = np.array(values, dtype=np.float64)
    resampled = np.stack([draws.of(of_seed) @ w_C for of_seed in zip(*families, strict=True)])
    levels = tuple(float(value) for value in value_SC.mean(axis=0))
    count = min(_counting(found) for family in families for found in family)
    whole = Contrast(delta=float((value_SC @ w_C).mean()), levels=levels, n_items=count)
    return _with_interval(whole, value_SC @ w_C, resampled, draws.items, level)


def _weights_of(families: Sequence[Sequence[object]], weights: Sequence[float]) -> FloatArray:
    """Return the weights, (C,), of families that all have as many seeds."""
    seeds = len(families[0])
    if seeds == 0 or any(len(family) != seeds for family in families) or len(weights) != len(families):
        raise ValueError("need one weight for each family, and the same number of seeds, at least one, for all of them")
    return np.asarray(weights, dtype=np.float64)


def _counting(found: Evidence) -> int:
    """Return how many items a statistic is of."""
    return int((found.denominators != 0).any(axis=0).sum()) if isinstance(found, ItemScores) else found.items


def _observed(evidence: Sequence[Evidence]) -> list[float | None]:
    return [found.value() if isinstance(found, ItemScores) else found.estimate for found in evidence]


def _with_interval(found: Contrast, by_seed_S: FloatArray, draws_SR: FloatArray, items: int, level: float) -> Contrast:
    kept_R = np.isfinite(draws_SR).all(axis=0)
    if 1 - kept_R.mean() > _MOST_WITHOUT:
        return Contrast(n_items=found.n_items, reason="the ranges of skill hardly overlap: too many resamples have none in common")
    slack, delta = found.interpolation, float(by_seed_S.mean())
    covariance_SS = np.atleast_2d(np.cov(draws_SR[:, kept_R]))
    if len(by_seed_S) > 1:
        together = over_seeds(by_seed_S, covariance_SS, items - 1, level, crossed=True)
        if together.bounds is None or together.detectable is None:
            return replace(found, reason=_UNCERTAIN)
        low, high = together.bounds
        return replace(found, ci_low=low - slack, ci_high=high + slack, p_value=together.p_value, detectable=together.detectable + slack)
    error = math.sqrt(float(covariance_SS[0, 0]))
    if error == 0:  # also where few items agree in everything, which shows little
        return replace(found, reason=_UNCERTAIN)
    half = float(norm.ppf(0.5 + level / 2)) * error
    return replace(
        found,
        ci_low=delta - half - slack,
        ci_high=delta + half + slack,
        p_value=float(2 * norm.sf(max(0.0, abs(delta) - slack) / error)),
        detectable=half + float(norm.ppf(POWER)) * error + slack,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Per replicate: the mean of each family's polyline over the common range (NaN without one), its ends, and each family's bow.

    A bow is the mean of (s − a)(s − b) over the range, a and b the ends of the piece on which s lies: times half the second derivative
    of a curve, it is what the curve's chords are off by.
    """

    means_RC: FloatArray
    low_R: FloatArray
    high_R: FloatArray
    bows_RC: FloatArray


def common_levels(xs: Sequence[FloatArray], ys: Sequence[FloatArray]) -> Levels:
    """Return the exact means of C polylines, each (R, K_c), over the range of x that all of them cover.

    Points are joined in order of x; those of one x are one point with their mean y, which is what the two orders of points that all but
    have one x give on average. A range of a single x takes the values there.

    Examples
    --------
    >>> x, y = np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]])
    >>> common_levels([x, x + 0.5], [y, y]).means_RC
    array([[0.75, 0.25]])
    """
    orders = [np.argsort(x, axis=1, kind="stable") for x in xs]
    xs = [np.take_along_axis(x, order, 1) for x, order in zip(xs, orders, strict=True)]
    ys = [_levelled(x, np.take_along_axis(y, order, 1)) for x, y, order in zip(xs, ys, orders, strict=True)]
    low_R = np.max([x[:, 0] for x in xs], axis=0)
    high_R = np.min([x[:, -1] for x in xs], axis=0)
    width_R = high_R - low_R
    knots_RM = np.sort(np.clip(np.concatenate(xs, axis=1), low_R[:, None], np.maximum(low_R, high_R)[:, None]), axis=1)
    widths_RQ, middles_RQ = np.diff(knots_RM, axis=1), (knots_RM[:, 1:] + knots_RM[:, :-1]) / 2
    wide_R1 = (width_R > 0)[:, None]
    shares_RQ = np.where(wide_R1, widths_RQ / np.where(wide_R1, width_R[:, None], 1.0), 1 / widths_RQ.shape[1])
    values = [_along(x, y, middles_RQ) for x, y in zip(xs, ys, strict=True)]
    # between two knots every polyline is straight: its mean is its middle; that of (s − a)(s − b) is its middle plus width²/12
    means = [(shares_RQ * value).sum(axis=1) for value, _ in values]
    bows = [(shares_RQ * (bow + widths_RQ**2 / 12)).sum(axis=1) for _, bow in values]
    return Levels(
        means_RC=np.where((width_R >= 0)[:, None], np.stack(means, axis=1), np.nan), low_R=low_R, high_R=high_R, bows_RC=np.stack(bows, 1)
    )


def _levelled(x_RK: FloatArray, y_RK: FloatArray) -> FloatArray:
    """Return the mean y of the points that have the same x, for each point."""
    same_RKK = (x_RK[:, :, None] == x_RK[:, None, :]).astype(np.float64)
    count_RK = same_RKK.sum(axis=2)
    return np.where(count_RK > 1, (same_RKK * y_RK[:, None, :]).sum(axis=2) / np.maximum(count_RK, 1), y_RK)


def _along(x_RK: FloatArray, y_RK: FloatArray, at_RQ: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the value of each sorted polyline at the given places, and (s − a)(s − b) with a, b the ends of the piece."""
    if x_RK.shape[1] == 1:
        return np.broadcast_to(y_RK, at_RQ.shape), np.zeros_like(at_RQ)
    left_RQ = np.clip((at_RQ[:, :, None] >= x_RK[:, None, :]).sum(axis=2) - 1, 0, x_RK.shape[1] - 2)
    a_RQ, b_RQ = np.take_along_axis(x_RK, left_RQ, 1), np.take_along_axis(x_RK, left_RQ + 1, 1)
    from_RQ, to_RQ = np.take_along_axis(y_RK, left_RQ, 1), np.take_along_axis(y_RK, left_RQ + 1, 1)
    share_RQ = np.where(b_RQ > a_RQ, (at_RQ - a_RQ) / np.where(b_RQ > a_RQ, b_RQ - a_RQ, 1.0), 0.5)
    return from_RQ + np.clip(share_RQ, 0.0, 1.0) * (to_RQ - from_RQ), (at_RQ - a_RQ) * (at_RQ - b_RQ)


def curvature(xs: Sequence[FloatArray], ys: Sequence[FloatArray]) -> float:
    """Return half the second derivative of the parabola that fits all points best, each family at a level of its own.

    0 where there are too few points to see one.
    """
    x_M, y_M = np.concatenate(xs), np.concatenate(ys)
    if len(x_M) < len(xs) + _FEWEST_FOR_CURVATURE + 1 or len(np.unique(x_M)) < 3:
        return 0.0
    family_M = np.repeat(np.arange(len(xs)), [len(x) for x in xs])
    centred_M = x_M - x_M.mean()
    design = np.stack([*(family_M == family for family in range(len(xs))), centred_M, centred_M**2], axis=1).astype(np.float64)
    return float(np.linalg.lstsq(design, y_M, rcond=None)[0][-1])


def rising(rates: Sequence[float], skills: Sequence[float]) -> NDArray[np.bool_]:
    """Return which points lie on the branch on which a higher rate brings more skill: up to the rate of the most skilled one.

    Beyond it training is too hot: skill falls again while flaws go on growing, so that one skill would have two flaws.

    Examples
    --------
    >>> rising([1e-4, 1e-3, 1e-2], [0.5, 0.8, 0.6]).tolist()
    [True, True, False]
    """
    top = rates[int(np.argmax(skills))]
    return np.asarray([rate <= top for rate in rates])
