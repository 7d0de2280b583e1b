"""Models compared on the items on which both qualify, and what a design can detect."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from balora_audit.stats import ItemScores, minimum_detectable_effect, paired

IDS = tuple("abcdef")


def survived(right, kept, ids=IDS):
    right = np.asarray(right, dtype=float)
    return ItemScores(ids=tuple(ids), numerators=(right * np.asarray(kept, dtype=float))[None], denominators=right[None], common=True)


def test_two_models_are_compared_on_the_items_that_both_know():
    one = survived([1, 1, 1, 1, 0, 0], [1.0, 0.5, 0.5, 0.0, 1.0, 1.0])
    other = survived([0, 1, 1, 1, 1, 0], [1.0, 1.0, 0.5, 0.5, 0.0, 1.0])
    # both know b, c, d: 0.5, 0.5, 0.0 against 1.0, 0.5, 0.5
    found = paired([one], [other])
    assert (found.n_items, found.candidate_value, found.baseline_value) == (3, pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert found.delta == pytest.approx(-1 / 3)
    assert one.value() == pytest.approx(0.5)  # of its own it is what it knows itself


def test_without_an_item_in_common_there_is_no_difference_and_a_reason():
    found = paired([survived([1, 1, 0, 0, 0, 0], np.ones(6))], [survived([0, 0, 1, 1, 1, 1], np.ones(6))])
    assert (found.delta, found.ci_low) == (None, None)
    assert "no item on which both" in found.reason


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_it_is_the_difference_on_the_items_filtered_beforehand_and_symmetric(seed):
    rng = np.random.default_rng(seed)
    count = 60
    ids = tuple(map(str, range(count)))
    rights, kept = rng.random((2, count)) < 0.7, rng.integers(0, 5, (2, count)) / 4
    both = rights.all(axis=0)
    found = paired(*[[survived(rights[m], kept[m], ids)] for m in (0, 1)], n_resamples=300)
    plain = [ItemScores.mean_of(tuple(np.array(ids)[both]), kept[m][both]) for m in (0, 1)]
    expected = paired([plain[0]], [plain[1]], n_resamples=300)
    assert found.delta == pytest.approx(expected.delta)
    assert found.n_items == expected.n_items == both.sum()
    if expected.ci_low is not None and found.ci_low is not None:  # the set is drawn anew in each resample, which is a little wider
        assert found.ci_high - found.ci_low == pytest.approx(expected.ci_high - expected.ci_low, rel=0.35)
    back = paired(*[[survived(rights[m], kept[m], ids)] for m in (1, 0)], n_resamples=300)
    assert back.delta == pytest.approx(-found.delta)


def test_seeds_have_common_items_of_their_own():
    first = survived([1, 1, 1, 0, 1, 1], [1, 0, 1, 1, 1, 1]), survived([1, 1, 0, 1, 1, 1], [1, 1, 1, 1, 0, 1])
    second = survived([1, 0, 1, 1, 1, 1], [1, 0, 1, 1, 1, 0]), survived([1, 1, 1, 1, 0, 1], [1, 1, 1, 0, 1, 1])
    found = paired([first[0], second[0]], [first[1], second[1]])
    assert found.delta == pytest.approx(np.mean([3 / 4 - 3 / 4, 3 / 4 - 3 / 4]))


def test_scores_keep_what_they_are_through_json():
    one = survived([1, 1, 0, 0, 1, 1], np.ones(6))
    assert ItemScores.from_json(one.to_json()).common
    assert one.select(("a", "b")).common


@pytest.mark.parametrize("kind", ["rate", "mean"])
def test_a_difference_of_the_detectable_size_is_found_four_times_in_five(kind):
    rng = np.random.default_rng(8)
    count, margin = 400, 0.02
    ids = tuple(map(str, range(count)))

    def audit(effect):
        if kind == "rate":
            theirs = rng.random(count) < 0.6
            better = rng.random(count)
            mine = np.where(better < 0.15 + effect, True, np.where(better > 0.9, False, theirs))
        else:
            theirs = rng.normal(size=count)
            mine = theirs + effect + rng.normal(0, 0.4, count)
        return paired([ItemScores.mean_of(ids, mine.astype(float))], [ItemScores.mean_of(ids, theirs.astype(float))], n_resamples=400)

    size = np.mean([minimum_detectable_effect(margin, audit(0.05).detectable) for _ in range(10)])
    # without an effect 15 % of the wrong answers (0.4) are mended and 10 % of the right ones (0.6) lost: as many; more are mended with one
    planted = size / 0.4 if kind == "rate" else size
    hits = [audit(planted).ci_low > margin for _ in range(250)]
    low, high = scipy.stats.binomtest(sum(hits), 250).proportion_ci(0.999)
    assert low <= 0.83
    assert high >= 0.77


def test_a_margin_cannot_be_negative():
    assert minimum_detectable_effect(0.02, 0.05) == pytest.approx(0.07)
    with pytest.raises(ValueError, match="0 or more"):
        minimum_detectable_effect(-0.1, 0.05)
