"""Group differences against fairlearn's own functions, neighbours against scikit-learn and brute force, agreement by pairs."""

import itertools

import numpy as np
import pytest
from fairlearn.metrics import demographic_parity_difference as fairlearn_parity
from fairlearn.metrics import equalized_odds_difference as fairlearn_odds
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.metrics import silhouette_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from balora_audit.metrics import agreement, demographic_parity_difference, equalized_odds_difference, knn_correct, silhouettes


def answers(seed, classes=2, groups=2, count=200):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, count)
    p = np.where(rng.random(count) < 0.7, y, rng.integers(0, classes, count))
    return y, p, rng.integers(0, groups, count)


@pytest.mark.parametrize("seed", range(5))
def test_with_two_classes_both_differences_are_fairlearns(seed):
    y, p, group = answers(seed, groups=3)
    assert demographic_parity_difference(y, p, group) == pytest.approx(fairlearn_parity(y, p, sensitive_features=group))
    assert equalized_odds_difference(y, p, group) == pytest.approx(fairlearn_odds(y, p, sensitive_features=group))


@pytest.mark.parametrize("seed", range(5))
def test_with_many_classes_they_are_the_worst_class_against_the_rest(seed):
    y, p, group = answers(seed, classes=4)
    rest = [fairlearn_parity(y == c, p == c, sensitive_features=group) for c in range(4)]
    assert demographic_parity_difference(y, p, group) == pytest.approx(max(rest))
    rest = [fairlearn_odds(y == c, p == c, sensitive_features=group) for c in range(4)]
    assert equalized_odds_difference(y, p, group) == pytest.approx(max(rest))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_differences_ignore_the_names_and_order_of_groups_and_are_zero_for_one_rule(seed):
    y, p, group = answers(seed, classes=3)
    order = np.random.default_rng(seed).permutation(len(y))
    for measure in (demographic_parity_difference, equalized_odds_difference):
        found = measure(y, p, group)
        assert 0 <= found <= 1
        assert measure(y[order], p[order], np.array(["b", "a"])[group[order]]) == pytest.approx(found)
    assert demographic_parity_difference(y, np.zeros_like(y), group) == 0


def test_one_group_is_refused():
    with pytest.raises(ValueError, match="at least two"):
        equalized_odds_difference([0, 1], [0, 1], ["a", "a"])


@pytest.mark.parametrize("k", [1, 3, 5])
def test_neighbours_vote_as_scikit_learns_left_one_out(k):
    rng = np.random.default_rng(k)
    y = rng.integers(0, 3, 60)
    x = rng.normal(size=(60, 4)) + y[:, None]
    predicted = cross_val_predict(KNeighborsClassifier(k), x, y, cv=LeaveOneOut())
    assert knn_correct(x, y, k).mean() == pytest.approx((predicted == y).mean())
    turned = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    assert np.array_equal(knn_correct(3 * x @ turned + 7, y, k), knn_correct(x, y, k))


def test_silhouettes_are_scikit_learns_and_one_for_points():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 50)
    x = rng.normal(size=(50, 4)) + y[:, None]
    assert silhouettes(x, y).mean() == pytest.approx(silhouette_score(x, y))
    distance = cdist(x, x)
    item = 7
    own = distance[item][(y == y[item]) & (np.arange(50) != item)].mean()
    other = min(distance[item][y == c].mean() for c in set(y.tolist()) - {y[item]})
    assert silhouettes(x, y)[item] == pytest.approx((other - own) / max(other, own))


@pytest.mark.parametrize("bad", [0, 60])
def test_impossible_neighbours_are_refused(bad):
    with pytest.raises(ValueError, match="k must be within"):
        knn_correct(np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2, bad)


@given(st.integers(2, 6), st.integers(0, 10_000))
def test_agreement_counts_pairs_of_copies(copies, seed):
    answers_RN = np.random.default_rng(seed).integers(0, 3, size=(copies, 9))
    pairs = list(itertools.combinations(range(copies), 2))
    by_hand = [np.mean([answers_RN[a, i] == answers_RN[b, i] for a, b in pairs]) for i in range(9)]
    assert agreement(answers_RN) == pytest.approx(by_hand)
    assert (agreement(np.repeat(answers_RN[:1], copies, axis=0)) == 1).all()


def test_one_copy_cannot_agree():
    with pytest.raises(ValueError, match="two copies"):
        agreement(np.zeros((1, 4), dtype=int))
