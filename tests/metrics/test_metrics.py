"""Metrics against sklearn, fairlearn, scipy or a float64 brute force; invariances; negative controls."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from fairlearn.metrics import MetricFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score
from sklearn.metrics.pairwise import cosine_similarity

from balora_audit import metrics as m

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 12)) @ np.diag(np.linspace(3, 0.1, 12)) + 1.0
ROTATION = scipy.stats.ortho_group.rvs(12, random_state=1)
SPECTRAL = [m.effective_rank, m.singular_value_entropy, m.largest_singular_value_ratio, m.stable_rank, m.participation_ratio]


def spectrum(x):
    return np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(x, rowvar=False) * (len(x) - 1)), 0))[::-1]


def test_spectral_measures_equal_their_definitions_on_the_covariance_eigenvalues():
    s = spectrum(X)
    p, lam = s / s.sum(), s**2
    assert m.singular_value_entropy(X) == pytest.approx(scipy.stats.entropy(p))
    assert m.effective_rank(X) == pytest.approx(np.exp(scipy.stats.entropy(p)))
    assert m.largest_singular_value_ratio(X) == pytest.approx(-np.log(p[0]))
    assert m.stable_rank(X) == pytest.approx(lam.sum() / lam[0])
    assert m.participation_ratio(X) == pytest.approx(lam.sum() ** 2 / (lam**2).sum())
    assert m.normalised_spectrum(X) == pytest.approx(p)


@pytest.mark.parametrize("metric", SPECTRAL)
def test_spectral_measures_ignore_rotation_scale_shift_and_row_order(metric):
    for same in (X @ ROTATION, 7 * X, X + 3, X[::-1]):
        assert metric(same) == pytest.approx(metric(X), rel=1e-9)


@pytest.mark.parametrize("rank", [1, 3, 6])
@pytest.mark.parametrize("metric", [m.effective_rank, m.stable_rank, m.participation_ratio])
def test_a_planted_rank_is_an_upper_bound_and_healthy_features_exceed_it(metric, rank):
    low = RNG.normal(size=(60, rank)) @ RNG.normal(size=(rank, 20))
    assert 1 - 1e-9 <= metric(low) <= rank + 1e-6
    assert metric(RNG.normal(size=(60, 20))) > 6


def test_equal_singular_values_give_the_full_rank():
    basis = scipy.stats.ortho_group.rvs(9, random_state=2)[:, :8]
    assert m.effective_rank(basis, center=False) == pytest.approx(8)
    assert m.stable_rank(basis, center=False) == pytest.approx(8)


def test_a_planted_power_law_comes_back():
    basis = scipy.stats.ortho_group.rvs(30, random_state=3)
    x = basis @ np.diag(np.arange(1, 31) ** (-0.7))
    assert m.power_law_alpha(x, center=False) == pytest.approx(1.4, abs=1e-6)


@pytest.mark.parametrize("metric", [*SPECTRAL, m.normalised_spectrum, m.power_law_alpha])
def test_constant_features_are_refused(metric):
    with pytest.raises(ValueError, match=r"rank 0|two positive"):
        metric(np.ones((5, 3)))


def test_cka_equals_the_hsic_definition_on_both_sides_of_n_and_d():
    for n, d in ((40, 5), (6, 12)):
        x, y = RNG.normal(size=(n, d)), RNG.normal(size=(n, d + 1))
        h = np.eye(n) - 1 / n
        k, g = h @ x @ x.T @ h, h @ y @ y.T @ h
        assert m.linear_cka(x, y) == pytest.approx(np.trace(k @ g) / np.sqrt(np.trace(k @ k) * np.trace(g @ g)))


def test_cka_is_one_under_rotation_and_scale_and_small_for_unrelated_features():
    assert m.linear_cka(X, 5 * X @ ROTATION) == pytest.approx(1)
    assert m.linear_cka(RNG.normal(size=(500, 4)), RNG.normal(size=(500, 4))) < 0.05


def test_principal_angles_equal_scipys():
    y = RNG.normal(size=(40, 12))
    for k in (1, 3, 5):
        va, vb = (np.linalg.svd(z - z.mean(0))[2][:k].T for z in (X, y))
        assert m.principal_angles(X, y, k) == pytest.approx(np.sort(scipy.linalg.subspace_angles(va, vb)), abs=1e-9)
    assert m.principal_angles(X, X, 4) == pytest.approx(np.zeros(4), abs=1e-7)


def test_anisotropy_is_the_mean_cosine_of_different_items():
    cosines = cosine_similarity(X)
    expected = (cosines.sum() - len(X)) / (len(X) * (len(X) - 1))
    assert m.anisotropy(X) == pytest.approx(expected)
    assert m.anisotropy(np.ones((4, 3))) == pytest.approx(1)


def test_nc1_equals_the_matrix_definition():
    y = np.arange(40) % 4
    means = np.stack([X[y == c].mean(0) for c in range(4)])
    within = sum(np.outer(x - means[c], x - means[c]) for x, c in zip(X, y, strict=True)) / 40
    between = sum(np.outer(v - X.mean(0), v - X.mean(0)) for v in means) / 4
    assert m.nc1(X, y) == pytest.approx(np.trace(within @ np.linalg.pinv(between)) / 4, rel=1e-6)
    collapsed = means[y] + 1e-9 * X
    assert m.nc1(collapsed, y) < 1e-6 < m.nc1(X, y)


LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=60)


@settings(max_examples=60, deadline=None)
@given(LABELS)
def test_classification_metrics_equal_sklearns(pairs):
    y, p = (np.array(column) for column in zip(*pairs, strict=True))
    classes = np.unique(y)
    recalls = recall_score(y, p, labels=classes, average=None, zero_division=0)
    assert list(m.per_class_recall(y, p).values()) == pytest.approx(recalls.tolist())
    assert m.worst_class_recall(y, p) == pytest.approx(recalls.min())
    assert m.macro_f1(y, p) == pytest.approx(f1_score(y, p, labels=classes, average="macro", zero_division=0))
    assert m.g_mean(y, p) == pytest.approx(scipy.stats.gmean(recalls) if recalls.min() > 0 else 0)
    if set(p) <= set(y) and len(classes) > 1:  # sklearn warns about a single class
        assert m.balanced_accuracy(y, p) == pytest.approx(balanced_accuracy_score(y, p))
    assert m.prior_shift(y, p) >= -1e-12
    assert m.prior_shift(y, y) == pytest.approx(0)


def test_tpr_gaps_equal_fairlearns():
    y, p, g = RNG.integers(3, size=200), RNG.integers(3, size=200), RNG.choice(["a", "b"], size=200)
    for c, gap in m.tpr_gap(y, p, g).items():
        frame = MetricFrame(metrics=recall_score, y_true=(y == c), y_pred=(p == c), sensitive_features=g)
        assert gap == pytest.approx(frame.by_group["a"] - frame.by_group["b"])


def test_tpr_gap_needs_a_pair_of_groups():
    with pytest.raises(ValueError, match="name the pair"):
        m.tpr_gap([0, 1, 0], [0, 1, 1], ["a", "b", "c"])


@settings(max_examples=40, deadline=None)
@given(LABELS)
def test_flip_rate_is_symmetric_and_zero_with_itself(pairs):
    p, q = (np.array(column) for column in zip(*pairs, strict=True))
    assert m.flip_rate(p, q) == m.flip_rate(q, p) == pytest.approx(np.mean(p != q))
    assert m.flip_rate(p, p) == 0


def test_memorisation_counts_only_changed_labels():
    clean, noisy, pred = [0, 1, 2, 0], [1, 1, 0, 2], [1, 1, 0, 0]
    assert m.memorisation(pred, noisy, clean) == pytest.approx(2 / 3)  # items 0, 2, 3 changed; 0 and 2 answered as trained
    with pytest.raises(ValueError, match="undefined"):
        m.memorisation([0, 1], [0, 1], [0, 1])


def test_area_drop_and_mce_by_hand():
    assert m.severity_area([0, 1, 3], [1.0, 0.5, 0.5]) == pytest.approx((0.75 + 1.0) / 3)
    assert m.relative_drop(0.8, 0.6) == pytest.approx(0.25)
    assert m.mce([[0.2, 0.4], [0.3, 0.3]], [[0.4, 0.8], [0.3, 0.3]]) == pytest.approx((0.5 + 1.0) / 2)
    with pytest.raises(ValueError, match="undefined"):
        m.mce([[0.1]], [[0.0]])


def test_torch_tensors_are_accepted():
    x = torch.from_numpy(X)
    assert m.effective_rank(x.requires_grad_()) == pytest.approx(m.effective_rank(X))
    assert m.effective_rank(x.bfloat16()) == pytest.approx(m.effective_rank(X), rel=0.05)
    assert m.flip_rate(torch.tensor([0, 1]), torch.tensor([0, 2])) == 0.5


@pytest.mark.parametrize("bad", [np.ones(3), np.full((3, 3), np.nan), np.empty((0, 3))])
def test_what_is_no_finite_matrix_is_refused(bad):
    with pytest.raises(ValueError, match=r"matrix|finite"):
        m.effective_rank(bad)
