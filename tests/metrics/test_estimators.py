"""Estimators that are right on few items, each against brute force, with a negative control."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from balora_audit.metrics import (
    effective_rank,
    linear_cka,
    rank_curve,
    rankme,
    relative_mce,
    streamed_cka,
    tpr_gap,
    tpr_gap_null,
    tpr_gap_squared,
)
from balora_audit.metrics.spectral import OF_SINGULAR_VALUES, leave_group_out_singular_values

RNG = np.random.default_rng(21)


def hsic(k, m):
    """Return HSIC₁ by its definition as a U-statistic over quadruples of different items (Song et al. 2012, eq. 3)."""
    found = [k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in itertools.permutations(range(len(k)), 4)]
    return np.mean(found)


def brute(x, y):
    k, m = x @ x.T, y @ y.T
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


@pytest.mark.parametrize("shape", [(9, 3, 4), (8, 20, 5)])
def test_debiased_cka_is_the_u_statistic(shape):
    n, d, e = shape
    x = RNG.normal(size=(n, d)) + 2
    y = x[:, :2] @ RNG.normal(size=(2, e)) + RNG.normal(size=(n, e))
    assert linear_cka(x, y, debiased=True) == pytest.approx(brute(x, y), rel=1e-9)


def test_independent_features_have_no_debiased_cka_and_a_large_plain_one():
    found = np.array([linear_cka(*RNG.normal(size=(2, 128, 576)), debiased=True) for _ in range(20)])
    assert abs(found.mean()) < 0.02
    assert np.abs(found).max() < 0.06
    assert linear_cka(*RNG.normal(size=(2, 128, 576))) == pytest.approx(0.82, abs=0.01)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 50))
def test_debiased_cka_ignores_rotation_scale_and_shift_and_is_one_with_itself(seed, scale):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(40, 6)), rng.normal(size=(40, 9))
    turned = scale * x @ ortho_group.rvs(6, random_state=seed) + 7
    assert linear_cka(turned, y, debiased=True) == pytest.approx(linear_cka(x, y, debiased=True), abs=1e-8)
    assert linear_cka(x, x, debiased=True) == pytest.approx(1)


def test_streamed_rows_give_the_same_debiased_cka():
    x = RNG.normal(size=(300, 20)) + 3
    y = x[:, :10] @ RNG.normal(size=(10, 15)) + RNG.normal(size=(300, 15)) + 100
    blocks = ((x[at : at + 37], y[at : at + 37]) for at in range(0, 300, 37))
    assert streamed_cka(blocks, debiased=True) == pytest.approx(linear_cka(x, y, debiased=True), abs=1e-9)
    tall = RNG.normal(size=(3000, 5))
    k = tall @ tall.T  # the whole matrix goes by sums over rows, its half by Gram matrices
    assert k.shape[0] > 2048
    assert linear_cka(tall, 2 * tall, debiased=True) == pytest.approx(1)


def test_cka_of_three_items_or_of_constant_features_is_undefined():
    with pytest.raises(ValueError, match="four items"):
        linear_cka(RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)), debiased=True)
    with pytest.raises(ValueError, match="the same"):
        linear_cka(np.ones((10, 4)), RNG.normal(size=(10, 4)), debiased=True)


def test_rankme_is_the_rank_of_the_features_as_they_are():
    x = RNG.normal(size=(60, 8)) + 5
    sigma = np.linalg.svd(x, compute_uv=False)
    p = sigma / sigma.sum()
    assert rankme(x) == pytest.approx(np.exp(-(p * np.log(p)).sum()))
    assert rankme(x) < effective_rank(x)
    assert rankme(x - x.mean(axis=0)) == pytest.approx(effective_rank(x))


def test_a_rank_grows_with_the_items_that_it_is_measured_on():
    x = RNG.normal(size=(400, 50))
    curve = rank_curve(x, [20, 50, 100, 400], seed=0, draws=4)
    assert list(curve) == sorted(curve)
    assert curve[-1] == pytest.approx(effective_rank(x))
    rng = np.random.default_rng(0)
    first = [np.sort(rng.permutation(400)[:20]) for _ in range(4)]
    assert curve[0] == pytest.approx(np.mean([effective_rank(x[rows]) for rows in first]))
    with pytest.raises(ValueError, match="within 2 and 400"):
        rank_curve(x, [401], seed=0)


@pytest.mark.parametrize("center", [True, False])
def test_ranks_without_a_group_are_the_same_from_gram_matrices(center):
    x = RNG.normal(size=(300, 30)) @ np.diag(0.8 ** np.arange(30)) + 4
    groups = RNG.integers(0, 9, 300)
    of = OF_SINGULAR_VALUES["effective_rank"]
    exact, quick = (
        [of(sigma) for sigma in leave_group_out_singular_values(x, groups, center=center, precise=precise)] for precise in (True, False)
    )
    assert quick == pytest.approx(exact, rel=1e-6)
    flat = x[:, :3] @ RNG.normal(size=(3, 30))
    assert max(of(sigma) for sigma in leave_group_out_singular_values(flat, groups, precise=False)) <= 3.01


def test_relative_mce_counts_what_noise_adds():
    # kind 1 adds 0.1 + 0.2 to the model and 0.2 + 0.4 to the base; kind 2 adds 0.3 and 0.3
    errors, base = [[0.3, 0.4], [0.35, 0.35]], [[0.5, 0.7], [0.45, 0.45]]
    assert relative_mce(errors, 0.2, base, 0.3) == pytest.approx((0.3 / 0.6 + 0.3 / 0.3) / 2)
    assert relative_mce(base, 0.3, base, 0.3) == pytest.approx(1)
    with pytest.raises(ValueError, match="adds nothing"):
        relative_mce(errors, 0.2, [[0.3, 0.3], [0.4, 0.4]], 0.3)


def grouped(recalls, per_cell, rng):
    """Draw answers to two classes of two groups with these recalls, (class, group)."""
    y, p, group = [], [], []
    for c in range(2):
        for g in range(2):
            right = rng.random(per_cell) < recalls[c][g]
            y += [c] * per_cell
            p += np.where(right, c, 1 - c).tolist()
            group += ["ab"[g]] * per_cell
    return np.array(y), np.array(p), np.array(group)


def test_equal_groups_have_no_squared_gap_on_average_and_a_planted_one_comes_back():
    rng = np.random.default_rng(3)
    for recalls, truth in (([[0.7, 0.7], [0.6, 0.6]], 0.0), ([[0.8, 0.5], [0.6, 0.6]], 0.045)):
        draws = [grouped(recalls, 6, rng) for _ in range(4000)]
        found = np.array([tpr_gap_squared(*draw) for draw in draws])
        assert found.mean() == pytest.approx(truth, abs=4 * found.std() / np.sqrt(len(found)))
        plain = np.mean([np.mean([gap**2 for gap in tpr_gap(*draw).values()]) for draw in draws[:500]])
        assert plain > truth + 0.05  # what the root mean square gap rests on: six people a cell show large gaps


def test_the_squared_gap_is_the_formula():
    y, p, group = grouped([[0.9, 0.4], [0.5, 0.7]], 10, np.random.default_rng(4))
    found = []
    for c in range(2):
        rates = [(p == c)[(y == c) & (group == g)].mean() for g in "ab"]
        found.append((rates[0] - rates[1]) ** 2 - sum(r * (1 - r) / 9 for r in rates))
    assert tpr_gap_squared(y, p, group) == pytest.approx(np.mean(found))
    with pytest.raises(ValueError, match="two items of both groups"):
        tpr_gap_squared(y[[0, 10]], p[[0, 10]], group[[0, 10]])


def test_the_null_of_the_gap_is_that_of_shuffled_groups():
    y, p, group = grouped([[0.8, 0.5], [0.6, 0.6]], 12, np.random.default_rng(6))
    found = tpr_gap_null(y, p, group, permutations=4000, seed=0)
    rng = np.random.default_rng(1)
    shuffled = []
    for _ in range(1500):
        mixed = group.copy()
        for c in range(2):
            mixed[y == c] = rng.permutation(mixed[y == c])
        shuffled.append(np.sqrt(np.mean([gap**2 for gap in tpr_gap(y, p, mixed).values()])))
    assert found.mean() == pytest.approx(np.mean(shuffled), abs=0.01)
    assert np.quantile(found, 0.9) == pytest.approx(np.quantile(shuffled, 0.9), abs=0.04)


def test_equal_groups_exceed_the_null_as_often_as_they_should():
    rng = np.random.default_rng(7)
    shares = []
    for _ in range(300):
        y, p, group = grouped([[0.7, 0.7], [0.6, 0.6]], 10, rng)
        own = np.sqrt(np.mean([gap**2 for gap in tpr_gap(y, p, group).values()]))
        shares.append(np.mean(tpr_gap_null(y, p, group, permutations=200, seed=1) >= own - 1e-12))
    assert np.mean(np.array(shares) <= 0.05) < 0.09
