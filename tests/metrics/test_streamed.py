"""Streams of blocks against whole matrices in float64: Gram matrices, alignment, angles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IsoScore.IsoScore import IsoScore as published_iso_score
from scipy.linalg import subspace_angles

from balora_audit.metrics import (
    Moments,
    anisotropy,
    iso_score,
    linear_cka,
    participation_ratio,
    principal_angles,
    streamed_cka,
)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(1, 60), min_size=1, max_size=6), st.booleans())
def test_blocks_add_up_to_the_whole_however_they_are_cut(seed, sizes, center):
    x = np.random.default_rng(seed).normal(size=(sum(sizes), 7)).astype(np.float32) * 3 + 20
    found = Moments(7)
    for block in np.split(x, np.cumsum(sizes)[:-1]):
        found.add(block)
    whole = x.astype(np.float64)
    assert found.count == len(x)
    assert found.mean == pytest.approx(whole.mean(axis=0))
    centred = whole - whole.mean(axis=0) if center else whole
    assert found.gram(center=center) == pytest.approx(centred.T @ centred, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("far", [0.0, 1000.0])
def test_streamed_alignment_equals_the_whole(far):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(900, 12)).astype(np.float32) + np.float32(far)
    y = (x @ rng.normal(size=(12, 9)) + rng.normal(size=(900, 9))).astype(np.float32)
    blocks = ((x[i : i + 250], y[i : i + 250]) for i in range(0, 900, 250))
    a, b = (m.astype(np.float64) - m.astype(np.float64).mean(axis=0) for m in (x, y))
    by_hand = np.linalg.norm(b.T @ a) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))
    assert streamed_cka(blocks) == pytest.approx(by_hand, rel=1e-9)
    many = np.tile(x, (20, 1)), np.tile(y, (20, 1))  # long enough for linear_cka to read it in blocks
    assert linear_cka(*many) == pytest.approx(by_hand, rel=1e-9)


def test_angles_and_cosines_of_many_items_equal_those_of_whole_matrices():
    rng = np.random.default_rng(4)
    x, y = (rng.normal(size=(3000, 40)) * np.arange(1, 41) ** -1.5 + 50 * rng.normal(size=40) for _ in range(2))
    a, b = (np.linalg.svd(m - m.mean(axis=0), full_matrices=False)[2][:5] for m in (x, y))
    assert principal_angles(x, y, 5) == pytest.approx(np.sort(subspace_angles(a.T, b.T)), abs=1e-6)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosines = unit @ unit.T
    assert anisotropy(x.astype(np.float32)) == pytest.approx((cosines.sum() - 3000) / (3000 * 2999), rel=1e-5)


def test_a_stream_is_refused_for_what_a_matrix_is_refused_for():
    with pytest.raises(ValueError, match="dimensions"):
        Moments(3).add(np.ones((4, 2)))
    with pytest.raises(ValueError, match="finite"):
        Moments(2).add(np.array([[1.0, np.nan]]))
    with pytest.raises(ValueError, match="without rows"):
        _ = Moments(2).mean
    with pytest.raises(ValueError, match="no rows"):
        streamed_cka([])


@pytest.mark.parametrize("count", [60, 1500])
@pytest.mark.parametrize("dimensions", [2, 5, 30])
def test_iso_score_is_the_published_packages(count, dimensions):
    rng = np.random.default_rng(dimensions)
    x = rng.normal(size=(count, dimensions)) * np.linspace(1, 4, dimensions) + 5
    assert iso_score(x) == pytest.approx(float(published_iso_score(x)), abs=1e-6)


def test_iso_score_is_one_for_a_sphere_and_zero_for_a_line_and_follows_the_participation_ratio():
    sphere = np.vstack([np.eye(6), -np.eye(6)])
    assert iso_score(sphere) == pytest.approx(1)
    line = np.outer(np.arange(9.0), np.ones(6))
    assert iso_score(line) == pytest.approx(0, abs=1e-12)
    x = np.random.default_rng(0).normal(size=(50, 6)) * [5, 3, 2, 1, 1, 0.2]
    assert iso_score(x) == pytest.approx((participation_ratio(x) - 1) / 5)
    turned = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    assert iso_score(7 * x @ turned - 3) == pytest.approx(iso_score(x))
    with pytest.raises(ValueError, match="two dimensions"):
        iso_score(np.arange(5.0)[:, None])
