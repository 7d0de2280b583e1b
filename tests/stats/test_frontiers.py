"""Frontiers against integrals on a dense grid, explicit resamples and exact parabolas; what must not change them does not."""

import math

import numpy as np
import pytest
import scipy.integrate
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from balora_audit.stats import Contrast, Curve, ItemScores, Jackknife, contrast, frontier_contrast, over_seeds, paired, rising
from balora_audit.stats.frontiers import common_levels, curvature
from balora_audit.stats.joint import JointDraws

COUNT = 120
IDS = tuple(f"item {number}" for number in range(COUNT))
SKILLS, FLAWS = (0.4, 0.55, 0.7, 0.8), (0.1, 0.15, 0.3, 0.5)

on_a_grid = st.lists(st.tuples(st.integers(0, 6), st.integers(-5, 5)), min_size=1, max_size=6)
polylines = st.lists(on_a_grid, min_size=2, max_size=3)


def scores(value, rng, spread=0.3, ids=IDS):
    """Return items whose mean is exactly the value."""
    noise = rng.normal(0, spread, len(ids))
    return ItemScores.mean_of(ids, value + noise - noise.mean())


def curve(skills, flaws, rng, **more):
    return Curve(skill=tuple(scores(x, rng, **more) for x in skills), flaw=tuple(scores(y, rng, **more) for y in flaws))


def split(points):
    x, y = np.array(points, dtype=float).T
    return x[None], y[None]


def integrated(families):
    """Return the mean of each polyline over the common range by numerical integration; equal x are one point with their mean y."""
    lines = []
    for points in families:
        xs = sorted({x for x, _ in points})
        lines.append((xs, [np.mean([y for x, y in points if x == at]) for at in xs]))
    low, high = max(xs[0] for xs, _ in lines), min(xs[-1] for xs, _ in lines)
    if low > high:
        return None
    if low == high:
        return [float(np.interp(low, *line)) for line in lines]
    knots = sorted({x for xs, _ in lines for x in xs if low < x < high})
    means = []
    for line in lines:
        area, _ = scipy.integrate.quad(lambda s, line=line: np.interp(s, *line), low, high, points=knots or None, limit=200)
        means.append(area / (high - low))
    return means


@settings(max_examples=150, deadline=None)
@given(polylines)
def test_means_over_the_common_range_are_those_of_a_numerical_integral(families):
    """Points lie on a coarse grid, so that equal x, ranges that touch, and none in common all occur."""
    found = common_levels(*zip(*map(split, families), strict=True))
    expected = integrated(families)
    if expected is None:
        assert np.isnan(found.means_RC).all()
    else:
        assert found.means_RC[0] == pytest.approx(expected, abs=1e-8)


def test_many_polylines_at_once_are_each_as_if_alone():
    rng = np.random.default_rng(3)
    xs, ys = ([rng.normal(size=(40, count)) for count in (3, 5)] for _ in range(2))
    found = common_levels(xs, ys)
    for row in range(40):
        alone = common_levels([x[row : row + 1] for x in xs], [y[row : row + 1] for y in ys])
        assert found.means_RC[row] == pytest.approx(alone.means_RC[0], nan_ok=True)
        assert found.bows_RC[row] == pytest.approx(alone.bows_RC[0])


@settings(max_examples=60, deadline=None)
@given(polylines, st.randoms(use_true_random=False), st.floats(-3, 3), st.sampled_from([0.5, 2.0, 3.0]))
def test_order_a_constant_and_the_scale_of_skill_change_no_gap(families, random, constant, scale):
    xs, ys = zip(*map(split, families), strict=True)
    gap = np.diff(common_levels(xs, ys).means_RC[0])
    shuffled = [random.sample(points, len(points)) for points in families]
    assert np.diff(common_levels(*zip(*map(split, shuffled), strict=True)).means_RC[0]) == pytest.approx(gap, nan_ok=True)
    assert np.diff(common_levels(xs, [y + constant for y in ys]).means_RC[0]) == pytest.approx(gap, nan_ok=True)
    assert np.diff(common_levels([scale * x + 1 for x in xs], ys).means_RC[0]) == pytest.approx(gap, nan_ok=True)
    assert np.diff(common_levels(xs, [-y for y in ys]).means_RC[0]) == pytest.approx(-gap, nan_ok=True)


@pytest.mark.parametrize("seeds", [1, 3])
def test_swapping_the_two_methods_mirrors_the_interval(seeds):
    rng = np.random.default_rng(0)
    first = [curve(SKILLS, FLAWS, rng) for _ in range(seeds)]
    second = [curve((0.5, 0.65, 0.75), (0.2, 0.3, 0.4), rng) for _ in range(seeds)]
    one, other = frontier_contrast([first, second], (1, -1), n_resamples=300), frontier_contrast([second, first], (1, -1), n_resamples=300)
    assert (other.delta, other.ci_low, other.ci_high) == pytest.approx((-one.delta, -one.ci_high, -one.ci_low))
    assert other.p_value == pytest.approx(one.p_value)
    assert other.levels == pytest.approx(one.levels[::-1])
    assert (one.skill_low, one.skill_high) == pytest.approx((0.5, 0.75))


