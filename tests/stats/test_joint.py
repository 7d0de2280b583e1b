"""One draw of items for all statistics: against repeated items, known covariances, and statistics drawn apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balora_audit.stats import ItemScores, Jackknife
from balora_audit.stats.joint import JointDraws

COUNT = 200
IDS = tuple(map(str, range(COUNT)))
OTHER = tuple(f"text {number}" for number in range(COUNT))


def alike(rng, ids=(IDS, IDS), own=0.3):
    """Return two statistics whose items agree but for a little."""
    easy = rng.normal(size=COUNT)
    return [ItemScores.mean_of(names, easy + own * rng.normal(size=COUNT)) for names in ids]


def counts(draws, ids):
    """Return how often each item is drawn, (R, N), from the resampled shares of single items."""
    return draws.of([ItemScores.mean_of(ids, row) for row in np.eye(len(ids))]) * len(ids)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["mean", "min", "rms_difference"]))
def test_draws_are_the_statistic_of_explicitly_repeated_items(seed, combine):
    rng = np.random.default_rng(seed)
    of_class = np.stack([np.arange(COUNT) % 2 == c for c in range(2)]).astype(float)
    found = ItemScores(ids=IDS, numerators=of_class * rng.random((2, COUNT)), denominators=of_class, combine=combine)
    draws = JointDraws([found], 8, seed=seed)
    for value, times in zip(draws.of([found])[:, 0], counts(draws, IDS), strict=True):
        drawn = np.repeat(np.arange(COUNT), times.round().astype(int))
        assert len(drawn) == COUNT
        again = ItemScores(
            ids=IDS, numerators=found.numerators[:, drawn], denominators=found.denominators[:, drawn], combine=combine
        )  # fmt: skip
        assert value == pytest.approx(again.value())


def test_statistics_of_the_same_items_are_drawn_together():
    rng = np.random.default_rng(0)
    together, apart = alike(rng), alike(rng, ids=(IDS, OTHER))
    variances = []
    for pair in (together, apart):
        drawn = JointDraws(pair, 4000, seed=1).of(pair)
        variances.append(np.var(drawn[:, 0] - drawn[:, 1]))
    difference = together[0].numerators[0] - together[1].numerators[0]
    assert variances[0] == pytest.approx(difference.var() / COUNT, rel=0.1)
    assert variances[1] == pytest.approx(sum(one.numerators[0].var() for one in apart) / COUNT, rel=0.1)
    assert variances[0] < variances[1] / 4


def test_items_are_paired_by_name_whatever_their_order():
    (one, _), order = alike(np.random.default_rng(2)), np.random.default_rng(3).permutation(COUNT)
    shuffled = one.select(tuple(IDS[index] for index in order))
    drawn = JointDraws([one, shuffled], 50, seed=0).of([one, shuffled])
    assert drawn[:, 0] == pytest.approx(drawn[:, 1])


def test_sets_that_share_an_item_are_one_population():
    halves = [ItemScores.mean_of(IDS[part], np.ones(len(IDS[part]))) for part in (slice(0, 120), slice(100, COUNT))]
    draws = JointDraws(halves, 20, seed=0)
    assert draws.items == COUNT
    assert JointDraws([halves[0], ItemScores.mean_of(OTHER[:30], np.ones(30))], 20, seed=0).items == 30
    shared = [ItemScores.mean_of(found.ids, np.array([name == "110" for name in found.ids], dtype=float)) for found in halves]
    drawn = draws.of(shared)
    assert ((drawn[:, 0] > 0) == (drawn[:, 1] > 0)).all()


def test_a_set_that_joins_two_others_makes_them_one():
    parts = [ItemScores.mean_of(IDS[part], np.ones(len(IDS[part]))) for part in (slice(0, 50), slice(50, 100), slice(40, 60))]
    assert JointDraws(parts[:2], 5, seed=0).items == 50
    assert JointDraws(parts, 5, seed=0).items == 100


def test_draws_of_jackknives_have_their_covariance():
    rng = np.random.default_rng(4)
    common = rng.normal(size=24)
    found = [
        Jackknife(items=240, estimate=value, left_out=value + 0.01 * (common + 0.5 * rng.normal(size=24))) for value in (2.0, 3.0, 5.0)
    ]
    drawn = JointDraws(found, 40_000, seed=2).of(found)
    deviations = np.stack([one.deviations for one in found])
    expected = deviations @ deviations.T
    # of a normal covariance the standard error is at most sqrt(2/R) of the product of the standard deviations
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert (np.abs(np.cov(drawn.T) - expected) < 4 * np.sqrt(2 / 40_000) * scale).all()
    assert drawn.mean(axis=0) == pytest.approx([2.0, 3.0, 5.0], abs=0.01)
    assert JointDraws(found, 10, seed=2).items == 24


def test_a_ratio_that_lost_all_its_items_has_no_value():
    rare = ItemScores(ids=IDS, numerators=np.eye(COUNT)[:1], denominators=np.eye(COUNT)[:1])
    drawn = JointDraws([rare], 400, seed=0).of([rare])[:, 0]
    assert 0.25 < np.isnan(drawn).mean() < 0.5  # an item is missing from (1 − 1/N)^N = 37 % of the resamples
    assert (drawn[np.isfinite(drawn)] == 1).all()


def test_the_same_seed_gives_the_same_draws_and_another_one_others():
    pair = alike(np.random.default_rng(5))
    first, again, other = (JointDraws(pair, 30, seed=seed).of(pair) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
