"""The jackknife over groups of any size, against published formulas and simulated truth."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from balora_audit.stats import Jackknife, paired_jackknife

RNG = np.random.default_rng(11)


def left_out_of(function, x_N, groups_N):
    sizes = np.bincount(groups_N)
    left_out = np.array([function(x_N[groups_N != group]) for group in range(len(sizes))])
    return Jackknife(items=len(x_N), estimate=float(function(x_N)), left_out=left_out, sizes=sizes)


def busing(found):
    """Return the variance of Busing, Meijer & van der Leeden 1999, eq. 8, as it is printed there."""
    n, g = found.items, len(found.left_out)
    h = n / np.asarray(found.sizes)
    estimate = g * found.estimate - ((1 - np.asarray(found.sizes) / n) * found.left_out).sum()
    pseudo = h * found.estimate - (h - 1) * found.left_out
    return ((pseudo - estimate) ** 2 / (h - 1)).sum() / g


def test_the_jackknife_of_a_mean_is_the_textbook_standard_error():
    x = RNG.normal(size=50)
    for sizes in (np.ones(50, dtype=int), None):
        left_out = np.array([np.delete(x, i).mean() for i in range(50)])
        found = Jackknife(items=50, estimate=float(x.mean()), left_out=left_out, sizes=sizes)
        assert found.error == pytest.approx(x.std(ddof=1) / np.sqrt(50), rel=1e-12)
        assert found.interval() == pytest.approx(scipy.stats.t.interval(0.95, 49, x.mean(), scipy.stats.sem(x)))


def test_equal_groups_have_the_formula_for_equal_groups():
    x = RNG.normal(size=120)
    found = left_out_of(np.median, x, np.arange(120) % 20)
    expected = np.sqrt(19 / 20 * ((found.left_out - found.left_out.mean()) ** 2).sum())
    assert found.error == pytest.approx(expected, rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(20, 90), st.integers(3, 12))
def test_unequal_groups_have_the_published_variance(seed, count, groups):
    rng = np.random.default_rng(seed)
    groups_N = np.concatenate([np.arange(groups), rng.integers(0, groups, count)])
    found = left_out_of(np.var, rng.normal(size=len(groups_N)), groups_N)
    assert found.error**2 == pytest.approx(busing(found), rel=1e-9)


def test_unequal_groups_of_independent_items_give_the_error_of_a_mean():
    errors, means = [], []
    groups_N = np.repeat(np.arange(12), [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 34])
    for _ in range(400):
        x = RNG.normal(size=len(groups_N))
        found = left_out_of(np.mean, x, groups_N)
        errors.append(found.error**2)
        means.append(found.estimate)
    assert np.sqrt(np.mean(errors)) == pytest.approx(np.std(means), rel=0.08)


def test_a_matrix_metric_compared_with_itself_differs_by_exactly_nothing():
    one = Jackknife(items=80, estimate=3.0, left_out=RNG.normal(size=40))
    found = paired_jackknife([one], [one])
    assert (found.delta, found.ci_low, found.ci_high, found.p_value, found.detectable) == (0.0, 0.0, 0.0, 1.0, 0.0)


def test_models_with_other_groups_are_not_compared():
    one = Jackknife(items=80, estimate=3.0, left_out=np.ones(4), sizes=np.array([20, 20, 20, 20]))
    other = Jackknife(items=80, estimate=3.0, left_out=np.ones(4), sizes=np.array([10, 30, 20, 20]))
    with pytest.raises(ValueError, match="the same groups"):
        paired_jackknife([one], [other])
    with pytest.raises(ValueError, match="positive size"):
        Jackknife(items=80, estimate=3.0, left_out=np.ones(4), sizes=np.array([20, 20, 20, 21]))
    with pytest.raises(ValueError, match="at least two groups"):
        Jackknife(items=80, estimate=3.0, left_out=np.ones(1))


def test_the_evidence_survives_json():
    one = Jackknife(items=6, estimate=0.1, left_out=np.array([0.1, 0.3]), sizes=np.array([2, 4]), within=(0, 1))
    again = Jackknife.from_json(one.to_json())
    assert again.to_json() == one.to_json()
    assert again.error == one.error


def test_what_a_jackknife_can_detect_has_the_quantiles_of_its_interval():
    mine, theirs = (left_out_of(np.mean, RNG.normal(size=60), np.arange(60) % 15) for _ in range(2))
    found = paired_jackknife([mine], [theirs])
    error = (found.ci_high - found.ci_low) / 2 / scipy.stats.t.ppf(0.975, 14)
    assert found.detectable == pytest.approx(error * (scipy.stats.t.ppf(0.975, 14) + scipy.stats.t.ppf(0.8, 14)))