def test_a_frontier_against_itself_differs_by_nothing():
    frontier = [curve(SKILLS, FLAWS, np.random.default_rng(1))]
    found = frontier_contrast([frontier, frontier], (1, -1), n_resamples=100)
    assert found.delta == 0
    assert found.ci_low is None  # no item differs: that is no certainty
    assert "too few items differ" in found.reason


def test_frontiers_without_a_common_range_have_no_gap_and_a_reason():
    rng = np.random.default_rng(2)
    low, high = [curve((0.3, 0.4), (0.1, 0.2), rng)], [curve((0.7, 0.8), (0.1, 0.2), rng)]
    found = frontier_contrast([low, high], (1, -1), n_resamples=100)
    assert (found.delta, found.ci_low, found.p_value) == (None, None, None)
    assert "no common range" in found.reason
    touching = [curve((0.4, 0.8), (0.1, 0.2), rng)]
    assert "hardly overlap" in frontier_contrast([low, touching], (1, -1), n_resamples=200).reason


def test_a_point_without_a_value_is_told():
    rng = np.random.default_rng(2)
    nothing = ItemScores(ids=IDS, numerators=np.zeros((1, COUNT)), denominators=np.zeros((1, COUNT)))
    broken = Curve(skill=(scores(0.5, rng),), flaw=(nothing,))
    assert frontier_contrast([[broken], [broken]], (1, -1)).reason == "a point of a frontier has no value"
    assert contrast([[nothing], [nothing]], (1, -1)).reason == "one of the models has no value"


def test_the_interval_is_that_of_explicitly_repeated_items():
    rng, resamples = np.random.default_rng(4), 60
    families = [[curve(SKILLS, FLAWS, rng)], [curve((0.5, 0.6, 0.78), (0.1, 0.25, 0.4), rng)]]
    draws = JointDraws([families[0][0].skill[0]], resamples, seed=7)
    weights_RN = draws.of([scores_of_one(item) for item in range(COUNT)]) * COUNT
    gaps = []
    for weights_N in weights_RN.round().astype(int):
        drawn = np.repeat(np.arange(COUNT), weights_N)
        points = [
            [(x.numerators[0, drawn].mean(), y.numerators[0, drawn].mean()) for x, y in zip(one.skill, one.flaw, strict=True)]
            for (one,) in families
        ]
        first, second = integrated(points)
        gaps.append(first - second)
    found = frontier_contrast(families, (1, -1), n_resamples=resamples, seed=7)
    half = 1.959964 * np.std(gaps, ddof=1) + found.interpolation
    assert (found.ci_low, found.ci_high) == pytest.approx((found.delta - half, found.delta + half), rel=1e-6)
    assert found.interpolation > 0


def scores_of_one(item):
    return ItemScores.mean_of(IDS, np.eye(COUNT)[item])


def test_several_seeds_have_the_interval_over_seeds():
    rng, resamples = np.random.default_rng(5), 200
    families = [[scores(value, rng) for value in values] for values in ((0.5, 0.55, 0.58), (0.4, 0.41, 0.47))]
    found = contrast(families, (1, -1), n_resamples=resamples, seed=3)
    draws = JointDraws([one for family in families for one in family], resamples, seed=3)
    covariance_SS = np.cov((draws.of(families[0]) - draws.of(families[1])).T)
    expected = over_seeds(np.array([0.1, 0.14, 0.11]), covariance_SS, COUNT - 1, 0.95, crossed=True)
    assert (found.ci_low, found.ci_high) == pytest.approx(expected.bounds)
    assert (found.p_value, found.detectable) == pytest.approx((expected.p_value, expected.detectable))
    flat = [[Curve(skill=(scores(0.5, rng, spread=0.0),), flaw=(one,)) for one in family] for family in families]
    alike = frontier_contrast(flat, (1, -1), n_resamples=resamples, seed=3)  # frontiers of one point at one skill
    assert (alike.ci_low, alike.ci_high, alike.delta) == pytest.approx((found.ci_low, found.ci_high, found.delta))


@pytest.mark.parametrize("kind", ["numbers", "rate"])
def test_a_contrast_of_two_models_agrees_with_their_paired_difference(kind):
    rng = np.random.default_rng(6)
    easy = rng.normal(size=COUNT)
    mine, theirs = (easy + shift + rng.normal(0, 0.5, COUNT) for shift in (0.5, 0.0))
    if kind == "rate":
        mine, theirs = mine > 0, theirs > 0
    pair = [ItemScores.mean_of(IDS, values.astype(float)) for values in (mine, theirs)]
    plain = paired([pair[0]], [pair[1]], n_resamples=4000)
    found = contrast([[pair[0]], [pair[1]]], (1, -1), n_resamples=4000)
    assert found.delta == pytest.approx(plain.delta)
    assert found.levels == pytest.approx((plain.candidate_value, plain.baseline_value))
    assert found.ci_high - found.ci_low == pytest.approx(plain.ci_high - plain.ci_low, rel=0.08)
    assert found.n_items == plain.n_items == COUNT


