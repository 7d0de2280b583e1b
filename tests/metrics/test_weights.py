"""Low-rank weight changes against whole matrices in float64; planted intruders are found, and none where none was planted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balora_audit.metrics import dense_likeness, likeness, low_rank_singular_values


def decomposed(weight):
    return np.linalg.svd(weight, full_matrices=False)


def matrices(shape, rank, seed, size=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape), size * rng.normal(size=(shape[0], rank)), rng.normal(size=(rank, shape[1]))


def brute_force(weight, b, a, k):
    old = decomposed(weight).U
    new = decomposed(weight + b @ a).U[:, :k]
    return np.abs(old.T @ new).max(axis=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.integers(2, 30), st.integers(1, 8), st.integers(0, 1000))
def test_the_spectrum_of_a_product_needs_only_its_factors(m, n, r, seed):
    _, b, a = matrices((m, n), r, seed)
    dense = np.linalg.svd(b @ a, compute_uv=False)
    found = low_rank_singular_values(b, a)
    kept = min(len(found), len(dense))
    assert found[:kept] == pytest.approx(dense[:kept], rel=1e-9, abs=1e-9 * dense[0])
    assert found[kept:] == pytest.approx(0, abs=1e-9 * dense[0])


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (40, 40), (120, 200), (200, 120), (150, 150)])
@pytest.mark.parametrize("size", [0.01, 0.3, 3.0])
def test_likeness_equals_two_whole_decompositions(shape, size):
    weight, b, a = matrices(shape, 4, seed=5, size=size)
    u, sigma, vt = decomposed(weight)
    found = likeness(u, sigma, vt, b, a, k=10)
    assert found == pytest.approx(brute_force(weight, b, a, 10), abs=1e-6)
    assert found == pytest.approx(dense_likeness(u, weight + b @ a, k=10), abs=1e-6)


@pytest.mark.parametrize("shape", [(100, 160), (160, 100)])
def test_one_strong_strange_direction_is_one_intruder(shape):
    weight, _, _ = matrices(shape, 1, seed=1)
    u, sigma, vt = decomposed(weight)
    spread = u @ np.ones(len(sigma)) / np.sqrt(len(sigma))  # equally unlike every direction of W
    b, a = 10 * sigma[0] * spread[:, None], vt[:1]
    assert (likeness(u, sigma, vt, b, a, k=5) < 0.5).tolist() == [True, False, False, False, False]
    outside = np.linalg.qr(np.column_stack([u, np.random.default_rng(0).normal(size=shape[0])]))[0][:, -1:]
    if shape[0] > shape[1]:  # there is room beside W's column space
        found = likeness(u, sigma, vt, 10 * sigma[0] * outside, a, k=5)
        assert found[0] == pytest.approx(1 / np.sqrt(101))  # W itself adds one part u₁ to its ten parts


def test_scaling_what_is_there_or_changing_little_brings_no_intruder():
    weight, b, a = matrices((100, 160), 3, seed=2, size=1e-6)
    u, sigma, vt = decomposed(weight)
    assert (likeness(u, sigma, vt, b, a, k=10) > 0.99).all()
    scaled = likeness(u, sigma, vt, u[:, :3] * (5 * sigma[:3]), vt[:3], k=10)
    assert scaled == pytest.approx(np.ones(10))


def test_likeness_is_repeatable_to_the_last_digit():
    weight, b, a = matrices((90, 130), 4, seed=3)
    u, sigma, vt = decomposed(weight)
    assert np.array_equal(likeness(u, sigma, vt, b, a), likeness(u, sigma, vt, b, a))


def test_shapes_that_do_not_belong_together_are_refused():
    weight, b, a = matrices((12, 9), 2, seed=0)
    u, sigma, vt = decomposed(weight)
    with pytest.raises(ValueError, match="share r"):
        low_rank_singular_values(b, a[:1])
    with pytest.raises(ValueError, match="do not belong"):
        likeness(u, sigma, vt, b[:5], a)
    with pytest.raises(ValueError, match="k must be within"):
        likeness(u, sigma, vt, b, a, k=10)
    with pytest.raises(ValueError, match="is not within"):
        dense_likeness(u, weight, k=0)
