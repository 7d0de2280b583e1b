"""Statistics against scipy and statsmodels, by simulation, and by hand."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint, proportions_ztest

from balora_audit.metrics.ratios import COMBINERS
from balora_audit.stats import (
    ItemScores,
    bootstrap_weights,
    holm,
    interval,
    mcnemar_exact,
    over_seeds,
    paired,
    paired_permutation,
    paired_rate_interval,
    spread_of,
    verdict,
    wilson,
)

RNG = np.random.default_rng(0)


def mean_of(values, ids=None):
    return ItemScores.mean_of(tuple(ids or (str(i) for i in range(len(values)))), np.asarray(values, float))


@given(st.integers(1, 200), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_statsmodels(n, data, level):
    k = data.draw(st.integers(0, n))
    assert wilson(k, n, level) == pytest.approx(proportion_confint(k, n, 1 - level, method="wilson"), abs=1e-9)


def studentised(values, level=0.95):
    """Hall's symmetric bootstrap-t of a mean, from scipy's bootstrap of |mean* − mean|/se*."""
    mean, n = values.mean(), len(values)

    def deviation(x, axis):
        return np.abs(x.mean(axis=axis) - mean) / (x.std(axis=axis) / np.sqrt(n))

    drawn = scipy.stats.bootstrap((values,), deviation, n_resamples=20_000, method="percentile", rng=1).bootstrap_distribution
    half = np.quantile(drawn, level) * values.std() / np.sqrt(n)
    return mean - half, mean + half, float((drawn >= abs(mean) / (values.std() / np.sqrt(n))).mean())


def test_the_bootstrap_interval_equals_scipys():
    values = RNG.exponential(size=80)
    assert interval(mean_of(values), n_resamples=20_000, seed=2) == pytest.approx(studentised(values)[:2], abs=0.01)


def test_on_many_items_all_bootstrap_intervals_are_one():
    values = RNG.exponential(size=4000)
    for method in ("percentile", "BCa"):
        reference = scipy.stats.bootstrap((values,), np.mean, n_resamples=4000, method=method, rng=1).confidence_interval
        assert interval(mean_of(values)) == pytest.approx(tuple(reference), abs=0.004)


@pytest.mark.parametrize("combine", ["mean", "min", "rms"])
def test_ratio_statistics_equal_a_resampling_by_hand(combine):
    correct, classes = RNG.integers(2, size=90).astype(float), np.arange(90) % 3
    inside = np.stack([classes == c for c in range(3)]).astype(float)
    scores = ItemScores(ids=tuple(map(str, range(90))), numerators=inside * correct, denominators=inside, combine=combine)
    index = RNG.integers(90, size=(4, 90))
    weights = np.stack([np.bincount(row, minlength=90) for row in index]).astype(float)
    reduce = {"mean": np.mean, "min": np.min, "rms": lambda v: np.sqrt(np.mean(np.square(v)))}[combine]
    expected = [reduce([correct[row][classes[row] == c].mean() for c in range(3)]) for row in index]
    assert scores.linearise(weights)[0] == pytest.approx(expected)
    assert scores.value() == pytest.approx(reduce([correct[classes == c].mean() for c in range(3)]))


def all_kinds(rng, n=60):
    """Scores of every combination, of four positive ratios."""
    numerators, denominators = rng.gamma(2, 1, (4, n)), rng.gamma(2, 1, (4, n))
    return [
        ItemScores(ids=tuple(map(str, range(n))), numerators=numerators[:k], denominators=denominators[:k], combine=name)
        for name, k in {**dict.fromkeys(COMBINERS, 4), "difference": 2, "scaled_difference": 3, "exp": 1}.items()
    ]


def test_what_an_item_adds_is_the_derivative_by_its_weight():
    assert {scores.combine for scores in all_kinds(RNG)} == set(COMBINERS)
    for scores in all_kinds(np.random.default_rng(8)):
        weights = np.random.default_rng(9).integers(0, 3, (1, 60)).astype(float) + 0.5
        value, influence = scores.linearise(weights)
        step = 1e-6
        moved = scores.linearise(weights + step * np.eye(60))[0]
        assert influence[0] == pytest.approx((moved - value) / step, abs=1e-5)
        assert (weights * influence).sum() == pytest.approx(0, abs=1e-9)


def test_the_closed_form_error_is_near_that_of_the_bootstrap_and_exact_for_a_mean():
    values = RNG.normal(size=50)
    assert spread_of(mean_of(values), level=0.95, n_resamples=300, seed=0).error == pytest.approx(values.std() / np.sqrt(50))
    smooth = {
        "mean",
        "geometric_mean",
        "rms",
        "difference",
        "scaled_difference",
        "exp",
    }  # the others have kinks, near which no error is exact
    for scores in (scores for scores in all_kinds(np.random.default_rng(10), n=400) if scores.combine in smooth):
        weights = bootstrap_weights(400, 2000, np.random.default_rng(11))
        found = spread_of(scores, level=0.95, n_resamples=300, seed=0)
        assert found.error == pytest.approx(scores.linearise(weights)[0].std(), rel=0.2)


def test_the_p_value_is_below_the_level_just_when_the_interval_excludes_zero():
    rng = np.random.default_rng(12)
    for shift in np.linspace(0, 0.6, 25):
        a, b = rng.normal(shift, 1, 40), rng.normal(0, 1, 40)
        found = paired([mean_of(a)], [mean_of(b)], n_resamples=999)
        assert (found.ci_low > 0 or found.ci_high < 0) == (found.p_value <= 0.05)


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_model_compared_with_itself_differs_by_exactly_nothing(seeds):
    scores = [mean_of(RNG.random(50)) for _ in range(seeds)]
    found = paired(scores, scores)
    assert (found.delta, found.ci_low, found.ci_high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_a_paired_interval_equals_the_bootstrap_of_the_differences():
    a = RNG.normal(size=100)
    b = a + RNG.normal(0.1, 0.3, size=100)
    low, high, p_value = studentised(b - a)
    found = paired([mean_of(b)], [mean_of(a)], n_resamples=20_000)
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high), abs=0.01)
    assert found.p_value == pytest.approx(p_value, abs=0.005)
    assert found.delta == pytest.approx(np.mean(b - a))


def test_items_of_one_model_only_are_left_out_and_counted():
    found = paired([mean_of([1, 1, 0, 1], ["a", "b", "c", "d"])], [mean_of([0, 0, 0], ["b", "c", "x"])])
    assert (found.n_items, found.n_lost) == (2, 3)
    assert found.delta == pytest.approx(0.5)


def test_too_few_items_give_a_reason_and_no_number():
    found = paired([mean_of([1.0])], [mean_of([0.0])])
    assert found.delta is None
    assert found.reason


def test_two_levels_are_wider_than_items_alone_when_seeds_differ():
    base = [mean_of(np.zeros(200))] * 3
    seeds = [mean_of(RNG.random(200) < share) for share in (0.2, 0.5, 0.8)]
    both = paired(seeds, base)
    alone = paired([seeds[1]], [base[1]])
    assert both.ci_high - both.ci_low > 2 * (alone.ci_high - alone.ci_low)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_mcnemar_equals_statsmodels(pairs):
    a, b = np.array(pairs).T
    table = [[int((a & b).sum()), int((a & ~b).sum())], [int((~a & b).sum()), int((~a & ~b).sum())]]
    expected = mcnemar(table, exact=True).pvalue if table[0][1] + table[1][0] else 1.0
    assert mcnemar_exact(a, b) == pytest.approx(expected)
    assert mcnemar_exact(a, b) == mcnemar_exact(b, a)


def test_a_planted_effect_that_an_unpaired_test_misses_is_found_paired():
    hard = np.arange(200) < 100
    a = ~hard
    b = a.copy()
    b[np.flatnonzero(hard)[:12]] = True  # 12 items gained, none lost: 50 % → 56 %
    assert proportions_ztest([a.sum(), b.sum()], [200, 200])[1] > 0.05
    assert mcnemar_exact(a, b) < 0.001
    found = paired([mean_of(b)], [mean_of(a)])
    assert found.ci_low > 0
    assert found.p_value < 0.01


@pytest.mark.parametrize("n", [6, 40])
def test_the_permutation_test_equals_scipys(n):
    d = RNG.normal(0.3, 1, size=n)
    expected = scipy.stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=9999, rng=1).pvalue
    assert paired_permutation(d) == pytest.approx(expected, abs=0.02)
    assert paired_permutation(np.zeros(n)) == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_equals_statsmodels_and_none_passes_through(values):
    expected = multipletests(values, method="holm")[1]
    assert holm(values) == pytest.approx(expected.tolist())
    assert holm([None, *values])[0] is None
    assert holm([None, *values])[1:] == pytest.approx(expected.tolist())


def test_verdicts_follow_the_interval_not_the_estimate():
    assert verdict(0.03, 0.09, 0.02, True) == "supported"
    assert verdict(-0.09, -0.03, 0.02, True) == "contradicted"
    assert verdict(-0.09, -0.03, 0.02, False) == "supported"
    assert verdict(-0.01, 0.015, 0.02, True) == "equivalent"
    assert verdict(0.01, 0.09, 0.02, True) == "inconclusive"
    assert verdict(0.0, 0.0, 0.0, True) == "equivalent"
    assert verdict(None, None, 0.02, True) == "not run"


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 0.5))
def test_mirroring_the_difference_mirrors_the_verdict(low, width, margin):
    mirror = {"supported": "contradicted", "contradicted": "supported"}
    one = verdict(low, low + width, margin, True)
    assert verdict(-low - width, -low, margin, True) == mirror.get(one, one)
    assert verdict(low, low + width, margin, False) == mirror.get(one, one)


def test_the_interval_of_paired_rates_is_bonett_and_prices():
    # n = 100, 12 and 2 discordant: p̃ = 13/102 and 3/102; √((p̃₁ + p̃₂ − (p̃₁ − p̃₂)²)/102) = 0.03799
    low, high = paired_rate_interval(12, 2, 100)
    assert (low, high) == pytest.approx((10 / 102 - 1.959964 * 0.03799, 10 / 102 + 1.959964 * 0.03799), abs=1e-4)
    assert paired_rate_interval(2, 12, 100) == pytest.approx((-high, -low))


def test_agreement_on_a_few_items_is_not_equivalence():
    low, high = paired_rate_interval(0, 0, 8)
    assert verdict(low, high, 0.02, True) == "inconclusive"
    assert verdict(*paired_rate_interval(0, 0, 2000), 0.02, True) == "equivalent"


def test_the_interval_of_paired_rates_covers_small_samples():
    rng = np.random.default_rng(3)
    for n, gain, loss in ((20, 0.1, 0.02), (60, 0.2, 0.1), (150, 0.05, 0.05)):
        kinds = rng.choice(3, p=[gain, loss, 1 - gain - loss], size=(2000, n))
        bounds = [paired_rate_interval(int((k == 0).sum()), int((k == 1).sum()), n) for k in kinds]
        assert np.mean([low <= gain - loss <= high for low, high in bounds]) >= 0.93


def gaps(n, rng, gap):
    """Scores of the root mean square gap over four classes and two groups, with a planted gap in every class."""
    classes, groups = np.arange(n) % 4, np.arange(n) // 4 % 2
    right = rng.random(n) < 0.5 + gap * (groups - 0.5)
    cells = np.stack([(classes == c) & (groups == g) for g in (1, 0) for c in range(4)]).astype(float)
    return ItemScores(ids=tuple(map(str, range(n))), numerators=cells * right, denominators=cells, combine="rms_difference")


@pytest.mark.parametrize("n", [40, 120, 800])
def test_an_interval_of_a_shifted_statistic_holds_its_estimate_or_is_withheld(n):
    rng = np.random.default_rng(n)
    found = [(scores.value(), interval(scores, n_resamples=500)) for scores in (gaps(n, rng, g) for g in np.linspace(0, 0.6, 30))]
    assert all(low <= value <= high for value, bounds in found if bounds is not None for low, high in [bounds])
    assert interval(gaps(2000, rng, 0.5), n_resamples=500) is not None


@pytest.mark.parametrize("seeds", [1, 3])
def test_two_models_that_both_miss_a_whole_class_are_not_called_equal(seeds):
    classes = np.arange(60) % 3
    inside = np.stack([classes == c for c in range(3)]).astype(float)
    right = [RNG.integers(2, size=60) * (classes != 2) for _ in range(2 * seeds)]
    scores = [ItemScores(ids=tuple(map(str, range(60))), numerators=inside * r, denominators=inside, combine="min") for r in right]
    found = paired(scores[:seeds], scores[seeds:])
    assert found.delta == 0
    assert found.p_value == pytest.approx(1)
    assert verdict(found.ci_low, found.ci_high, 0.05, True) == "inconclusive"


def test_numbers_of_which_too_few_differ_get_no_interval():
    values = np.full(60, 0.25)
    values[7] = 0.75
    found = paired([mean_of(values)], [mean_of(np.full(60, 0.25))])
    assert found.delta == pytest.approx(0.5 / 60)
    assert (found.ci_low, found.ci_high, found.p_value) == (None, None, None)
    assert "too few items differ" in found.reason
    assert verdict(found.ci_low, found.ci_high, 0.001, True) == "not run"


@pytest.mark.parametrize("seeds", [1, 2])
def test_two_models_without_any_gap_between_groups_are_not_called_equal(seeds):
    classes, groups = np.arange(24) % 4, np.arange(24) // 4 % 2
    cells = np.stack([(classes == c) & (groups == g) for g in (1, 0) for c in range(4)]).astype(float)
    flat = [
        ItemScores(ids=tuple(map(str, range(24))), numerators=cells * score, denominators=cells, combine="rms_difference")
        for score in (1, 0)
    ]
    for candidate, p_value in ((flat[0], 1), (flat[1], None)):
        found = paired([candidate] * seeds, [flat[0]] * seeds)
        assert (found.delta, found.ci_low, found.ci_high, found.p_value) == (0, None, None, p_value)
        assert found.reason
    assert interval(flat[0]) is None


@pytest.mark.parametrize("score", [0.0, 1.0])
@pytest.mark.parametrize("seeds", [1, 2])
def test_agreement_on_every_answer_is_no_certainty(score, seeds):
    found = paired([mean_of(np.full(30, score))] * seeds, [mean_of(np.full(30, score))] * seeds)
    assert (found.delta, found.p_value) == (0, 1)
    assert (found.ci_low, found.ci_high) == pytest.approx(paired_rate_interval(0, 0, 30))


def test_intervals_stay_within_the_range_of_the_statistic():
    rng = np.random.default_rng(13)
    for n in (6, 20, 100):
        for scores in (gaps(n, rng, 0.1), gaps(n, rng, 0.9)):
            bounds = interval(scores, n_resamples=300)
            assert bounds is None or (0 <= bounds[0] <= scores.value() <= bounds[1] <= 1)
    assert interval(mean_of(rng.exponential(5, 8) ** 3), n_resamples=300)[0] >= 0


def test_scores_that_are_not_finite_are_left_out_and_counted():
    a = mean_of([0.1, np.nan, 0.3, np.inf, 0.7, 0.2])
    assert (a.ids, a.excluded, a.value()) == (("0", "2", "4", "5"), 2, pytest.approx(1.3 / 4))
    found = paired([a], [mean_of([0.0, 0.1, 0.3, 0.2, 0.1, 0.1])])
    assert (found.n_items, found.n_excluded, found.n_lost) == (4, 2, 2)
    assert found.delta == pytest.approx((0.1 + 0 + 0.6 + 0.1) / 4)


def test_seeds_with_items_of_their_own_get_the_t_interval():
    by_seed = np.array([0.1, 0.14, 0.02, 0.09])
    found = over_seeds(by_seed, np.zeros((4, 4)), 99, 0.95, crossed=True)
    reference = scipy.stats.ttest_1samp(by_seed, 0)
    assert found.bounds == pytest.approx(tuple(reference.confidence_interval(0.95)))
    assert found.p_value == pytest.approx(reference.pvalue)
    quantiles = scipy.stats.t.ppf(0.975, 3) + scipy.stats.t.ppf(0.8, 3)
    assert found.detectable == pytest.approx(quantiles * scipy.stats.sem(by_seed))


def test_seeds_that_do_not_matter_leave_the_items_t_interval():
    found = over_seeds(np.array([0.1, 0.1, 0.1]), np.full((3, 3), 0.04**2), 49, 0.95, crossed=True)
    assert found.bounds == pytest.approx(scipy.stats.t.interval(0.95, 49, 0.1, 0.04))
    assert found.p_value == pytest.approx(2 * scipy.stats.t.sf(0.1 / 0.04, 49))


def test_the_p_value_over_seeds_inverts_the_interval():
    by_seed, covariance = np.array([0.1, 0.15]), 0.03**2 * (np.eye(2) + 1)
    for level in (0.5, 0.8, 0.9, 0.95, 0.99):
        found = over_seeds(by_seed, covariance, 80, level, crossed=True)
        assert (found.bounds[0] > 0) == (found.p_value < 1 - level)


@pytest.mark.parametrize(("seeds", "least", "most"), [(2, 0.935, 0.98), (3, 0.945, 0.975), (5, 0.945, 0.97)])
def test_seeds_and_items_together_cover_the_truth_whatever_their_shares(seeds, least, most):
    """Exact up to quadrature: normal seeds and items, the variance between seeds integrated over its χ² distribution."""
    shares = (np.arange(200) + 0.5) / 200
    for shared in (0.0, 0.25, 0.5, 0.9):  # of the items' variance, which is 1
        for tau in (0.0, 0.3, 1.0, 3.0, 10.0, 100.0):
            between = (1 - shared + tau) * scipy.stats.chi2.ppf(shares, seeds - 1) / (seeds - 1)
            covariance = shared + (1 - shared) * seeds * np.eye(seeds)
            spread = np.linspace(-1, 1, seeds) / np.linspace(-1, 1, seeds).std(ddof=1)
            halves = [
                np.diff(over_seeds(np.sqrt(b * seeds) * spread, covariance, 10**6, 0.95, crossed=True).bounds)[0] / 2 for b in between
            ]
            covered = np.mean(2 * scipy.stats.norm.cdf(np.array(halves) / np.sqrt(1 + tau)) - 1)
            assert least <= covered <= most, (shared, tau)