parabolas = st.tuples(st.floats(-2, 2), st.floats(-3, 3), st.floats(-2, 2))
places = st.lists(st.integers(0, 40), min_size=3, max_size=6, unique=True).map(lambda xs: np.array(sorted(xs)) / 40)


@settings(max_examples=60, deadline=None)
@given(parabolas, places, places, st.floats(-1, 1))
def test_the_curvature_of_an_exact_parabola_is_recovered_whatever_the_gap(coefficients, first, second, gap):
    bend, slope, level = coefficients
    ys = [bend * x**2 + slope * x + level for x in (first, second)]
    assert curvature([first, second], [ys[0], ys[1] + gap]) == pytest.approx(bend, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(parabolas, places, places)
def test_the_slack_is_what_chords_of_a_parabola_are_off_by(coefficients, first, second):
    """Both families lie on one parabola at places of their own: every gap is the chords' error."""
    assume(max(first[0], second[0]) < min(first[-1], second[-1]))
    bend, slope, level = coefficients
    rng = np.random.default_rng(0)
    families = [[curve(x, bend * x**2 + slope * x + level, rng, spread=1e-3)] for x in (first, second)]
    found = frontier_contrast(families, (1, -1), n_resamples=50)
    assert abs(found.delta) == pytest.approx(found.interpolation, abs=1e-8)
    if found.ci_low is not None:
        assert found.ci_low <= 0 <= found.ci_high


def test_too_few_points_show_no_curvature():
    assert curvature([np.array([0.0, 1.0]), np.array([0.0, 2.0])], [np.array([0.0, 1.0]), np.array([0.0, 4.0])]) == 0
    assert curvature([np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0])], [np.arange(3.0), np.arange(3.0)]) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(1e-5, 1e-1), st.floats(0, 1)), min_size=1, max_size=6, unique_by=(lambda p: p[0], lambda p: p[1])))
def test_points_beyond_the_rate_of_most_skill_are_left_out(points):
    rates, skills = zip(*points, strict=True)
    kept = rising(rates, skills)
    top = rates[skills.index(max(skills))]
    assert kept[skills.index(max(skills))]
    assert [rate for rate, keep in zip(rates, kept, strict=True) if keep] == [rate for rate in rates if rate <= top]


def test_jackknives_have_frontiers_too():
    rng = np.random.default_rng(8)
    groups = rng.normal(0, 0.02, 30)

    def flaw(value):
        return Jackknife(items=300, estimate=value, left_out=value + groups + rng.normal(0, 0.001, 30))

    families = [
        [Curve(skill=tuple(scores(x, rng, spread=0.01) for x in SKILLS), flaw=tuple(flaw(8 - 3 * x + gap) for x in SKILLS))]
        for gap in (0.5, 0.0)
    ]
    found = frontier_contrast(families, (1, -1), n_resamples=400)
    assert found.delta == pytest.approx(0.5)
    assert found.ci_low < 0.5 < found.ci_high
    assert found.n_items == 300
    assert found.ci_high - found.ci_low < 0.1  # what all models share of the groups cancels


def test_weights_and_seeds_that_do_not_fit_are_refused():
    rng = np.random.default_rng(9)
    one, two = [curve(SKILLS, FLAWS, rng)], [curve(SKILLS, FLAWS, rng) for _ in range(2)]
    for families, weights in (([one, two], (1, -1)), ([one, one], (1,)), ([[], []], (1, -1))):
        with pytest.raises(ValueError, match="one weight for each family"):
            frontier_contrast(families, weights)
        with pytest.raises(ValueError, match="one weight for each family"):
            contrast([[found.flaw[0] for found in family] for family in families], weights)
    with pytest.raises(ValueError, match="at least one point"):
        Curve(skill=(), flaw=())


def test_a_larger_gap_has_a_smaller_p_value_and_the_detectable_one_is_beyond_the_half_width():
    rng = np.random.default_rng(10)
    base = [curve(SKILLS, FLAWS, rng)]
    found = [frontier_contrast([[curve(SKILLS, np.add(FLAWS, gap), rng)], base], (1, -1), n_resamples=300) for gap in (0.0, 0.1, 0.3)]
    assert isinstance(found[0], Contrast)
    p_values = [one.p_value for one in found]
    assert p_values == sorted(p_values, reverse=True)
    assert all((low.ci_high - low.ci_low) / 2 < low.detectable < math.inf for low in found)
